//! Images over their classes: a gallery of data, and the images that a model misclassifies.

use anyhow::{bail, ensure};
use tch::Tensor;

use super::canvas::Color;
use super::figure::{Drawing, Figure, Names};
use super::images::draw_images;
use super::predictions::Predictions;
use super::scene::{Cells, Scene};
use super::theme::{GREY, INK, SERIES};
use super::tiles::{Tile, draw};
use crate::Result;
use crate::model::{Sequential, batch_len, whole_numbers};
use crate::session::{compute, texts};

/// No more images are shown: that is what a screen has room for.
const MAX_IMAGES: usize = 28;
/// A side at which an image of 28 × 28 has whole pixels.
const SIDE: f64 = 112.0;
/// Between the images.
const GAP: f64 = 14.0;

/// Images in rows, each over its class; the first 28 if there are more.
///
/// `images`: `[images, height, width]` or `[images, channels, height, width]` with 1 or 3 channels, drawn from their
/// smallest to their largest value; `labels`: class numbers `[images]`. With
/// [`.names(class_names)`](Figure::names) the classes are called by their names.
///
/// # Errors
/// If the images have another shape, there are none, or the labels don't belong to them.
pub fn gallery(images: &Tensor, labels: &Tensor) -> Result<Figure> {
    let labels = plain_labels(images, labels)?;
    let shown: Vec<i64> = (0..labels.len().min(MAX_IMAGES) as i64).collect();
    let cells = draw_images(images, &shown)?;
    Ok(Figure::new(Gallery { cells, labels }))
}

/// The model's surest wrong predictions, surest first, at most 28:
/// `misclassified(&model, &test_images, &test_labels)?.names(class_names)`.
///
/// Each image stands over the predicted class and its probability, the true class, and its number in the data.
///
/// # Errors
/// As [`Sequential::evaluate`]. If the images have not 1 or 3 channels.
pub fn misclassified(model: &Sequential, images: &Tensor, labels: &Tensor) -> Result<Figure> {
    let predictions = Predictions::of(model, images, labels)?;
    let is_wrong = |&i: &usize| predictions.classes[i] != predictions.labels[i];
    let mut wrong: Vec<usize> = (0..predictions.labels.len()).filter(is_wrong).collect();
    let probability = |i: usize| predictions.probabilities[i];
    wrong.sort_by(|a, b| probability(*b).total_cmp(&probability(*a)));
    let shown: Vec<i64> = wrong.iter().map(|i| *i as i64).take(MAX_IMAGES).collect();
    Ok(Figure::new(Misclassified {
        cells: draw_images(images, &shown)?,
        wrong,
        predictions,
    }))
}

/// Labels without a model that knows their range.
fn plain_labels(images: &Tensor, labels: &Tensor) -> Result<Vec<i64>> {
    let labels = whole_numbers(labels, batch_len(images))?;
    let labels = compute(|| Vec::<i64>::try_from(&labels))?;
    ensure!(!labels.is_empty(), texts::no_images());
    if let Some(index) = labels.iter().position(|&label| label < 0) {
        bail!(texts::figure_negative_label(labels[index], index));
    }
    Ok(labels)
}

struct Gallery {
    /// The images shown, the first of all.
    cells: Vec<Cells>,
    /// The classes of all.
    labels: Vec<i64>,
}

impl Drawing for Gallery {
    fn alt(&self, names: &Names) -> String {
        let shown = self.cells.len();
        let classes = self.labels[..shown].iter().map(|label| names.of(*label));
        let classes = classes.collect::<Vec<_>>().join(", ");
        texts::figure_gallery_line(shown, self.labels.len(), classes)
    }

    fn scene(&self, names: &Names) -> Scene {
        let images = self.cells.iter().zip(&self.labels);
        let tiles = images.map(|(cells, label)| Tile {
            cells: cells.clone(),
            caption: vec![(names.of(*label), INK)],
            frame: None,
        });
        let title = texts::figure_gallery(self.cells.len(), self.labels.len());
        draw(&title, "", tiles.collect(), SIDE, GAP)
    }
}

struct Misclassified {
    /// The images shown, the first of the wrong ones.
    cells: Vec<Cells>,
    /// The numbers of the images that were misclassified, the surest mistake first.
    wrong: Vec<usize>,
    predictions: Predictions,
}

impl Drawing for Misclassified {
    fn alt(&self, names: &Names) -> String {
        let (shown, it) = (self.cells.len(), &self.predictions);
        let mistakes = self.wrong[..shown].iter().map(|&i| {
            let (label, class) = (names.of(it.labels[i]), names.of(it.classes[i]));
            texts::figure_mistake(label, class, percent(it.probabilities[i]))
        });
        let mistakes = mistakes.collect::<Vec<_>>().join(", ");
        texts::figure_mistakes_line(shown, self.wrong.len(), it.labels.len(), mistakes)
    }

    fn scene(&self, names: &Names) -> Scene {
        const WRONG: Color = SERIES[1];
        let it = &self.predictions;
        let tiles = self.cells.iter().zip(&self.wrong).map(|(cells, &i)| {
            let (class, percent) = (names.of(it.classes[i]), percent(it.probabilities[i]));
            let truth = texts::figure_in_truth(names.of(it.labels[i]));
            Tile {
                cells: cells.clone(),
                caption: vec![
                    (format!("✗ {class} {percent} %"), WRONG),
                    (truth, INK),
                    (texts::figure_image(i), GREY),
                ],
                frame: Some(WRONG),
            }
        });
        let title = texts::figure_mistakes();
        let note = texts::figure_mistakes_note(self.wrong.len(), it.labels.len());
        draw(&title, &note, tiles.collect(), SIDE, GAP)
    }
}

/// Whole percent; near certainty, where the difference is of interest, tenths, and "100" only for what is certain.
fn percent(probability: f64) -> String {
    let percent = probability * 100.0;
    if (98.5..100.0).contains(&percent) {
        format!("{:.1}", (percent * 10.0).floor() / 10.0)
    } else {
        format!("{percent:.0}")
    }
}
#[cfg(test)]
pub(crate) mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::model::{Activation, dense, flatten};

    /// A net that takes every image of two pixels for the class of its brighter pixel, and images of which it mistakes
    /// the second and the fourth, with their labels.
    pub(crate) fn net() -> (Sequential, Tensor, Tensor) {
        let mut model = Sequential::new([flatten(), dense(2, Activation::Softmax)]);
        model = model.input_shape([1, 2]);
        let kernel = Tensor::from_slice(&[1.0f32, 0.0, 0.0, 1.0]).reshape([2, 2]);
        model.set_weights(&[("dense.kernel", kernel)]).unwrap();
        let images = [5.0f32, 0.0, 1.0, 0.0, 0.0, 3.0, 0.0, 4.0];
        let images = Tensor::from_slice(&images).reshape([4, 1, 2]);
        (model, images, Tensor::from_slice(&[0i64, 1, 1, 0]))
    }

    fn refused(result: Result<Figure>) -> String {
        let figure = result.map(|figure| figure.to_string());
        figure.unwrap_err().to_string()
    }

    #[test]
    fn gallery_shows_images_over_their_classes() {
        let (_, images, labels) = net();
        let figure = gallery(&images, &labels).unwrap().names(["Кот", "Пёс"]);
        let scene = figure.scene();
        assert_eq!(scene.pictures().len(), 4);
        // One scale for all: 5 is white, 1 is a fifth of it.
        assert_eq!(scene.pictures()[0].colors, [[255; 3], [0; 3]]);
        assert_eq!(scene.pictures()[1].colors, [[51; 3], [0; 3]]);
        let texts = scene.texts();
        let count = |name| texts.iter().filter(|text| **text == name).count();
        assert_eq!((count("Кот"), count("Пёс")), (2, 2), "{texts:?}");
        let alt = texts::figure_gallery_line(4, 4, "Кот, Пёс, Пёс, Кот");
        assert!(figure.to_string().contains(&alt), "{figure}");
    }

    #[test]
    fn colour_images_are_shown_in_colour() {
        let image = Tensor::from_slice(&[255u8, 0, 0]).reshape([1, 3, 1, 1]);
        let figure = gallery(&image, &Tensor::from_slice(&[0i64])).unwrap();
        assert_eq!(figure.scene().pictures()[0].colors, [[255, 0, 0]]);
    }

    #[test]
    fn a_long_gallery_ends() {
        let images = Tensor::zeros([61, 4, 4], (Kind::Uint8, Device::Cpu));
        let labels = Tensor::zeros([61], (Kind::Int64, Device::Cpu));
        let scene = gallery(&images, &labels).unwrap().scene();
        assert_eq!(scene.pictures().len(), MAX_IMAGES);
        let title = texts::figure_gallery(MAX_IMAGES, 61);
        assert!(scene.texts().contains(&title.as_str()));
        assert!(scene.width <= 912 && scene.height <= 800);
    }

    #[test]
    fn misclassified_begins_with_the_surest() {
        let (model, images, labels) = net();
        let figure = misclassified(&model, &images, &labels).unwrap();
        let scene = figure.scene();
        // The fourth image is taken for a 1 with the probability σ(4), the second for a 0 with σ(1).
        let dark_and = |bright| [[0; 3], [bright; 3]];
        assert_eq!(scene.pictures().len(), 2);
        assert_eq!(scene.pictures()[0].colors, dark_and(255));
        let texts = scene.texts();
        let order: Vec<_> = texts.iter().filter(|text| text.starts_with('✗')).collect();
        assert_eq!(order, [&"✗ 1 98 %", &"✗ 0 73 %"]);
        let named = figure.names(["Кот", "Пёс"]);
        let named = named.scene();
        for text in [texts::figure_image(3), texts::figure_in_truth("Пёс")] {
            assert!(named.texts().contains(&text.as_str()), "{text}");
        }
    }

    #[test]
    fn a_net_without_mistakes_has_an_empty_figure() {
        let (model, images, _) = net();
        let labels = Tensor::from_slice(&[0i64, 0, 1, 1]);
        let figure = misclassified(&model, &images, &labels).unwrap();
        let note = texts::figure_mistakes_note(0, 4);
        assert!(figure.scene().texts().contains(&note.as_str()));
        assert!(figure.png().is_ok());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (_, images, labels) = net();
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
    }

    #[test]
    fn near_certainty_is_not_called_certain() {
        for (probability, text) in [(0.5, "50"), (0.984, "98"), (0.99996, "99.9"), (1.0, "100")] {
            assert_eq!(percent(probability), text);
        }
    }
}
