//! Where a dataset's files come from, in order, and how they get into the cache.
//!
//! 1. the folder named by `SVERTKA_DATA`, where it has a subfolder of the dataset's name;
//! 2. the user's cache folder;
//! 3. the system's `/usr/share/datasets/<name>` (Debian);
//! 4. the mirrors.
//!
//! Whatever the source, a file is used only if the SHA-256 of its uncompressed content is the declared one, and it is
//! the checked bytes in memory that are used, never the file once more.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::bufread::GzDecoder;
use ring::digest::{SHA256, digest};

use super::download::{self, Fault};
use super::{Declaration, Expected};
use crate::session::{plain, texts};

/// The places that are looked at, and the limits of a download.
#[derive(Clone, Debug)]
pub struct Places {
    /// The folder of the user's own data: `SVERTKA_DATA`.
    pub own: Option<PathBuf>,
    /// The folder for svertka in the user's cache; none where there is no home folder.
    pub cache: Option<PathBuf>,
    /// The system's datasets.
    pub system: PathBuf,
    /// The limits of a download.
    pub limits: Limits,
}

impl Places {
    /// This machine's.
    pub(super) fn of_this_machine() -> Self {
        Self {
            own: std::env::var_os("SVERTKA_DATA")
                .filter(|value| !value.is_empty())
                .map(PathBuf::from),
            cache: dirs::cache_dir().map(|folder| folder.join("svertka")),
            system: PathBuf::from("/usr/share/datasets"),
            limits: Limits::default(),
        }
    }
}

/// How long a download may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Name lookup, and again connection with TLS. Defaults to 10 seconds.
    pub connect: Duration,
    /// Waiting for the answer or for more of it. Defaults to 20 seconds.
    pub stall: Duration,
    /// The least that must arrive in each span of `stall`, on average, in bytes a second. Defaults to 2,000.
    pub slowest: u64,
    /// One file from one mirror, continuations included. Defaults to 30 minutes.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(20),
            slowest: 2_000,
            total: Duration::from_secs(30 * 60),
        }
    }
}

/// Who is told how the work goes, and may stop it.
pub trait Watcher {
    /// Something to know, in one line.
    fn line(&mut self, text: &str);
    /// `done` bytes of a file are here, of `total` where that is known.
    fn progress(&mut self, file: &str, done: u64, total: Option<u64>);
    /// Whether the user wants it stopped.
    fn interrupted(&mut self) -> bool;
}

/// A dataset's files: their checked IDX bytes, in the order of `Declaration::files`, and where they came from.
pub(super) struct Fetched {
    pub files: [Vec<u8>; 4],
    pub origins: Vec<String>,
}

/// Why there is no dataset.
pub(super) enum Failure {
    /// No source has it; what was tried.
    Nowhere(String),
    /// A mistake to mend first, or the user's interrupt: no other source may hide it.
    Stop(anyhow::Error),
}

/// Why a file's content is not the declared one.
#[derive(Debug)]
pub(super) enum Defect {
    NotAFile,
    Unreadable(io::Error),
    /// Neither plain IDX of the declared length nor gzip.
    Strange {
        expected: u64,
    },
    CutShort,
    BrokenGzip,
    TooLong {
        expected: u64,
    },
    TooShort {
        expected: u64,
        found: u64,
    },
    OtherContent,
}

impl fmt::Display for Defect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&match self {
            Self::NotAFile => texts::data_not_a_file(),
            Self::Unreadable(error) => texts::data_unreadable(plain(error)),
            Self::Strange { expected } => texts::data_strange(expected),
            Self::CutShort => texts::data_cut_short(),
            Self::BrokenGzip => texts::data_broken_gzip(),
            Self::TooLong { expected } => texts::data_too_long(expected),
            Self::TooShort { expected, found } => texts::data_too_short(expected, found),
            Self::OtherContent => texts::data_other_content(),
        })
    }
}

/// The four files, from wherever they can be had.
pub(super) fn fetch(
    declaration: &Declaration,
    places: &Places,
    watcher: &mut dyn Watcher,
) -> Result<Fetched, Failure> {
    let mut source = Source::new(declaration, places, watcher);
    let [a, b, c, d] = declaration.files();
    let files = [
        source.file(&a)?,
        source.file(&b)?,
        source.file(&c)?,
        source.file(&d)?,
    ];
    Ok(Fetched {
        files,
        origins: source.origins,
    })
}

/// The four files from one folder alone; none if one of them is missing.
pub(super) fn from_folder(
    declaration: &Declaration,
    folder: &Path,
    watcher: &mut dyn Watcher,
) -> Option<Fetched> {
    let mut files = [const { Vec::new() }; 4];
    for (place, file) in files.iter_mut().zip(declaration.files()) {
        *place = in_folder(folder, &file, |path, defect| {
            watcher.line(&texts::data_bad_kept(path.display(), defect));
        })?;
    }
    Some(Fetched {
        files,
        origins: vec![folder.display().to_string()],
    })
}

struct Source<'a> {
    declaration: &'a Declaration,
    places: &'a Places,
    watcher: &'a mut dyn Watcher,
    /// Places that gave at least one file.
    origins: Vec<String>,
    /// The mirror that gave the last file: first asked for the next.
    mirror: usize,
    /// The cache, once it is needed for writing.
    cache: Option<Cache>,
    /// The mirror that was last said to be asked.
    announced: Option<usize>,
}

impl<'a> Source<'a> {
    fn new(declaration: &'a Declaration, places: &'a Places, watcher: &'a mut dyn Watcher) -> Self {
        Self {
            declaration,
            places,
            watcher,
            origins: Vec::new(),
            mirror: 0,
            cache: None,
            announced: None,
        }
    }

    fn came_from(&mut self, origin: String) {
        if !self.origins.contains(&origin) {
            self.origins.push(origin);
        }
    }

    fn file(&mut self, file: &Expected) -> Result<Vec<u8>, Failure> {
        let name = self.declaration.folder;
        let mut tried = Vec::new();
        if let Some(own) = &self.places.own {
            let folder = own.join(name);
            let mut bad = None;
            let found = in_folder(&folder, file, |path, defect| {
                bad.get_or_insert((path.to_path_buf(), defect));
            });
            if let Some((path, defect)) = bad {
                let text = texts::data_bad_own(path.display(), defect);
                return Err(Failure::Stop(crate::session::error(text)));
            }
            if let Some(bytes) = found {
                self.came_from(folder.display().to_string());
                return Ok(bytes);
            }
            tried.push(texts::data_not_in(folder.display()));
        }
        if let Some(bytes) = self.cached(file) {
            return Ok(bytes);
        }
        if let Some(cache) = &self.places.cache {
            tried.push(texts::data_not_in(cache.join(name).display()));
        }
        let system = self.places.system.join(name);
        let watcher = &mut *self.watcher;
        let found = in_folder(&system, file, |path, defect| {
            watcher.line(&texts::data_bad_kept(path.display(), defect));
        });
        if let Some(bytes) = found {
            self.came_from(system.display().to_string());
            return Ok(bytes);
        }
        tried.push(texts::data_not_in(system.display()));
        self.downloaded(file, tried)
    }

    fn cached(&mut self, file: &Expected) -> Option<Vec<u8>> {
        let folder = self.places.cache.as_ref()?.join(self.declaration.folder);
        let watcher = &mut *self.watcher;
        let bytes = in_folder(&folder, file, |path, defect| {
            watcher.line(&texts::data_bad_cached(path.display(), defect));
        })?;
        self.came_from(folder.display().to_string());
        Some(bytes)
    }

    fn downloaded(&mut self, file: &Expected, mut tried: Vec<String>) -> Result<Vec<u8>, Failure> {
        if self.cache.is_none() {
            self.cache = Some(self.open_cache()?);
            // Another program may have brought the file while this one came to its turn. What is bad has been said.
            if let Some(root) = &self.places.cache {
                let folder = root.join(self.declaration.folder);
                if let Some(bytes) = in_folder(&folder, file, |_, _| ()) {
                    self.came_from(folder.display().to_string());
                    return Ok(bytes);
                }
            }
        }
        let mirrors = self.declaration.mirrors;
        for turn in 0..mirrors.len() {
            let index = (self.mirror + turn) % mirrors.len();
            let url = format!("{}{}.gz", mirrors[index], file.name);
            if self.announced.replace(index) != Some(index) {
                let text = texts::data_asking(self.declaration.title, download::host(&url));
                self.watcher.line(&text);
            }
            match self.ask_mirror(file, &url) {
                Ok(bytes) => {
                    self.mirror = index;
                    self.came_from(download::host(&url).to_string());
                    if let Some(cache) = &mut self.cache {
                        cache.keep(file, &bytes);
                        if let Some(trouble) = cache.trouble.take_if(|_| !cache.told) {
                            cache.told = true;
                            self.watcher.line(&trouble);
                        }
                    }
                    return Ok(bytes);
                }
                Err(Fault::Interrupted) => return Err(self.interrupted()),
                Err(fault) => tried.push(format!("{}: {fault}", download::host(&url))),
            }
        }
        Err(Failure::Nowhere(tried.join("; ")))
    }

    fn interrupted(&self) -> Failure {
        Failure::Stop(crate::session::error(texts::data_interrupted(
            self.declaration.title,
        )))
    }

    /// One file from one mirror; a transfer that breaks off is continued a few times as long as each attempt brings
    /// something.
    fn ask_mirror(&mut self, file: &Expected, url: &str) -> Result<Vec<u8>, Fault> {
        const CONTINUATIONS: usize = 4;
        let deadline = Instant::now() + self.places.limits.total;
        let mut part = match &self.cache {
            Some(cache) => cache.part(file, url),
            None => Part::default(),
        };
        let mut continuations = 0;
        loop {
            let before = part.bytes.len();
            let outcome = download::download(
                &download::Order {
                    url,
                    file: file.name,
                    limit: file.limit(),
                    limits: &self.places.limits,
                    deadline,
                },
                &mut part,
                self.watcher,
            );
            match outcome {
                Ok(()) => match unpack(&mut part.bytes, file) {
                    Ok(bytes) => return Ok(bytes),
                    // The beginning, from an earlier call, may be of another version of the file: once more, whole.
                    Err(_) if before > 0 && continuations < CONTINUATIONS => {
                        part.clear();
                        continuations = CONTINUATIONS;
                    }
                    Err(defect) => {
                        part.remove();
                        return Err(Fault::Content(defect));
                    }
                },
                Err(fault)
                    if fault.broke_off()
                        && part.bytes.len() > before
                        && continuations < CONTINUATIONS =>
                {
                    continuations += 1;
                }
                Err(fault) => {
                    if !fault.worth_keeping() {
                        part.remove();
                    }
                    return Err(fault);
                }
            }
        }
    }

    fn open_cache(&mut self) -> Result<Cache, Failure> {
        let Some(root) = &self.places.cache else {
            return Ok(Cache::none(texts::data_no_home()));
        };
        let folder = root.join(self.declaration.folder);
        match Cache::open(
            &folder,
            self.declaration.title,
            self.places.limits.total,
            self.watcher,
        ) {
            Ok(Some(cache)) => Ok(cache),
            Ok(None) => Err(self.interrupted()),
            Err(error) => Ok(Cache::none(texts::data_not_kept(
                folder.display(),
                plain(&error),
            ))),
        }
    }
}

/// The dataset's folder in the cache, open for writing by this process alone, or the reason why nothing can be kept.
struct Cache {
    folder: Option<PathBuf>,
    /// Held while the value lives; the operating system frees it when a process dies.
    _lock: Option<File>,
    trouble: Option<String>,
    told: bool,
}

impl Cache {
    fn none(trouble: String) -> Self {
        Self {
            folder: None,
            _lock: None,
            trouble: Some(trouble),
            told: false,
        }
    }

    /// None if the user interrupted the waiting for another process.
    fn open(
        folder: &Path,
        title: &str,
        patience: Duration,
        watcher: &mut dyn Watcher,
    ) -> io::Result<Option<Self>> {
        fs::create_dir_all(folder)?;
        let lock = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(folder.join(".lock"))?;
        let start = Instant::now();
        let mut waited = false;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if start.elapsed() > patience => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Err(TryLockError::WouldBlock) => {}
            }
            if !waited {
                watcher.line(&texts::data_waiting(title));
                waited = true;
            }
            if watcher.interrupted() {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(Some(Self {
            folder: Some(folder.to_path_buf()),
            _lock: Some(lock),
            trouble: None,
            told: false,
        }))
    }

    /// What an earlier download of this file from this address left, to be continued.
    fn part(&self, file: &Expected, url: &str) -> Part {
        let Some(folder) = &self.folder else {
            return Part::default();
        };
        // Mirrors pack the same content differently: a part continues only where it began.
        let address = sha256(url.as_bytes());
        Part::open(
            folder.join(format!("{}.{}.part", file.name, &address[..8])),
            file.limit(),
        )
    }

    /// Writes a checked file: to a temporary sibling, to the disk, then under its name. What the download left goes.
    fn keep(&mut self, file: &Expected, bytes: &[u8]) {
        let Some(folder) = &self.folder else {
            return;
        };
        let sibling = folder.join(format!("{}.new", file.name));
        // Room first: where the disk is nearly full, the parts are what fills it.
        remove_parts(folder, file);
        let written = (|| {
            let mut new = File::create(&sibling)?;
            new.write_all(bytes)?;
            new.sync_all()?;
            fs::rename(&sibling, folder.join(file.name))
        })();
        if let Err(error) = written {
            let _ = fs::remove_file(&sibling);
            self.trouble = Some(texts::data_not_kept(folder.display(), plain(&error)));
        }
    }
}

fn remove_parts(folder: &Path, file: &Expected) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name
            .strip_prefix(file.name)
            .is_some_and(|rest| rest.ends_with(".part"))
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The bytes of a download so far: in memory, and on the disk as well where it has room, for the next attempt.
#[derive(Default)]
pub(super) struct Part {
    pub bytes: Vec<u8>,
    disk: Option<(PathBuf, File)>,
}

impl Part {
    fn open(path: PathBuf, limit: u64) -> Self {
        let mut part = Self::default();
        let opened = File::options()
            .create(true)
            .read(true)
            .append(true)
            .open(&path);
        if let Ok(mut file) = opened {
            let read = (&mut file).take(limit + 1).read_to_end(&mut part.bytes);
            let usable = read.is_ok_and(|count| count as u64 <= limit);
            part.disk = Some((path, file));
            if !usable {
                part.clear();
            }
        }
        part
    }

    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
        if let Some((_, file)) = &mut self.disk
            && file.write_all(chunk).is_err()
        {
            // A full disk: the download goes on in memory and frees what it took.
            self.remove();
        }
    }

    /// Starts anew.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        if let Some((_, file)) = &mut self.disk
            && file.set_len(0).is_err()
        {
            self.remove();
        }
    }

    fn remove(&mut self) {
        if let Some((path, _)) = self.disk.take() {
            let _ = fs::remove_file(path);
        }
    }
}

/// The file in that folder, plain or gzipped. `bad` is told of each that is there and not what it should be.
fn in_folder(
    folder: &Path,
    file: &Expected,
    mut bad: impl FnMut(&Path, Defect),
) -> Option<Vec<u8>> {
    for name in [file.name.to_string(), format!("{}.gz", file.name)] {
        let path = folder.join(name);
        match read(&path, file)
            .and_then(|bytes| bytes.map(|mut bytes| unpack(&mut bytes, file)).transpose())
        {
            Ok(Some(bytes)) => return Some(bytes),
            Ok(None) => {}
            Err(defect) => bad(&path, defect),
        }
    }
    None
}

/// The bytes as they lie; none if there is no such file.
fn read(path: &Path, file: &Expected) -> Result<Option<Vec<u8>>, Defect> {
    let missing = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        )
    };
    // Asked before it is opened: opening a pipe would wait for its writer.
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if missing(&error) => return Ok(None),
        Err(error) => return Err(Defect::Unreadable(error)),
    };
    if !metadata.is_file() {
        return Err(Defect::NotAFile);
    }
    let limit = file.limit();
    if metadata.len() > limit {
        return Err(Defect::TooLong {
            expected: file.length,
        });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default() + 1);
    File::open(path)
        .and_then(|opened| opened.take(limit + 1).read_to_end(&mut bytes))
        .map_err(Defect::Unreadable)?;
    Ok(Some(bytes))
}

/// The checked IDX bytes out of a file's bytes, plain or gzipped; these are left empty or as they were.
fn unpack(stored: &mut Vec<u8>, file: &Expected) -> Result<Vec<u8>, Defect> {
    let expected = file.length;
    let bytes = if stored.starts_with(&[0x1f, 0x8b]) {
        gunzip(stored, expected)?
    } else if stored.starts_with(&[0, 0]) {
        std::mem::take(stored)
    } else {
        return Err(Defect::Strange { expected });
    };
    let found = bytes.len() as u64;
    if found > expected {
        return Err(Defect::TooLong { expected });
    }
    if found < expected {
        return Err(Defect::TooShort { expected, found });
    }
    if sha256(&bytes) != file.sha256 {
        return Err(Defect::OtherContent);
    }
    Ok(bytes)
}

/// Unpacks no more than one byte over what is expected, whatever the file claims.
fn gunzip(packed: &[u8], expected: u64) -> Result<Vec<u8>, Defect> {
    let mut decoder = GzDecoder::new(packed);
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or_default() + 1);
    let outcome = decoder.by_ref().take(expected + 1).read_to_end(&mut bytes);
    match outcome {
        Ok(_) if bytes.len() as u64 > expected => Err(Defect::TooLong { expected }),
        Ok(_) if !decoder.into_inner().is_empty() => Err(Defect::BrokenGzip),
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Defect::CutShort),
        Err(_) => Err(Defect::BrokenGzip),
    }
}

/// In hexadecimal digits.
fn sha256(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    const CONTENT: &[u8] = b"\0\0\x08\x01\0\0\0\x05abcde";

    fn expected() -> Expected {
        Expected {
            name: "made",
            length: CONTENT.len() as u64,
            dimensions: vec![5],
            sha256: Box::leak(sha256(CONTENT).into_boxed_str()),
        }
    }

    fn packed(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(mut stored: Vec<u8>) -> Result<Vec<u8>, Defect> {
        unpack(&mut stored, &expected())
    }

    #[test]
    fn the_hash_is_sha256() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn plain_and_gzipped_content_is_the_same() {
        assert_eq!(unpacked(CONTENT.to_vec()).unwrap(), CONTENT);
        assert_eq!(unpacked(packed(CONTENT)).unwrap(), CONTENT);
    }

    #[test]
    fn each_defect_has_its_name() {
        let whole = packed(CONTENT);
        let mut other = CONTENT.to_vec();
        other[9] ^= 1;
        let mut damaged = whole.clone();
        let last = damaged.len() - 1;
        damaged[last - 5] ^= 1; // the CRC
        let cases: [(Vec<u8>, &str); 9] = [
            (b"<html>log in</html>".to_vec(), "Strange { expected: 13 }"),
            (Vec::new(), "Strange { expected: 13 }"),
            (whole[..last - 8].to_vec(), "CutShort"),
            (damaged, "BrokenGzip"),
            ([&whole[..], b"more"].concat(), "BrokenGzip"),
            (
                packed(&[CONTENT, b"f"].concat()),
                "TooLong { expected: 13 }",
            ),
            ([CONTENT, b"f"].concat(), "TooLong { expected: 13 }"),
            (packed(&CONTENT[..9]), "TooShort { expected: 13, found: 9 }"),
            (packed(&other), "OtherContent"),
        ];
        for (stored, defect) in cases {
            assert_eq!(format!("{:?}", unpacked(stored).unwrap_err()), defect);
        }
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let bomb = packed(&vec![0; 10_000_000]);
        assert!(bomb.len() < 20_000);
        assert!(matches!(
            gunzip(&bomb, 100),
            Err(Defect::TooLong { expected: 100 })
        ));
        // What was unpacked of it stayed within the room for the content and one byte more.
        let right = gunzip(&packed(&[7; 100]), 100).unwrap();
        assert_eq!(right.len(), 100);
        assert_eq!(right.capacity(), 101);
    }

    proptest! {
        #[test]
        fn any_bytes(
            start in prop::sample::select(vec![&[][..], &[0, 0, 8, 1], &[0x1f, 0x8b, 8, 0]]),
            rest in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            prop_assert!(unpacked([start, &rest].concat()).is_err());
        }

        #[test]
        fn any_damage(place in 0..40_usize, value in any::<u8>()) {
            let mut stored = packed(CONTENT);
            let place = place % stored.len();
            stored[place] = value;
            if let Ok(content) = unpacked(stored) {
                prop_assert_eq!(content, CONTENT);
            }
        }
    }
}
