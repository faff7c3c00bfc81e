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
