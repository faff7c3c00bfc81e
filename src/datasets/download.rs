//! One file over HTTPS: within limits, watched, to be stopped at any moment, continued where it broke off.

use std::fmt;
use std::io::{self, Read};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Error, Proxy, Timeout};

use super::fetch::{Defect, Limits, Part, Watcher};
use crate::session::{plain, texts};

/// What to bring.
pub(super) struct Order<'a> {
    pub url: &'a str,
    /// The name to show.
    pub file: &'a str,
    /// More bytes than this are not read.
    pub limit: u64,
    pub limits: &'a Limits,
    pub deadline: Instant,
}

/// Why a mirror gave no file. Its text stands behind the mirror's name.
#[derive(Debug)]
pub(super) enum Fault {
    Interrupted,
    NotHttps,
    LeftHttps,
    NoHost,
    NoConnection(Duration),
    Refused,
    Proxy { proxy: String, reason: String },
    NoTls,
    Certificate(String),
    Status(u16),
    Redirects,
    Stalled(Duration),
    TooSlow { slowest: u64 },
    OutOfTime(Duration),
    BrokenOff { done: u64 },
    TooLong { limit: u64 },
    Content(Defect),
    Other(String),
}

impl Fault {
    /// The transfer began and did not end: the rest may come at the next attempt.
    pub(super) fn broke_off(&self) -> bool {
        matches!(self, Self::BrokenOff { .. } | Self::Stalled(_))
    }

    /// What came until then may be the beginning of the right file.
    pub(super) fn worth_keeping(&self) -> bool {
        !matches!(self, Self::TooLong { .. } | Self::Content(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&match self {
            Self::Interrupted => texts::net_interrupted(),
            Self::NotHttps => texts::net_not_https(),
            Self::LeftHttps => texts::net_left_https(),
            Self::NoHost => texts::net_no_host(),
            Self::NoConnection(limit) => texts::net_no_connection(seconds(*limit)),
            Self::Refused => texts::net_refused(),
            Self::Proxy { proxy, reason } => texts::net_proxy(proxy, reason),
            Self::NoTls => texts::net_no_tls(),
            Self::Certificate(reason) => texts::net_certificate(reason),
            Self::Status(status) => texts::net_status(status),
            Self::Redirects => texts::net_redirects(),
            Self::Stalled(limit) => texts::net_stalled(seconds(*limit)),
            Self::TooSlow { slowest } => texts::net_too_slow(slowest),
            Self::OutOfTime(limit) => texts::net_out_of_time(seconds(*limit)),
            Self::BrokenOff { done } => texts::net_broken_off(done),
            Self::TooLong { limit } => texts::net_too_long(limit),
            Self::Content(defect) => defect.to_string(),
            Self::Other(text) => texts::net_other(text),
        })
    }
}

/// Whole seconds where they are whole: `10`, `0.5`.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10.0).round() / 10.0
}

/// The host, with its port if the address names one.
pub(super) fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// HTTPS, or this machine itself: the tests' own server.
fn allowed(url: &str) -> bool {
    let at_home = ["http://127.0.0.1:", "http://[::1]:"];
    url.starts_with("https://") || at_home.iter().any(|prefix| url.starts_with(prefix))
}

/// What the reading thread has to say.
enum Event {
    Head(Head),
    Bytes(Vec<u8>),
    End(Result<(), Error>),
}

struct Head {
    status: u16,
    /// Where the bytes that follow belong, if the server says so.
    start: Option<u64>,
    length: Option<u64>,
}

/// Brings the file, or what is missing of it, into `part`.
pub(super) fn download(
    order: &Order,
    part: &mut Part,
    watcher: &mut dyn Watcher,
) -> Result<(), Fault> {
    if !allowed(order.url) {
        return Err(Fault::NotHttps);
    }
    // The roots that the system trusts come first: a school's filter signs with a certificate of its own. Where the
    // system has none or they don't fit, Mozilla's, which are compiled in.
    match attempt(order, RootCerts::PlatformVerifier, part, watcher) {
        Err(Fault::Certificate(first)) => match attempt(order, RootCerts::WebPki, part, watcher) {
            Err(Fault::Certificate(_)) => Err(Fault::Certificate(first)),
            outcome => outcome,
        },
        outcome => outcome,
    }
}

fn attempt(
    order: &Order,
    roots: RootCerts,
    part: &mut Part,
    watcher: &mut dyn Watcher,
) -> Result<(), Fault> {
    let left = order.deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Fault::OutOfTime(order.limits.total));
    }
    let proxy = Proxy::try_from_env();
    let through = proxy
        .as_ref()
        .filter(|proxy| {
            order
                .url
                .parse()
                .is_ok_and(|address| !proxy.is_no_proxy(&address))
        })
        .map(|proxy| format!("{}:{}", proxy.host(), proxy.port()));
    let agent: Agent = Config::builder()
        .proxy(proxy)
        .https_only(order.url.starts_with("https://"))
        .http_status_as_error(false)
        .user_agent(concat!("svertka/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .timeout_resolve(Some(order.limits.connect))
        .timeout_connect(Some(order.limits.connect))
        .timeout_recv_response(Some(order.limits.stall))
        .timeout_per_read(Some(order.limits.stall))
        .timeout_per_write(Some(order.limits.stall))
        .timeout_global(Some(left))
        .build()
        .into();
    let (sender, events) = mpsc::sync_channel(16);
    let reader = agent.clone();
    let url = order.url.to_string();
    let from = part.bytes.len() as u64;
    // A thread of its own reads, so that an interrupt never waits for the network.
    let spawned = std::thread::Builder::new()
        .name("svertka download".into())
        .spawn(move || read(&reader, &url, from, &sender));
    if let Err(error) = spawned {
        return Err(Fault::Other(plain(&error)));
    }
    let outcome = receive(order, &events, part, watcher);
    // Whatever it still waits for ends now. A thread that looks up a name ends at that limit, and keeps nothing.
    agent.shutdown();
    match outcome {
        Err(Stop::Network(error)) => Err(fault(order, error, part, through)),
        Err(Stop::Fault(fault)) => Err(fault),
        Ok(()) => Ok(()),
    }
}

/// In the thread: asks and passes on what comes, till the end or till nobody listens.
fn read(agent: &Agent, url: &str, from: u64, sender: &SyncSender<Event>) {
    let outcome = (|| {
        let mut request = agent.get(url);
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        let response = request.call()?;
        let header = |name| response.headers().get(name)?.to_str().ok();
        let head = Head {
            status: response.status().as_u16(),
            start: header(CONTENT_RANGE).and_then(range_start),
            length: header(CONTENT_LENGTH).and_then(|length| length.parse().ok()),
        };
        if sender.send(Event::Head(head)).is_err() {
            return Ok(());
        }
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = body.read(&mut buffer).map_err(Error::from)?;
            if count == 0 || sender.send(Event::Bytes(buffer[..count].to_vec())).is_err() {
                return Ok(());
            }
        }
    })();
    let _ = sender.send(Event::End(outcome));
}

/// The first number of `bytes 100-199/200`.
fn range_start(value: &str) -> Option<u64> {
    value
        .strip_prefix("bytes ")?
        .split('-')
        .next()?
        .parse()
        .ok()
}

enum Stop {
    Network(Error),
    Fault(Fault),
}

fn receive(
    order: &Order,
    events: &Receiver<Event>,
    part: &mut Part,
    watcher: &mut dyn Watcher,
) -> Result<(), Stop> {
    const GLANCE: Duration = Duration::from_millis(100);
    let mut total = None;
    let mut window = None;
    loop {
        if watcher.interrupted() {
            return Err(Stop::Fault(Fault::Interrupted));
        }
        match events.recv_timeout(GLANCE) {
            Ok(Event::Head(head)) => {
                let have = part.bytes.len() as u64;
                match head.status {
                    200 => part.clear(),
                    206 if head.start == Some(have) => {}
                    // All of it is here already, or it was never the beginning of this file: its content will tell.
                    206 | 416 if have > 0 => return Ok(()),
                    status => return Err(Stop::Fault(Fault::Status(status))),
                }
                total = head.length.map(|length| length + part.bytes.len() as u64);
                if total.is_some_and(|total| total > order.limit) {
                    return Err(Stop::Fault(Fault::TooLong { limit: order.limit }));
                }
                window = Some((Instant::now(), part.bytes.len() as u64));
                watcher.progress(order.file, part.bytes.len() as u64, total);
            }
            Ok(Event::Bytes(bytes)) => {
                part.push(&bytes);
                let done = part.bytes.len() as u64;
                if done > order.limit {
                    return Err(Stop::Fault(Fault::TooLong { limit: order.limit }));
                }
                watcher.progress(order.file, done, total);
            }
            Ok(Event::End(Ok(()))) => return Ok(()),
            Ok(Event::End(Err(error))) => return Err(Stop::Network(error)),
            Err(RecvTimeoutError::Timeout) => {}
            // The thread died without a word.
            Err(RecvTimeoutError::Disconnected) => {
                let done = part.bytes.len() as u64;
                return Err(Stop::Fault(Fault::BrokenOff { done }));
            }
        }
        // A trickle is no stall: each read brings a byte in time, and the whole would take days.
        if let Some((start, before)) = window
            && start.elapsed() >= order.limits.stall
        {
            let done = part.bytes.len() as u64;
            let least = order.limits.slowest as f64 * start.elapsed().as_secs_f64();
            if done > before && ((done - before) as f64) < least {
                return Err(Stop::Fault(Fault::TooSlow {
                    slowest: order.limits.slowest,
                }));
            }
            window = Some((Instant::now(), done));
        }
    }
}

/// What an error of ureq's means to a learner.
fn fault(order: &Order, error: Error, part: &Part, through: Option<String>) -> Fault {
    let limits = order.limits;
    let fault = match error {
        Error::Timeout(Timeout::Resolve | Timeout::Connect) => Fault::NoConnection(limits.connect),
        Error::Timeout(Timeout::Global | Timeout::PerCall) => Fault::OutOfTime(limits.total),
        Error::Timeout(_) => Fault::Stalled(limits.stall),
        Error::HostNotFound => Fault::NoHost,
        Error::RedirectFailed | Error::TooManyRedirects => Fault::Redirects,
        Error::RequireHttpsOnly(_) => Fault::LeftHttps,
        Error::ConnectProxyFailed(reason) => Fault::Proxy {
            proxy: through.clone().unwrap_or_default(),
            // ureq says `proxy server responded 403/403`.
            reason: match reason.strip_prefix("proxy server responded ") {
                Some(status) => texts::net_status(status.split('/').next().unwrap_or(status)),
                None => reason,
            },
        },
        // Before any handshake: the system has no root certificates at all.
        Error::Rustls(error) => Fault::Certificate(first_line(&error.to_string())),
        Error::Io(error) => io_fault(&error, part),
        other => Fault::Other(first_line(&other.to_string())),
    };
    match (through, fault) {
        // Behind a proxy it is the proxy that could not be reached: say whose address to look at.
        (Some(proxy), fault @ (Fault::NoHost | Fault::NoConnection(_) | Fault::Refused)) => {
            Fault::Proxy {
                proxy,
                reason: fault.to_string(),
            }
        }
        (_, fault) => fault,
    }
}

fn io_fault(error: &io::Error, part: &Part) -> Fault {
    use io::ErrorKind as Kind;
    let text = error.to_string();
    match error.kind() {
        Kind::ConnectionRefused => Fault::Refused,
        Kind::UnexpectedEof
        | Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::BrokenPipe
        | Kind::NotConnected => Fault::BrokenOff {
            done: part.bytes.len() as u64,
        },
        // rustls hands its errors up through io.
        Kind::InvalidData => tls(&text),
        // The C library's resolver has no kind of its own.
        _ if text.starts_with("failed to lookup address") => Fault::NoHost,
        _ => Fault::Other(plain(error)),
    }
}

fn tls(text: &str) -> Fault {
    match text.strip_prefix("invalid peer certificate: ") {
        Some(reason) => Fault::Certificate(first_line(reason)),
        None => Fault::NoTls,
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_leaves_the_machine() {
        assert!(allowed("https://example.org/data/"));
        assert!(allowed("http://127.0.0.1:8000/"));
        assert!(allowed("http://[::1]:8000/"));
        assert!(!allowed("http://example.org/"));
        assert!(!allowed("http://127.0.0.1.example.org/"));
        assert!(!allowed("ftp://example.org/"));
        assert!(!allowed("file:///etc/passwd"));
    }

    #[test]
    fn the_host_is_what_is_shown() {
        assert_eq!(host("https://example.org/data/x.gz"), "example.org");
        assert_eq!(host("http://127.0.0.1:8000/x"), "127.0.0.1:8000");
    }

    #[test]
    fn a_range_begins_with_its_number() {
        assert_eq!(range_start("bytes 100-199/200"), Some(100));
        assert_eq!(range_start("bytes */200"), None);
        assert_eq!(range_start("lines 1-2/3"), None);
    }
}
