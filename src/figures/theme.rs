//! The common look.

use super::canvas::{Color, Style};

pub(crate) const INK: Color = [34, 34, 34];
/// For what matters less. Contrast with the paper 5.9 : 1.
pub(crate) const GREY: Color = [100, 100, 100];
pub(crate) const RULE: Color = [224, 224, 224];
/// After Okabe and Ito, whose colours the colour-blind tell apart, the light ones darkened for white paper: blue,
/// vermilion, green, purple, orange, sky blue.
pub(crate) const SERIES: [Color; 6] = [
    [0, 114, 178],
    [213, 94, 0],
    [0, 135, 98],
    [175, 83, 136],
    [191, 133, 0],
    [46, 145, 196],
];
/// No figure is wider: JupyterLab's column has room for 914 on a screen of 1,280.
pub(crate) const WIDTH: f64 = 912.0;
pub(crate) const MARGIN: f64 = 16.0;

pub(crate) const TEXT: Style = Style {
    size: 13.0,
    bold: false,
    color: INK,
    upward: false,
};
pub(crate) const HEADING: Style = Style { bold: true, ..TEXT };
pub(crate) const TITLE: Style = Style {
    size: 16.0,
    ..HEADING
};
pub(crate) const NOTE: Style = Style {
    color: GREY,
    ..TEXT
};
pub(crate) const SMALL: Style = Style { size: 11.0, ..NOTE };
