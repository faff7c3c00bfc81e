//! Images with their names: a gallery, a net's answers, its surest mistakes, the confusion matrix.

use tch::{Kind, Tensor};

use super::confusion;
use super::figure::{Figure, Names};
use super::scene::{Scene, look};
use super::tiles::{Layout, Tile, draw as draw_tiles};
use crate::Result;
use crate::model::{Sequential, check_images, check_labels};
use crate::session::{error, texts, torch};

/// A gallery shows no more images: that is what a screen has room for.
const MOST: i64 = 60;

/// Images with their labels: `&data.test`, or `(&images, &labels)`.
pub trait Examples {
    /// `[images, …one image's shape]`.
    fn images(&self) -> &Tensor;
    /// Class numbers, `[images]`.
    fn labels(&self) -> &Tensor;
}

impl Examples for &(Tensor, Tensor) {
    fn images(&self) -> &Tensor {
        &self.0
    }

    fn labels(&self) -> &Tensor {
        &self.1
    }
}

impl Examples for (&Tensor, &Tensor) {
    fn images(&self) -> &Tensor {
        self.0
    }

    fn labels(&self) -> &Tensor {
        self.1
    }
}

/// Images in rows, each over its class; the first 60 if there are more.
///
/// `images`: `[images, height, width]` or `[images, channels, height, width]` with 1 or 3 channels, drawn from their
/// smallest to their largest value; `labels`: class numbers `[images]`. With
/// [`.names(class_names)`](Figure::names) the classes are called by their names.
///
/// # Errors
/// If the images have another shape, there are none, or the labels don't belong to them.
pub fn gallery(images: &Tensor, labels: &Tensor) -> Result<Figure> {
    let labels = plain_labels(images, labels)?;
    let count = labels.len().min(MOST as usize);
    let mut shown = pictures(images, &first(count))?;
    for (image, label) in shown.iter_mut().zip(&labels) {
        image.label = *label;
    }
    let title = texts::figure_gallery(count, labels.len());
    let what = texts::figure_gallery_line(count);
    Ok(Figure::with_classes(
        move |names| draw(&title, "", &shown, names),
        what,
    ))
}

/// [`gallery`] with the model's answers: right ones blue with ✓, wrong ones vermilion with ✗ and the true class.
///
/// # Errors
/// As [`gallery`] and [`Sequential::evaluate`].
pub fn gallery_of_answers(model: &Sequential, images: &Tensor, labels: &Tensor) -> Result<Figure> {
    let all = images.size().first().copied().unwrap_or_default();
    // The model's own checks come first: they know what an image of its is.
    let network = model.classifier()?;
    check_images(network, images)?;
    let labels = check_labels(network, images, labels)?;
    let count = all.min(MOST);
    let narrow = |tensor: &Tensor| tensor.f_narrow(0, 0, count).map_err(torch);
    let answers = Answers::of(model, &narrow(images)?, &narrow(&labels)?)?;
    let shown = answers.shown(images, &first(count as usize), false)?;
    let right = shown.iter().filter(|image| image.is_right()).count();
    let title = texts::figure_answers(count, all);
    let note = texts::figure_answers_note(right, count);
    let what = texts::figure_gallery_line(count);
    Ok(Figure::with_classes(
        move |names| draw(&title, &note, &shown, names),
        what,
    ))
}

/// The model's surest wrong answers, surest first: `mistakes(&model, &data.test, 16)?.names(data.class_names)`.
///
/// At most `count` images, 1 to 60; fewer where there are not so many mistakes. Each stands over the answer and its
/// probability, the true class, and its number in the data.
///
/// # Errors
/// If `count` is not 1 to 60. As [`Sequential::evaluate`].
pub fn mistakes(model: &Sequential, test: impl Examples, count: usize) -> Result<Figure> {
    if !(1..=MOST as usize).contains(&count) {
        return Err(error(texts::figure_how_many(count)));
    }
    let answers = Answers::of(model, test.images(), test.labels())?;
    let mut wrong: Vec<usize> = (0..answers.labels.len())
        .filter(|&i| answers.classes[i] != answers.labels[i])
        .collect();
    wrong.sort_by(|&a, &b| answers.shares[b].total_cmp(&answers.shares[a]));
    let note = texts::figure_mistakes_note(wrong.len(), answers.labels.len());
    wrong.truncate(count);
    let shown = answers.shown(test.images(), &wrong, true)?;
    let title = texts::figure_mistakes();
    let what = texts::figure_mistakes_line(shown.len());
    Ok(Figure::with_classes(
        move |names| draw(&title, &note, &shown, names),
        what,
    ))
}

/// Which classes the model takes for which: rows are the true classes, columns the model's answers, numbers are images;
/// at the end of each row the share of right answers.
/// `confusion_matrix(&model, &data.test)?.names(data.class_names)`.
///
/// # Errors
/// As [`Sequential::evaluate`].
pub fn confusion_matrix(model: &Sequential, test: impl Examples) -> Result<Figure> {
    let answers = Answers::of(model, test.images(), test.labels())?;
    let mut counts = vec![vec![0; answers.possible]; answers.possible];
    for (&truth, &answer) in answers.labels.iter().zip(&answers.classes) {
        counts[truth][answer] += 1;
    }
    let what = texts::figure_confusion_line(answers.possible, answers.labels.len());
    Ok(Figure::with_classes(
        move |names| confusion::draw(&counts, names),
        what,
    ))
}

/// A model's answers for labelled images.
struct Answers {
    /// How many classes there are.
    possible: usize,
    labels: Vec<usize>,
    classes: Vec<usize>,
    /// The probability of each answer.
    shares: Vec<f64>,
}

impl Answers {
    fn of(model: &Sequential, images: &Tensor, labels: &Tensor) -> Result<Self> {
        let network = model.classifier()?;
        check_images(network, images)?;
        let labels = check_labels(network, images, labels)?;
        let answers = model.predict(images)?;
        let read = || {
            let (shares, classes) = answers.f_max_dim(-1, false)?;
            tch::Result::Ok((
                numbers(&labels)?,
                numbers(&classes)?,
                Vec::<f64>::try_from(&shares)?,
            ))
        };
        let (labels, classes, shares) = read().map_err(torch)?;
        Ok(Self {
            possible: answers.size()[1] as usize,
            labels,
            classes,
            shares,
        })
    }

    /// These of the images, with their labels and answers.
    fn shown(&self, images: &Tensor, indices: &[usize], numbered: bool) -> Result<Vec<Shown>> {
        let mut shown = pictures(images, indices)?;
        for (image, &index) in shown.iter_mut().zip(indices) {
            image.index = numbered.then_some(index);
            image.label = self.labels[index];
            image.answer = Some((self.classes[index], self.shares[index]));
        }
        Ok(shown)
    }
}

fn first(count: usize) -> Vec<usize> {
    (0..count).collect()
}

fn numbers(tensor: &Tensor) -> tch::Result<Vec<usize>> {
    let numbers = Vec::<i64>::try_from(tensor)?;
    Ok(numbers.into_iter().map(|number| number as usize).collect())
}

/// Labels without a model that knows their range.
fn plain_labels(images: &Tensor, labels: &Tensor) -> Result<Vec<usize>> {
    let size = labels.size();
    let count = images.size().first().copied().unwrap_or_default();
    if size.len() != 1 {
        return Err(error(texts::labels_shape(format!("{size:?}"))));
    }
    if !matches!(
        labels.kind(),
        Kind::Uint8 | Kind::Int8 | Kind::Int16 | Kind::Int | Kind::Int64
    ) {
        return Err(error(texts::label_kind(format!("{:?}", labels.kind()))));
    }
    if size[0] != count {
        return Err(error(texts::counts_differ(count, size[0])));
    }
    if count == 0 {
        return Err(error(texts::no_images()));
    }
    let labels = Vec::<i64>::try_from(labels).map_err(torch)?;
    if let Some(index) = labels.iter().position(|&label| label < 0) {
        return Err(error(texts::figure_negative_label(labels[index], index)));
    }
    Ok(labels.into_iter().map(|label| label as usize).collect())
}

/// These images, grey or RGB, all on one scale from their smallest to their largest value. Labels are still 0.
fn pictures(images: &Tensor, indices: &[usize]) -> Result<Vec<Shown>> {
    let size = images.size();
    let (channels, rows, columns) = match size.as_slice() {
        [_, rows, columns] => (1, *rows as usize, *columns as usize),
        [_, channels @ (1 | 3), rows, columns] => {
            (*channels as usize, *rows as usize, *columns as usize)
        }
        _ => return Err(error(texts::figure_images_shape(format!("{size:?}")))),
    };
    if indices.is_empty() {
        return Ok(Vec::new());
    }
    let chosen: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
    let values = || {
        let chosen = Tensor::from_slice(&chosen).f_to_device(images.device())?;
        let chosen = images.f_index_select(0, &chosen)?;
        Vec::<f32>::try_from(&chosen.f_to_kind(Kind::Float)?.f_reshape([-1])?)
    };
    let values = values().map_err(torch)?;
    let finite = values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| {
        (value.min(low), value.max(high))
    });
    let span = if high > low { high - low } else { 1.0 };
    let shade = |value: f32| ((value - low) / span * 255.0).round() as u8;
    let area = rows * columns;
    let images = values.chunks_exact((area * channels).max(1));
    let shown = images.map(|image| Shown {
        index: None,
        rows,
        columns,
        cells: (0..area)
            .map(|i| {
                let of = |channel: usize| shade(image[i + area * channel.min(channels - 1)]);
                [of(0), of(1), of(2)]
            })
            .collect(),
        label: 0,
        answer: None,
    });
    Ok(shown.collect())
}

/// An image to show.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// Its number in the data, if that is to be told.
    pub index: Option<usize>,
    pub rows: usize,
    pub columns: usize,
    pub cells: Vec<[u8; 3]>,
    pub label: usize,
    /// What the net takes it for, and with which probability.
    pub answer: Option<(usize, f64)>,
}

impl Shown {
    fn is_right(&self) -> bool {
        self.answer.is_some_and(|(class, _)| class == self.label)
    }
}

/// Draws images in rows, each over its class; with an answer, over the answer, marked as right or wrong.
pub(crate) fn draw(title: &str, note: &str, images: &[Shown], names: &Names) -> Scene {
    // Sides at which an image of 28 × 28 has whole pixels.
    let layout = if images.len() <= 28 {
        Layout {
            columns: 7,
            gap: 22.0,
            side: 112.0,
        }
    } else {
        Layout {
            columns: 10,
            gap: 9.0,
            side: 84.0,
        }
    };
    let wide = layout.side > 100.0;
    let tiles: Vec<Tile> = images
        .iter()
        .map(|image| tile(image, names, wide))
        .collect();
    draw_tiles(title, note, &tiles, layout)
}

/// The probability of an answer is told where the tile is wide enough.
fn tile(image: &Shown, names: &Names, wide: bool) -> Tile {
    let [right, wrong, ..] = look::SERIES;
    let truth = names.of(image.label);
    let (mut caption, mut frame) = (Vec::new(), None);
    match image.answer {
        None => caption.push((truth, look::INK)),
        Some((class, share)) => {
            let mut name = names.of(class);
            if wide {
                name = format!("{name} {} %", percent(share));
            }
            if image.is_right() {
                caption.push((format!("✓ {name}"), right));
            } else {
                frame = Some(wrong);
                caption.push((format!("✗ {name}"), wrong));
                caption.push((texts::figure_in_truth(truth), look::INK));
            }
        }
    }
    if let Some(index) = image.index {
        caption.push((texts::figure_image(index), look::GREY));
    }
    Tile {
        rows: image.rows,
        columns: image.columns,
        cells: image.cells.clone(),
        caption,
        frame,
    }
}

/// Whole percent; near certainty, where the difference is of interest, tenths, and "100" only for what is certain.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if (98.5..100.0).contains(&percent) {
        format!("{:.1}", (percent * 10.0).floor() / 10.0)
    } else {
        format!("{percent:.0}")
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::model::{Activation, dense, flatten};

    /// A net that takes every image of two pixels for the class of its brighter pixel, and images of which it mistakes
    /// the second and the fourth.
    fn net() -> (Sequential, (Tensor, Tensor)) {
        let mut model = Sequential::new([flatten(), dense(2, Activation::Softmax)]);
        model = model.input_shape([1, 2]);
        let kernel = Tensor::from_slice(&[1.0f32, 0.0, 0.0, 1.0]).reshape([2, 2]);
        model.set_weights(&[("dense.kernel", kernel)]).unwrap();
        let images = [5.0f32, 0.0, 1.0, 0.0, 0.0, 3.0, 0.0, 4.0];
        let images = Tensor::from_slice(&images).reshape([4, 1, 2]);
        (model, (images, Tensor::from_slice(&[0i64, 1, 1, 0])))
    }

    fn refused(result: Result<Figure>) -> String {
        result
            .map(|figure| figure.to_string())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn gallery_shows_images_over_their_classes() {
        let (_, (images, labels)) = net();
        let figure = gallery(&images, &labels).unwrap().names(["Кот", "Пёс"]);
        let scene = figure.scene();
        assert_eq!(scene.pictures.len(), 4);
        // One scale for all: 5 is white, 1 is a fifth of it.
        assert_eq!(scene.pictures[0].cells, [[255; 3], [0; 3]]);
        assert_eq!(scene.pictures[1].cells, [[51; 3], [0; 3]]);
        let texts = scene.texts();
        let count = |name| texts.iter().filter(|text| **text == name).count();
        assert_eq!((count("Кот"), count("Пёс")), (2, 2), "{texts:?}");
    }

    #[test]
    fn colour_images_are_shown_in_colour() {
        let image = Tensor::from_slice(&[255u8, 0, 0]).reshape([1, 3, 1, 1]);
        let figure = gallery(&image, &Tensor::from_slice(&[0i64])).unwrap();
        assert_eq!(figure.scene().pictures[0].cells, [[255, 0, 0]]);
    }

    #[test]
    fn a_long_gallery_ends_at_sixty() {
        let images = Tensor::zeros([61, 4, 4], (Kind::Uint8, Device::Cpu));
        let labels = Tensor::zeros([61], (Kind::Int64, Device::Cpu));
        let figure = gallery(&images, &labels).unwrap();
        assert_eq!(figure.scene().pictures.len(), 60);
        let title = texts::figure_gallery(60, 61);
        assert!(figure.scene().texts().contains(&title.as_str()));
    }

    #[test]
    fn right_and_wrong_answers_are_marked() {
        let (model, (images, labels)) = net();
        let figure = gallery_of_answers(&model, &images, &labels).unwrap();
        let figure = figure.names(["Кот", "Пёс"]);
        let texts = figure.scene().texts();
        let with = |mark: char| texts.iter().filter(|text| text.starts_with(mark)).count();
        assert_eq!((with('✓'), with('✗')), (2, 2), "{texts:?}");
        assert!(
            texts.contains(&texts::figure_in_truth("Пёс").as_str()),
            "{texts:?}"
        );
    }

    #[test]
    fn mistakes_begin_with_the_surest() {
        let (model, test) = net();
        let figure = mistakes(&model, &test, 10).unwrap();
        let scene = figure.scene();
        assert_eq!(scene.pictures.len(), 2);
        // The fourth image is taken for a 1 with the probability σ(4), the second for a 0 with σ(1).
        let texts = scene.texts();
        let order: Vec<_> = texts.iter().filter(|text| text.starts_with('✗')).collect();
        assert_eq!(order, [&"✗ 1 98 %", &"✗ 0 73 %"]);
        assert!(
            texts.contains(&texts::figure_image(3).as_str()),
            "{texts:?}"
        );
        let one = mistakes(&model, (&test.0, &test.1), 1).unwrap();
        assert_eq!(one.scene().pictures.len(), 1);
    }

    #[test]
    fn a_net_without_mistakes_has_an_empty_figure() {
        let (model, (images, _)) = net();
        let labels = Tensor::from_slice(&[0i64, 0, 1, 1]);
        let figure = mistakes(&model, (&images, &labels), 5).unwrap();
        let note = texts::figure_mistakes_note(0, 4);
        assert!(figure.scene().texts().contains(&note.as_str()));
        assert!(figure.png().is_ok());
    }

    #[test]
    fn confusion_matrix_counts() {
        let (model, test) = net();
        let figure = confusion_matrix(&model, &test).unwrap();
        let texts = figure.scene().texts();
        assert_eq!(
            texts.iter().filter(|text| **text == "50.0 %").count(),
            2,
            "{texts:?}"
        );
        let note = texts::figure_confusion_note(2, 4, "50.0");
        assert!(texts.contains(&note.as_str()), "{texts:?}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (model, (images, labels)) = net();
        let said = refused(gallery(&images, &labels.narrow(0, 0, 3)));
        assert_eq!(said, texts::counts_differ(4, 3));
        let said = refused(gallery(&images, &labels.to_kind(Kind::Float)));
        assert_eq!(said, texts::label_kind("Float"));
        let said = refused(gallery(&images, &(&labels - 1)));
        assert_eq!(said, texts::figure_negative_label(-1, 0));
        let said = refused(gallery(&images.reshape([4, 2]), &labels));
        assert_eq!(said, texts::figure_images_shape("[4, 2]"));
        let none = (images.narrow(0, 0, 0), labels.narrow(0, 0, 0));
        assert_eq!(refused(gallery(&none.0, &none.1)), texts::no_images());
        let said = refused(mistakes(&model, (&images, &labels), 0));
        assert_eq!(said, texts::figure_how_many(0));
    }

    #[test]
    fn near_certainty_is_not_called_certain() {
        for (share, text) in [(0.5, "50"), (0.984, "98"), (0.99996, "99.9"), (1.0, "100")] {
            assert_eq!(percent(share), text);
        }
    }
}
