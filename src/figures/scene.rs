//! What a figure is made of: text, lines, shapes and pictures at fixed places, painted by any of plotters' backends.
//!
//! All lengths are in pixels of the finished picture; `y` grows downwards. A scene owns everything it needs, so that a
//! notebook can keep it, paint it now as PNG and later as SVG.

use base64::Engine;
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontDesc, FontFamily, FontStyle, FontTransform, RGBColor};
use plotters::style::{TextStyle, register_font};

use crate::Result;
use crate::session::{error, texts};

/// The name under which the embedded font is registered. In an SVG it is the list from which the viewer chooses.
const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";
/// Height of DejaVu Sans, ascent and descent, in ems: plotters' bitmap text takes this height as its size.
const LINE_HEIGHT: f64 = 1.164;
/// A bitmap is painted so many times larger and averaged down: plotters' thick lines have jagged edges otherwise.
const OVERSAMPLING: u32 = 2;

/// The common look.
pub(crate) mod look {
    use super::RGBColor;

    /// Opaque, so that a figure reads the same on a light and on a dark page.
    pub(crate) const PAPER: RGBColor = RGBColor(255, 255, 255);
    pub(crate) const INK: RGBColor = RGBColor(34, 34, 34);
    /// For what matters less. Contrast with the paper 5.9 : 1.
    pub(crate) const GREY: RGBColor = RGBColor(100, 100, 100);
    pub(crate) const RULE: RGBColor = RGBColor(224, 224, 224);
    /// After Okabe and Ito, whose colours the colour-blind tell apart, the light ones darkened for white paper: blue,
    /// vermilion, green, purple, orange, sky blue.
    pub(crate) const SERIES: [RGBColor; 6] = [
        RGBColor(0, 114, 178),
        RGBColor(213, 94, 0),
        RGBColor(0, 135, 98),
        RGBColor(175, 83, 136),
        RGBColor(191, 133, 0),
        RGBColor(46, 145, 196),
    ];
    /// No figure is wider: JupyterLab's column has 934 on a screen of 1,280.
    pub(crate) const WIDTH: f64 = 920.0;
    pub(crate) const MARGIN: f64 = 16.0;
    pub(crate) const TITLE: f64 = 16.0;
    pub(crate) const TEXT: f64 = 13.0;
    pub(crate) const SMALL: f64 = 11.0;
}

/// How a text lies to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// One thing to paint.
#[derive(Clone, Debug)]
pub(crate) enum Mark {
    /// `at` is on the baseline; `size` is that of the em.
    Text {
        at: (f64, f64),
        text: String,
        size: f64,
        bold: bool,
        color: RGBColor,
        anchor: Anchor,
        /// Reads from the bottom to the top.
        upward: bool,
    },
    Line {
        points: Vec<(f64, f64)>,
        width: f64,
        color: RGBColor,
    },
    Rectangle {
        at: (f64, f64),
        size: (f64, f64),
        color: RGBColor,
    },
    Disc {
        center: (f64, f64),
        radius: f64,
        color: RGBColor,
    },
}

/// Coloured cells, each painted as a sharp block.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    pub at: (u32, u32),
    /// Width and height on the paper.
    pub size: (u32, u32),
    pub columns: usize,
    pub rows: usize,
    /// Row by row, `columns × rows` of them.
    pub cells: Vec<[u8; 3]>,
}

impl Picture {
    /// The painted pixels, RGB. Cells are as equal as whole pixels allow.
    fn pixels(&self) -> Vec<u8> {
        let (width, height) = (self.size.0 as usize, self.size.1 as usize);
        let mut pixels = Vec::with_capacity(width * height * 3);
        let mut painted = None;
        for y in 0..height {
            let row = y * self.rows / height;
            if painted == Some(row) {
                pixels.extend_from_within(pixels.len() - width * 3..);
                continue;
            }
            let cells = &self.cells[row * self.columns..(row + 1) * self.columns];
            pixels.extend((0..width).flat_map(|x| cells[x * self.columns / width]));
            painted = Some(row);
        }
        pixels
    }
}

/// A figure's content.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub width: u32,
    pub height: u32,
    pub marks: Vec<Mark>,
    /// Painted after the marks, over them.
    pub pictures: Vec<Picture>,
}

impl Scene {
    /// An empty paper, its size rounded up to whole pixels.
    pub(crate) fn new(width: f64, height: f64) -> Self {
        Self {
            width: width.ceil() as u32,
            height: height.ceil() as u32,
            marks: Vec::new(),
            pictures: Vec::new(),
        }
    }

    /// A text on its baseline.
    pub(crate) fn text(
        &mut self,
        at: (f64, f64),
        anchor: Anchor,
        size: f64,
        color: RGBColor,
        text: impl Into<String>,
    ) {
        self.marks.push(Mark::Text {
            at,
            text: text.into(),
            size,
            bold: false,
            color,
            anchor,
            upward: false,
        });
    }

    /// A bold text in ink.
    pub(crate) fn heading(
        &mut self,
        at: (f64, f64),
        anchor: Anchor,
        size: f64,
        text: impl Into<String>,
    ) {
        self.marks.push(Mark::Text {
            at,
            text: text.into(),
            size,
            bold: true,
            color: look::INK,
            anchor,
            upward: false,
        });
    }

    /// A text that reads from the bottom to the top; `at` is the middle of its baseline.
    pub(crate) fn sideways(&mut self, at: (f64, f64), size: f64, color: RGBColor, text: String) {
        self.marks.push(Mark::Text {
            at,
            text,
            size,
            bold: false,
            color,
            anchor: Anchor::Middle,
            upward: true,
        });
    }

    pub(crate) fn line(&mut self, points: Vec<(f64, f64)>, width: f64, color: RGBColor) {
        self.marks.push(Mark::Line {
            points,
            width,
            color,
        });
    }

    /// A line of dashes of 6 pixels with gaps of 4.
    pub(crate) fn dashes(&mut self, points: &[(f64, f64)], width: f64, color: RGBColor) {
        for dash in cut(points, 6.0, 4.0) {
            self.line(dash, width, color);
        }
    }

    pub(crate) fn rectangle(&mut self, at: (f64, f64), size: (f64, f64), color: RGBColor) {
        self.marks.push(Mark::Rectangle { at, size, color });
    }

    pub(crate) fn disc(&mut self, center: (f64, f64), radius: f64, color: RGBColor) {
        self.marks.push(Mark::Disc {
            center,
            radius,
            color,
        });
    }

    /// A circle of which only the rim, 1.5 pixels wide, is painted.
    pub(crate) fn ring(&mut self, center: (f64, f64), radius: f64, color: RGBColor) {
        self.disc(center, radius, color);
        self.disc(center, radius - 1.5, look::PAPER);
    }

    /// What is written on the paper.
    #[cfg(test)]
    pub(crate) fn texts(&self) -> Vec<&str> {
        let texts = self.marks.iter().filter_map(|mark| match mark {
            Mark::Text { text, .. } => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    /// The finished picture's pixels, RGB, row by row.
    pub(crate) fn pixels(&self) -> Result<Vec<u8>> {
        let (width, height) = (self.width as usize, self.height as usize);
        let mut large = vec![255; width * height * 3 * OVERSAMPLING.pow(2) as usize];
        let size = (self.width * OVERSAMPLING, self.height * OVERSAMPLING);
        let backend = BitMapBackend::with_buffer(&mut large, size);
        paint(self, backend, Target::Bitmap)?;
        let mut pixels = average(&large, width, height);
        for picture in &self.pictures {
            let source = picture.pixels();
            let stride = picture.size.0 as usize * 3;
            for (row, line) in source.chunks_exact(stride).enumerate() {
                let start = ((picture.at.1 as usize + row) * width + picture.at.0 as usize) * 3;
                if let Some(target) = pixels.get_mut(start..start + stride) {
                    target.copy_from_slice(line);
                }
            }
        }
        Ok(pixels)
    }

    /// The finished picture as a PNG file.
    pub(crate) fn png(&self) -> Result<Vec<u8>> {
        png(self.width, self.height, &self.pixels()?)
    }

    /// The finished picture as an SVG document.
    pub(crate) fn svg(&self) -> Result<String> {
        let mut text = String::new();
        let backend = SVGBackend::with_string(&mut text, (self.width, self.height));
        paint(self, backend, Target::Svg)?;
        // plotters' SVG has no pictures unless all of the crate `image` comes with it, so they are put in here.
        let end = text.rfind("</svg>").unwrap_or(text.len());
        let mut images = String::new();
        for picture in &self.pictures {
            let data = png(picture.size.0, picture.size.1, &picture.pixels())?;
            let data = base64::engine::general_purpose::STANDARD.encode(data);
            images += &format!(
                "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" \
                 style=\"image-rendering:optimizeSpeed;image-rendering:pixelated\" \
                 href=\"data:image/png;base64,{data}\"/>\n",
                picture.at.0, picture.at.1, picture.size.0, picture.size.1,
            );
        }
        text.insert_str(end, &images);
        Ok(text)
    }
}

/// The width of a text on the paper.
pub(crate) fn text_width(text: &str, size: f64, bold: bool) -> f64 {
    // Measured large, because plotters rounds to whole pixels.
    const FINE: f64 = 16.0;
    register_fonts();
    font(size * FINE * LINE_HEIGHT, bold)
        .layout_box(text)
        .map_or(0.0, |(_, (width, _))| f64::from(width) / FINE)
}

/// The text, cut with "…" where it would be wider than `limit`.
pub(crate) fn fitted(text: &str, size: f64, bold: bool, limit: f64) -> String {
    if text_width(text, size, bold) <= limit {
        return text.into();
    }
    let mut end = text.to_string();
    while end.pop().is_some() {
        let shorter = format!("{}…", end.trim_end());
        if text_width(&shorter, size, bold) <= limit {
            return shorter;
        }
    }
    "…".into()
}

/// Every evcxr cell has its own copy of plotters' table of fonts, so they are registered at each use; it takes
/// microseconds.
fn register_fonts() {
    for (style, file) in [
        (FontStyle::Normal, dejavu::sans::regular()),
        (FontStyle::Bold, dejavu::sans::bold()),
    ] {
        // A font that is not there is an error at the first text that is drawn.
        let _ = register_font(FAMILY, style, file);
    }
}

fn font(height: f64, bold: bool) -> FontDesc<'static> {
    let style = if bold {
        FontStyle::Bold
    } else {
        FontStyle::Normal
    };
    FontDesc::new(FontFamily::Name(FAMILY), height, style)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Bitmap,
    Svg,
}

fn paint<B: DrawingBackend>(scene: &Scene, mut backend: B, target: Target) -> Result<()> {
    register_fonts();
    let scale = match target {
        Target::Bitmap => f64::from(OVERSAMPLING),
        Target::Svg => 1.0,
    };
    let place = |(x, y): (f64, f64)| -> (i32, i32) {
        ((x * scale).round() as i32, (y * scale).round() as i32)
    };
    let size = backend.get_size();
    let mut all = || {
        let whole = (size.0 as i32, size.1 as i32);
        backend.draw_rect((0, 0), whole, &look::PAPER.filled(), true)?;
        for mark in &scene.marks {
            match mark {
                Mark::Line {
                    points,
                    width,
                    color,
                } => {
                    let width = width * scale;
                    let points = points.iter().copied().map(place);
                    let straight =
                        |pair: &[(i32, i32)]| pair[0].0 == pair[1].0 || pair[0].1 == pair[1].1;
                    let points: Vec<_> = points.collect();
                    if target == Target::Svg || points.windows(2).all(straight) {
                        let style = color.stroke_width(width.round().max(1.0) as u32);
                        backend.draw_path(points, &style)?;
                    } else {
                        for pair in points.windows(2) {
                            for (pixel, covered) in slant(pair[0], pair[1], width) {
                                let color = color.mix(covered).to_backend_color();
                                backend.draw_pixel(pixel, color)?;
                            }
                        }
                    }
                }
                Mark::Rectangle { at, size, color } => {
                    let end = (at.0 + size.0, at.1 + size.1);
                    backend.draw_rect(place(*at), place(end), &color.filled(), true)?;
                }
                Mark::Disc {
                    center,
                    radius,
                    color,
                } => {
                    let radius = (radius * scale).round() as u32;
                    backend.draw_circle(place(*center), radius, &color.filled(), true)?;
                }
                Mark::Text {
                    at,
                    text,
                    size,
                    bold,
                    color,
                    anchor,
                    upward,
                } => {
                    // plotters places text differently in its backends; this puts the baseline at `at` in both.
                    let (height, rise) = match target {
                        Target::Bitmap => {
                            let half = (size * scale * LINE_HEIGHT / 2.0).round();
                            (half * 2.0, half)
                        }
                        Target::Svg => (size * 1.24, size * 0.76),
                    };
                    let rise = rise / scale;
                    let (at, turn) = if *upward {
                        let turn = FontTransform::Rotate270;
                        ((at.0 - rise, at.1), turn)
                    } else {
                        let turn = FontTransform::None;
                        ((at.0, at.1 - rise), turn)
                    };
                    let across = match anchor {
                        Anchor::Start => HPos::Left,
                        Anchor::Middle => HPos::Center,
                        Anchor::End => HPos::Right,
                    };
                    let style = font(height, *bold).transform(turn).color(color);
                    let style = TextStyle {
                        pos: Pos::new(across, VPos::Top),
                        ..style
                    };
                    backend.draw_text(text, &style, place(at))?;
                }
            }
        }
        backend.present()
    };
    all().map_err(|problem| error(texts::figure_not_drawn(problem)))
}

/// The pixels of a thick line with round ends, and how much of each is covered. plotters' own rounds the corners of
/// the line's outline to whole pixels, so that its thickness changes with its direction.
fn slant(from: (i32, i32), to: (i32, i32), width: f64) -> Vec<((i32, i32), f64)> {
    let half = width / 2.0;
    let reach = half.ceil() as i32 + 1;
    let (dx, dy) = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
    let length = (dx * dx + dy * dy).max(1e-9);
    let mut pixels = Vec::new();
    for y in from.1.min(to.1) - reach..=from.1.max(to.1) + reach {
        for x in from.0.min(to.0) - reach..=from.0.max(to.0) + reach {
            let (px, py) = (f64::from(x - from.0), f64::from(y - from.1));
            let along = ((px * dx + py * dy) / length).clamp(0.0, 1.0);
            let distance = (px - along * dx).hypot(py - along * dy);
            let covered = (half + 0.5 - distance).clamp(0.0, 1.0);
            if covered > 0.0 {
                pixels.push(((x, y), covered));
            }
        }
    }
    pixels
}

/// Makes one pixel of each square of four.
fn average(large: &[u8], width: usize, height: usize) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(width * height * 3);
    for rows in large.chunks_exact(width * 12) {
        let (upper, lower) = rows.split_at(width * 6);
        for (a, b) in upper.chunks_exact(6).zip(lower.chunks_exact(6)) {
            for channel in 0..3 {
                let sum = u16::from(a[channel])
                    + u16::from(a[channel + 3])
                    + u16::from(b[channel])
                    + u16::from(b[channel + 3]);
                pixels.push(((sum + 2) / 4) as u8);
            }
        }
    }
    pixels
}

fn png(width: u32, height: u32, pixels: &[u8]) -> Result<Vec<u8>> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // Together 2 ms for the grid, 90 KB; the default compression takes 25 ms for 55 KB.
    encoder.set_filter(png::FilterType::Paeth);
    encoder.set_compression(png::Compression::Fast);
    let write = || {
        let mut writer = encoder.write_header()?;
        writer.write_image_data(pixels)?;
        writer.finish()
    };
    write().map_err(|problem| error(texts::figure_not_drawn(problem)))?;
    Ok(file)
}

/// The dashes of a line.
fn cut(points: &[(f64, f64)], dash: f64, gap: f64) -> Vec<Vec<(f64, f64)>> {
    let mut dashes = Vec::new();
    let mut current = Vec::new();
    let (mut drawing, mut left) = (true, dash);
    if let Some(first) = points.first() {
        current.push(*first);
    }
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let (dx, dy) = (to.0 - from.0, to.1 - from.1);
            let length = dx.hypot(dy);
            if length <= left {
                left -= length;
                if drawing {
                    current.push(to);
                }
                break;
            }
            from = (from.0 + dx * left / length, from.1 + dy * left / length);
            if drawing {
                current.push(from);
                dashes.push(std::mem::take(&mut current));
                left = gap;
            } else {
                current.push(from);
                left = dash;
            }
            drawing = !drawing;
        }
    }
    if current.len() > 1 {
        dashes.push(current);
    }
    dashes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The colour of a finished pixel.
    fn pixel(scene: &Scene, x: usize, y: usize) -> [u8; 3] {
        let pixels = scene.pixels().unwrap();
        let at = (y * scene.width as usize + x) * 3;
        [pixels[at], pixels[at + 1], pixels[at + 2]]
    }

    /// A small paper with one text on it.
    fn written(text: &str) -> Scene {
        let mut scene = Scene::new(60.0, 40.0);
        scene.text((10.0, 30.0), Anchor::Start, 20.0, look::INK, text);
        scene
    }

    #[test]
    fn paper_is_opaque_and_of_the_size() {
        let scene = Scene::new(30.0, 19.5);
        assert_eq!(scene.pixels().unwrap(), vec![255; 30 * 20 * 3]);
    }

    #[test]
    fn cells_are_sharp_blocks_of_their_very_colour() {
        let mut scene = Scene::new(20.0, 20.0);
        let cells = vec![[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]];
        scene.pictures.push(Picture {
            at: (5, 6),
            size: (10, 8),
            columns: 2,
            rows: 2,
            cells,
        });
        for (x, y, color) in [
            (5, 6, [1, 2, 3]),
            (9, 9, [1, 2, 3]),
            (10, 6, [4, 5, 6]),
            (14, 9, [4, 5, 6]),
            (9, 10, [7, 8, 9]),
            (14, 13, [10, 11, 12]),
            (4, 6, [255; 3]),
            (15, 13, [255; 3]),
            (14, 14, [255; 3]),
        ] {
            assert_eq!(pixel(&scene, x, y), color, "{x}, {y}");
        }
    }

    #[test]
    fn cells_that_do_not_divide_the_size_differ_by_a_pixel_at_most() {
        let picture = Picture {
            at: (0, 0),
            size: (10, 1),
            columns: 3,
            rows: 1,
            cells: vec![[0; 3], [1; 3], [2; 3]],
        };
        let reds: Vec<u8> = picture.pixels().chunks(3).map(|pixel| pixel[0]).collect();
        assert_eq!(reds, [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]);
    }

    #[test]
    fn every_russian_letter_has_its_own_shape() {
        // U+E000 is in no font: it is drawn as the box for what is missing.
        let mut seen = vec![("missing", written("\u{e000}").pixels().unwrap())];
        assert!(
            seen[0].1.iter().any(|&value| value != 255),
            "the box is drawn"
        );
        let letters = "БбГгДдЁёЖжЗзИиЙйКкЛлмнПптУфЦцЧчШшЩщЪъЫыЬьЭэЮюЯя№×✓✗…−";
        for (at, letter) in letters.char_indices() {
            let name = &letters[at..at + letter.len_utf8()];
            let pixels = written(name).pixels().unwrap();
            if let Some((other, _)) = seen.iter().find(|(_, other)| *other == pixels) {
                panic!("{name} looks like {other}");
            }
            seen.push((name, pixels));
        }
    }

    #[test]
    fn text_stands_on_its_baseline() {
        let scene = written("Н");
        let ink = |y: usize| (0..60).any(|x| pixel(&scene, x, y)[0] < 128);
        assert!(ink(29), "the last row above the baseline");
        assert!(!ink(30), "the row under the baseline");
        // A capital of DejaVu Sans is 0.73 em high.
        assert!(ink(17) && !ink(14));
    }

    #[test]
    fn text_is_as_wide_as_it_is_measured() {
        let width = text_width("Ширина", 20.0, false);
        let mut scene = Scene::new(120.0, 40.0);
        scene.text((110.0, 30.0), Anchor::End, 20.0, look::INK, "Ширина");
        let ink = |x: usize| (0..40).any(|y| pixel(&scene, x, y)[0] < 128);
        let first = (0..120).find(|x| ink(*x)).unwrap() as f64;
        assert!((110.0 - width - first).abs() < 3.0, "{width} {first}");
        assert!(!ink(111));
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(fitted("коротко", 12.0, false, 200.0), "коротко");
        let cut = fitted("очень длинное имя варианта", 12.0, false, 80.0);
        assert!(
            cut.ends_with('…') && text_width(&cut, 12.0, false) <= 80.0,
            "{cut}"
        );
        assert_eq!(fitted("что угодно", 12.0, false, 1.0), "…");
    }

    #[test]
    fn a_slanted_line_is_as_thick_as_a_straight_one() {
        let ink = |to: (f64, f64)| {
            let mut scene = Scene::new(100.0, 100.0);
            scene.line(vec![(10.0, 10.0), to], 2.0, RGBColor(0, 0, 0));
            let pixels = scene.pixels().unwrap();
            let ink: f64 = pixels
                .iter()
                .map(|value| 1.0 - f64::from(*value) / 255.0)
                .sum();
            ink / 3.0 / (to.0 - 10.0f64).hypot(to.1 - 10.0)
        };
        for to in [(90.0, 90.0), (90.0, 30.0), (20.0, 90.0), (90.0, 12.0)] {
            assert!((ink(to) - 2.0).abs() < 0.25, "{to:?}: {}", ink(to));
        }
    }

    #[test]
    fn dashes_have_their_lengths() {
        let dashes = cut(&[(0.0, 0.0), (0.0, 12.0), (0.0, 30.0)], 6.0, 4.0);
        let ends: Vec<_> = dashes
            .iter()
            .map(|dash| (dash[0].1, dash[dash.len() - 1].1))
            .collect();
        assert_eq!(ends, [(0.0, 6.0), (10.0, 16.0), (20.0, 26.0)]);
        assert!(cut(&[], 6.0, 4.0).is_empty());
        assert!(cut(&[(1.0, 1.0)], 6.0, 4.0).is_empty());
    }

    #[test]
    fn png_holds_the_pixels() {
        let mut scene = written("Ж");
        scene.disc((40.0, 20.0), 8.0, look::SERIES[1]);
        let file = scene.png().unwrap();
        let mut reader = png::Decoder::new(file.as_slice()).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (60, 40));
        assert_eq!(pixels, scene.pixels().unwrap());
    }

    #[test]
    fn svg_has_text_as_text_and_pictures_as_png() {
        let mut scene = written("Потери < 1 & больше");
        scene.pictures.push(Picture {
            at: (3, 4),
            size: (6, 6),
            columns: 1,
            rows: 1,
            cells: vec![[9, 8, 7]],
        });
        let svg = scene.svg().unwrap();
        assert!(
            svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"),
            "{svg}"
        );
        assert!(svg.contains("Потери &lt; 1 &amp; больше"), "{svg}");
        assert!(
            svg.contains("<image x=\"3\" y=\"4\" width=\"6\" height=\"6\""),
            "{svg}"
        );
        let (_, data) = svg.split_once("data:image/png;base64,").unwrap();
        let (data, _) = data.split_once('"').unwrap();
        let file = base64::engine::general_purpose::STANDARD
            .decode(data)
            .unwrap();
        let mut reader = png::Decoder::new(file.as_slice()).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels, [9, 8, 7].repeat(36));
    }
}
