//! Which classes the net takes for which.

use tch::Tensor;

use super::canvas::{Anchor, Color, PAPER, Style, fitted, text_width};
use super::figure::{Drawing, Figure, Names};
use super::predictions::Predictions;
use super::scene::Scene;
use super::theme::{INK, MARGIN, SERIES, SMALL, TEXT, WIDTH};
use super::tiles::{TOP, titled};
use crate::Result;
use crate::model::Sequential;
use crate::session::texts;

/// Which classes the model takes for which: rows are the true classes, columns the predicted ones, numbers are images; at
/// the end of each row the fraction that was classified correctly.
/// `confusion_matrix(&model, &test_images, &test_labels)?.names(class_names)`.
///
/// # Errors
/// As [`Sequential::evaluate`].
pub fn confusion_matrix(model: &Sequential, images: &Tensor, labels: &Tensor) -> Result<Figure> {
    let predictions = Predictions::of(model, images, labels)?;
    let mut counts = vec![vec![0; predictions.possible]; predictions.possible];
    for (&truth, &class) in predictions.labels.iter().zip(&predictions.classes) {
        counts[truth as usize][class as usize] += 1;
    }
    Ok(Figure::new(Confusion { counts }))
}

/// Right predictions in shades of blue on the diagonal, wrong ones in shades of vermilion beside it. The shade is the
/// square root of the fraction of the row, so that few mistakes are seen beside many right predictions.
struct Confusion {
    /// `counts[true class][predicted class]`.
    counts: Vec<Vec<u64>>,
}

/// Where the cells lie.
struct Grid {
    left: f64,
    top: f64,
    cell: (f64, f64),
    /// Room for the names of the rows.
    label: f64,
    /// Whether a cell has room for a number.
    roomy: bool,
}

impl Drawing for Confusion {
    fn alt(&self, names: &Names) -> String {
        let (correct, all) = self.correct();
        let name = |class: usize| names.of(class as i64);
        let classes = self.counts.len();
        let mut text = texts::figure_confusion_line(classes, correct, all, percent(correct, all));
        let rows = self.counts.iter().enumerate();
        let seen = rows.map(|(class, row)| (class, row[class], row.iter().sum::<u64>()));
        let seen = seen.filter(|(_, _, all)| *all > 0);
        let fraction = |(_, right, all): &(_, u64, u64)| *right as f64 / *all as f64;
        if let Some((class, right, all)) = seen.min_by(|a, b| fraction(a).total_cmp(&fraction(b))) {
            text += &texts::figure_hardest(name(class), percent(right, all));
        }
        let cells = (0..classes * classes).map(|i| (i / classes, i % classes));
        let wrong = cells.filter(|(truth, class)| truth != class);
        let wrong = wrong.map(|(truth, class)| (truth, class, self.counts[truth][class]));
        match wrong.max_by_key(|(_, _, count)| *count) {
            Some((truth, class, count)) if count > 0 => {
                text + &texts::figure_confused(name(truth), name(class), count)
            }
            _ => text,
        }
    }

    fn scene(&self, names: &Names) -> Scene {
        let classes = self.counts.len();
        let count = classes.max(1) as f64;
        let names: Vec<String> = (0..classes).map(|class| names.of(class as i64)).collect();
        let widths = names.iter().map(|name| text_width(name, TEXT));
        let label = widths.fold(0.0, f64::max).min(150.0).ceil();
        let left = MARGIN + 22.0 + label + 10.0;
        let right = MARGIN + 64.0;
        let cell = ((WIDTH - left - right) / count).min(72.0).floor();
        let largest = self.counts.iter().flatten().max().copied().unwrap_or(0);
        let grid = Grid {
            left,
            top: TOP + 42.0,
            cell: (cell, cell.min(40.0)),
            label,
            // With many classes the cells have no room for numbers.
            roomy: text_width(&largest.to_string(), TEXT) + 4.0 <= cell,
        };

        let (correct, all) = self.correct();
        let note = texts::figure_confusion_note(correct, all, percent(correct, all));
        let (width, bottom) = (left + count * cell + right, grid.top + count * grid.cell.1);
        let title = texts::figure_confusion();
        let mut scene = titled(&title, &note, width, bottom + MARGIN);
        let at = (left + count * cell / 2.0, grid.top - 26.0);
        scene.text(at, Anchor::Center, SMALL, texts::figure_answered());
        let upward = Style {
            upward: true,
            ..SMALL
        };
        let at = (MARGIN + SMALL.size, (grid.top + bottom) / 2.0);
        scene.text(at, Anchor::Center, upward, texts::figure_truth());
        let at = (left + count * cell + 10.0, grid.top - 8.0);
        scene.text(at, Anchor::Left, SMALL, texts::figure_right());
        for (class, (row, name)) in self.counts.iter().zip(&names).enumerate() {
            grid.draw_row(&mut scene, class, row);
            grid.draw_names(&mut scene, class, row, name);
        }
        scene
    }
}

impl Confusion {
    /// How many images were classified correctly, of how many.
    fn correct(&self) -> (u64, u64) {
        let correct = self.counts.iter().enumerate().map(|(i, row)| row[i]).sum();
        (correct, self.counts.iter().flatten().sum())
    }
}

impl Grid {
    /// The cells of a true class.
    fn draw_row(&self, scene: &mut Scene, class: usize, row: &[u64]) {
        let total: u64 = row.iter().sum();
        let edge = if self.roomy { 2.0 } else { 0.0 };
        let size = (self.cell.0 - edge, self.cell.1 - edge);
        let y = self.top + class as f64 * self.cell.1;
        for (predicted, &number) in row.iter().enumerate() {
            let x = self.left + predicted as f64 * self.cell.0;
            let full = SERIES[usize::from(predicted != class)];
            let shade = (number as f64 / total.max(1) as f64).sqrt();
            let at = (x + edge / 2.0, y + edge / 2.0);
            scene.rectangle(at, size, mixed(full, shade));
            if self.roomy {
                let style = match number {
                    0 => SMALL,
                    _ if shade > 0.75 => TEXT.color(PAPER),
                    _ => TEXT,
                };
                let at = (x + self.cell.0 / 2.0, style.centered(y + self.cell.1 / 2.0));
                scene.text(at, Anchor::Center, style, number.to_string());
            }
        }
    }

    /// The name of a class over its column and before its row, and what fraction of the row is right.
    fn draw_names(&self, scene: &mut Scene, class: usize, row: &[u64], name: &str) {
        let (width, height) = self.cell;
        if self.roomy {
            let at = (self.left + (class as f64 + 0.5) * width, self.top - 8.0);
            let style = SMALL.color(INK);
            scene.text(at, Anchor::Center, style, fitted(name, SMALL, width - 4.0));
        }
        // With many classes not every row has room for its name.
        let every = (16.0 / height).ceil().max(1.0) as usize;
        if class.is_multiple_of(every) {
            let y = TEXT.centered(self.top + (class as f64 + 0.5) * height);
            let name = fitted(name, TEXT, self.label);
            scene.text((self.left - 10.0, y), Anchor::Right, TEXT, name);
            let total = row.iter().sum();
            if total > 0 {
                let text = format!("{} %", percent(row[class], total));
                let at = (self.left + row.len() as f64 * width + 10.0, y);
                scene.text(at, Anchor::Left, TEXT, text);
            }
        }
    }
}

/// With one decimal.
fn percent(part: u64, all: u64) -> String {
    format!("{:.1}", 100.0 * part as f64 / all.max(1) as f64)
}

/// A colour over the palest grey, `share` of it.
fn mixed(color: Color, share: f64) -> Color {
    color.map(|part| (246.0 + (f64::from(part) - 246.0) * share).round() as u8)
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::gallery::tests::net;

    fn figure(counts: Vec<Vec<u64>>) -> Figure {
        Figure::new(Confusion { counts })
    }

    #[test]
    fn rows_are_the_true_classes() {
        let (model, images, _) = net();
        // The net takes the first two images for a 0, the others for a 1.
        let labels = Tensor::from_slice(&[0i64, 0, 0, 1]);
        let figure = confusion_matrix(&model, &images, &labels).unwrap();
        let scene = figure.scene();
        let texts = scene.texts();
        for text in ["66.7 %", "100.0 %"] {
            assert!(texts.contains(&text), "{text} in {texts:?}");
        }
        let note = texts::figure_confusion_note(3, 4, "75.0");
        assert!(texts.contains(&note.as_str()), "{texts:?}");
        let alt = texts::figure_confused(0, 1, 1);
        assert!(figure.to_string().ends_with(&alt), "{figure}");
    }

    #[test]
    fn numbers_fractions_and_names_are_told() {
        let counts = vec![vec![8, 2, 0], vec![1, 9, 0], vec![0, 0, 0]];
        let figure = figure(counts).names(["Кот", "Пёс"]);
        let scene = figure.scene();
        let texts = scene.texts();
        for text in ["Кот", "Пёс", "2", "8", "9", "80.0 %", "90.0 %"] {
            assert!(texts.contains(&text), "{text} in {texts:?}");
        }
        let note = texts::figure_confusion_note(17, 20, "85.0");
        assert!(texts.contains(&note.as_str()), "{texts:?}");
        // The third class has no images.
        let alt = texts::figure_hardest("Кот", "80.0") + &texts::figure_confused("Кот", "Пёс", 2);
        assert!(figure.to_string().ends_with(&alt), "{figure}");
        assert!(f64::from(scene.width) <= WIDTH);
    }

    #[test]
    fn many_classes_stay_on_the_paper() {
        let row = |class| (0..100).map(|other| u64::from(class == other)).collect();
        let scene = figure((0..100).map(row).collect()).scene();
        assert!(f64::from(scene.width) <= WIDTH && scene.png().is_ok());
    }

    #[test]
    fn more_mistakes_are_darker() {
        let [pale, dark] = [0.1, 0.9].map(|share| mixed(SERIES[1], share));
        assert!(dark[2] < pale[2]);
        assert_eq!(mixed(SERIES[1], 1.0), SERIES[1]);
    }
}
