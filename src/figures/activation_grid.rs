//! The lesson's grid: what one filter makes of several images, layer by layer.

use tch::Tensor;

use super::axis::{short, whole_step};
use super::figure::{Figure, Names};
use super::scene::{Anchor, Picture, Scene, fitted, look, text_width};
use crate::Result;
use crate::model::{LayerOutput, LayerRef, Sequential, check_images};
use crate::session::{error, texts, torch};

/// How many layers the grid shows unless they are chosen.
const LAYERS: usize = 4;
/// More images or layers in one grid would be a picture that no page shows.
const MOST: usize = 12;

/// What one filter makes of several images, layer by layer: a row for each image, a column for each of the first four
/// layers (of fewer where a layer that gives no image comes earlier).
///
/// `images`: `[images, …]` as the model takes them; `indices`: which of them; `filter`: which of each layer's output
/// channels, from 0. Only the chosen images go through the network. Each panel has inferno's colours from its own
/// minimum to its own maximum, which stand above it. The rows also tell the net's answer, as a number or, with
/// [`Figure::names`], as a name.
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
/// images are asked for. If the model does not begin with a layer that gives images. As [`Sequential::activations`].
pub fn activation_grid(
    model: &Sequential,
    images: &Tensor,
    indices: impl IntoIterator<Item = i64>,
    filter: i64,
) -> Result<Figure> {
    grid(model, None, images, indices.into_iter().collect(), filter)
}

/// [`activation_grid`] of chosen layers, by the names that the model's summary gives them:
/// `activation_grid_of(&model, ["conv2d", "conv2d_1"], &images, [0, 23, 28], 1)?`.
///
/// # Errors
/// As [`activation_grid`], and if there is no layer of that name or it gives no image (a dense one), or more than 12
/// layers are asked for.
pub fn activation_grid_of<'a>(
    model: &Sequential,
    layers: impl IntoIterator<Item = &'a str>,
    images: &Tensor,
    indices: impl IntoIterator<Item = i64>,
    filter: i64,
) -> Result<Figure> {
    let layers = layers.into_iter().collect();
    grid(
        model,
        Some(layers),
        images,
        indices.into_iter().collect(),
        filter,
    )
}

fn grid(
    model: &Sequential,
    layers: Option<Vec<&str>>,
    images: &Tensor,
    indices: Vec<i64>,
    filter: i64,
) -> Result<Figure> {
    check_images(model.built()?, images)?;
    let count = images.size()[0];
    if indices.is_empty() {
        return Err(error(texts::figure_no_indices(count - 1)));
    }
    if let Some(index) = indices.iter().find(|index| !(0..count).contains(*index)) {
        return Err(error(texts::figure_no_such_image(index, count - 1)));
    }
    let layers_asked = layers.as_ref().map_or(0, Vec::len);
    if indices.len().max(layers_asked) > MOST {
        return Err(error(texts::figure_grid_too_large(MOST)));
    }
    let chosen = Tensor::from_slice(&indices);
    let chosen = images.f_index_select(0, &chosen.to_device(images.device()));
    let outputs = model.activations(&chosen.map_err(torch)?)?;

    let shown = match layers {
        None => first_pictures(&outputs)?,
        Some(names) => {
            let found = names.into_iter().map(|name| picture(&outputs, name));
            found.collect::<Result<Vec<_>>>()?
        }
    };
    for &layer in &shown {
        let filters = outputs[layer].output.size()[1];
        if !(0..filters).contains(&filter) {
            let place = place(&outputs, layer);
            return Err(error(texts::figure_no_such_filter(
                place,
                filter,
                filters - 1,
            )));
        }
    }
    let heading = |&layer: &usize| Heading {
        name: outputs[layer].name.clone(),
        shape: format!("{:?}", &outputs[layer].output.size()[1..]),
    };
    let headings: Vec<Heading> = shown.iter().map(heading).collect();
    let answers = answers(&outputs)?;
    let mut rows = Vec::new();
    for (row, index) in indices.iter().enumerate() {
        let planes = shown
            .iter()
            .map(|&layer| Plane::of(&outputs[layer].output, row as i64, filter))
            .collect::<Result<Vec<_>>>()?;
        rows.push(Row {
            index: *index,
            answer: answers.get(row).copied(),
            planes,
        });
    }
    let what = texts::figure_activations(rows.len(), headings.len());
    let title = texts::figure_filter(filter);
    Ok(Figure::with_classes(
        move |names| draw(&title, &headings, &rows, names),
        what,
    ))
}

/// The layers at the beginning whose output is images, four at most.
fn first_pictures(outputs: &[LayerOutput]) -> Result<Vec<usize>> {
    let pictures = outputs.iter().take_while(|layer| is_picture(layer)).count();
    if pictures == 0 {
        return Err(no_picture(outputs, 0));
    }
    Ok((0..pictures.min(LAYERS)).collect())
}

/// The position of the layer of this name, if its output is images.
pub(crate) fn picture(outputs: &[LayerOutput], name: &str) -> Result<usize> {
    let Some(position) = outputs.iter().position(|layer| layer.name == name) else {
        let names: Vec<&str> = outputs.iter().map(|layer| layer.name.as_str()).collect();
        return Err(error(texts::no_such_layer(name, names.join(", "))));
    };
    if !is_picture(&outputs[position]) {
        return Err(no_picture(outputs, position));
    }
    Ok(position)
}

fn no_picture(outputs: &[LayerOutput], position: usize) -> anyhow::Error {
    let pictures = outputs.iter().filter(|layer| is_picture(layer));
    let names: Vec<&str> = pictures.map(|layer| layer.name.as_str()).collect();
    let place = place(outputs, position);
    error(if names.is_empty() {
        texts::figure_no_pictures_at_all(place)
    } else {
        texts::figure_layer_without_picture(place, names.join(", "))
    })
}

fn is_picture(layer: &LayerOutput) -> bool {
    layer.output.dim() == 4
}

fn place(outputs: &[LayerOutput], position: usize) -> LayerRef {
    LayerRef {
        position: position + 1,
        name: outputs[position].name.clone(),
    }
}

/// The most probable class of each image, if the last layer tells classes.
fn answers(outputs: &[LayerOutput]) -> Result<Vec<usize>> {
    match outputs.last() {
        Some(LayerOutput { output, .. }) if output.dim() == 2 && output.size()[1] > 1 => {
            let answers = output
                .f_argmax(-1, false)
                .and_then(|it| Vec::<i64>::try_from(&it));
            let answers = answers.map_err(torch)?.into_iter();
            Ok(answers.map(|class| class as usize).collect())
        }
        _ => Ok(Vec::new()),
    }
}

/// One filter's output for one image: numbers in rows and columns.
#[derive(Clone, Debug)]
pub(crate) struct Plane {
    pub rows: usize,
    pub columns: usize,
    /// Row by row, `rows × columns` of them.
    pub values: Vec<f32>,
}

impl Plane {
    /// Channel `filter` of image `index` of `[images, channels, height, width]`.
    pub(crate) fn of(output: &Tensor, index: i64, filter: i64) -> Result<Self> {
        let size = output.size();
        let values = || {
            let plane = output.f_get(index)?.f_get(filter)?;
            Vec::<f32>::try_from(&plane.f_reshape([-1])?)
        };
        Ok(Self {
            rows: size[2] as usize,
            columns: size[3] as usize,
            values: values().map_err(torch)?,
        })
    }

    /// The smallest and the largest finite value; 0 and 0 when there is none.
    pub(crate) fn range(&self) -> (f32, f32) {
        self.values
            .iter()
            .filter(|value| value.is_finite())
            .fold(None, |range, &value| match range {
                None => Some((value, value)),
                Some((low, high)) => Some((value.min(low), value.max(high))),
            })
            .unwrap_or_default()
    }

    /// Inferno colours from the plane's own minimum to its own maximum, as matplotlib's `imshow` gives them; a plane
    /// that is the same everywhere is dark. Grey stands for what is not a number.
    pub(crate) fn cells(&self) -> Vec<[u8; 3]> {
        let (low, high) = self.range();
        let span = if high > low { high - low } else { 1.0 };
        self.values
            .iter()
            .map(|value| inferno(f64::from((value - low) / span)))
            .collect()
    }
}

/// The colour for a value between 0 and 1.
pub(crate) fn inferno(value: f64) -> [u8; 3] {
    if !value.is_finite() {
        return [128, 128, 128];
    }
    // matplotlib's own rounding to one of the 256 colours.
    let color = colorous::INFERNO.eval_rational((value * 256.0).clamp(0.0, 255.0) as usize, 256);
    [color.r, color.g, color.b]
}

/// A heading over a column: a layer's name and its output's shape.
#[derive(Clone, Debug)]
pub(crate) struct Heading {
    pub name: String,
    pub shape: String,
}

/// Space between the panels: for the vertical ticks, and for the horizontal ticks with the range of the next row.
const GAP: (f64, f64) = (30.0, 40.0);
/// Between a panel and its ticks' numbers.
const TICK: f64 = 4.0;
/// The largest side of a panel.
const PANEL: f64 = 200.0;

/// One image's row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The image's number.
    pub index: i64,
    /// The class that the net takes it for.
    pub answer: Option<usize>,
    pub planes: Vec<Plane>,
}

impl Row {
    /// What stands before the row, line by line.
    fn label(&self, names: &Names) -> Vec<String> {
        let mut lines = vec![texts::figure_image(self.index)];
        if let Some(class) = self.answer {
            lines.extend([texts::figure_answer(), names.of(class)]);
        }
        lines
    }
}

/// Draws rows of planes under the headings.
pub(crate) fn draw(title: &str, headings: &[Heading], rows: &[Row], names: &Names) -> Scene {
    let labelled: Vec<_> = rows
        .iter()
        .map(|row| (row.label(names), &row.planes))
        .collect();
    let labels = labelled.iter().flat_map(|(lines, _)| lines);
    let label = labels
        .map(|line| text_width(line, look::TEXT, true))
        .fold(0.0, f64::max)
        .min(160.0)
        .ceil();
    let left = look::MARGIN + label + GAP.0;
    let count = headings.len().max(1) as f64;
    let room = look::WIDTH - left - look::MARGIN - GAP.0 * (count - 1.0);
    let side = whole_pixels((room / count).clamp(24.0, PANEL).floor(), rows);
    let title_width = text_width(title, look::TITLE, true) + 2.0 * look::MARGIN;
    let width = left + count * (side + GAP.0) - GAP.0 + look::MARGIN;
    let top = look::MARGIN + look::TITLE + 56.0;
    let height = top + rows.len() as f64 * (side + GAP.1) - GAP.1 + 20.0 + look::MARGIN;

    let mut scene = Scene::new(width.max(title_width), height);
    let baseline = look::MARGIN + look::TITLE * 0.8;
    scene.heading((look::MARGIN, baseline), Anchor::Start, look::TITLE, title);
    for (column, heading) in headings.iter().enumerate() {
        let middle = left + column as f64 * (side + GAP.0) + side / 2.0;
        let name = fitted(&heading.name, look::TEXT, true, side + GAP.0 - 6.0);
        scene.heading((middle, top - 34.0), Anchor::Middle, look::TEXT, name);
        let shape = fitted(&heading.shape, look::SMALL, false, side + GAP.0 - 6.0);
        scene.text(
            (middle, top - 19.0),
            Anchor::Middle,
            look::SMALL,
            look::GREY,
            shape,
        );
    }
    for (row, (lines, planes)) in labelled.iter().enumerate() {
        let y = top + row as f64 * (side + GAP.1);
        let first = y + side / 2.0 - (lines.len() as f64 - 1.0) * 9.0 + look::TEXT * 0.36;
        for (i, line) in lines.iter().enumerate() {
            let at = (look::MARGIN, first + i as f64 * 18.0);
            if i == 0 {
                let line = fitted(line, look::TEXT, true, label);
                scene.heading(at, Anchor::Start, look::TEXT, line);
            } else {
                let line = fitted(line, look::TEXT, false, label);
                scene.text(at, Anchor::Start, look::TEXT, look::GREY, line);
            }
        }
        for (column, plane) in planes.iter().enumerate() {
            panel(
                &mut scene,
                plane,
                (left + column as f64 * (side + GAP.0), y),
                side,
            );
        }
    }
    scene
}

/// A side at most 15 % smaller at which the largest plane's pixels are all equally large, or `side` itself.
fn whole_pixels(side: f64, rows: &[Row]) -> f64 {
    let planes = rows.iter().flat_map(|row| &row.planes);
    let largest = planes.map(|plane| plane.rows.max(plane.columns)).max();
    let largest = largest.unwrap_or(1).max(1) as f64;
    let whole = (side / largest).floor() * largest;
    if whole >= side * 0.85 { whole } else { side }
}

/// One plane in a square of `side`, with its ticks and its range.
fn panel(scene: &mut Scene, plane: &Plane, at: (f64, f64), side: f64) {
    // The longer axis fills the square, the other keeps the pixels square.
    let longer = plane.rows.max(plane.columns).max(1) as f64;
    let width = (side * plane.columns as f64 / longer).round().max(1.0);
    let height = (side * plane.rows as f64 / longer).round().max(1.0);
    let (x, y) = (
        at.0 + ((side - width) / 2.0).floor(),
        at.1 + ((side - height) / 2.0).floor(),
    );
    scene.pictures.push(Picture {
        at: (x as u32, y as u32),
        size: (width as u32, height as u32),
        columns: plane.columns,
        rows: plane.rows,
        cells: plane.cells(),
    });
    let limit = if side < 100.0 { 3 } else { 6 };
    let ticks = |count: usize| (0..count).step_by(whole_step(count, limit));
    for tick in ticks(plane.columns) {
        let x = x + (tick as f64 + 0.5) * width / plane.columns as f64;
        scene.line(
            vec![(x, y + height), (x, y + height + TICK)],
            1.0,
            look::GREY,
        );
        let at = (x, y + height + TICK + look::SMALL);
        scene.text(
            at,
            Anchor::Middle,
            look::SMALL,
            look::GREY,
            tick.to_string(),
        );
    }
    for tick in ticks(plane.rows) {
        let y = y + (tick as f64 + 0.5) * height / plane.rows as f64;
        scene.line(vec![(x - TICK, y), (x, y)], 1.0, look::GREY);
        let at = (x - TICK - 2.0, y + look::SMALL * 0.36);
        scene.text(at, Anchor::End, look::SMALL, look::GREY, tick.to_string());
    }
    if side >= 100.0 {
        let (low, high) = plane.range();
        let range = format!("{} … {}", short(low.into()), short(high.into()));
        scene.text(
            (x + width, y - 5.0),
            Anchor::End,
            look::SMALL,
            look::GREY,
            range,
        );
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::model::{Activation, conv2d, dense, flatten, max_pooling2d};

    fn plane(rows: usize, columns: usize, values: &[f32]) -> Plane {
        Plane {
            rows,
            columns,
            values: values.to_vec(),
        }
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
        result
            .map(|figure| figure.to_string())
            .unwrap_err()
            .to_string()
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
    fn each_plane_has_its_own_scale() {
        let (dark, bright) = ([0, 0, 4], [252, 255, 164]);
        assert_eq!(
            plane(1, 3, &[2.0, 5.0, 3.5]).cells(),
            [dark, bright, inferno(0.5)]
        );
        assert_eq!(plane(1, 2, &[-1.0, -0.9]).cells(), [dark, bright]);
        assert_eq!(
            plane(1, 2, &[7.0, 7.0]).cells(),
            [dark, dark],
            "all the same"
        );
        let cells = plane(1, 3, &[0.0, f32::NAN, 1.0]).cells();
        assert_eq!(cells, [dark, [128; 3], bright]);
    }

    #[test]
    fn panels_lie_in_a_grid_on_the_paper() {
        let rows: Vec<Row> = (0..3)
            .map(|index| Row {
                index,
                answer: None,
                planes: vec![plane(2, 2, &[0.0, 1.0, 2.0, 3.0]), plane(1, 2, &[0.0, 1.0])],
            })
            .collect();
        let heading = Heading {
            name: "conv2d".into(),
            shape: "[1, 2, 2]".into(),
        };
        let scene = draw("", &[heading.clone(), heading], &rows, &Names::default());
        assert_eq!(scene.pictures.len(), 6);
        let pixels = scene.pixels().unwrap();
        assert_eq!(pixels.len(), (scene.width * scene.height * 3) as usize);
        assert!(f64::from(scene.width) <= look::WIDTH);
        for picture in &scene.pictures {
            assert!(picture.at.0 + picture.size.0 <= scene.width);
            assert!(picture.at.1 + picture.size.1 <= scene.height);
            // The middle of the first and of the last cell, in the finished picture.
            let cell = (
                picture.size.0 / picture.columns as u32 / 2,
                picture.size.1 / picture.rows as u32 / 2,
            );
            let color = |x: u32, y: u32| {
                let at = ((y * scene.width + x) * 3) as usize;
                [pixels[at], pixels[at + 1], pixels[at + 2]]
            };
            assert_eq!(
                color(picture.at.0 + cell.0, picture.at.1 + cell.1),
                inferno(0.0)
            );
            let end = (picture.at.0 + picture.size.0, picture.at.1 + picture.size.1);
            assert_eq!(color(end.0 - cell.0, end.1 - cell.1), inferno(1.0));
        }
        let [first, below] = [&scene.pictures[0], &scene.pictures[2]];
        assert_eq!(first.at.0, below.at.0, "a column stands straight");
        assert_eq!(first.size, below.size);
    }

    #[test]
    fn grid_shows_the_models_activations() {
        let (model, images) = net();
        let figure = activation_grid(&model, &images, [4, 1], 2).unwrap();
        let outputs = model.activations(&images).unwrap();
        let pictures = &figure.scene().pictures;
        assert_eq!(pictures.len(), 8, "two images, four layers");
        for (i, (image, layer)) in [4, 1]
            .into_iter()
            .flat_map(|image| (0..4).map(move |layer| (image, layer)))
            .enumerate()
        {
            let plane = Plane::of(&outputs[layer].output, image, 2).unwrap();
            assert_eq!(
                pictures[i].cells,
                plane.cells(),
                "image {image}, layer {layer}"
            );
        }
        let texts = figure.scene().texts();
        for text in [
            "conv2d",
            "max_pooling2d_1",
            "[6, 26, 26]",
            "[4, 5, 5]",
            "0",
            "25",
        ] {
            assert!(texts.contains(&text), "{text} in {texts:?}");
        }
        assert!(
            texts.contains(&texts::figure_image(4).as_str()),
            "{texts:?}"
        );
    }

    #[test]
    fn answers_are_called_by_their_names() {
        let (model, images) = net();
        let figure = activation_grid(&model, &images, [0], 0).unwrap();
        let names = (0..10).map(|class| format!("класс {class}"));
        let named = figure.names(names);
        let texts = named.scene().texts();
        assert!(
            texts.iter().any(|text| text.starts_with("класс ")),
            "{texts:?}"
        );
    }

    #[test]
    fn layers_can_be_chosen() {
        let (model, images) = net();
        let figure = activation_grid_of(&model, ["conv2d_1"], &images, [0], 3).unwrap();
        let pictures = &figure.scene().pictures;
        assert_eq!(pictures.len(), 1);
        assert_eq!((pictures[0].rows, pictures[0].columns), (11, 11));
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
        // The second convolution has four filters, the first has six.
        let said = refused(activation_grid(&model, &images, [0], 5));
        let place = texts::place(3, "conv2d_1");
        assert_eq!(said, texts::figure_no_such_filter(place, 5, 3));
        let said = refused(activation_grid_of(&model, ["dense"], &images, [0], 0));
        let pictures = "conv2d, max_pooling2d, conv2d_1, max_pooling2d_1";
        let place = texts::place(6, "dense");
        assert_eq!(said, texts::figure_layer_without_picture(place, pictures));
        let said = refused(activation_grid_of(&model, ["conv2d_7"], &images, [0], 0));
        let all = format!("{pictures}, flatten, dense");
        assert_eq!(said, texts::no_such_layer("conv2d_7", all));
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
        assert_eq!(figure.scene().pictures.len(), 1);
    }
}
