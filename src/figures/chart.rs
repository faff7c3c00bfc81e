//! The frame that all charts share: axes with ticks, lines and points in it.

use super::axis::round_ticks;
use super::canvas::{Anchor, Color, PAPER};
use super::scene::Scene;
use super::theme::{GREY, RULE, SMALL};

/// Where a chart lies on the paper and which values it covers.
#[derive(Clone, Debug)]
pub(crate) struct Area {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    /// Values at the left and the right edge.
    pub x_range: (f64, f64),
    /// Values at the bottom and the top edge.
    pub y_range: (f64, f64),
}

impl Area {
    /// The place of a point on the paper.
    pub(crate) fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let fraction = |value: f64, (low, high): (f64, f64)| (value - low) / (high - low);
        (
            self.left + fraction(x, self.x_range) * (self.right - self.left),
            self.bottom - fraction(y, self.y_range) * (self.bottom - self.top),
        )
    }

    /// Draws the rules and the numbers of the vertical axis, which from then on reaches from tick to tick.
    pub(crate) fn rules(&mut self, scene: &mut Scene, values: impl Iterator<Item = f64>) {
        let (low, high) = span(values);
        let ticks = round_ticks(low, high, 5);
        self.y_range = (ticks[0].0, ticks[ticks.len() - 1].0);
        for (tick, text) in ticks {
            let (_, y) = self.place((self.x_range.0, tick));
            scene.line(vec![(self.left, y), (self.right, y)], 1.0, RULE);
            let at = (self.left - 8.0, SMALL.centered(y));
            scene.text(at, Anchor::Right, SMALL, text);
        }
        let floor = vec![(self.left, self.bottom), (self.right, self.bottom)];
        scene.line(floor, 1.0, GREY);
    }

    /// Draws a tick of the horizontal axis.
    pub(crate) fn tick(&self, scene: &mut Scene, value: f64, text: String) {
        let (x, _) = self.place((value, self.y_range.0));
        let end = self.bottom + 4.0;
        scene.line(vec![(x, self.bottom), (x, end)], 1.0, GREY);
        scene.text((x, end + SMALL.size), Anchor::Center, SMALL, text);
    }

    /// Says what the horizontal axis measures.
    pub(crate) fn unit(&self, scene: &mut Scene, text: String) {
        let at = ((self.left + self.right) / 2.0, self.bottom + 32.0);
        scene.text(at, Anchor::Center, SMALL, text);
    }
}

/// The smallest and the largest value, with some air where all are nearly the same.
fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let ranges = values.map(|value| (value, value));
    let Some((low, high)) = ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
        return (0.0, 1.0);
    };
    let least = (high.abs() * 0.05).max(1e-6);
    if high - low >= least {
        return (low, high);
    }
    let middle = (low + high) / 2.0;
    (middle - least / 2.0, middle + least / 2.0)
}

/// Training is a whole line, validation a broken one.
pub(crate) fn stroke(scene: &mut Scene, points: &[(f64, f64)], color: Color, validation: bool) {
    if validation {
        scene.dashes(points, 2.0, color);
    } else if points.len() > 1 {
        scene.line(points.to_vec(), 2.0, color);
    }
}

/// Training's points are full, validation's are rings.
pub(crate) fn dot(scene: &mut Scene, center: (f64, f64), color: Color, validation: bool) {
    if validation {
        scene.disc(center, 3.5, color);
        scene.disc(center, 2.0, PAPER);
    } else {
        scene.disc(center, 3.0, color);
    }
}

/// A point that is meant to be seen first.
pub(crate) fn target(scene: &mut Scene, center: (f64, f64), color: Color) {
    scene.disc(center, 6.5, color);
    scene.disc(center, 4.5, PAPER);
    scene.disc(center, 2.5, color);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_get_air() {
        let (low, high) = span([0.9, 0.9].into_iter());
        assert!(low < 0.9 && high > 0.9);
        assert_eq!(span([0.2, 0.7, 0.5].into_iter()), (0.2, 0.7));
        assert_eq!(span([].into_iter()), (0.0, 1.0));
    }
}
