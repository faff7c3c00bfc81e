//! A layer from inside: its kernels, and what all its filters make of one image.

use tch::Tensor;

use super::activation_grid::{Plane, picture};
use super::axis::whole_step;
use super::figure::Figure;
use super::scene::{Anchor, Picture, Scene, look, text_width};
use super::tiles::{Layout, Tile, draw as draw_tiles, head};
use crate::Result;
use crate::model::Sequential;
use crate::session::{error, texts, torch};

/// A convolution's kernels as a picture: what each filter looks for. Red weights are positive, blue ones negative, white
/// is 0; one scale for the layer.
///
/// `layer` is the name that the model's summary gives it: `filters(&model, "conv2d")?`. A layer on one channel shows a
/// kernel for each filter; a layer on several shows a table, filters by channels, cut at the figure's width.
///
/// # Errors
/// If the layer is no convolution or there is none of that name: the error names those that are. If the weights aren't
/// there yet.
pub fn filters(model: &Sequential, layer: &str) -> Result<Figure> {
    let weights = model.weights()?;
    let kernels = || {
        weights.iter().filter_map(|(name, weight)| {
            let layer = name.strip_suffix(".kernel")?;
            (weight.dim() == 4).then_some((layer, weight))
        })
    };
    let Some((_, weight)) = kernels().find(|(name, _)| *name == layer) else {
        let names: Vec<&str> = kernels().map(|(name, _)| name).collect();
        return Err(error(if names.is_empty() {
            texts::figure_no_convolution()
        } else {
            texts::figure_no_kernels(layer, names.join(", "))
        }));
    };
    let size = weight.size();
    let values = weight
        .f_reshape([-1])
        .and_then(|flat| Vec::<f32>::try_from(&flat));
    let kernels = Kernels {
        filters: size[0] as usize,
        channels: size[1] as usize,
        rows: size[2] as usize,
        columns: size[3] as usize,
        values: values.map_err(torch)?,
    };
    let scene = draw_kernels(&texts::figure_kernels(layer), &kernels);
    Ok(Figure::new(scene, texts::figure_kernels_line(layer)))
}

/// What all filters of one layer make of one image. As in [`activation_grid`](crate::activation_grid) each panel has
/// inferno's colours from its own minimum to its own maximum; the filters that are the same everywhere, silent ones
/// above all, are dark and counted.
///
/// `image`: one image as the model takes it, with or without the first axis: `activation_map(&model,
/// &test_images.get(0), "conv2d")?`.
///
/// # Errors
/// If there is no layer of that name or it gives no image (a dense one): the error names those that do. If several
/// images are given. As [`Sequential::activations`].
pub fn activation_map(model: &Sequential, image: &Tensor, layer: &str) -> Result<Figure> {
    let own = &model.built()?.layers[0].plan.input;
    let size = image.size();
    if size.len() == own.len() + 1 && size[1..] == *own && size[0] > 1 {
        return Err(error(texts::figure_several_images(size[0])));
    }
    let image = if image.numel() as i64 == own.iter().product::<i64>() {
        let batch = [&[1], own.as_slice()].concat();
        image.f_reshape(batch).map_err(torch)?
    } else {
        // The model says what is wrong with it.
        image.shallow_clone()
    };
    let outputs = model.activations(&image)?;
    let output = &outputs[picture(&outputs, layer)?].output;
    let planes = (0..output.size()[1]).map(|filter| Plane::of(output, 0, filter));
    let planes = planes.collect::<Result<Vec<_>>>()?;
    let scene = draw_map(&texts::figure_map(layer), &planes);
    Ok(Figure::new(scene, texts::figure_map_line(layer)))
}

/// A convolution's kernels: `values[filter][channel][row][column]` in one row.
#[derive(Clone, Debug)]
pub(crate) struct Kernels {
    pub filters: usize,
    pub channels: usize,
    pub rows: usize,
    pub columns: usize,
    pub values: Vec<f32>,
}

impl Kernels {
    /// The largest absolute weight, the end of the colours' scale.
    fn reach(&self) -> f32 {
        let sizes = self.values.iter().map(|value| value.abs());
        sizes.filter(|size| size.is_finite()).fold(0.0, f32::max)
    }

    fn plane(&self, filter: usize, channel: usize) -> &[f32] {
        let size = self.rows * self.columns;
        let start = (filter * self.channels + channel) * size;
        &self.values[start..start + size]
    }
}

/// Draws kernels, positive weights red and negative blue. A layer on one channel gives a tile for each filter, with its
/// number; a layer on several gives a table of filters (rows) and channels (columns).
pub(crate) fn draw_kernels(title: &str, kernels: &Kernels) -> Scene {
    let reach = kernels.reach();
    let range = format!("{reach:.2}");
    if kernels.channels == 1 {
        let tiles: Vec<Tile> = (0..kernels.filters)
            .map(|filter| Tile {
                rows: kernels.rows,
                columns: kernels.columns,
                cells: kernels
                    .plane(filter, 0)
                    .iter()
                    .map(|weight| diverging(*weight, reach))
                    .collect(),
                caption: vec![(filter.to_string(), look::GREY)],
                frame: None,
            })
            .collect();
        let layout = Layout {
            columns: 16,
            gap: 12.0,
            side: 46.0,
        };
        return draw_tiles(title, &texts::figure_weights(range), &tiles, layout);
    }
    table(title, &texts::figure_weights_table(range), kernels, reach)
}

fn table(title: &str, note: &str, kernels: &Kernels, reach: f32) -> Scene {
    let left = look::MARGIN + 30.0;
    let room = look::WIDTH - left - look::MARGIN;
    let across = (room / kernels.channels as f64 / kernels.columns as f64).floor();
    let cell = (across - if across > 3.0 { 1.0 } else { 0.0 }).clamp(1.0, 10.0);
    // Kernels stand apart by about half a cell.
    let gap = (cell / 2.0).floor().max(1.0);
    let step = (
        kernels.columns as f64 * cell + gap,
        kernels.rows as f64 * cell + gap,
    );
    // What is wider than the paper is left out.
    let shown = kernels.channels.min((room / step.0) as usize);
    let top = 2.0 * look::MARGIN + look::TITLE + 18.0 + 20.0;
    let width = left + shown as f64 * step.0 + look::MARGIN;
    let height = top + kernels.filters as f64 * step.1 + look::MARGIN;
    let least = 2.0 * look::MARGIN + text_width(note, look::TEXT, false);
    let mut scene = Scene::new(width.max(least).min(look::WIDTH), height);
    head(&mut scene, title, note);
    let every = |step: f64, count: usize| {
        let enough = (22.0 / step).ceil() as usize;
        (0..count).step_by(whole_step(enough, 2).max(1))
    };
    for channel in every(step.0, shown) {
        let x = left + channel as f64 * step.0 + (step.0 - gap) / 2.0;
        let text = channel.to_string();
        scene.text(
            (x, top - 6.0),
            Anchor::Middle,
            look::SMALL,
            look::GREY,
            text,
        );
    }
    for filter in every(step.1, kernels.filters) {
        let y = top + filter as f64 * step.1 + (step.1 - gap) / 2.0 + look::SMALL * 0.36;
        let text = filter.to_string();
        scene.text((left - 6.0, y), Anchor::End, look::SMALL, look::GREY, text);
    }
    for filter in 0..kernels.filters {
        for channel in 0..shown {
            let weights = kernels.plane(filter, channel);
            scene.pictures.push(Picture {
                at: (
                    (left + channel as f64 * step.0) as u32,
                    (top + filter as f64 * step.1) as u32,
                ),
                size: (
                    (kernels.columns as f64 * cell) as u32,
                    (kernels.rows as f64 * cell) as u32,
                ),
                columns: kernels.columns,
                rows: kernels.rows,
                cells: weights
                    .iter()
                    .map(|weight| diverging(*weight, reach))
                    .collect(),
            });
        }
    }
    scene
}

/// Draws one image's activations, a tile for each filter.
pub(crate) fn draw_map(title: &str, planes: &[Plane]) -> Scene {
    let tiles: Vec<Tile> = planes
        .iter()
        .enumerate()
        .map(|(filter, plane)| Tile {
            rows: plane.rows,
            columns: plane.columns,
            cells: plane.cells(),
            caption: vec![(filter.to_string(), look::GREY)],
            frame: None,
        })
        .collect();
    let silent = planes
        .iter()
        .filter(|plane| plane.range().0 == plane.range().1);
    let note = texts::figure_own_scales(silent.count());
    let layout = if planes.len() > 40 {
        Layout {
            columns: 16,
            gap: 6.0,
            side: 52.0,
        }
    } else {
        Layout {
            columns: 8,
            gap: 10.0,
            side: 108.0,
        }
    };
    draw_tiles(title, &note, &tiles, layout)
}

/// White for 0, red for `reach`, blue for `-reach`.
fn diverging(value: f32, reach: f32) -> [u8; 3] {
    if !value.is_finite() {
        return [128, 128, 128];
    }
    let share = if reach > 0.0 {
        f64::from(value / reach)
    } else {
        0.0
    };
    let color = colorous::RED_BLUE.eval_continuous((0.5 - share / 2.0).clamp(0.0, 1.0));
    [color.r, color.g, color.b]
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::model::{Activation, conv2d, dense, flatten, max_pooling2d};

    fn net() -> Sequential {
        Sequential::new([
            conv2d(3, (2, 2), Activation::Relu),
            max_pooling2d(2, 2),
            conv2d(2, (2, 2), Activation::Relu),
            flatten(),
            dense(10, Activation::Softmax),
        ])
        .input_shape([1, 9, 9])
    }

    fn refused(result: Result<Figure>) -> String {
        result
            .map(|figure| figure.to_string())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn kernels_are_red_and_blue_around_white() {
        let (white, red, blue) = (
            diverging(0.0, 2.0),
            diverging(2.0, 2.0),
            diverging(-2.0, 2.0),
        );
        assert!(white.iter().all(|part| *part > 235), "{white:?}");
        assert!(
            red[0] > 2 * red[2] && blue[2] > 2 * blue[0],
            "{red:?} {blue:?}"
        );
        assert_eq!(diverging(0.0, 0.0), white, "no weights but zeros");
    }

    #[test]
    fn every_kernel_is_shown() {
        let mut model = net();
        let kernel: Vec<f32> = (0..12).map(|i| i as f32 - 6.0).collect();
        let kernel = Tensor::from_slice(&kernel).reshape([3, 1, 2, 2]);
        model.set_weights(&[("conv2d.kernel", kernel)]).unwrap();
        let figure = filters(&model, "conv2d").unwrap();
        let pictures = &figure.scene().pictures;
        assert_eq!(pictures.len(), 3);
        assert_eq!(pictures[0].cells[0], diverging(-6.0, 6.0));
        assert_eq!(pictures[2].cells[3], diverging(5.0, 6.0));
        // Two filters on three channels.
        assert_eq!(
            filters(&model, "conv2d_1").unwrap().scene().pictures.len(),
            6
        );
    }

    #[test]
    fn wide_layers_stay_on_the_paper() {
        let kernels = Kernels {
            filters: 4,
            channels: 512,
            rows: 3,
            columns: 3,
            values: vec![0.5; 4 * 512 * 9],
        };
        let scene = draw_kernels("conv2d", &kernels);
        assert!(f64::from(scene.width) <= look::WIDTH);
        let inside = |picture: &Picture| picture.at.0 + picture.size.0 <= scene.width;
        assert!(scene.pictures.iter().all(inside) && scene.png().is_ok());
    }

    #[test]
    fn map_shows_all_filters_of_one_image() {
        let model = net();
        let image = Tensor::ones([1, 9, 9], (Kind::Float, Device::Cpu));
        let shapes: [&[i64]; 3] = [&[1, 9, 9], &[1, 1, 9, 9], &[9, 9]];
        for shape in shapes {
            let figure = activation_map(&model, &image.reshape(shape), "max_pooling2d").unwrap();
            assert_eq!(figure.scene().pictures.len(), 3);
        }
    }

    #[test]
    fn what_does_not_exist_is_told_with_what_does() {
        let model = net();
        let image = Tensor::ones([1, 9, 9], (Kind::Float, Device::Cpu));
        let said = refused(filters(&model, "dense"));
        assert_eq!(said, texts::figure_no_kernels("dense", "conv2d, conv2d_1"));
        let said = refused(activation_map(&model, &image, "dense"));
        let names = "conv2d, max_pooling2d, conv2d_1";
        let place = texts::place(5, "dense");
        assert_eq!(said, texts::figure_layer_without_picture(place, names));
        let images = Tensor::ones([2, 1, 9, 9], (Kind::Float, Device::Cpu));
        let said = refused(activation_map(&model, &images, "conv2d"));
        assert_eq!(said, texts::figure_several_images(2));
        let dense_net = Sequential::new([flatten(), dense(2, Activation::Softmax)]);
        let said = refused(filters(&dense_net.input_shape([9, 9]), "dense"));
        assert_eq!(said, texts::figure_no_convolution());
    }
}
