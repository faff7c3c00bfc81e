//! One file from one address: asked for, read within limits, checked.

use std::io::{self, Read};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Error, Proxy, Timeout};

use super::cache::Watcher;
use super::content::{self, FileSpec};
use crate::session::{plain, texts};

/// How long a download may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Name lookup, and again connection with TLS. Defaults to 10 seconds.
    pub connect: Duration,
    /// Waiting for the answer or for more of it. Defaults to 20 seconds.
    pub stall: Duration,
    /// One try at one file. Defaults to 30 minutes.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(20),
            total: Duration::from_secs(30 * 60),
        }
    }
}

/// The file's checked content, or none if the user interrupted. The error says why this address gave no such file; it stands
/// behind the host's name.
pub(super) fn download(
    url: &str,
    file: &FileSpec,
    limits: &Limits,
    watcher: &mut dyn Watcher,
) -> Result<Option<Vec<u8>>, String> {
    let fetched = match fetch(url, file, limits, watcher) {
        // Too long, or too slow: it would be that again.
        same @ Err((Error::BodyExceedsLimit(_) | Error::Timeout(Timeout::Global), _)) => same,
        // What began and broke off may succeed at a second try.
        Err((_, 1..)) => fetch(url, file, limits, watcher),
        outcome => outcome,
    };
    let stored = fetched.map_err(|(error, received)| explain(error, received, limits, url))?;
    stored
        .map(|stored| content::unpack(stored, file))
        .transpose()
}

/// The file as the server stores it, or none if the user interrupted; after an error also how many bytes had come. A thread of
/// its own reads, so that an interrupt never waits for the network.
fn fetch(
    url: &str,
    file: &FileSpec,
    limits: &Limits,
    watcher: &mut dyn Watcher,
) -> Result<Option<Vec<u8>>, (Error, u64)> {
    const POLL: Duration = Duration::from_millis(100);
    let agent = agent(url, limits);
    let (sender, progress) = mpsc::channel();
    let (asking, address, limit) = (agent.clone(), url.to_string(), file.limit());
    let reader = thread::Builder::new()
        .name("svertka download".into())
        .spawn(move || read(&asking, &address, limit, &sender))
        .map_err(|error| (Error::Io(error), 0_u64))?;
    let mut received = 0;
    loop {
        if watcher.interrupted() {
            // The thread's waiting ends too, but for a name lookup, which ends at its limit.
            agent.shutdown();
            return Ok(None);
        }
        match progress.recv_timeout(POLL) {
            Ok((done, total)) => {
                received = done;
                watcher.progress(file.name, done, total);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    // A thread that panicked is told as a connection that broke off.
    let panicked = |_| Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    let stored = reader.join().unwrap_or_else(panicked);
    stored.map(Some).map_err(|error| (error, received))
}

fn agent(url: &str, limits: &Limits) -> Agent {
    // The roots that the system trusts: a school's filter signs with a certificate of its own.
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier);
    Agent::config_builder()
        .https_only(!is_local(url))
        .user_agent(concat!("svertka/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls.build())
        .timeout_resolve(Some(limits.connect))
        .timeout_connect(Some(limits.connect))
        .timeout_per_read(Some(limits.stall))
        .timeout_global(Some(limits.total))
        .build()
        .into()
}

/// In the thread: asks and reads, to the end or until nobody listens. It sends how many bytes are here, and of how many.
fn read(
    agent: &Agent,
    url: &str,
    limit: u64,
    sender: &Sender<(u64, Option<u64>)>,
) -> Result<Vec<u8>, Error> {
    let mut response = agent.get(url).call()?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(Error::StatusCode(status));
    }
    let total = response.body().content_length();
    let mut body = response.body_mut().with_config().limit(limit).reader();
    let mut stored = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = body.read(&mut buffer)?;
        stored.extend_from_slice(&buffer[..count]);
        let done = stored.len() as u64;
        if count == 0 || sender.send((done, total)).is_err() {
            return Ok(stored);
        }
    }
}

/// What an error of ureq's means to a learner. Behind a proxy it is the proxy that could not be reached.
fn explain(error: Error, received: u64, limits: &Limits, url: &str) -> String {
    use io::ErrorKind as Kind;
    let unreachable = |reason| match proxy(url) {
        Some(proxy) => texts::net_proxy(proxy, reason),
        None => reason,
    };
    match error {
        Error::HostNotFound => unreachable(texts::net_no_host()),
        Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
            unreachable(texts::net_no_connection(limits.connect.as_secs_f64()))
        }
        Error::Timeout(Timeout::Global) => texts::net_out_of_time(limits.total.as_secs_f64()),
        Error::Timeout(_) => texts::net_stalled(limits.stall.as_secs_f64()),
        // ureq says `proxy server responded 403/403`.
        Error::ConnectProxyFailed(reason) => {
            let status = reason.strip_prefix("proxy server responded ");
            let status = status.and_then(|status| status.split('/').next());
            unreachable(status.map_or(reason.clone(), texts::net_status))
        }
        Error::StatusCode(status) => texts::net_status(status),
        Error::RedirectFailed | Error::TooManyRedirects => texts::net_redirects(),
        Error::RequireHttpsOnly(_) => texts::net_not_https(),
        Error::BodyExceedsLimit(limit) => texts::net_too_long(limit),
        Error::Rustls(error) => texts::net_not_secure(first_line(&error)),
        Error::Io(error) => match error.kind() {
            Kind::ConnectionRefused => unreachable(texts::net_refused()),
            Kind::UnexpectedEof
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::BrokenPipe
            | Kind::NotConnected => texts::net_broken_off(received),
            // rustls hands its errors up through io.
            Kind::InvalidData => texts::net_not_secure(first_line(&error)),
            // The C library's resolver has no kind of its own.
            _ if error.to_string().starts_with("failed to lookup address") => {
                unreachable(texts::net_no_host())
            }
            _ => plain(&error),
        },
        other => first_line(&other),
    }
}

/// Host and port of the proxy from the environment, if this address is asked through one.
fn proxy(url: &str) -> Option<String> {
    let proxy = Proxy::try_from_env()?;
    let passed_by = proxy.is_no_proxy(&url.parse().ok()?);
    (!passed_by).then(|| format!("{}:{}", proxy.host(), proxy.port()))
}

fn first_line(error: &impl ToString) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim().to_string()
}

/// The host, with its port if the address names one.
pub(super) fn host(url: &str) -> &str {
    url.split('/').nth(2).unwrap_or(url)
}

/// This machine itself, where the tests have their server. Everything else is asked over HTTPS.
fn is_local(url: &str) -> bool {
    url.starts_with("http://127.0.0.1:") || url.starts_with("http://[::1]:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_leaves_the_machine() {
        assert!(is_local("http://127.0.0.1:8000/"));
        assert!(is_local("http://[::1]:8000/"));
        for url in [
            "https://example.org/data/",
            "http://example.org/",
            "http://127.0.0.1.example.org/",
            "ftp://example.org/",
            "file:///etc/passwd",
        ] {
            assert!(!is_local(url), "{url}");
            assert!(agent(url, &Limits::default()).config().https_only());
        }
    }

    #[test]
    fn the_host_is_what_is_shown() {
        assert_eq!(host("https://example.org/data/x.gz"), "example.org");
        assert_eq!(host("http://127.0.0.1:8000/x"), "127.0.0.1:8000");
    }
}
