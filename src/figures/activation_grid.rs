//! The lesson's grid: several images, and what one filter makes of them layer by layer.

use anyhow::{bail, ensure};
use tch::Tensor;

use super::axis::{short, whole_step};
use super::canvas::{Anchor, fitted, text_width};
use super::figure::{Drawing, Figure, Names};
use super::images::{draw_images, image_shape, numbers, range, select};
use super::scene::{Cells, Scene};
use super::theme::{GREY, HEADING, MARGIN, NOTE, SMALL, TITLE, WIDTH};
use crate::Result;
use crate::model::{LayerOutput, Sequential, batch_len, check_images};
use crate::session::{compute, texts};

/// How many layers the grid shows.
const MAX_LAYERS: usize = 4;
/// More images in one grid would be a picture that no page shows.
const MAX_IMAGES: usize = 12;

/// What one filter makes of several images, layer by layer: a row for each image, with the image itself and a column for
/// each of the first four layers (of fewer where a layer that gives no image comes earlier).
///
/// `images`: `[images, …]` as the model takes them; `indices`: which of them; `filter`: which of each layer's output
/// channels, from 0. Only the chosen images go through the network. Each panel has its colours (inferno's; the image,
/// grey or RGB, its own) from its own minimum to its own maximum, which stand above it. The rows also tell the class that
/// the model predicts, as a number or, with [`Figure::names`], as a name.
///
/// ```no_run
/// # use svertka::prelude::*;
/// # fn main() -> svertka::Result<()> {
/// # let model = Sequential::new([conv2d(64, (3, 3), Relu)]);
/// # let test_images = Tensor::zeros([100, 1, 28, 28], (Kind::Float, Device::Cpu));
/// activation_grid(&model, &test_images, [0, 23, 28], 1)?.save("activations.png")?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If there is no such image, or one of the layers has no such filter: the error tells the valid range. If more than 12
/// images are asked for. If the model does not begin with a layer that gives images. As [`Sequential::activations`], for
/// the chosen images.
pub fn activation_grid(
    model: &Sequential,
    images: &Tensor,
    indices: impl IntoIterator<Item = i64>,
    filter: i64,
) -> Result<Figure> {
    let indices: Vec<i64> = indices.into_iter().collect();
    let chosen = choose(model, images, &indices)?;
    let outputs = model.activations(&chosen)?;
    let pictures = outputs.iter().take_while(|it| it.output.dim() == 4);
    let layers = &outputs[..pictures.count().min(MAX_LAYERS)];
    check_filter(&outputs, layers.len(), filter)?;

    let has_picture = image_shape(&chosen).is_some();
    let heading = |name: String, output: &Tensor| (name, format!("{:?}", &output.size()[1..]));
    let first = has_picture.then(|| heading(texts::figure_input(), &chosen));
    let others = layers.iter().map(|it| heading(it.name.clone(), &it.output));
    let classes = classes(&outputs)?;
    let row = |(row, &index): (usize, &i64)| {
        let own = select(&chosen, &[row as i64])?;
        let image = has_picture.then(|| Panel::of_image(&own)).into_iter();
        let maps = layers.iter().map(|layer| {
            let map = compute(|| layer.output.f_get(row as i64)?.f_get(filter))?;
            Panel::of_feature_map(&map)
        });
        Ok(Row {
            index,
            class: classes.get(row).copied(),
            panels: image.chain(maps).collect::<Result<_>>()?,
        })
    };
    Ok(Figure::new(Grid {
        filter,
        layers: layers.len(),
        headings: first.into_iter().chain(others).collect(),
        rows: indices.iter().enumerate().map(row).collect::<Result<_>>()?,
    }))
}

/// The images of these numbers.
fn choose(model: &Sequential, images: &Tensor, indices: &[i64]) -> Result<Tensor> {
    let count = batch_len(images);
    if count == 0 {
        check_images(model.built()?, images)?;
    }
    let last = count - 1;
    ensure!(!indices.is_empty(), texts::figure_no_indices(last));
    if let Some(index) = indices.iter().find(|index| !(0..count).contains(*index)) {
        bail!(texts::figure_no_such_image(index, last));
    }
    let fit = indices.len() <= MAX_IMAGES;
    ensure!(fit, texts::figure_grid_too_large(MAX_IMAGES));
    select(images, indices)
}

/// Refuses a filter that one of the first `shown` layers doesn't have, and a model of which none is shown.
fn check_filter(outputs: &[LayerOutput], shown: usize, filter: i64) -> Result<()> {
    let place = |i: usize| texts::place(i + 1, &outputs[i].name);
    ensure!(shown > 0, texts::figure_no_pictures_at_all(place(0)));
    for (i, layer) in outputs[..shown].iter().enumerate() {
        let last = layer.output.size()[1] - 1;
        let exists = (0..=last).contains(&filter);
        ensure!(exists, texts::figure_no_such_filter(place(i), filter, last));
    }
    Ok(())
}

/// The most probable class of each image, if the last layer tells classes.
fn classes(outputs: &[LayerOutput]) -> Result<Vec<i64>> {
    match outputs.last() {
        Some(LayerOutput { output, .. }) if output.dim() == 2 && output.size()[1] > 1 => {
            compute(|| Vec::try_from(&output.f_argmax(-1, false)?))
        }
        _ => Ok(Vec::new()),
    }
}

/// The colour for a value between 0 and 1.
fn inferno(value: f64) -> [u8; 3] {
    if !value.is_finite() {
        return [128, 128, 128];
    }
    // matplotlib's own rounding to one of the 256 colours.
    let color = colorous::INFERNO.eval_rational((value * 256.0).clamp(0.0, 255.0) as usize, 256);
    color.as_array()
}

/// An image, or what a filter makes of it, with the range of its values.
struct Panel {
    cells: Cells,
    range: (f32, f32),
}

impl Panel {
    /// The only one of these images.
    fn of_image(image: &Tensor) -> Result<Self> {
        Ok(Self {
            cells: draw_images(image, &[0])?.swap_remove(0),
            range: range(&numbers(image)?),
        })
    }

    /// A feature map, `[height, width]`, in inferno's colours from its own minimum to its own maximum, as matplotlib's
    /// `imshow` gives them; a map that is the same everywhere is dark. Grey stands for what is not a number.
    fn of_feature_map(map: &Tensor) -> Result<Self> {
        let values = numbers(map)?;
        let (low, high) = range(&values);
        let span = if high > low { high - low } else { 1.0 };
        let color = |value: &f32| inferno(f64::from((value - low) / span));
        let colors = values.iter().map(color).collect();
        let columns = map.size()[1] as usize;
        Ok(Self {
            cells: Cells { columns, colors },
            range: (low, high),
        })
    }
}

/// One image's row.
struct Row {
    /// The image's number.
    index: i64,
    /// The class that the model predicts.
    class: Option<i64>,
    panels: Vec<Panel>,
}

/// The whole grid.
struct Grid {
    filter: i64,
    layers: usize,
    /// Over each column: a name and a shape.
    headings: Vec<(String, String)>,
    rows: Vec<Row>,
}

/// Space between the panels: for the vertical ticks, and for the horizontal ticks with the range of the next row.
const GAP: (f64, f64) = (30.0, 40.0);
/// Between a panel and its ticks' numbers.
const TICK: f64 = 4.0;
/// The largest side of a panel.
const PANEL: f64 = 200.0;
/// Where the panels begin, under the title and the headings.
const TOP: f64 = MARGIN + TITLE.size + 56.0;

impl Drawing for Grid {
    fn alt(&self, names: &Names) -> String {
        let images = self.rows.iter().map(|row| match row.class {
            Some(class) => format!("{} ({})", row.index, names.of(class)),
            None => row.index.to_string(),
        });
        let images = images.collect::<Vec<_>>().join(", ");
        texts::figure_activations(images, self.layers, self.filter)
    }

    fn scene(&self, names: &Names) -> Scene {
        let labels: Vec<Vec<String>> = self.rows.iter().map(|row| row.label(names)).collect();
        let lines = labels.iter().flatten();
        let widths = lines.map(|line| text_width(line, HEADING));
        let label = widths.fold(0.0, f64::max).min(160.0).ceil();
        let left = MARGIN + label + GAP.0;
        let columns = self.headings.len() as f64;
        let room = WIDTH - left - MARGIN - GAP.0 * (columns - 1.0);
        let room = (room / columns).clamp(24.0, PANEL).floor();
        // A side at most 15 % smaller at which the first layer's cells are whole pixels, as the next ones' are where pooling
        // leaves half as many; or all of the room.
        let first = self.headings.len() - self.layers;
        let longer = self.rows[0].panels[first].cells.longer();
        let whole = (room / longer).floor() * longer;
        let side = if whole >= room * 0.85 { whole } else { room };
        let step = (side + GAP.0, side + GAP.1);

        let title = texts::figure_filter(self.filter);
        let width = left + columns * step.0 - GAP.0 + MARGIN;
        let width = width.max(text_width(&title, TITLE) + 2.0 * MARGIN);
        let height = TOP + self.rows.len() as f64 * step.1 - GAP.1 + 20.0 + MARGIN;
        let mut scene = Scene::new(width, height);
        let at = (MARGIN, MARGIN + TITLE.size * 0.8);
        scene.text(at, Anchor::Left, TITLE, title);
        for (column, (name, shape)) in self.headings.iter().enumerate() {
            let middle = left + column as f64 * step.0 + side / 2.0;
            for (up, style, text) in [(34.0, HEADING, name), (19.0, SMALL, shape)] {
                let text = fitted(text, style, step.0 - 6.0);
                scene.text((middle, TOP - up), Anchor::Center, style, text);
            }
        }
        for (i, (row, lines)) in self.rows.iter().zip(&labels).enumerate() {
            let y = TOP + i as f64 * step.1;
            draw_label(&mut scene, lines, y + side / 2.0, label);
            for (column, panel) in row.panels.iter().enumerate() {
                panel.draw(&mut scene, (left + column as f64 * step.0, y), side);
            }
        }
        scene
    }
}

impl Row {
    /// What stands before the row, line by line.
    fn label(&self, names: &Names) -> Vec<String> {
        let mut lines = vec![texts::figure_image(self.index)];
        if let Some(class) = self.class {
            lines.extend([texts::figure_answer(), names.of(class)]);
        }
        lines
    }
}

/// Lines of text, the first one bold, at the left of the paper.
fn draw_label(scene: &mut Scene, lines: &[String], middle: f64, width: f64) {
    let first = middle - (lines.len() as f64 - 1.0) * 9.0;
    for (i, line) in lines.iter().enumerate() {
        let style = if i == 0 { HEADING } else { NOTE };
        let at = (MARGIN, style.centered(first + i as f64 * 18.0));
        scene.text(at, Anchor::Left, style, fitted(line, style, width));
    }
}

impl Panel {
    /// Draws it in a square of `side`, with its ticks and its range.
    fn draw(&self, scene: &mut Scene, square: (f64, f64), side: f64) {
        let ((x, y), (width, height)) = scene.picture(square, side, self.cells.clone());
        let limit = if side < 100.0 { 3 } else { 6 };
        let ticks = |count: usize| (0..count).step_by(whole_step(count, limit));
        for tick in ticks(self.cells.columns) {
            let x = x + (tick as f64 + 0.5) * width / self.cells.columns as f64;
            let end = y + height + TICK;
            scene.line(vec![(x, y + height), (x, end)], 1.0, GREY);
            let at = (x, end + SMALL.size);
            scene.text(at, Anchor::Center, SMALL, tick.to_string());
        }
        for tick in ticks(self.cells.rows()) {
            let y = y + (tick as f64 + 0.5) * height / self.cells.rows() as f64;
            scene.line(vec![(x - TICK, y), (x, y)], 1.0, GREY);
            let at = (x - TICK - 2.0, SMALL.centered(y));
            scene.text(at, Anchor::Right, SMALL, tick.to_string());
        }
        if side >= 100.0 {
            let (low, high) = self.range;
            let text = format!("{} … {}", short(low.into()), short(high.into()));
            scene.text((x + width, y - 5.0), Anchor::Right, SMALL, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::model::{Activation, conv2d, dense, flatten, max_pooling2d};

    /// The colours of a feature map of these values in one row.
    fn colors(values: &[f32]) -> Vec<[u8; 3]> {
        let map = Tensor::from_slice(values).reshape([1, -1]);
        Panel::of_feature_map(&map).unwrap().cells.colors
    }

    /// The lesson's net, untrained, and five different images.
    fn net() -> (Sequential, Tensor) {
        let model = Sequential::new([
            conv2d(6, (3, 3), Activation::Relu),
            max_pooling2d(2, 2),
            conv2d(4, (3, 3), Activation::Relu),
            max_pooling2d(2, 2),
            flatten(),
            dense(10, Activation::Softmax),
        ])
        .input_shape([1, 28, 28]);
        let images = Tensor::arange(5 * 784, (Kind::Float, Device::Cpu));
        (model, (images * 0.37).sin().reshape([5, 1, 28, 28]))
    }

    fn refused(result: Result<Figure>) -> String {
        let figure = result.map(|figure| figure.to_string());
        figure.unwrap_err().to_string()
    }

    #[test]
    fn colours_are_matplotlibs_inferno() {
        // matplotlib.cm.inferno(x, bytes=True) for x = 0.0, 0.25, 0.5, 0.75, 1.0; it rounds down where colorous rounds.
        let known = [
            [0, 0, 3],
            [87, 15, 109],
            [187, 55, 84],
            [249, 142, 8],
            [252, 254, 164],
        ];
        for (i, color) in known.into_iter().enumerate() {
            let found = inferno(i as f64 / 4.0);
            let apart = color
                .iter()
                .zip(found)
                .map(|(a, b): (&i32, u8)| (a - i32::from(b)).abs());
            assert!(apart.max().unwrap() <= 1, "{found:?} for {color:?}");
        }
        assert_eq!(inferno(f64::NAN), [128, 128, 128]);
    }

    #[test]
    fn each_map_has_its_own_scale() {
        let (dark, bright) = ([0, 0, 4], [252, 255, 164]);
        assert_eq!(colors(&[2.0, 5.0, 3.5]), [dark, bright, inferno(0.5)]);
        assert_eq!(colors(&[-1.0, -0.9]), [dark, bright]);
        assert_eq!(colors(&[7.0, 7.0]), [dark, dark], "all the same");
        assert_eq!(colors(&[0.0, f32::NAN, 1.0]), [dark, [128; 3], bright]);
    }

    #[test]
    fn grid_shows_images_and_the_models_activations() {
        let (model, images) = net();
        let figure = activation_grid(&model, &images, [4, 1], 2).unwrap();
        let outputs = model.activations(&images).unwrap();
        let scene = figure.scene();
        let pictures = scene.pictures();
        assert_eq!(pictures.len(), 10, "two rows: an image, four layers");
        for (row, image) in [4, 1].into_iter().enumerate() {
            for layer in 0..4 {
                let map = outputs[layer].output.get(image).get(2);
                let panel = Panel::of_feature_map(&map).unwrap();
                let shown = pictures[5 * row + 1 + layer];
                assert_eq!(*shown, panel.cells, "{image}, layer {layer}");
            }
        }
        let texts = scene.texts();
        for text in [
            "conv2d",
            "max_pooling2d_1",
            "[1, 28, 28]",
            "[6, 26, 26]",
            "[4, 5, 5]",
            "0",
            "25",
            &texts::figure_image(4),
        ] {
            assert!(texts.contains(&text), "{text} in {texts:?}");
        }
        assert!(f64::from(scene.width) <= WIDTH);
    }

    #[test]
    fn the_first_column_is_the_image_itself() {
        let (model, _) = net();
        let pixels = Tensor::arange(784, (Kind::Float, Device::Cpu)).remainder(256);
        let image = (&pixels / 255.0).reshape([1, 1, 28, 28]);
        let figure = activation_grid(&model, &image, [0], 0).unwrap();
        let scene = figure.scene();
        let own: Vec<[u8; 3]> = (0..784).map(|i| [i as u8; 3]).collect();
        assert_eq!(scene.pictures()[0].colors, own);
        assert!(scene.texts().contains(&texts::figure_input().as_str()));
        assert!(scene.texts().contains(&"0 … 1.00"), "{:?}", scene.texts());
    }

    #[test]
    fn an_image_of_five_channels_has_no_picture() {
        let model = Sequential::new([conv2d(2, (3, 3), Activation::Relu)]);
        let model = model.input_shape([5, 8, 8]);
        let images = Tensor::ones([1, 5, 8, 8], (Kind::Float, Device::Cpu));
        let figure = activation_grid(&model, &images, [0], 1).unwrap();
        assert_eq!(figure.scene().pictures().len(), 1);
    }

    #[test]
    fn classes_are_called_by_their_names() {
        let (model, images) = net();
        let figure = activation_grid(&model, &images, [2], 0).unwrap();
        let class = model.predict(&images.narrow(0, 2, 1)).unwrap();
        let class = class.argmax(-1, false).int64_value(&[0]);
        assert!(figure.to_string().contains(&format!("2 ({class})")));
        let named = figure.names((0..10).map(|class| format!("класс {class}")));
        let name = format!("класс {class}");
        let scene = named.scene();
        assert!(
            scene.texts().contains(&name.as_str()),
            "{:?}",
            scene.texts()
        );
        assert!(
            named.to_string().contains(&format!("2 ({name})")),
            "{named}"
        );
    }

    #[test]
    fn only_the_chosen_images_are_looked_at() {
        let (model, images) = net();
        let _ = images.get(3).fill_(f64::NAN);
        assert!(activation_grid(&model, &images, [0, 4], 0).is_ok());
        let said = refused(activation_grid(&model, &images, [0, 3], 0));
        assert_eq!(said, texts::image_not_finite(1));
    }

    #[test]
    fn what_does_not_exist_is_told_with_what_does() {
        let (model, images) = net();
        let said = refused(activation_grid(&model, &images, [0, 5], 0));
        assert_eq!(said, texts::figure_no_such_image(5, 4));
        let said = refused(activation_grid(&model, &images, [-1], 0));
        assert_eq!(said, texts::figure_no_such_image(-1, 4));
        let said = refused(activation_grid(&model, &images, [0; 13], 0));
        assert_eq!(said, texts::figure_grid_too_large(12));
        let said = refused(activation_grid(&model, &images, [], 0));
        assert_eq!(said, texts::figure_no_indices(4));
        let none = images.narrow(0, 0, 0);
        let said = refused(activation_grid(&model, &none, [0], 0));
        assert_eq!(said, texts::no_images());
        // The second convolution has four filters, the first has six.
        let said = refused(activation_grid(&model, &images, [0], 5));
        let place = texts::place(3, "conv2d_1");
        assert_eq!(said, texts::figure_no_such_filter(place, 5, 3));
    }

    #[test]
    fn a_net_without_convolutions_says_so() {
        let model = Sequential::new([flatten(), dense(10, Activation::Softmax)]);
        let model = model.input_shape([28, 28]);
        let images = Tensor::zeros([2, 28, 28], (Kind::Float, Device::Cpu));
        let said = refused(activation_grid(&model, &images, [0], 0));
        let place = texts::place(1, "flatten");
        assert_eq!(said, texts::figure_no_pictures_at_all(place));
    }

    #[test]
    fn fewer_layers_are_shown_where_the_net_has_fewer() {
        let model = Sequential::new([
            conv2d(2, (3, 3), Activation::Relu),
            flatten(),
            dense(10, Activation::Softmax),
        ])
        .input_shape([1, 8, 8]);
        let images = Tensor::ones([1, 1, 8, 8], (Kind::Float, Device::Cpu));
        let figure = activation_grid(&model, &images, [0], 1).unwrap();
        assert_eq!(figure.scene().pictures().len(), 2);
    }
}
