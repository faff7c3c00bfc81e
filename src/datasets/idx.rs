//! The IDX format of MNIST and its kin: a header of big-endian numbers, then the values, row by row.
//!
//! ```text
//! 0 0 type dimensions   size of each dimension, 4 bytes each   the values
//! ```
//! Type 8 is the unsigned byte, the only one these datasets use.

use std::fmt;

use crate::session::texts;

/// An IDX file of unsigned bytes, still in the bytes it was read from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Idx<'a> {
    /// The size of each dimension, outermost first.
    pub dimensions: Vec<usize>,
    /// As many values as the dimensions say, no more and no less.
    pub values: &'a [u8],
}

/// Why bytes are not an IDX file of unsigned bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// It does not begin with two zero bytes, a type and at least one dimension.
    NotIdx,
    /// Values of another type than the unsigned byte.
    Type(u8),
    /// It ends inside its header.
    HeaderCut { expected: usize, found: usize },
    /// Its dimensions multiply to more than any memory holds.
    TooLarge,
    /// More or fewer values than the header announces.
    Length { expected: usize, found: usize },
}

impl fmt::Display for Defect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&match self {
            Self::NotIdx => texts::idx_not_idx(),
            Self::Type(kind) => texts::idx_type(format!("0x{kind:02x}")),
            Self::HeaderCut { expected, found } => texts::idx_header_cut(expected, found),
            Self::TooLarge => texts::idx_too_large(),
            Self::Length { expected, found } => texts::idx_length(expected, found),
        })
    }
}

/// Reads an IDX file of unsigned bytes. It allocates only the list of dimensions, at most 255 numbers.
pub(crate) fn parse(bytes: &[u8]) -> Result<Idx<'_>, Defect> {
    let Some((&[zero, nought, kind, count], rest)) = bytes.split_first_chunk() else {
        return Err(Defect::NotIdx);
    };
    if zero != 0 || nought != 0 || count == 0 {
        return Err(Defect::NotIdx);
    }
    if kind != 8 {
        return Err(Defect::Type(kind));
    }
    let header = 4 * usize::from(count);
    let Some((sizes, values)) = rest.split_at_checked(header) else {
        return Err(Defect::HeaderCut {
            expected: 4 + header,
            found: bytes.len(),
        });
    };
    let mut dimensions = Vec::with_capacity(usize::from(count));
    let mut expected = Some(1_usize);
    for size in sizes.chunks_exact(4) {
        let size = size
            .iter()
            .fold(0, |value, &byte| value << 8 | usize::from(byte));
        dimensions.push(size);
        expected = expected.and_then(|product| product.checked_mul(size));
    }
    match expected {
        Some(expected) if expected == values.len() => Ok(Idx { dimensions, values }),
        Some(expected) => Err(Defect::Length {
            expected,
            found: values.len(),
        }),
        None => Err(Defect::TooLarge),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(dimensions: &[u32], values: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
        bytes.extend(dimensions.iter().flat_map(|size| size.to_be_bytes()));
        bytes.extend(values);
        bytes
    }

    #[test]
    fn dimensions_and_values_are_read() {
        let bytes = file(&[2, 1, 3], &[1, 2, 3, 4, 5, 6]);
        let idx = parse(&bytes).unwrap();
        assert_eq!(idx.dimensions, [2, 1, 3]);
        assert_eq!(idx.values, [1, 2, 3, 4, 5, 6]);
        assert_eq!(parse(&file(&[0], &[])).unwrap().dimensions, [0]);
    }

    #[test]
    fn each_defect_has_its_name() {
        for bytes in [
            &b""[..],
            b"\0\0\x08",
            b"\0\0\x08\0",
            b"\x01\0\x08\x01\0\0\0\0",
            b"\x1f\x8b\x08\0",
        ] {
            assert_eq!(parse(bytes), Err(Defect::NotIdx), "{bytes:?}");
        }
        assert_eq!(parse(b"\0\0\x0d\x01\0\0\0\0"), Err(Defect::Type(0x0d)));
        assert_eq!(
            parse(b"\0\0\x08\x02\0\0\0\x01\0\0\0"),
            Err(Defect::HeaderCut {
                expected: 12,
                found: 11
            })
        );
        assert_eq!(
            parse(&file(&[u32::MAX; 3], &[])),
            Err(Defect::TooLarge),
            "the product overflows"
        );
        // A header that asks for 4 GiB is no reason to allocate them.
        assert_eq!(
            parse(&file(&[u32::MAX], &[7])),
            Err(Defect::Length {
                expected: u32::MAX as usize,
                found: 1
            })
        );
        for values in [&[1, 2, 3][..], &[1, 2, 3, 4, 5]] {
            assert_eq!(
                parse(&file(&[2, 2], values)),
                Err(Defect::Length {
                    expected: 4,
                    found: values.len()
                })
            );
        }
    }

    /// What must hold for any bytes.
    fn check(bytes: &[u8]) {
        let Ok(idx) = parse(bytes) else { return };
        assert!(idx.dimensions.capacity() <= 255);
        let sizes: Vec<u32> = idx.dimensions.iter().map(|&size| size as u32).collect();
        assert_eq!(file(&sizes, idx.values), bytes, "read and written again");
        assert_eq!(idx.dimensions.iter().product::<usize>(), idx.values.len());
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            check(&bytes);
        }

        #[test]
        fn any_header(
            start in prop::sample::select(vec![[0, 0, 8], [0, 0, 13], [0, 1, 8]]),
            count in 0..6_u8,
            sizes in prop::collection::vec(prop_oneof![0..4_u32, any::<u32>()], 0..6),
            values in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut bytes = start.to_vec();
            bytes.push(count);
            bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
            bytes.extend(values);
            check(&bytes);
        }

        #[test]
        fn a_right_file_is_read(sizes in prop::collection::vec(0..4_u32, 1..5)) {
            let values = vec![7; sizes.iter().product::<u32>() as usize];
            let bytes = file(&sizes, &values);
            let idx = parse(&bytes).unwrap();
            prop_assert_eq!(idx.values, &values[..]);
        }
    }

    /// The long run: `cargo test --release --lib idx -- --ignored`.
    #[test]
    #[ignore = "a long run: seconds optimised, a minute otherwise"]
    fn ten_million_inputs() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) % below
        };
        let mut bytes = Vec::new();
        let mut read = 0;
        for _ in 0..10_000_000 {
            bytes.clear();
            // Near to right, so that every branch is met: a file with small sizes, then a few bytes spoilt.
            let count = random(5);
            bytes.extend([0, 0, 8, count as u8]);
            let mut product = 1;
            for _ in 0..count {
                let size = random(4);
                product *= size;
                bytes.extend((size as u32).to_be_bytes());
            }
            bytes.resize(bytes.len() + product as usize, 1);
            for _ in 0..random(3) {
                let place = random(bytes.len() as u64) as usize;
                bytes[place] = random(256) as u8;
            }
            match random(8) {
                0 => bytes.truncate(random(bytes.len() as u64 + 1) as usize),
                1 => bytes.push(random(256) as u8),
                _ => (),
            }
            check(&bytes);
            read += usize::from(parse(&bytes).is_ok());
        }
        println!("10,000,000 inputs, {read} of them files");
        assert!(read > 1_000_000 && read < 9_000_000, "{read}");
    }
}
