//! What a dataset's file must hold: reads, unpacks and checks it.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;
use ring::digest::{SHA256, digest};

use crate::session::{plain, texts};

/// An IDX file as it has to be: a header of big-endian numbers, `0 0 8 dimensions` and the size of each dimension in 4 bytes,
/// then the values, unsigned bytes, row by row.
pub(super) struct FileSpec {
    pub name: &'static str,
    /// The size of each dimension.
    pub dimensions: Vec<i64>,
    /// Of its uncompressed content.
    pub sha256: &'static str,
}

impl FileSpec {
    /// Bytes before the values. What they say is known where the content has the right hash.
    pub(super) fn header(&self) -> usize {
        4 + 4 * self.dimensions.len()
    }

    /// Bytes of its uncompressed content.
    fn length(&self) -> u64 {
        let values: i64 = self.dimensions.iter().product();
        self.header() as u64 + values as u64
    }

    /// The most bytes that the file can have as stored, plain or gzipped: gzip makes nothing longer by more than a few
    /// bytes in 16,000 and its header.
    pub(super) fn limit(&self) -> u64 {
        self.length() + self.length() / 1000 + 4096
    }

    /// Where it may lie in a folder: plain, gzipped.
    pub(super) fn paths(&self, folder: &Path) -> [PathBuf; 2] {
        [
            folder.join(self.name),
            folder.join(format!("{}.gz", self.name)),
        ]
    }
}

/// The checked content of the file at that path; none if there is no file. The error says what is wrong with it.
pub(super) fn read(path: &Path, file: &FileSpec) -> Result<Option<Vec<u8>>, String> {
    use io::ErrorKind::{NotADirectory, NotFound};
    let unreadable = |error: io::Error| texts::data_unreadable(plain(&error));
    // Asked before it is opened: opening a pipe would wait for its writer.
    match fs::metadata(path) {
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(None),
        Err(error) => Err(unreadable(error)),
        Ok(metadata) if !metadata.is_file() => Err(texts::data_not_a_file()),
        Ok(metadata) if metadata.len() > file.limit() => Err(texts::data_too_long(file.length())),
        Ok(_) => unpack(fs::read(path).map_err(unreadable)?, file).map(Some),
    }
}

/// The checked content out of a file's bytes, plain or gzipped.
pub(super) fn unpack(stored: Vec<u8>, file: &FileSpec) -> Result<Vec<u8>, String> {
    let expected = file.length();
    let bytes = match stored[..] {
        [0x1f, 0x8b, ..] => gunzip(&stored, expected)?,
        [0, 0, ..] => stored,
        _ => return Err(texts::data_strange(expected)),
    };
    match bytes.len() as u64 {
        found if found > expected => Err(texts::data_too_long(expected)),
        found if found < expected => Err(texts::data_too_short(expected, found)),
        _ if sha256(&bytes) != file.sha256 => Err(texts::data_other_content()),
        _ => Ok(bytes),
    }
}

/// Unpacks no more than one byte over what is expected, whatever the file claims.
fn gunzip(packed: &[u8], expected: u64) -> Result<Vec<u8>, String> {
    let mut decoder = GzDecoder::new(packed);
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or_default() + 1);
    match decoder.by_ref().take(expected + 1).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() as u64 > expected => Err(texts::data_too_long(expected)),
        Ok(_) if !decoder.into_inner().is_empty() => Err(texts::data_broken_gzip()),
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(texts::data_cut_short()),
        Err(_) => Err(texts::data_broken_gzip()),
    }
}

/// In hexadecimal digits.
fn sha256(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    const CONTENT: &[u8] = b"\0\0\x08\x01\0\0\0\x05abcde";

    fn spec() -> FileSpec {
        FileSpec {
            name: "made",
            dimensions: vec![5],
            sha256: Box::leak(sha256(CONTENT).into_boxed_str()),
        }
    }

    fn packed(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(stored: Vec<u8>) -> Result<Vec<u8>, String> {
        unpack(stored, &spec())
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
        let (strange, too_long) = (texts::data_strange(13), texts::data_too_long(13));
        let (broken, too_short) = (texts::data_broken_gzip(), texts::data_too_short(13, 9));
        let cases = [
            (b"<html>log in</html>".to_vec(), &strange),
            (Vec::new(), &strange),
            (whole[..last - 8].to_vec(), &texts::data_cut_short()),
            (damaged, &broken),
            ([&whole[..], b"more"].concat(), &broken),
            (packed(&[CONTENT, b"f"].concat()), &too_long),
            ([CONTENT, b"f"].concat(), &too_long),
            (packed(&CONTENT[..9]), &too_short),
            (packed(&other), &texts::data_other_content()),
        ];
        for (stored, defect) in cases {
            assert_eq!(unpacked(stored).as_ref(), Err(defect));
        }
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let bomb = packed(&vec![0; 10_000_000]);
        assert!(bomb.len() < 20_000);
        assert_eq!(gunzip(&bomb, 100), Err(texts::data_too_long(100)));
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
