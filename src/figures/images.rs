//! Images as coloured cells.

use tch::{Kind, Tensor};

use super::scene::Cells;
use crate::Result;
use crate::session::{compute, error, texts};

/// Channels, rows and columns of one of these images, if it can be drawn: grey or RGB.
pub(crate) fn image_shape(images: &Tensor) -> Option<[usize; 3]> {
    let shape = match images.size()[..] {
        [_, rows, columns] => [1, rows, columns],
        [_, channels @ (1 | 3), rows, columns] => [channels, rows, columns],
        _ => return None,
    };
    Some(shape.map(|size| size as usize))
}

/// These of the images, grey or RGB, all on one scale from their smallest to their largest value.
pub(crate) fn draw_images(images: &Tensor, indices: &[i64]) -> Result<Vec<Cells>> {
    let Some([channels, rows, columns]) = image_shape(images) else {
        let size = format!("{:?}", images.size());
        return Err(error(texts::figure_images_shape(size)));
    };
    let values = numbers(&select(images, indices)?)?;
    let (low, high) = range(&values);
    let span = if high > low { high - low } else { 1.0 };
    let area = rows * columns;
    let cells = |image: &[f32]| {
        let shade = |i: usize| ((image[i] - low) / span * 255.0).round() as u8;
        let color = |i: usize| [0, 1, 2].map(|part| shade(i + area * part.min(channels - 1)));
        let colors = (0..area).map(color).collect();
        Cells { columns, colors }
    };
    let images = values.chunks_exact((channels * area).max(1));
    Ok(images.map(cells).collect())
}

/// These of the images, in this order.
pub(crate) fn select(images: &Tensor, indices: &[i64]) -> Result<Tensor> {
    let indices = Tensor::from_slice(indices);
    compute(|| images.f_index_select(0, &indices.f_to_device(images.device())?))
}

/// All numbers of a tensor in one row.
pub(crate) fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    compute(|| Vec::<f32>::try_from(&tensor.f_to_kind(Kind::Float)?.f_reshape([-1])?))
}

/// The smallest and the largest finite value; 0 and 0 when there is none.
pub(crate) fn range(values: &[f32]) -> (f32, f32) {
    let finite = values.iter().copied().filter(|value| value.is_finite());
    let ranges = finite.map(|value| (value, value));
    let wider = |a: (f32, f32), b: (f32, f32)| (a.0.min(b.0), a.1.max(b.1));
    ranges.reduce(wider).unwrap_or_default()
}
