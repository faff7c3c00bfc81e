//! Stands between what the cells write and evcxr, in a process of its own, so that nothing is lost when the cells' process
//! crashes.
//!
//! evcxr reads lines, swallows the marker of a failed `?`, stops at invalid UTF-8 and keeps whatever comes. Here every
//! piece of output becomes one line of JSON behind the byte 0x1E, which passes through evcxr untouched and in order with
//! its own control lines; text is sent as it comes, newline or not; a failed `?` and a panic become messages; floods end
//! in a notice.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::report::language;

/// Begins a line of the filter's, and the crate's messages.
pub const MARK: u8 = 0x1e;
/// How long text is gathered before it is sent: fifty messages a second at most, however many lines there are.
const GATHER: Duration = Duration::from_millis(20);
/// How much text of one cell is shown.
const TEXT_LIMIT: usize = 8 << 20;
/// How large one displayed thing may be.
const DISPLAY_LIMIT: usize = 32 << 20;
/// How much one cell may display at once, and how much more every second.
const DISPLAYS_LIMIT: usize = 64 << 20;
const DISPLAYS_A_SECOND: usize = 2 << 20;
/// How much of standard error is kept to find a failed `?`'s text in.
const TAIL: usize = 64 << 10;

const MESSAGE: &[u8] = b"\x1esvertka ";
const PANIC: &[u8] = b"\x1epanic ";
const BEGIN_CONTENT: &[u8] = b"EVCXR_BEGIN_CONTENT ";
const END_CONTENT: &[u8] = b"EVCXR_END_CONTENT";
const ERROR_OCCURRED: &[u8] = b"EVCXR_ERROR_OCCURRED";
const PANIC_OCCURRED: &[u8] = b"EVCXR_PANIC_NOTIFICATION";
const CHANGED_TYPE: &[u8] = b"EVCXR_VARIABLE_CHANGED_TYPE:";
const INPUT: &[u8] = b"EVCXR_INPUT_REQUEST";
const COMPLETE: &str = "EVCXR_EXECUTION_COMPLETE";

/// The pipes' ends that the filter holds.
pub struct Ends {
    /// What the cells write to standard output and standard error.
    pub out: File,
    pub err: File,
    /// A byte comes when a cell has ended.
    pub done: File,
    /// What the cells read from standard input.
    pub input: File,
    /// What evcxr says to the cells' process: commands, which are not for the filter, and answers to input requests.
    pub commands: File,
    /// What evcxr reads.
    pub answers: File,
    /// The first cell is evcxr's own trial, made before anyone listens: its output would block evcxr for ever.
    pub quiet: bool,
}

/// Filters until the cells' process has ended or evcxr has gone.
pub fn run(mut ends: Ends) -> ! {
    for file in [&ends.out, &ends.err] {
        // SAFETY: the descriptor is open.
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    }
    let answers = ends.answers.try_clone();
    let ended = answers.and_then(|answers| {
        let mut filter = Filter::new(answers);
        filter.quiet = ends.quiet;
        pump(&mut ends, &mut filter)
    });
    std::process::exit(i32::from(ended.is_err()))
}

fn pump(ends: &mut Ends, filter: &mut Filter<File>) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let watch = |file: &File| libc::pollfd {
        fd: file.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let mut ready = [watch(&ends.out), watch(&ends.err), watch(&ends.done)];
    loop {
        let wait = filter.wait().map_or(-1, |wait| wait.as_millis() as i32 + 1);
        // SAFETY: the array is as long as it says.
        if unsafe { libc::poll(ready.as_mut_ptr(), ready.len() as libc::nfds_t, wait) } < 0 {
            continue;
        }
        // The end is looked at before the last read, so that nothing written before it can come after it.
        let mut done = 0;
        if ready[2].revents != 0 {
            done = ends.done.read(&mut buffer[..1])?;
        }
        let ended = ready[2].revents != 0 && done == 0;
        let rounds = if ready[2].revents == 0 { 1 } else { 4 };
        for _ in 0..rounds {
            let out = ends.out.read(&mut buffer).unwrap_or(0);
            let mut read_err = || {
                let mut bytes = vec![0; 64 << 10];
                let length = ends.err.read(&mut bytes).unwrap_or(0);
                bytes.truncate(length);
                bytes
            };
            // What failed wrote its text before its marker: read after the marker is seen, the text is there.
            let err = read_err();
            let mut requests = filter.stdout(&buffer[..out], &err)?;
            while let Some(rest) = requests {
                answer_input(&mut ends.commands, &mut ends.input)?;
                requests = filter.stdout(&rest, b"")?;
            }
            if out == 0 && err.is_empty() {
                break;
            }
        }
        for pipe in &mut ready[..2] {
            // A cell closed the stream: there is no more to wait for.
            if pipe.revents & (libc::POLLIN | libc::POLLHUP) == libc::POLLHUP {
                pipe.fd = -1;
            }
        }
        if ended {
            return filter.end();
        }
        if done > 0 {
            filter.complete()?;
        }
        filter.tick()?;
    }
}

/// Passes one line of evcxr's on to the cell that asked for it.
fn answer_input(commands: &mut File, input: &mut File) -> std::io::Result<()> {
    let mut line = Vec::new();
    let mut byte = [0];
    while commands.read(&mut byte)? == 1 {
        line.push(byte[0]);
        if byte[0] == b'\n' {
            break;
        }
    }
    input.write_all(&line)
}

/// One thing shown through evcxr's display markers.
struct Shown {
    mime: String,
    bytes: Vec<u8>,
}

/// The filter itself, without pipes.
struct Filter<W> {
    answers: W,
    /// The line of standard output that has not ended yet.
    line: Vec<u8>,
    err_line: Vec<u8>,
    shown: Option<Shown>,
    /// Gathered text, and which stream it belongs to.
    text: String,
    text_is_err: bool,
    since: Option<Instant>,
    /// The end of this cell's standard error.
    tail: String,
    panic: Option<String>,
    texts_left: usize,
    displays_left: usize,
    refilled: Instant,
    cut: bool,
    quiet: bool,
}

impl<W: Write> Filter<W> {
    fn new(answers: W) -> Self {
        Self {
            answers,
            line: Vec::new(),
            err_line: Vec::new(),
            shown: None,
            text: String::new(),
            text_is_err: false,
            since: None,
            tail: String::new(),
            panic: None,
            texts_left: TEXT_LIMIT,
            displays_left: DISPLAYS_LIMIT,
            refilled: Instant::now(),
            cut: false,
            quiet: false,
        }
    }

    /// Takes what came from both streams at about the same time. Where a line asks for input, returns what comes after
    /// that line: the caller answers first.
    fn stdout(&mut self, mut out: &[u8], err: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
        let mut err = Some(err);
        while let Some(end) = out.iter().position(|byte| *byte == b'\n') {
            self.line.extend_from_slice(&out[..end]);
            out = &out[end + 1..];
            let line = std::mem::take(&mut self.line);
            if (line.ends_with(ERROR_OCCURRED) || line.ends_with(PANIC_OCCURRED))
                && let Some(err) = err.take()
            {
                self.stderr(err)?;
            }
            if self.line_ended(line)? {
                self.stderr(err.take().unwrap_or_default())?;
                return Ok(Some(out.to_vec()));
            }
        }
        self.line.extend_from_slice(out);
        self.begun_line()?;
        self.stderr(err.take().unwrap_or_default())?;
        Ok(None)
    }

    /// A whole line of standard output. Returns whether it asks for input.
    fn line_ended(&mut self, mut line: Vec<u8>) -> std::io::Result<bool> {
        if let Some(shown) = &mut self.shown {
            if line == END_CONTENT {
                return self.send_shown().map(|()| false);
            }
            if !line.ends_with(PANIC_OCCURRED) {
                if shown.bytes.len() < DISPLAY_LIMIT {
                    if !shown.bytes.is_empty() {
                        shown.bytes.push(b'\n');
                    }
                    shown.bytes.append(&mut line);
                }
                return Ok(false);
            }
            self.shown = None;
        }
        if let Some(at) = find(&line, MESSAGE) {
            self.push(&line[..at], false)?;
            self.send_message(&line[at + MESSAGE.len()..])?;
        } else if let Some(before) = line.strip_suffix(ERROR_OCCURRED) {
            self.push(before, false)?;
            let message = self.take_error();
            self.send(&json!({"failed": "error", "text": message}))?;
            self.control(ERROR_OCCURRED)?;
        } else if let Some(before) = line.strip_suffix(PANIC_OCCURRED) {
            self.push(before, false)?;
            let message = self.panic.take();
            self.send(&json!({"failed": "panic", "text": message}))?;
            self.control(PANIC_OCCURRED)?;
        } else if let Some(at) = find(&line, BEGIN_CONTENT) {
            self.push(&line[..at], false)?;
            let mime = String::from_utf8_lossy(&line[at + BEGIN_CONTENT.len()..]).into_owned();
            self.shown = Some(Shown {
                mime,
                bytes: Vec::new(),
            });
        } else if let Some(name) = line.strip_prefix(CHANGED_TYPE) {
            self.send(&json!({"retyped": String::from_utf8_lossy(name)}))?;
            self.control(&line)?;
        } else if let Some(at) = find(&line, INPUT) {
            self.push(&line[..at], false)?;
            self.control(&line[at..])?;
            return Ok(true);
        } else {
            line.push(b'\n');
            self.push(&line, false)?;
        }
        Ok(false)
    }

    /// Sends the part of an unfinished line that can't belong to a marker.
    fn begun_line(&mut self) -> std::io::Result<()> {
        if self.shown.is_some() {
            // A figure's line is long; one without an end must not fill the memory.
            self.line.truncate(DISPLAY_LIMIT);
            return Ok(());
        }
        let held = self.line.len() - marker_begins(&self.line);
        let mut rest = self.line.split_off(self.line.len() - held);
        rest.truncate(DISPLAY_LIMIT);
        let text = std::mem::replace(&mut self.line, rest);
        let whole = whole_characters(&text);
        self.push(&text[..whole], false)?;
        self.line.splice(0..0, text[whole..].iter().copied());
        Ok(())
    }

    fn stderr(&mut self, mut bytes: &[u8]) -> std::io::Result<()> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.err_line.extend_from_slice(&bytes[..=end]);
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.err_line);
            if let Some(at) = find(&line, PANIC) {
                self.push(&line[..at], true)?;
                // An earlier panic that did not end the cell: its thread was not the cell's, or it was caught.
                self.report_panic()?;
                let text = String::from_utf8_lossy(&line[at + PANIC.len()..]).into_owned();
                self.panic = Some(text);
            } else {
                self.push(&line, true)?;
            }
        }
        self.err_line.extend_from_slice(bytes);
        if !self.err_line.contains(&MARK) {
            let line = std::mem::take(&mut self.err_line);
            let whole = whole_characters(&line);
            self.push(&line[..whole], true)?;
            self.err_line.extend_from_slice(&line[whole..]);
        }
        self.err_line.truncate(DISPLAY_LIMIT);
        Ok(())
    }

    /// The cell has ended: everything goes out, and the counts begin again.
    fn complete(&mut self) -> std::io::Result<()> {
        self.shown = None;
        for is_err in [false, true] {
            let rest = std::mem::take(if is_err {
                &mut self.err_line
            } else {
                &mut self.line
            });
            self.push(&rest, is_err)?;
        }
        self.report_panic()?;
        self.control(COMPLETE.as_bytes())?;
        self.tail.clear();
        self.texts_left = TEXT_LIMIT;
        self.displays_left = DISPLAYS_LIMIT;
        self.cut = false;
        self.quiet = false;
        Ok(())
    }

    /// The cells' process has ended.
    fn end(&mut self) -> std::io::Result<()> {
        for is_err in [false, true] {
            let rest = std::mem::take(if is_err {
                &mut self.err_line
            } else {
                &mut self.line
            });
            self.push(&rest, is_err)?;
        }
        self.report_panic()?;
        self.flush()
    }

    /// How long to wait before `tick`.
    fn wait(&self) -> Option<Duration> {
        Some((self.since? + GATHER).saturating_duration_since(Instant::now()))
    }

    fn tick(&mut self) -> std::io::Result<()> {
        match self.wait() {
            Some(wait) if wait.is_zero() => self.flush(),
            _ => Ok(()),
        }
    }

    /// Gathers text.
    fn push(&mut self, bytes: &[u8], is_err: bool) -> std::io::Result<()> {
        if is_err {
            self.tail.push_str(&String::from_utf8_lossy(bytes));
            if self.tail.len() > 2 * TAIL {
                let cut = self.tail.ceil_char_boundary(self.tail.len() - TAIL);
                self.tail.drain(..cut);
            }
        }
        if bytes.is_empty() || self.cut {
            return Ok(());
        }
        if self.text_is_err != is_err {
            self.flush()?;
            self.text_is_err = is_err;
        }
        let shown = &bytes[..bytes.len().min(self.texts_left)];
        self.text.push_str(&String::from_utf8_lossy(shown));
        self.texts_left -= shown.len();
        self.since.get_or_insert_with(Instant::now);
        if self.texts_left == 0 {
            self.flush()?;
            self.text_is_err = true;
            let megabytes = TEXT_LIMIT >> 20;
            self.text = language(
                format!("\n[The output of this cell is cut here, after {megabytes} MB.]\n"),
                format!("\n[Вывод ячейки обрезан здесь, после {megabytes} МБ.]\n"),
            );
            self.cut = true;
            self.flush()?;
        } else if self.text.len() > 256 << 10 {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.since = None;
        if self.text.is_empty() {
            return Ok(());
        }
        let text = std::mem::take(&mut self.text);
        let stream = if self.text_is_err { "err" } else { "out" };
        self.write_line(&json!({ stream: text }).to_string())
    }

    fn report_panic(&mut self) -> std::io::Result<()> {
        match self.panic.take() {
            Some(panic) => self.send(&json!({"panic": panic})),
            None => Ok(()),
        }
    }

    fn send_shown(&mut self) -> std::io::Result<()> {
        let Some(shown) = self.shown.take() else {
            return Ok(());
        };
        if self.affords(shown.bytes.len()) {
            let text = String::from_utf8_lossy(&shown.bytes);
            return self.send(&json!({"content": shown.mime, "text": text}));
        }
        Ok(())
    }

    fn send_message(&mut self, json: &[u8]) -> std::io::Result<()> {
        match serde_json::from_slice::<Value>(json) {
            Ok(message) if message.is_object() => {
                if self.affords(json.len()) {
                    self.send(&json!({"message": message}))?;
                }
                Ok(())
            }
            _ => self.push(&[json, b"\n"].concat(), false),
        }
    }

    /// Whether this cell may display so much more.
    fn affords(&mut self, length: usize) -> bool {
        let seconds = self.refilled.elapsed().as_secs() as usize;
        if seconds > 0 {
            self.refilled = Instant::now();
            let more = seconds.saturating_mul(DISPLAYS_A_SECOND);
            self.displays_left = self.displays_left.saturating_add(more).min(DISPLAYS_LIMIT);
        }
        let affords = length <= self.displays_left && length < DISPLAY_LIMIT;
        if affords {
            self.displays_left -= length;
        } else {
            let megabytes = length >> 20;
            let notice = language(
                format!("[A displayed value of {megabytes} MB is not shown: too large.]\n"),
                format!("[Значение в {megabytes} МБ не показано: слишком велико.]\n"),
            );
            let _ = self.push(notice.as_bytes(), true);
        }
        affords
    }

    /// Takes the text of a failed `?`, which evcxr's code wrote as the last line of standard error, out of what is yet to
    /// be shown. libtorch puts its C++ frames behind the line that helps.
    fn take_error(&mut self) -> String {
        let lines: Vec<&str> = self.tail.lines().collect();
        let is_frame = |line: &&str| {
            let line = line.trim_start();
            line.is_empty()
                || line.starts_with("frame #")
                || line.starts_with("Exception raised from ")
        };
        let last = lines.iter().rposition(|line| !is_frame(line)).unwrap_or(0);
        let message = lines.get(last).unwrap_or(&"").trim().to_owned();
        let behind: usize = lines[last.min(lines.len())..]
            .iter()
            .map(|line| line.len() + 1)
            .sum();
        if self.text_is_err {
            let keep = self.text.len().saturating_sub(behind);
            let keep = self.text.floor_char_boundary(keep);
            self.text.truncate(keep);
        }
        self.tail.clear();
        message
    }

    fn send(&mut self, message: &Value) -> std::io::Result<()> {
        self.flush()?;
        self.write_line(&message.to_string())
    }

    fn write_line(&mut self, json: &str) -> std::io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        // evcxr looks for this in the middle of lines too.
        let json = json.replace("EVCXR_BEGIN_CONTENT", "EVCXR\\u005fBEGIN_CONTENT");
        let mut line = vec![MARK];
        line.extend_from_slice(json.as_bytes());
        line.push(b'\n');
        self.answers.write_all(&line)
    }

    /// Passes a line of evcxr's own on.
    fn control(&mut self, line: &[u8]) -> std::io::Result<()> {
        self.flush()?;
        let line = String::from_utf8_lossy(line);
        self.answers.write_all(format!("{line}\n").as_bytes())
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// Where in an unfinished line a marker begins or could begin; its length if nowhere.
fn marker_begins(line: &[u8]) -> usize {
    let begins = |at: &usize| {
        let rest = &line[*at..];
        [&b"EVCXR_"[..], &[MARK]]
            .iter()
            .any(|mark| rest.starts_with(mark) || mark.starts_with(rest))
    };
    (0..line.len())
        .filter(|at| matches!(line[*at], b'E' | MARK))
        .find(begins)
        .unwrap_or(line.len())
}

/// The length without a character that is not whole yet.
fn whole_characters(bytes: &[u8]) -> usize {
    for (behind, byte) in (1..=3).zip(bytes.iter().rev()) {
        let length = match byte {
            0x80..0xc0 => continue,
            0xc2..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0..0xf5 => 4,
            _ => 1,
        };
        return bytes.len() - if length > behind { behind } else { 0 };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would read after these pieces, and the cell's end.
    fn filtered(pieces: &[(&[u8], &[u8])]) -> Vec<String> {
        let mut filter = Filter::new(Vec::new());
        for (out, err) in pieces {
            assert!(filter.stdout(out, err).unwrap().is_none());
        }
        filter.complete().unwrap();
        let text = String::from_utf8(filter.answers).unwrap();
        text.lines()
            .map(|line| line.trim_start_matches('\u{1e}').to_owned())
            .collect()
    }

    #[test]
    fn text_passes_with_and_without_newlines() {
        assert_eq!(filtered(&[(b"a\nb", b"")]), [r#"{"out":"a\nb"}"#, COMPLETE]);
        assert_eq!(
            filtered(&[(b"\xff\xd0", b""), (b"\xbf", b"")]),
            [r#"{"out":"�п"}"#, COMPLETE]
        );
    }

    #[test]
    fn markers_are_found_in_pieces_and_behind_text() {
        let expected = [
            r#"{"out":"so E"}"#,
            r#"{"failed":"error","text":"too bad"}"#,
            "EVCXR_ERROR_OCCURRED",
            COMPLETE,
        ];
        assert_eq!(
            filtered(&[(b"so EEVCXR_ERR", b"too bad\n"), (b"OR_OCCURRED\n", b"")]),
            expected
        );
    }

    #[test]
    fn the_error_is_the_last_line_without_frames() {
        let err = "warning\nInternal torch error: shapes\nException raised from view (most recent call first):\nframe #0: f\n\n\n";
        let lines = filtered(&[(b"EVCXR_ERROR_OCCURRED\n", err.as_bytes())]);
        assert_eq!(lines[0], r#"{"err":"warning\n"}"#);
        assert_eq!(
            lines[1],
            r#"{"failed":"error","text":"Internal torch error: shapes"}"#
        );
    }

    #[test]
    fn a_panic_fails_the_cell_only_with_its_notification() {
        let lines = filtered(&[
            (b"", "\u{1e}panic no\u{1f}src/lib.rs:1:2\n".as_bytes()),
            (b"EVCXR_PANIC_NOTIFICATION\n", b""),
        ]);
        assert_eq!(
            lines[0],
            "{\"failed\":\"panic\",\"text\":\"no\\u001fsrc/lib.rs:1:2\\n\"}"
        );
        let lines = filtered(&[(b"", "\u{1e}panic no\u{1f}src/lib.rs:1:2\n".as_bytes())]);
        assert_eq!(lines[0], "{\"panic\":\"no\\u001fsrc/lib.rs:1:2\\n\"}");
    }

    #[test]
    fn content_and_messages_pass_whole() {
        let lines = filtered(&[(
            b"xEVCXR_BEGIN_CONTENT text/plain\n1\n2\nEVCXR_END_CONTENT\n",
            b"",
        )]);
        assert_eq!(
            lines,
            [
                r#"{"out":"x"}"#,
                r#"{"content":"text/plain","text":"1\n2"}"#,
                COMPLETE
            ]
        );
        let lines = filtered(&[(
            b"y\x1esvertka {\"type\":\"display\"}\n\x1esvertka no\n",
            b"",
        )]);
        assert_eq!(
            lines,
            [
                r#"{"out":"y"}"#,
                r#"{"message":{"type":"display"}}"#,
                r#"{"out":"no\n"}"#,
                COMPLETE
            ]
        );
    }

    #[test]
    fn a_flood_is_cut() {
        let megabyte = vec![b'x'; 1 << 20];
        let lines = filtered(&vec![(&megabyte[..], &b""[..]); 20]);
        let length: usize = lines.iter().map(String::len).sum();
        assert!(length < TEXT_LIMIT + 10_000, "{length}");
        assert!(lines[lines.len() - 2].contains("cut"));
    }

    #[test]
    fn what_evcxr_would_take_for_content_is_hidden_from_it() {
        let lines = filtered(&[(b"", b"EVCXR_BEGIN_CONTENT text/plain\n")]);
        assert!(!lines[0].contains("EVCXR_BEGIN_CONTENT "), "{}", lines[0]);
    }
}
