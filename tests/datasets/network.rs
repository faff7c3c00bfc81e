//! Whatever the network and the disk do: an error of one line within the limits, or the right data; never a wrong file
//! in the cache, and the next call works.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::made::{
    self, FILES, Notes, assert_right, contents, gzip, names, sources, spec, whole_cache, words,
};
use crate::datasets::{self, Dataset, DatasetSpec, Limits, Session, Sources, Watcher};

/// What the server does with a request for a file.
#[derive(Clone, Debug)]
enum Mode {
    /// Serves it.
    Good,
    /// Serves it in pieces with pauses, 64 in all.
    Slow(Duration),
    /// Serves it without saying how long it is.
    NoLength,
    /// Serves half of it, then closes with a reset.
    Reset,
    /// The same with the first request; the others are served.
    ResetOnce,
    /// Answers with this status and no more.
    Status(u16),
    /// Sends on to the good file.
    Redirect,
    /// Sends on to itself.
    RedirectLoop,
    /// Says nothing.
    Silent,
    /// Half of the file, then nothing.
    Stall,
    /// This body, whatever is asked for.
    Body(Vec<u8>),
    /// This head, then bytes without end.
    Endless(&'static str),
}

/// The tests' own mirror on loopback. Its threads end with the process.
struct Server {
    address: String,
    files: HashMap<String, Vec<u8>>,
    mode: Mutex<Mode>,
    /// Requests so far.
    count: AtomicUsize,
}

impl Server {
    fn new(mode: Mode) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let files = FILES.iter().zip(contents());
        let server = Arc::new(Self {
            address: listener.local_addr().unwrap().to_string(),
            files: files
                .map(|(name, content)| (format!("/{name}.gz"), gzip(&content)))
                .collect(),
            mode: Mutex::new(mode),
            count: AtomicUsize::new(0),
        });
        let serving = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let server = serving.clone();
                // A client that hangs up is nothing to tell.
                thread::spawn(move || server.answer(stream?));
            }
        });
        server
    }

    fn mirror(&self) -> String {
        format!("http://{}/", self.address)
    }

    fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        // All but its last byte, which makes the difference between an end and a reset.
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r") {
            if stream.read(&mut byte)? == 0 || byte[0] > 127 {
                return Ok(());
            }
            request.push(byte[0]);
        }
        let first = self.count.fetch_add(1, Ordering::Relaxed) == 0;
        let request = String::from_utf8_lossy(&request);
        let path = request.split(' ').nth(1).unwrap_or_default();
        let mode = match self.mode.lock().unwrap().clone() {
            Mode::ResetOnce if first => Mode::Reset,
            Mode::ResetOnce => Mode::Good,
            _ if path.starts_with("/moved/") => Mode::Good,
            mode => mode,
        };
        let file = &self.files[path.trim_start_matches("/moved")];
        if let Mode::Reset = mode {
            stream.write_all(head("200 OK", file.len()).as_bytes())?;
            stream.write_all(&file[..file.len().div_ceil(2)])?;
            // Let it arrive; what still lies in the receive buffer then turns the closing into a reset.
            thread::sleep(Duration::from_millis(100));
            return Ok(());
        }
        stream.read_exact(&mut byte)?;
        serve(mode, path, file, &mut stream)?;
        stream.shutdown(Shutdown::Both)
    }
}

fn head(status: &str, length: usize) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
}

fn serve(mode: Mode, path: &str, file: &[u8], stream: &mut TcpStream) -> std::io::Result<()> {
    const LONG: Duration = Duration::from_secs(30);
    let whole = head("200 OK", file.len());
    match mode {
        Mode::Status(status) => stream.write_all(head(&format!("{status} Fault"), 0).as_bytes()),
        Mode::Redirect => {
            stream.write_all(head(&format!("302 Found\r\nLocation: /moved{path}"), 0).as_bytes())
        }
        Mode::RedirectLoop => {
            stream.write_all(head(&format!("302 Found\r\nLocation: {path}"), 0).as_bytes())
        }
        Mode::Silent => {
            thread::sleep(LONG);
            Ok(())
        }
        Mode::Stall => {
            stream.write_all(whole.as_bytes())?;
            stream.write_all(&file[..file.len() / 2])?;
            thread::sleep(LONG);
            Ok(())
        }
        Mode::Slow(pause) => {
            stream.write_all(whole.as_bytes())?;
            for piece in file.chunks(file.len().div_ceil(64)) {
                stream.write_all(piece)?;
                thread::sleep(pause);
            }
            Ok(())
        }
        Mode::NoLength => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            stream.write_all(file)
        }
        Mode::Body(body) => {
            stream.write_all(head("200 OK", body.len()).as_bytes())?;
            stream.write_all(&body)
        }
        Mode::Endless(head) => {
            stream.write_all(head.as_bytes())?;
            loop {
                stream.write_all(&[0; 65536])?;
            }
        }
        Mode::Good | Mode::Reset | Mode::ResetOnce => {
            stream.write_all(whole.as_bytes())?;
            stream.write_all(file)
        }
    }
}

/// Short, so that a fault shows soon, and long enough for a loaded machine.
const SHORT: Limits = Limits {
    connect: Duration::from_secs(2),
    stall: Duration::from_secs(1),
    total: Duration::from_secs(8),
};

fn load(mirrors: &[String], sources: &Sources) -> (crate::Result<Dataset>, Notes) {
    let mut notes = Notes::default();
    let outcome = datasets::load(&spec(mirrors), None, sources, &mut notes);
    (outcome, notes)
}

/// What is said of the only mirror, without its address and what stands around it.
fn complaint(outcome: crate::Result<Dataset>, host: &str) -> String {
    let message = outcome.unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    let start = message
        .find(&format!("{host}: "))
        .unwrap_or_else(|| panic!("{message}"));
    let rest = &message[start + host.len() + 2..];
    let end = rest
        .find(words(
            ". Try again when the network works",
            ". Повторите, когда сеть заработает",
        ))
        .unwrap_or_else(|| panic!("{message}"));
    rest[..end].to_string()
}

/// The server does that, and the words are these; then it does its work and a second call succeeds.
fn fault(mode: Mode, english: &str, russian: &str) {
    let server = Server::new(mode.clone());
    let folder = tempfile::tempdir().unwrap();
    let mut sources = sources(folder.path());
    sources.limits = SHORT;
    let start = Instant::now();
    let (outcome, _) = load(&[server.mirror()], &sources);
    assert_eq!(
        complaint(outcome, &server.address),
        words(english, russian),
        "{mode:?}"
    );
    let slack = Duration::from_secs(4);
    assert!(
        start.elapsed() < SHORT.total + slack,
        "{mode:?} took {:?}",
        start.elapsed()
    );
    let cache = folder.path().join("cache/noise");
    assert_eq!(names(&cache), [".lock"], "{mode:?}");
    server.set(Mode::Good);
    sources.limits = Limits::default();
    let (outcome, _) = load(&[server.mirror()], &sources);
    assert_right(&outcome.unwrap());
    assert_eq!(names(&cache), whole_cache(), "{mode:?}");
}

#[test]
fn a_download_is_checked_kept_and_not_repeated() {
    let server = Server::new(Mode::Good);
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path());
    let (outcome, notes) = load(&[server.mirror()], &sources);
    let dataset = outcome.unwrap();
    assert_right(&dataset);
    assert_eq!(dataset.origins, std::slice::from_ref(&server.address));
    let asking = words("Noise: asking {host}.", "Noise: запрос к {host}.");
    assert_eq!(notes.lines, [asking.replace("{host}", &server.address)]);
    assert!(notes.most > 200_000);
    let cache = folder.path().join("cache/noise");
    assert_eq!(names(&cache), whole_cache());
    for (name, content) in FILES.iter().zip(contents()) {
        assert!(fs::read(cache.join(name)).unwrap() == content, "{name}");
    }
    let (outcome, notes) = load(&[server.mirror()], &sources);
    assert_eq!(outcome.unwrap().origins, [cache.display().to_string()]);
    assert!(notes.lines.is_empty());
    assert_eq!(server.count(), 4, "the second load asked nobody");
}

#[test]
fn a_bad_file_in_the_cache_is_fetched_again() {
    let server = Server::new(Mode::Good);
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path());
    load(&[server.mirror()], &sources).0.unwrap();
    let bad = folder.path().join("cache/noise").join(FILES[2]);
    fs::write(&bad, b"half a fi").unwrap();
    let (outcome, notes) = load(&[server.mirror()], &sources);
    assert_right(&outcome.unwrap());
    let sentence = words(
        "The file {path} in the cache is bad: it is neither gzip nor IDX (78416 bytes were expected inside). It is \
         fetched again.",
        "Файл {path} в кэше испорчен: это не gzip и не IDX (внутри ожидалось байт: 78416). Он будет загружен заново.",
    );
    assert_eq!(
        notes.lines[0],
        sentence.replace("{path}", &bad.display().to_string())
    );
    assert_eq!(server.count(), 5);
    let (_, notes) = load(&[server.mirror()], &sources);
    assert!(notes.lines.is_empty(), "{:?}", notes.lines);
}

#[test]
fn statuses() {
    fault(Mode::Status(404), "it answered 404", "ответ 404");
    fault(Mode::Status(500), "it answered 500", "ответ 500");
    fault(Mode::Status(206), "it answered 206", "ответ 206");
}

#[test]
fn a_redirect_is_followed_and_a_loop_is_not() {
    let server = Server::new(Mode::Redirect);
    let folder = tempfile::tempdir().unwrap();
    let (outcome, _) = load(&[server.mirror()], &sources(folder.path()));
    assert_right(&outcome.unwrap());
    fault(
        Mode::RedirectLoop,
        "it sends on from address to address without end",
        "перенаправляет без конца",
    );
}

#[test]
fn a_silent_server() {
    fault(
        Mode::Silent,
        "nothing came for 1 s",
        "ничего не пришло за 1 с",
    );
}

#[test]
fn a_stall() {
    fault(
        Mode::Stall,
        "nothing came for 1 s",
        "ничего не пришло за 1 с",
    );
}

#[test]
fn a_download_that_takes_too_long() {
    let server = Server::new(Mode::Slow(Duration::from_millis(100)));
    let folder = tempfile::tempdir().unwrap();
    let mut sources = sources(folder.path());
    sources.limits.total = Duration::from_secs(2);
    let start = Instant::now();
    let (outcome, _) = load(&[server.mirror()], &sources);
    assert_eq!(
        complaint(outcome, &server.address),
        words("it took longer than 2 s", "не уложились в 2 с")
    );
    assert!(start.elapsed() < Duration::from_secs(5));
    server.set(Mode::Good);
    sources.limits = Limits::default();
    assert_right(&load(&[server.mirror()], &sources).0.unwrap());
}

#[test]
fn a_reset_in_the_middle() {
    let [content, ..] = contents();
    let half = gzip(&content).len().div_ceil(2);
    fault(
        Mode::Reset,
        &format!("the connection broke off after {half} bytes"),
        &format!("соединение оборвалось, получено байт: {half}"),
    );
}

#[test]
fn what_broke_off_gets_a_second_try() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::new(Mode::Reset);
    let (outcome, _) = load(&[server.mirror()], &sources(folder.path()));
    assert!(outcome.is_err());
    assert_eq!(server.count(), 2, "and no third");

    let server = Server::new(Mode::ResetOnce);
    let (outcome, notes) = load(&[server.mirror()], &sources(folder.path()));
    assert_right(&outcome.unwrap());
    assert_eq!(server.count(), 5);
    assert_eq!(notes.lines.len(), 1, "{:?}", notes.lines);
    assert_eq!(names(&folder.path().join("cache/noise")), whole_cache());
}

#[test]
fn a_server_without_lengths_will_do() {
    let server = Server::new(Mode::NoLength);
    let folder = tempfile::tempdir().unwrap();
    let (outcome, notes) = load(&[server.mirror()], &sources(folder.path()));
    assert_right(&outcome.unwrap());
    assert_eq!(notes.total, None);
}

#[test]
fn too_long() {
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9000000000000\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    ] {
        fault(
            Mode::Endless(head),
            "it sends more than 239547 bytes",
            "присылает больше 239547 байт",
        );
    }
}

/// What is wrong with bytes, content.rs tests in full.
#[test]
fn wrong_content() {
    let [mut content, ..] = contents();
    content[5000] ^= 1;
    fault(
        Mode::Body(gzip(&content)),
        "its content is not the right one (SHA-256 differs)",
        "содержимое не то (SHA-256 не совпадает)",
    );
    fault(
        Mode::Body(b"<html>Please log in</html>".to_vec()),
        "it is neither gzip nor IDX (235216 bytes were expected inside)",
        "это не gzip и не IDX (внутри ожидалось байт: 235216)",
    );
}

#[test]
fn a_plain_file_under_the_gzip_name_will_do() {
    // Some servers unpack on the way.
    let [content, ..] = contents();
    let server = Server::new(Mode::Body(content.clone()));
    let folder = tempfile::tempdir().unwrap();
    load(&[server.mirror()], &sources(folder.path()))
        .0
        .unwrap_err();
    let kept = folder.path().join("cache/noise").join(FILES[0]);
    assert!(fs::read(kept).unwrap() == content);
}

#[test]
fn no_tls() {
    let server = Server::new(Mode::Good);
    let folder = tempfile::tempdir().unwrap();
    let mut sources = sources(folder.path());
    sources.limits = SHORT;
    // The server sees no HTTP and hangs up on what still comes, as a network's filter does.
    let (outcome, _) = load(&[format!("https://{}/", server.address)], &sources);
    assert_eq!(
        complaint(outcome, &server.address),
        words(
            "the connection broke off after 0 bytes",
            "соединение оборвалось, получено байт: 0"
        )
    );
    // One that answers in plain HTTP.
    let (address, answering) = plain_http();
    let (outcome, _) = load(&[format!("https://{address}/")], &sources);
    let said = words("no secure connection (", "нет защищённого соединения (");
    let complaint = complaint(outcome, &address);
    assert!(
        complaint.starts_with(said) && complaint.len() > said.len() + 2,
        "{complaint}"
    );
    answering.join().unwrap();
}

/// A server that answers in HTTP, whatever language it is spoken to, to one connection.
fn plain_http() -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answering = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        let _ = stream.read(&mut [0; 4096]);
    });
    (address, answering)
}

#[test]
fn plain_http_is_for_this_machine_only() {
    let folder = tempfile::tempdir().unwrap();
    let (outcome, _) = load(&["http://192.0.2.1/".to_string()], &sources(folder.path()));
    assert_eq!(
        complaint(outcome, "192.0.2.1"),
        words("its address is not HTTPS", "адрес не HTTPS")
    );
}

#[test]
fn nobody_there() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let folder = tempfile::tempdir().unwrap();
    let (outcome, _) = load(&[format!("http://{address}/")], &sources(folder.path()));
    assert_eq!(
        complaint(outcome, &address),
        words("the connection is refused", "в соединении отказано")
    );
}

#[test]
fn the_next_mirror_is_tried_and_kept_to() {
    let broken = Server::new(Mode::Status(503));
    let stalling = Server::new(Mode::Stall);
    let good = Server::new(Mode::Good);
    let folder = tempfile::tempdir().unwrap();
    let mut sources = sources(folder.path());
    sources.limits = SHORT;
    let mirrors = [broken.mirror(), stalling.mirror(), good.mirror()];
    let (outcome, notes) = load(&mirrors, &sources);
    let dataset = outcome.unwrap();
    assert_right(&dataset);
    assert_eq!(dataset.origins, std::slice::from_ref(&good.address));
    assert_eq!(notes.lines.len(), 3, "{:?}", notes.lines);
    assert_eq!(broken.count(), 1, "not asked for the other files");
    assert_eq!(good.count(), 4);
    assert_eq!(names(&folder.path().join("cache/noise")), whole_cache());
}

#[test]
fn all_mirrors_are_named_when_none_helps() {
    let (first, second) = (
        Server::new(Mode::Status(503)),
        Server::new(Mode::Status(404)),
    );
    let folder = tempfile::tempdir().unwrap();
    let (outcome, _) = load(&[first.mirror(), second.mirror()], &sources(folder.path()));
    let message = outcome.unwrap_err().to_string();
    for (server, status) in [(&first, 503), (&second, 404)] {
        let said = words("it answered", "ответ");
        let text = format!("; {}: {said} {status}", server.address);
        assert!(message.contains(&text), "{message}");
    }
    assert_eq!(
        (first.count(), second.count()),
        (1, 1),
        "one file is enough to know"
    );
}

/// Wants it stopped half a second after it began.
struct Impatient(Instant);

impl Watcher for Impatient {
    fn line(&mut self, _: &str) {}

    fn progress(&mut self, _: &str, _: u64, _: Option<u64>) {}

    fn interrupted(&mut self) -> bool {
        self.0.elapsed() > Duration::from_millis(500)
    }
}

#[test]
fn an_interrupt_stops_at_once_and_the_next_call_works() {
    // Spoken to in TLS: the handshake waits for an answer that doesn't come.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let (silent, stalling) = (Server::new(Mode::Silent), Server::new(Mode::Stall));
    let slow = Server::new(Mode::Slow(Duration::from_millis(100)));
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path());
    for mirror in [
        format!("https://{}/", deaf.local_addr().unwrap()),
        silent.mirror(),
        stalling.mirror(),
        slow.mirror(),
    ] {
        let start = Instant::now();
        let spec = spec(std::slice::from_ref(&mirror));
        let outcome = datasets::load(&spec, None, &sources, &mut Impatient(start));
        assert_eq!(
            outcome.unwrap_err().to_string(),
            words(
                "The download of Noise was stopped. Run the cell again to go on with it.",
                "Загрузка Noise остановлена. Чтобы продолжить её, выполните ячейку ещё раз.",
            )
        );
        let (took, least) = (start.elapsed(), Duration::from_millis(500));
        assert!(took >= least && took < 4 * least, "{mirror}: {took:?}");
        assert_eq!(names(&folder.path().join("cache/noise")), [".lock"]);
    }
    silent.set(Mode::Good);
    assert_right(&load(&[silent.mirror()], &sources).0.unwrap());
}

#[test]
fn a_sample_shortens_the_waiting() {
    // A name server or a firewall that swallows everything: a listener that nobody accepts from, spoken to in TLS.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path());
    made::write(&folder.path().join("cache/noise"), false);
    let whole = DatasetSpec {
        folder: "whole",
        ..spec(&[format!("https://{address}/")])
    };
    let start = Instant::now();
    let mut notes = Notes::default();
    let dataset = datasets::load(&whole, Some(&spec(&[])), &sources, &mut notes).unwrap();
    assert_right(&dataset);
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
    assert!(
        notes.lines[1].contains(words("no connection within 4 s", "нет соединения за 4 с")),
        "{:?}",
        notes.lines
    );
}

#[test]
fn a_cache_that_cannot_be_written_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "not a folder").unwrap();
    let later = words(
        "they are used now and downloaded again next time. Set XDG_CACHE_HOME to another folder to keep them.",
        "сейчас они используются, а в следующий раз загрузятся снова. Чтобы сохранять их, укажите в XDG_CACHE_HOME \
         другую папку.",
    );
    let kept = words("The data can't be kept in", "Данные не удаётся сохранить в");
    let cases = [
        (Some(file.clone()), format!("{kept} {}/noise (Not a directory): {later}", file.display())),
        // Not even root makes a folder there.
        (Some("/proc".into()), format!("{kept} /proc/noise (No such file or directory): {later}")),
        (
            None,
            words(
                "There is no home folder to keep the data in: they are used now and downloaded again next time. Set \
                 HOME or XDG_CACHE_HOME to keep them.",
                "Нет домашней папки, чтобы сохранить данные: сейчас они используются, а в следующий раз загрузятся \
                 снова. Чтобы сохранять их, задайте HOME или XDG_CACHE_HOME.",
            )
            .to_string(),
        ),
    ];
    for (cache, sentence) in cases {
        let server = Server::new(Mode::Good);
        let mut sources = sources(folder.path());
        sources.cache = cache;
        let (outcome, notes) = load(&[server.mirror()], &sources);
        assert_right(&outcome.unwrap());
        assert_eq!(notes.lines[1..], [sentence], "said once");
    }
    assert_eq!(fs::read(&file).unwrap(), b"not a folder");
}

// ---- Other processes: this test binary itself, told by the environment what to load.

/// What the children do. Run alone it has nothing to do.
#[test]
fn child() {
    let (Some(mirror), Some(folder)) = (
        std::env::var_os("TEST_MIRROR"),
        std::env::var_os("TEST_FOLDER"),
    ) else {
        return;
    };
    let mut sources = sources(Path::new(&folder));
    if std::env::var_os("TEST_SHORT").is_some() {
        sources.limits = SHORT;
    }
    let spec = spec(&[mirror.into_string().unwrap()]);
    let outcome = if std::env::var_os("TEST_SESSION").is_some() {
        datasets::load(&spec, None, &sources, &mut Session::default())
    } else {
        let mut notes = Notes::default();
        let outcome = datasets::load(&spec, None, &sources, &mut notes);
        for line in &notes.lines {
            println!("said: {line}");
        }
        outcome
    };
    match outcome {
        Ok(dataset) => {
            assert_right(&dataset);
            println!("loaded from {}", dataset.origins.join(", "));
        }
        Err(error) => println!("error: {error}"),
    }
}

fn child_command(mirror: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "datasets::tests::network::child",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("TEST_MIRROR", mirror)
        .env("TEST_FOLDER", folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command
}

/// The same command, started by a shell that has done this before.
fn under(before: &str, command: &Command) -> Command {
    let mut shell = Command::new("bash");
    shell
        .args(["-c", &format!("{before}; exec \"$0\" \"$@\"")])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

fn printed(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_signal_stops_the_download_and_not_the_process() {
    let server = Server::new(Mode::Stall);
    for (kernel, bar, line) in [
        (
            "1",
            "\"type\":\"display\"",
            "\"type\":\"interruptible\",\"value\":true",
        ),
        ("", words("Noise: asking", "Noise: запрос"), ""),
    ] {
        let before = server.count();
        let folder = tempfile::tempdir().unwrap();
        let child = child_command(&server.mirror(), folder.path())
            .env("TEST_SESSION", "1")
            .env("SVERTKA_KERNEL", kernel)
            .spawn()
            .unwrap();
        while server.count() == before {
            thread::sleep(Duration::from_millis(10));
        }
        // Half of the file is here soon, then nothing comes for 20 s.
        thread::sleep(Duration::from_millis(500));
        let start = Instant::now();
        let sent = Command::new("bash")
            .args(["-c", "kill -INT \"$0\"", &child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        let text = printed(&child.wait_with_output().unwrap());
        let said = words(
            "error: The download of Noise was stopped.",
            "error: Загрузка Noise остановлена.",
        );
        assert!(text.contains(said), "{text}");
        assert!(text.contains(bar) && text.contains(line), "{text}");
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{:?}",
            start.elapsed()
        );
    }
}

#[test]
fn two_processes_at_once_download_once() {
    let server = Server::new(Mode::Slow(Duration::from_millis(10)));
    let folder = tempfile::tempdir().unwrap();
    let children: Vec<Child> = (0..3)
        .map(|_| {
            child_command(&server.mirror(), folder.path())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let text = printed(&child.wait_with_output().unwrap());
        assert!(text.contains("loaded from"), "{text}");
    }
    assert_eq!(server.count(), 4);
    assert_eq!(names(&folder.path().join("cache/noise")), whole_cache());
}

#[test]
fn killed_at_any_moment_the_next_call_works() {
    // Without a budget of its own, a short one: `SVERTKA_KILLS=200` is the long run.
    let kills: usize = std::env::var("SVERTKA_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(6);
    let server = Server::new(Mode::Slow(Duration::from_millis(2)));
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache/noise");
    // Not a constant: every run meets other moments.
    let mut state = u64::from(std::process::id()) << 20 | 1;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let (mut kill, mut in_time, mut most_left) = (0, 0, 0);
    // A kill that came after the end says nothing: another takes its place.
    while in_time < kills {
        kill += 1;
        assert!(kill <= 10 * kills, "{in_time} of {kill} came in time");
        let before = server.count();
        let mut child = child_command(&server.mirror(), folder.path())
            .spawn()
            .unwrap();
        // Counted from one of the four requests: a moment counted from the start would often come too late on a fast machine.
        let request = before + 1 + random(4) as usize;
        while server.count() < request && child.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        // A file takes at least 128 ms: 64 pieces and a pause after each.
        thread::sleep(Duration::from_micros(random(140_000)));
        child.kill().unwrap();
        in_time += usize::from(!child.wait().unwrap().success());
        let left = names(&cache);
        let temporary = left
            .iter()
            .filter(|name| !whole_cache().contains(name))
            .count();
        most_left = most_left.max(temporary);
        assert!(temporary <= 2, "kill {kill} left {left:?}");
        // Sometimes another kill comes first: what is left must not add up.
        if random(3) == 0 {
            continue;
        }
        server.set(Mode::Good);
        let (outcome, _) = load(&[server.mirror()], &sources(folder.path()));
        assert_right(&outcome.unwrap());
        assert_eq!(names(&cache), whole_cache(), "after kill {kill}");
        server.set(Mode::Slow(Duration::from_millis(2)));
        fs::remove_dir_all(&cache).unwrap();
    }
    println!(
        "{kill} kills, {in_time} of them before the end; temporary files left at the most: {most_left}"
    );
}

#[test]
fn a_full_disk_is_no_obstacle() {
    let server = Server::new(Mode::Good);
    let folder = tempfile::tempdir().unwrap();
    let child = child_command(&server.mirror(), folder.path());
    // The shell's limit stands in for the disk: no file longer than 100 KiB, and an error instead of a signal.
    let text = printed(
        &under("trap '' XFSZ; ulimit -f 100", &child)
            .output()
            .unwrap(),
    );
    assert!(text.contains("loaded from"), "{text}");
    let cache = folder.path().join("cache/noise");
    let said = words(
        "said: The data can't be kept in {cache} (File too large): they are used now and downloaded again next time. \
         Set XDG_CACHE_HOME to another folder to keep them.",
        "said: Данные не удаётся сохранить в {cache} (File too large): сейчас они используются, а в следующий раз \
         загрузятся снова. Чтобы сохранять их, укажите в XDG_CACHE_HOME другую папку.",
    );
    let said = said.replace("{cache}", &cache.display().to_string());
    assert_eq!(text.matches(&said).count(), 1, "{text}");
    // The small files are there, the large one is not, nor a part of it.
    let mut kept = whole_cache();
    kept.retain(|name| name != FILES[0]);
    assert_eq!(names(&cache), kept);
}

#[test]
fn a_dead_proxy_is_an_error_in_time() {
    let dead = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    for name in ["ALL_PROXY", "https_proxy"] {
        let folder = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let output = child_command("https://192.0.2.1/", folder.path())
            .env("TEST_SHORT", "1")
            .env(name, format!("http://user:secret@{dead}"))
            .output()
            .unwrap();
        let text = printed(&output);
        let said = words(
            "192.0.2.1: the proxy {dead} from the environment does not help (the connection is refused).",
            "192.0.2.1: прокси {dead} из окружения не помог (в соединении отказано).",
        );
        assert!(text.contains(&said.replace("{dead}", &dead)), "{text}");
        assert!(!text.contains("secret"));
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn a_proxy_that_lets_nothing_through_is_one_line_with_the_way_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || forbid(stream?));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let output = child_command("https://mirror.invalid/", folder.path())
        .env("https_proxy", format!("http://{proxy}"))
        .output()
        .unwrap();
    let text = printed(&output);
    let error = text.lines().find(|line| line.starts_with("error: "));
    let said = words(
        "; mirror.invalid: the proxy {proxy} from the environment does not help (it answered 403). ",
        "; mirror.invalid: прокси {proxy} из окружения не помог (ответ 403). ",
    );
    let error = error.expect(&text);
    assert!(error.contains(&said.replace("{proxy}", &proxy)), "{error}");
    assert!(
        error.contains("SVERTKA_DATA") && error.contains(FILES[0]),
        "{error}"
    );
}

/// Says no as a company's filter does: with a page.
fn forbid(mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let page = "<html>\n<h1>Forbidden</h1>\n</html>\n";
    let length = page.len();
    write!(
        stream,
        "HTTP/1.1 403 Forbidden\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
    )
}

#[test]
fn the_cache_needs_no_other_folder_and_no_open_umask() {
    let server = Server::new(Mode::Good);
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache/noise");
    let source = format!("loaded from {}", cache.display());
    for first in [true, false] {
        // A temporary folder elsewhere would be one that nothing can be renamed from: here there is none.
        let mut child = under("umask 077", &child_command(&server.mirror(), folder.path()));
        let text = printed(&child.env("TMPDIR", "/nowhere").output().unwrap());
        assert_eq!(text.contains(&source), !first, "{text}");
        assert_eq!(names(&cache), whole_cache());
    }
    assert_eq!(server.count(), 4);
}

#[test]
fn a_system_without_certificates_is_one_line_that_says_so() {
    let (address, answering) = plain_http();
    let folder = tempfile::tempdir().unwrap();
    let output = child_command(&format!("https://{address}/"), folder.path())
        .env("SSL_CERT_FILE", folder.path().join("none"))
        .env("SSL_CERT_DIR", folder.path().join("none"))
        .output()
        .unwrap();
    let text = printed(&output);
    let said = words("no secure connection (", "нет защищённого соединения (");
    assert!(text.contains(&format!("{address}: {said}")), "{text}");
    assert!(text.contains("No CA certificates"), "{text}");
    answering.join().unwrap();
}

#[test]
fn a_proxy_is_used_and_no_proxy_is_heeded() {
    let server = Server::new(Mode::Good);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = listener.local_addr().unwrap().to_string();
    let connections = Arc::new(Mutex::new(Vec::new()));
    let seen = connections.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let seen = seen.clone();
            thread::spawn(move || tunnel(stream?, &seen));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let output = child_command(&server.mirror(), folder.path())
        .env("ALL_PROXY", format!("http://{proxy}"))
        .output()
        .unwrap();
    let text = printed(&output);
    assert!(text.contains("loaded from"), "{text}");
    assert_eq!(
        *connections.lock().unwrap(),
        vec![server.address.clone(); 4]
    );

    let folder = tempfile::tempdir().unwrap();
    let output = child_command(&server.mirror(), folder.path())
        .env("ALL_PROXY", format!("http://{proxy}"))
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .unwrap();
    let text = printed(&output);
    assert!(text.contains("loaded from"), "{text}");
    assert_eq!(
        connections.lock().unwrap().len(),
        4,
        "the proxy was passed by"
    );
}

/// A proxy of a few lines: `CONNECT host:port`, then bytes both ways.
fn tunnel(mut near: TcpStream, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(near.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let target = request.split(' ').nth(1).unwrap_or_default().to_string();
    seen.lock().unwrap().push(target.clone());
    let mut far = TcpStream::connect(target)?;
    near.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let mut back = (far.try_clone()?, near.try_clone()?);
    let returning = thread::spawn(move || {
        let _ = std::io::copy(&mut back.0, &mut back.1);
        let _ = back.1.shutdown(Shutdown::Both);
    });
    let _ = std::io::copy(&mut reader, &mut far);
    let _ = returning.join();
    Ok(())
}
