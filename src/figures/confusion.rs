//! Which classes the net takes for which.

use plotters::style::RGBColor;

use super::figure::Names;
use super::scene::{Anchor, Scene, fitted, look, text_width};
use super::tiles::head;
use crate::session::texts;

/// Draws the counts, `counts[true class][answered class]`: right answers in shades of blue on the diagonal, wrong ones
/// in shades of vermilion beside it. The shade is the square root of the share in the row, so that few mistakes are
/// seen beside many right answers.
pub(crate) fn draw(counts: &[Vec<u64>], names: &Names) -> Scene {
    let classes = counts.len();
    let name = |class: usize| names.of(class);
    let widest = (0..classes)
        .map(|class| text_width(&name(class), look::TEXT, false))
        .fold(0.0, f64::max);
    let label = widest.min(150.0).ceil();
    let left = look::MARGIN + 22.0 + label + 10.0;
    let right = look::MARGIN + 64.0;
    let count = classes.max(1) as f64;
    let cell = ((look::WIDTH - left - right) / count).min(72.0).floor();
    let tall = cell.min(40.0);
    let top = 2.0 * look::MARGIN + look::TITLE + 60.0;
    let bottom = top + count * tall;
    // With many classes the cells have no room for numbers, and not every row has room for its name.
    let largest = counts.iter().flatten().max().copied().unwrap_or(0);
    let roomy = text_width(&largest.to_string(), look::TEXT, false) + 4.0 <= cell;
    let edge = if roomy { 2.0 } else { 0.0 };
    let every = (16.0 / tall).ceil().max(1.0) as usize;
    let mut scene = Scene::new(left + count * cell + right, bottom + look::MARGIN);

    let all: u64 = counts.iter().flatten().sum();
    let correct: u64 = counts.iter().enumerate().map(|(i, row)| row[i]).sum();
    let share = if all == 0 {
        0.0
    } else {
        correct as f64 / all as f64
    };
    let note = texts::figure_confusion_note(correct, all, format!("{:.1}", share * 100.0));
    head(&mut scene, &texts::figure_confusion(), &note);

    let across = left + count * cell / 2.0;
    scene.text(
        (across, top - 26.0),
        Anchor::Middle,
        look::SMALL,
        look::GREY,
        texts::figure_answered(),
    );
    scene.sideways(
        (look::MARGIN + look::SMALL, (top + bottom) / 2.0),
        look::SMALL,
        look::GREY,
        texts::figure_truth(),
    );
    let recall = left + count * cell + 10.0;
    scene.text(
        (recall, top - 8.0),
        Anchor::Start,
        look::SMALL,
        look::GREY,
        texts::figure_right(),
    );
    for (class, row) in counts.iter().enumerate() {
        let y = top + class as f64 * tall;
        let total: u64 = row.iter().sum();
        let share = |number: u64| number as f64 / total.max(1) as f64;
        for (answered, &number) in row.iter().enumerate() {
            let x = left + answered as f64 * cell;
            let full = look::SERIES[usize::from(answered != class)];
            let shade = share(number).sqrt();
            let size = (cell - edge, tall - edge);
            scene.rectangle((x + edge / 2.0, y + edge / 2.0), size, mixed(full, shade));
            if roomy {
                let (size, color) = match number {
                    0 => (look::SMALL, look::GREY),
                    _ if shade > 0.55 => (look::TEXT, look::PAPER),
                    _ => (look::TEXT, look::INK),
                };
                let at = (x + cell / 2.0, y + tall / 2.0 + size * 0.36);
                scene.text(at, Anchor::Middle, size, color, number.to_string());
            }
        }
        if roomy {
            let at = (left + (class as f64 + 0.5) * cell, top - 8.0);
            let text = fitted(&name(class), look::SMALL, false, cell - 4.0);
            scene.text(at, Anchor::Middle, look::SMALL, look::INK, text);
        }
        if class % every == 0 {
            let baseline = y + tall / 2.0 + look::TEXT * 0.36;
            let at = (left - 10.0, baseline);
            let text = fitted(&name(class), look::TEXT, false, label);
            scene.text(at, Anchor::End, look::TEXT, look::INK, text);
            if total > 0 {
                let text = format!("{:.1} %", 100.0 * share(row[class]));
                let at = (recall, baseline);
                scene.text(at, Anchor::Start, look::TEXT, look::INK, text);
            }
        }
    }
    scene
}

/// A colour over the palest grey, `share` of it.
fn mixed(color: RGBColor, share: f64) -> RGBColor {
    let mix = |part: u8| (246.0 + (f64::from(part) - 246.0) * share).round() as u8;
    RGBColor(mix(color.0), mix(color.1), mix(color.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_shares_and_names_are_told() {
        let counts = vec![vec![8, 2, 0], vec![1, 9, 0], vec![0, 0, 0]];
        let names = Names::from(["Кот", "Пёс"]);
        let scene = draw(&counts, &names);
        let texts = scene.texts();
        for text in ["Кот", "Пёс", "2", "8", "9", "80.0 %", "90.0 %"] {
            assert!(texts.contains(&text), "{text} in {texts:?}");
        }
        let note = texts::figure_confusion_note(17, 20, "85.0");
        assert!(texts.contains(&note.as_str()), "{texts:?}");
        assert!(f64::from(scene.width) <= look::WIDTH && scene.png().is_ok());
    }

    #[test]
    fn many_classes_stay_on_the_paper() {
        let counts: Vec<Vec<u64>> = (0..100)
            .map(|class| (0..100).map(|answer| u64::from(class == answer)).collect())
            .collect();
        let scene = draw(&counts, &Names::default());
        assert!(f64::from(scene.width) <= look::WIDTH && scene.png().is_ok());
    }

    #[test]
    fn more_mistakes_are_darker() {
        let RGBColor(_, _, pale) = mixed(look::SERIES[1], 0.1);
        let RGBColor(_, _, dark) = mixed(look::SERIES[1], 0.9);
        assert!(dark < pale);
        assert_eq!(mixed(look::SERIES[1], 1.0), look::SERIES[1]);
    }
}
