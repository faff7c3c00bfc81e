//! Stands between what the cells write and evcxr, in a process of its own, so that nothing is lost when the cells' process
//! crashes.
//!
//! evcxr reads lines, swallows the marker of a failed `?`, stops at invalid UTF-8 and keeps whatever comes. Here every
//! piece of output becomes one line of JSON behind the byte 0x1E, which passes through evcxr untouched and in order with
//! its own control lines; text is sent as it comes, newline or not; a failed `?` and a panic become messages; floods end
//! in a notice.

use std::fs::File;
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::language::language;
use crate::report::panic_message;

/// What a line of the filter's tells the kernel.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Piece {
    Out(String),
    Err(String),
    /// The cell's code begins to run, or has ended.
    Runs(bool),
    /// The cell has failed: by an `error` or a `panic`, with what it said.
    Failed(String, String),
    /// A variable that was lost since its type was defined anew.
    Retyped(String),
    /// A value shown by evcxr's markers: its MIME type and the text.
    Content(String, String),
    /// A message of the crate's display protocol.
    Message(Map<String, Value>),
}

impl Piece {
    /// Reads a line that came through evcxr; what is none of the filter's is text.
    pub fn read(line: &str) -> Self {
        line.strip_prefix(char::from(MARK))
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_else(|| Self::Out(format!("{line}\n")))
    }
}

/// Begins a line of the filter's, and the crate's messages.
const MARK: u8 = 0x1e;
/// How long text is gathered before it is sent: fifty messages a second at most, however many lines there are.
const GATHER: Duration = Duration::from_millis(20);
/// How much text is gathered at most.
const GATHERED: usize = 256 << 10;
/// How much text of one cell is shown.
const TEXT_LIMIT: usize = 8 << 20;
/// How large one displayed thing may be.
const DISPLAY_LIMIT: usize = 32 << 20;
/// How much one cell may display at once, and how much more every second.
const DISPLAYS_LIMIT: usize = 64 << 20;
const DISPLAYS_A_SECOND: usize = 2 << 20;
/// How much of standard error is kept to find a failed `?`'s text in.
const TAIL: usize = 64 << 10;
/// How much a pipe holds.
const PIPE: usize = 64 << 10;

const MESSAGE: &[u8] = b"\x1esvertka ";
const BEGIN_CONTENT: &[u8] = b"EVCXR_BEGIN_CONTENT ";
const END_CONTENT: &[u8] = b"EVCXR_END_CONTENT";
const ERROR_OCCURRED: &[u8] = b"EVCXR_ERROR_OCCURRED";
const PANIC_OCCURRED: &[u8] = b"EVCXR_PANIC_NOTIFICATION";
const CHANGED_TYPE: &[u8] = b"EVCXR_VARIABLE_CHANGED_TYPE:";
const INPUT: &[u8] = b"EVCXR_INPUT_REQUEST";
const COMPLETE: &[u8] = b"EVCXR_EXECUTION_COMPLETE";

/// What comes by [`Ends::events`] when a cell's code begins.
pub const BEGINS: &str = "begins";

/// The pipes' ends that the filter holds.
pub struct Ends {
    /// What the cells write to standard output and standard error.
    pub out: PipeReader,
    pub err: PipeReader,
    /// A line comes for each panic, [`BEGINS`] when a cell's code begins, and an empty one when it has ended.
    pub events: PipeReader,
    /// What the cells read from standard input.
    pub input: PipeWriter,
    /// What evcxr says to the cells' process: commands, which are not for the filter, and answers to input requests.
    pub commands: File,
    /// What evcxr reads.
    pub answers: File,
    /// While this file is there evcxr starts, and nobody listens: what its trial cells show would block it for ever. There are two
    /// of them where it finds a linker called lld.
    pub trial: PathBuf,
}

/// Filters until the cells' process has ended or evcxr has gone.
pub fn run(ends: Ends) -> ! {
    for pipe in [&ends.out, &ends.err] {
        // SAFETY: the descriptor is open.
        unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    }
    std::process::exit(i32::from(pump(ends).is_err()))
}

fn pump(mut ends: Ends) -> io::Result<()> {
    let mut filter = Filter {
        quiet: ends.trial.exists(),
        ..Filter::default()
    };
    let watch = |pipe: &PipeReader| libc::pollfd {
        fd: pipe.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let mut pipes = [watch(&ends.out), watch(&ends.err), watch(&ends.events)];
    let mut buffer = vec![0; PIPE];
    loop {
        let wait = filter.wait().map_or(-1, |wait| wait.as_millis() as i32 + 1);
        // SAFETY: the array is as long as it says.
        if unsafe { libc::poll(pipes.as_mut_ptr(), pipes.len() as libc::nfds_t, wait) } < 0 {
            continue;
        }
        filter.quiet = filter.quiet && ends.trial.exists();
        // They are read before the text, so that nothing written before a cell's end can come after it.
        let mut events = None;
        if pipes[2].revents != 0 {
            let length = ends.events.read(&mut buffer)?;
            events = Some(buffer[..length].to_vec());
        }
        let rounds = if events.is_some() { 4 } else { 1 };
        for _ in 0..rounds {
            let length = ends.out.read(&mut buffer).unwrap_or(0);
            filter.stdout(&buffer[..length]);
            let length = ends.err.read(&mut buffer).unwrap_or(0);
            filter.stderr(&buffer[..length]);
            filter.pass(&mut ends.answers)?;
            for _ in 0..std::mem::take(&mut filter.asked) {
                answer_input(&mut ends.commands, &mut ends.input)?;
            }
        }
        for pipe in &mut pipes[..2] {
            // A cell closed the stream: there is no more to wait for.
            if pipe.revents & (libc::POLLIN | libc::POLLHUP) == libc::POLLHUP {
                pipe.fd = -1;
            }
        }
        match events {
            Some(events) if events.is_empty() => {
                filter.end();
                return filter.pass(&mut ends.answers);
            }
            Some(events) => filter.events(&events),
            None => {}
        }
        if filter.wait().is_some_and(|wait| wait.is_zero()) {
            filter.flush();
        }
        filter.pass(&mut ends.answers)?;
    }
}

/// Passes one line of evcxr's on to the cell that asked for it.
fn answer_input(commands: &mut File, input: &mut PipeWriter) -> io::Result<()> {
    let mut line = Vec::new();
    // A byte at a time: what comes behind the line is not for the cell.
    BufReader::with_capacity(1, commands).read_until(b'\n', &mut line)?;
    input.write_all(&line)
}

/// The filter itself, without pipes. Of what a cell did nothing outlives it but what evcxr has yet to read.
#[derive(Default)]
struct Filter {
    /// What evcxr is to read.
    answers: String,
    /// How many lines of input were asked for.
    asked: usize,
    quiet: bool,
    /// What of the two streams can't be passed on yet: a line that may be a marker's, a character that is not whole.
    out: Vec<u8>,
    err: Vec<u8>,
    /// The MIME type and the text of what is being shown by evcxr's markers.
    shown: Option<(String, Vec<u8>)>,
    /// Gathered text, and which stream it belongs to.
    text: String,
    text_is_err: bool,
    since: Option<Instant>,
    /// The end of this cell's standard error.
    tail: String,
    panics: Vec<String>,
    /// The marker that says how the cell has failed.
    failed: Option<&'static [u8]>,
    /// How much the cell has written and displayed.
    written: usize,
    displayed: usize,
    refilled: Option<Instant>,
}

impl Filter {
    /// Takes what came from standard output.
    fn stdout(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.out.extend_from_slice(part);
            if self.out.pop_if(|byte| *byte == b'\n').is_none() {
                break;
            }
            let line = std::mem::take(&mut self.out);
            self.line(line);
        }
        if self.shown.is_none() {
            // The part of an unfinished line that can't belong to a marker.
            let rest = self.out.split_off(marker_begins(&self.out));
            let text = std::mem::replace(&mut self.out, rest);
            let unfinished = self.push_whole(&text, false);
            self.out.splice(0..0, unfinished);
        }
        // A figure's line is long; one without an end must not fill the memory.
        self.out.truncate(DISPLAY_LIMIT);
    }

    /// A whole line of standard output.
    fn line(&mut self, mut line: Vec<u8>) {
        if let Some((mime, mut text)) = self.shown.take()
            && !line.ends_with(PANIC_OCCURRED)
        {
            if line != END_CONTENT {
                line.push(b'\n');
                if text.len() < DISPLAY_LIMIT {
                    text.append(&mut line);
                }
                self.shown = Some((mime, text));
            } else if self.affords(text.len()) {
                let text = String::from_utf8_lossy(text.strip_suffix(b"\n").unwrap_or(&text));
                self.send(&Piece::Content(mime, text.into_owned()));
            }
        } else if let Some(at) = find(&line, MESSAGE) {
            self.push(&line[..at], false);
            self.message(&line[at + MESSAGE.len()..]);
        } else if let Some(marker) = [ERROR_OCCURRED, PANIC_OCCURRED]
            .into_iter()
            .find(|marker| line.ends_with(marker))
        {
            self.push(&line[..line.len() - marker.len()], false);
            self.failed = Some(marker);
        } else if let Some(at) = find(&line, BEGIN_CONTENT) {
            self.push(&line[..at], false);
            let mime = String::from_utf8_lossy(&line[at + BEGIN_CONTENT.len()..]);
            self.shown = Some((mime.into_owned(), Vec::new()));
        } else if let Some(name) = line.strip_prefix(CHANGED_TYPE) {
            let name = String::from_utf8_lossy(name).into_owned();
            self.send(&Piece::Retyped(name));
            self.control(&line);
        } else if let Some(at) = find(&line, INPUT) {
            self.push(&line[..at], false);
            self.control(&line[at..]);
            self.asked += 1;
        } else {
            line.push(b'\n');
            self.push(&line, false);
        }
    }

    fn message(&mut self, json: &[u8]) {
        match serde_json::from_slice(json) {
            Ok(message) if self.affords(json.len()) => self.send(&Piece::Message(message)),
            Ok(_) => {}
            Err(_) => self.push(&[json, b"\n"].concat(), false),
        }
    }

    fn stderr(&mut self, bytes: &[u8]) {
        let mut text = std::mem::take(&mut self.err);
        text.extend_from_slice(bytes);
        self.err = self.push_whole(&text, true);
    }

    /// Takes panics, begins and ends of cells.
    fn events(&mut self, events: &[u8]) {
        for line in String::from_utf8_lossy(events).lines() {
            match line {
                // Of a quick cell the text is here before this: it waits on, for it may be a failed `?`'s.
                BEGINS => self.write(&Piece::Runs(true)),
                "" => self.complete(),
                panic => self.panics.push(panic_message(panic)),
            }
        }
    }

    /// A cell has ended: everything goes out, and the counts begin again.
    fn complete(&mut self) {
        let failure = self.failed.take().map(|marker| {
            let (name, text) = match marker {
                PANIC_OCCURRED => ("panic", self.panics.pop().unwrap_or_default()),
                _ => ("error", self.take_error()),
            };
            (marker, Piece::Failed(name.to_owned(), text))
        });
        self.end();
        self.send(&Piece::Runs(false));
        if let Some((marker, failure)) = failure {
            self.send(&failure);
            self.control(marker);
        }
        self.control(COMPLETE);
        *self = Self {
            answers: std::mem::take(&mut self.answers),
            quiet: self.quiet,
            ..Self::default()
        };
    }

    /// What has waited for more goes out.
    fn end(&mut self) {
        self.shown = None;
        let (out, err) = (std::mem::take(&mut self.out), std::mem::take(&mut self.err));
        self.push(&out, false);
        self.push(&err, true);
        // They did not end the cell: their threads were not the cell's, or they were caught.
        for panic in std::mem::take(&mut self.panics) {
            self.push(format!("panic: {panic}\n").as_bytes(), true);
        }
        self.flush();
    }

    /// How long gathered text may still wait. That of a cell which has failed waits for the cell's end.
    fn wait(&self) -> Option<Duration> {
        let since = self.since.filter(|_| self.failed.is_none())?;
        Some((since + GATHER).saturating_duration_since(Instant::now()))
    }

    /// Gathers text, and returns the bytes of a last character that is not whole yet.
    fn push_whole(&mut self, bytes: &[u8], is_err: bool) -> Vec<u8> {
        let last = bytes.utf8_chunks().last();
        let rest = last.map_or(&[][..], |chunk| chunk.invalid());
        let is_begun = str::from_utf8(rest).is_err_and(|error| error.error_len().is_none());
        let rest = if is_begun { rest } else { &[] };
        self.push(&bytes[..bytes.len() - rest.len()], is_err);
        rest.to_vec()
    }

    /// Gathers text.
    fn push(&mut self, bytes: &[u8], is_err: bool) {
        if is_err {
            self.tail.push_str(&String::from_utf8_lossy(bytes));
            if self.tail.len() > 2 * TAIL {
                let cut = self.tail.ceil_char_boundary(self.tail.len() - TAIL);
                self.tail.drain(..cut);
            }
        }
        let left = TEXT_LIMIT - self.written;
        if bytes.is_empty() || left == 0 {
            return;
        }
        let shown = &bytes[..bytes.len().min(left)];
        self.written += shown.len();
        self.gather(&String::from_utf8_lossy(shown), is_err);
        if self.written == TEXT_LIMIT {
            let megabytes = TEXT_LIMIT >> 20;
            let notice = language(
                format!("\n[The output of this cell is cut here, after {megabytes} MB.]\n"),
                format!("\n[Вывод ячейки обрезан здесь, после {megabytes} МБ.]\n"),
            );
            self.gather(&notice, true);
            self.flush();
        }
    }

    fn gather(&mut self, text: &str, is_err: bool) {
        if self.text_is_err != is_err || self.text.len() > GATHERED {
            self.flush();
        }
        self.text_is_err = is_err;
        self.text.push_str(text);
        self.since.get_or_insert_with(Instant::now);
    }

    fn flush(&mut self) {
        self.since = None;
        let text = std::mem::take(&mut self.text);
        match text.is_empty() {
            true => {}
            false if self.text_is_err => self.write(&Piece::Err(text)),
            false => self.write(&Piece::Out(text)),
        }
    }

    /// Whether this cell may display so much more.
    fn affords(&mut self, length: usize) -> bool {
        let refilled = self.refilled.get_or_insert_with(Instant::now);
        let seconds = refilled.elapsed().as_secs();
        *refilled += Duration::from_secs(seconds);
        let refill = seconds as usize * DISPLAYS_A_SECOND;
        self.displayed = self.displayed.saturating_sub(refill);
        let affords = length < DISPLAY_LIMIT && self.displayed + length <= DISPLAYS_LIMIT;
        if affords {
            self.displayed += length;
        } else {
            let megabytes = length >> 20;
            let notice = language(
                format!("[A displayed value of {megabytes} MB is not shown: too large.]\n"),
                format!("[Значение в {megabytes} МБ не показано: слишком велико.]\n"),
            );
            self.push(notice.as_bytes(), true);
        }
        affords
    }

    /// Takes the text of a failed `?`, which evcxr's code wrote as the last line of standard error, out of what is yet to
    /// be shown. libtorch puts its C++ frames behind the line that helps.
    fn take_error(&mut self) -> String {
        let is_frame = |line: &str| {
            let line = line.trim_start();
            line.is_empty()
                || line.starts_with("frame #")
                || line.starts_with("Exception raised from ")
        };
        let mut behind = 0;
        let message = self.tail.split_inclusive('\n').rev().find(|line| {
            behind += line.len();
            !is_frame(line)
        });
        if self.text_is_err {
            let keep = self.text.len().saturating_sub(behind);
            self.text.truncate(self.text.floor_char_boundary(keep));
        }
        message.unwrap_or_default().trim().to_owned()
    }

    fn send(&mut self, piece: &Piece) {
        self.flush();
        self.write(piece);
    }

    fn write(&mut self, piece: &Piece) {
        if self.quiet {
            return;
        }
        // Texts and JSON can always be written as JSON.
        let json = serde_json::to_string(piece).unwrap_or_default();
        // evcxr looks for this in the middle of lines too.
        let json = json.replace("EVCXR_BEGIN_CONTENT", "EVCXR\\u005fBEGIN_CONTENT");
        self.answers += &format!("{}{json}\n", char::from(MARK));
    }

    /// Passes a line of evcxr's own on.
    fn control(&mut self, line: &[u8]) {
        self.flush();
        self.answers += &String::from_utf8_lossy(line);
        self.answers.push('\n');
    }

    /// Lets evcxr read.
    fn pass(&mut self, answers: &mut File) -> io::Result<()> {
        answers.write_all(std::mem::take(&mut self.answers).as_bytes())
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
    (0..line.len()).find(begins).unwrap_or(line.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: &str = "EVCXR_EXECUTION_COMPLETE";
    const ENDED: &str = r#"{"runs":false}"#;

    /// What the kernel would read after these pieces, these panics and the cell's end, but for the end of its code.
    fn filtered(pieces: &[(&[u8], &[u8])], panics: &str) -> Vec<String> {
        let mut filter = Filter::default();
        for (out, err) in pieces {
            filter.stdout(out);
            assert_eq!(filter.asked, 0);
            filter.stderr(err);
        }
        filter.events(format!("{panics}\n").as_bytes());
        filter
            .answers
            .lines()
            .map(|line| line.trim_start_matches('\u{1e}').to_owned())
            .filter(|line| line != ENDED)
            .collect()
    }

    #[test]
    fn the_codes_begin_and_end_are_told_around_its_output() {
        let mut filter = Filter::default();
        filter.events(b"begins\n");
        filter.stdout(b"a\n");
        filter.events(b"\n");
        let lines: Vec<&str> = filter
            .answers
            .lines()
            .map(|line| line.trim_start_matches('\u{1e}'))
            .collect();
        assert_eq!(lines, [r#"{"runs":true}"#, r#"{"out":"a\n"}"#, ENDED, DONE]);
    }

    #[test]
    fn a_quick_cells_error_is_not_shown_twice() {
        let mut filter = Filter::default();
        filter.stderr(b"too bad\n");
        filter.stdout(b"EVCXR_ERROR_OCCURRED\n");
        filter.events(b"begins\n\n");
        assert!(!filter.answers.contains(r#""err""#), "{}", filter.answers);
        assert!(filter.answers.contains(r#"{"failed":["error","too bad"]}"#));
    }

    #[test]
    fn text_passes_with_and_without_newlines() {
        assert_eq!(filtered(&[(b"a\nb", b"")], ""), [r#"{"out":"a\nb"}"#, DONE]);
        assert_eq!(
            filtered(&[(b"\xff\xd0", b""), (b"\xbf", b"")], ""),
            [r#"{"out":"�п"}"#, DONE]
        );
    }

    #[test]
    fn markers_are_found_in_pieces_and_behind_text() {
        let expected = [
            r#"{"out":"so E"}"#,
            r#"{"failed":["error","too bad"]}"#,
            "EVCXR_ERROR_OCCURRED",
            DONE,
        ];
        assert_eq!(
            filtered(
                &[(b"so EEVCXR_ERR", b"too bad\n"), (b"OR_OCCURRED\n", b"")],
                ""
            ),
            expected
        );
    }

    #[test]
    fn the_error_is_the_last_line_without_frames() {
        let err = "warning\nInternal torch error: shapes\nException raised from view (most recent call first):\nframe #0: f\n\n\n";
        let lines = filtered(&[(b"EVCXR_ERROR_OCCURRED\n", err.as_bytes())], "");
        assert_eq!(lines[0], r#"{"err":"warning\n"}"#);
        assert_eq!(
            lines[1],
            r#"{"failed":["error","Internal torch error: shapes"]}"#
        );
    }

    #[test]
    fn a_panic_fails_the_cell_only_with_its_notification() {
        let panics = "one\u{1f}src/lib.rs:1:2\nno\u{1f}src/lib.rs:3:4\n";
        let expected = [
            r#"{"err":"panic: one\n"}"#,
            r#"{"failed":["panic","no"]}"#,
            "EVCXR_PANIC_NOTIFICATION",
            DONE,
        ];
        assert_eq!(
            filtered(&[(b"EVCXR_PANIC_NOTIFICATION\n", b"")], panics),
            expected
        );
        assert_eq!(
            filtered(&[], panics),
            [r#"{"err":"panic: one\npanic: no\n"}"#, DONE]
        );
    }

    #[test]
    fn content_and_messages_pass_whole() {
        let lines = filtered(
            &[(
                b"xEVCXR_BEGIN_CONTENT text/plain\n1\n2\nEVCXR_END_CONTENT\n",
                b"",
            )],
            "",
        );
        assert_eq!(
            lines,
            [
                r#"{"out":"x"}"#,
                r#"{"content":["text/plain","1\n2"]}"#,
                DONE
            ]
        );
        let lines = filtered(
            &[(
                b"y\x1esvertka {\"type\":\"display\"}\n\x1esvertka no\n",
                b"",
            )],
            "",
        );
        assert_eq!(
            lines,
            [
                r#"{"out":"y"}"#,
                r#"{"message":{"type":"display"}}"#,
                r#"{"out":"no\n"}"#,
                DONE
            ]
        );
    }

    #[test]
    fn a_flood_is_cut() {
        let megabyte = vec![b'x'; 1 << 20];
        let lines = filtered(&vec![(&megabyte[..], &b""[..]); 20], "");
        let length: usize = lines.iter().map(String::len).sum();
        assert!(length < TEXT_LIMIT + 10_000, "{length}");
        assert!(lines[lines.len() - 2].contains("cut"));
    }

    #[test]
    fn what_evcxr_would_take_for_content_is_hidden_from_it() {
        let lines = filtered(&[(b"", b"EVCXR_BEGIN_CONTENT text/plain\n")], "");
        assert!(!lines[0].contains("EVCXR_BEGIN_CONTENT "), "{}", lines[0]);
    }
}
