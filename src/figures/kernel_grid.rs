//! A convolution's kernels.

use anyhow::{bail, ensure};

use super::axis::whole_step;
use super::canvas::{Anchor, Color};
use super::figure::{Drawing, Figure, Names};
use super::images::{numbers, range};
use super::scene::{Cells, Scene};
use super::theme::{GREY, MARGIN, SMALL, WIDTH};
use super::tiles::{TOP, Tile, draw, titled};
use crate::Result;
use crate::model::Sequential;
use crate::session::texts;

/// A convolution's kernels as a picture: what each filter looks for. Red weights are positive, blue ones negative, white
/// is 0; one scale for the layer.
///
/// `layer` is the name that the model's summary gives it: `kernel_grid(&model, "conv2d")?`. A layer on one channel shows
/// a kernel for each filter; a layer on several shows a table, filters by channels, cut at the figure's width.
///
/// # Errors
/// If the layer is no convolution or there is none of that name: the error names those that are. If the weights aren't
/// there yet.
pub fn kernel_grid(model: &Sequential, layer: &str) -> Result<Figure> {
    let weights = model.weights()?;
    let kernels = || {
        weights.iter().filter_map(|(name, weight)| {
            let layer = name.strip_suffix(".kernel")?;
            (weight.dim() == 4).then_some((layer, weight))
        })
    };
    let Some((_, weight)) = kernels().find(|(name, _)| *name == layer) else {
        let names: Vec<&str> = kernels().map(|(name, _)| name).collect();
        ensure!(!names.is_empty(), texts::figure_no_convolution());
        bail!(texts::figure_no_kernels(layer, names.join(", ")));
    };
    let size = weight.size();
    let [filters, channels, rows, columns] = [0, 1, 2, 3].map(|axis| size[axis] as usize);
    let values = numbers(weight)?;
    let (low, high) = range(&values);
    let reach = low.abs().max(high.abs());
    let color = |weight: &f32| diverging(*weight, reach);
    let cells = |kernel: &[f32]| {
        let colors = kernel.iter().map(color).collect();
        Cells { columns, colors }
    };
    Ok(Figure::new(Kernels {
        layer: layer.to_string(),
        filters,
        channels,
        reach: format!("{reach:.2}"),
        cells: values.chunks(rows * columns).map(cells).collect(),
    }))
}

/// A convolution's kernels.
struct Kernels {
    layer: String,
    filters: usize,
    channels: usize,
    /// The largest absolute weight, the end of the colours' scale.
    reach: String,
    /// Filter by filter, in each channel by channel.
    cells: Vec<Cells>,
}

impl Drawing for Kernels {
    fn alt(&self, _: &Names) -> String {
        texts::figure_kernels_line(&self.layer, self.filters, self.channels, &self.reach)
    }

    fn scene(&self, _: &Names) -> Scene {
        let title = texts::figure_kernels(&self.layer);
        if self.channels > 1 {
            return self.table(&title, &texts::figure_weights_table(&self.reach));
        }
        let tiles = self.cells.iter().enumerate().map(|(filter, cells)| Tile {
            cells: cells.clone(),
            caption: vec![(filter.to_string(), GREY)],
            frame: None,
        });
        let note = texts::figure_weights(&self.reach);
        draw(&title, &note, tiles.collect(), 42.0, 12.0)
    }
}

impl Kernels {
    /// Filters by channels.
    fn table(&self, title: &str, note: &str) -> Scene {
        let left = MARGIN + 30.0;
        let top = TOP + 20.0;
        let room = WIDTH - left - MARGIN;
        // Cells of up to 8 pixels. Kernels stand apart by about half a cell.
        let longer = self.cells[0].longer();
        let cell = (room / self.channels as f64 / (longer + 0.5)).floor();
        let cell = cell.clamp(1.0, 8.0);
        let side = cell * longer;
        let step = side + (cell / 2.0).ceil();
        // What is wider than the paper is left out.
        let shown = self.channels.min((room / step) as usize);
        let width = left + shown as f64 * step + MARGIN;
        let height = top + self.filters as f64 * step + MARGIN;
        let mut scene = titled(title, note, width, height);
        // Numbers stand apart by 22 pixels at least.
        let every = whole_step((22.0 / step).ceil() as usize, 2);
        for channel in (0..shown).step_by(every) {
            let at = (left + channel as f64 * step + side / 2.0, top - 6.0);
            scene.text(at, Anchor::Center, SMALL, channel.to_string());
        }
        for (filter, kernels) in self.cells.chunks(self.channels).enumerate() {
            let y = top + filter as f64 * step;
            if filter.is_multiple_of(every) {
                let at = (left - 6.0, SMALL.centered(y + side / 2.0));
                scene.text(at, Anchor::Right, SMALL, filter.to_string());
            }
            for (channel, cells) in kernels[..shown].iter().enumerate() {
                scene.picture((left + channel as f64 * step, y), side, cells.clone());
            }
        }
        scene
    }
}

/// White for 0, red for `reach`, blue for `-reach`.
fn diverging(value: f32, reach: f32) -> Color {
    if !value.is_finite() {
        return [128, 128, 128];
    }
    let place = match reach > 0.0 {
        true => 0.5 - f64::from(value / reach) / 2.0,
        false => 0.5,
    };
    colorous::RED_BLUE.eval_continuous(place).as_array()
}
#[cfg(test)]
mod tests {
    use tch::Tensor;

    use super::*;
    use crate::model::{Activation, conv2d, dense, flatten, max_pooling2d};

    fn net(filters: i64) -> Sequential {
        Sequential::new([
            conv2d(filters, (2, 2), Activation::Relu),
            max_pooling2d(2, 2),
            conv2d(2, (2, 2), Activation::Relu),
            flatten(),
            dense(10, Activation::Softmax),
        ])
        .input_shape([1, 9, 9])
    }

    #[test]
    fn kernels_are_red_and_blue_around_white() {
        let [white, red, blue] = [0.0, 2.0, -2.0].map(|weight| diverging(weight, 2.0));
        assert!(white.iter().all(|part| *part > 235), "{white:?}");
        assert!(red[0] > 2 * red[2], "{red:?}");
        assert!(blue[2] > 2 * blue[0], "{blue:?}");
        assert_eq!(diverging(0.0, 0.0), white, "no weights but zeros");
    }

    #[test]
    fn every_kernel_is_shown() {
        let mut model = net(3);
        let kernel: Vec<f32> = (0..12).map(|i| i as f32 - 6.0).collect();
        let kernel = Tensor::from_slice(&kernel).reshape([3, 1, 2, 2]);
        model.set_weights(&[("conv2d.kernel", kernel)]).unwrap();
        let figure = kernel_grid(&model, "conv2d").unwrap();
        let scene = figure.scene();
        assert_eq!(scene.pictures().len(), 3);
        assert_eq!(scene.pictures()[0].colors[0], diverging(-6.0, 6.0));
        assert_eq!(scene.pictures()[2].colors[3], diverging(5.0, 6.0));
        let alt = texts::figure_kernels_line("conv2d", 3, 1, "6.00");
        assert!(figure.to_string().contains(&alt), "{figure}");
        // Two filters on three channels.
        let table = kernel_grid(&model, "conv2d_1").unwrap().scene();
        assert_eq!(table.pictures().len(), 6);
    }

    #[test]
    fn wide_layers_stay_on_the_paper() {
        let scene = kernel_grid(&net(512), "conv2d_1").unwrap().scene();
        assert!(f64::from(scene.width) <= WIDTH);
        let shown = scene.pictures().len() / 2;
        assert!((250..512).contains(&shown), "{shown} channels");
        assert!(scene.png().is_ok());
    }

    #[test]
    fn what_does_not_exist_is_told_with_what_does() {
        let refused = |model: &Sequential| kernel_grid(model, "dense").unwrap_err().to_string();
        let said = texts::figure_no_kernels("dense", "conv2d, conv2d_1");
        assert_eq!(refused(&net(3)), said);
        let dense_net = Sequential::new([flatten(), dense(2, Activation::Softmax)]);
        let said = texts::figure_no_convolution();
        assert_eq!(refused(&dense_net.input_shape([9, 9])), said);
    }
}
