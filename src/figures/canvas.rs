//! What paints a figure: plotters, into pixels or as SVG.
//!
//! All lengths are in pixels as shown; `y` grows downwards. There are twice as many painted pixels in each direction, so that
//! a figure is sharp on screens that have two pixels for one.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Display;
use std::iter::{once, repeat_n};

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{Pos, VPos};
use plotters::style::{Color as _, FontDesc, FontFamily, FontStyle, FontTransform, RGBColor};
use plotters::style::{TextStyle, register_font};

use crate::Result;
use crate::session::{error, texts};

/// Which part of a text lies at its point.
pub(crate) use plotters::style::text_anchor::HPos as Anchor;

/// Red, green, blue.
pub(crate) type Color = [u8; 3];

/// Across and down.
pub(crate) type Point = (f64, f64);

/// Opaque, so that a figure reads the same on a light and on a dark page.
pub(crate) const PAPER: Color = [255; 3];
/// Painted pixels for one that is shown, in each direction.
pub(crate) const SCALE: u32 = 2;
/// The name under which the embedded font is registered. In an SVG it is the list from which the viewer chooses.
const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";
/// Height of DejaVu Sans, ascent and descent, in ems: plotters takes this height as a font's size.
const LINE_HEIGHT: f64 = 1.164;

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Of the em.
    pub size: f64,
    pub bold: bool,
    pub color: Color,
    /// Reads from the bottom to the top.
    pub upward: bool,
}

impl Style {
    /// The same in another colour.
    pub(crate) fn color(self, color: Color) -> Self {
        Self { color, ..self }
    }

    /// The baseline of a line of text whose middle is at `y`.
    pub(crate) fn centered(self, y: f64) -> f64 {
        y + self.size * 0.36
    }
}

/// A paper that is painted on.
pub(crate) struct Canvas<B> {
    backend: B,
    svg: bool,
}

/// Paints on a paper of this size as shown, and returns its pixels: RGB, row by row.
pub(crate) fn pixels(
    width: u32,
    height: u32,
    paint: impl FnOnce(&mut Canvas<BitMapBackend>) -> Result<()>,
) -> Result<Vec<u8>> {
    let size = (width * SCALE, height * SCALE);
    let mut pixels = PAPER.repeat((size.0 * size.1) as usize);
    let backend = BitMapBackend::with_buffer(&mut pixels, size);
    let svg = false;
    paint(&mut Canvas { backend, svg })?;
    Ok(pixels)
}

/// The same as an SVG document.
pub(crate) fn svg(
    width: u32,
    height: u32,
    paint: impl FnOnce(&mut Canvas<SVGBackend>) -> Result<()>,
) -> Result<String> {
    let size = (width * SCALE, height * SCALE);
    let mut document = String::new();
    let backend = SVGBackend::with_string(&mut document, size);
    let mut canvas = Canvas { backend, svg: true };
    canvas.rectangle((0.0, 0.0), (width.into(), height.into()), PAPER)?;
    paint(&mut canvas)?;
    // Ends the document.
    drop(canvas);
    let painted = format!("width=\"{}\" height=\"{}\"", size.0, size.1);
    let shown = format!("width=\"{width}\" height=\"{height}\"");
    Ok(document.replacen(&painted, &shown, 1))
}

/// An error of plotters' or png's as one of this crate's.
fn drawn<T>(outcome: std::result::Result<T, impl Display>) -> Result<T> {
    outcome.map_err(|problem| error(texts::figure_not_drawn(problem)))
}

impl<B: DrawingBackend> Canvas<B> {
    /// A rectangle with sharp edges.
    pub(crate) fn rectangle(&mut self, at: Point, size: Point, color: Color) -> Result<()> {
        let (from, to) = (pixel(at), pixel((at.0 + size.0, at.1 + size.1)));
        drawn(self.backend.draw_rect(from, to, &rgb(color).filled(), true))
    }

    /// Straight lines with round ends.
    pub(crate) fn line(&mut self, points: &[Point], width: f64, color: Color) -> Result<()> {
        if self.svg {
            let width = (width * f64::from(SCALE)).round().max(1.0) as u32;
            let style = rgb(color).stroke_width(width);
            let points = points.iter().copied().map(pixel);
            return drawn(self.backend.draw_path(points, &style));
        }
        for pair in points.windows(2) {
            self.stroke(pair[0], pair[1], width, color)?;
        }
        Ok(())
    }

    pub(crate) fn disc(&mut self, center: Point, radius: f64, color: Color) -> Result<()> {
        if self.svg {
            let radius = (radius * f64::from(SCALE)).round() as u32;
            let (center, style) = (pixel(center), rgb(color).filled());
            return drawn(self.backend.draw_circle(center, radius, &style, true));
        }
        self.stroke(center, center, 2.0 * radius, color)
    }

    /// A line with round and smooth edges, pixel by pixel. plotters' own rounds the corners of a line's outline to whole
    /// pixels, so that its thickness changes with its direction, and its edges are jagged.
    fn stroke(&mut self, from: Point, to: Point, width: f64, color: Color) -> Result<()> {
        let scale = f64::from(SCALE);
        // What runs along the pixels has sharp edges.
        let along_pixels = from.0 == to.0 || from.1 == to.1;
        let [from, to] = [from, to].map(|(x, y)| match along_pixels {
            true => ((x * scale).round(), (y * scale).round()),
            false => (x * scale, y * scale),
        });
        let half = width * scale / 2.0;
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let square = (dx * dx + dy * dy).max(1e-9);
        let reach = |from: f64, to: f64| {
            let least = from.min(to) - half - 1.0;
            least.floor() as i32..(from.max(to) + half + 1.0).ceil() as i32
        };
        for y in reach(from.1, to.1) {
            for x in reach(from.0, to.0) {
                // How far the pixel's middle is from the line.
                let (px, py) = (f64::from(x) + 0.5 - from.0, f64::from(y) + 0.5 - from.1);
                let along = ((px * dx + py * dy) / square).clamp(0.0, 1.0);
                let distance = (px - along * dx).hypot(py - along * dy);
                let alpha = (half + 0.5 - distance).clamp(0.0, 1.0);
                if alpha > 0.0 {
                    let color = rgb(color).mix(alpha).to_backend_color();
                    drawn(self.backend.draw_pixel((x, y), color))?;
                }
            }
        }
        Ok(())
    }

    /// A text on its baseline.
    pub(crate) fn text(
        &mut self,
        (x, y): Point,
        anchor: Anchor,
        style: Style,
        text: &str,
    ) -> Result<()> {
        let em = style.size * f64::from(SCALE);
        // plotters places text differently in its backends; this puts the baseline at `y` in both.
        let (height, rise) = if self.svg {
            (em * 1.24, em * 0.76)
        } else {
            let half = (em * LINE_HEIGHT / 2.0).round();
            (half * 2.0, half)
        };
        let rise = rise / f64::from(SCALE);
        let (at, turn) = match style.upward {
            true => ((x - rise, y), FontTransform::Rotate270),
            false => ((x, y - rise), FontTransform::None),
        };
        let font = font(height, style.bold).transform(turn);
        let color = rgb(style.color);
        let place = Pos::new(anchor, VPos::Top);
        let style = TextStyle::from(font).color(&color).pos(place);
        drawn(self.backend.draw_text(text, &style, pixel(at)))
    }
}

fn rgb([red, green, blue]: Color) -> RGBColor {
    RGBColor(red, green, blue)
}

/// The nearest corner of four painted pixels.
fn pixel((x, y): Point) -> (i32, i32) {
    let scale = f64::from(SCALE);
    ((x * scale).round() as i32, (y * scale).round() as i32)
}

/// The font that comes with the program: a figure needs none of the system's.
fn font(height: f64, bold: bool) -> FontDesc<'static> {
    let (style, file) = match bold {
        true => (FontStyle::Bold, dejavu::sans::bold()),
        false => (FontStyle::Normal, dejavu::sans::regular()),
    };
    // Every evcxr cell has its own copy of plotters' table of fonts: it is registered at each use, in microseconds. A font
    // that is not there is an error at the first text that is drawn.
    let _ = register_font(FAMILY, style, file);
    FontDesc::new(FontFamily::Name(FAMILY), height, style)
}

/// The width of a text on the paper.
pub(crate) fn text_width(text: &str, style: Style) -> f64 {
    // Measured large, because plotters rounds to whole pixels.
    const FINE: f64 = 16.0;
    font(style.size * FINE * LINE_HEIGHT, style.bold)
        .layout_box(text)
        .map_or(0.0, |(_, (width, _))| f64::from(width) / FINE)
}

/// The text, cut with "…" where it would be wider than `limit`.
pub(crate) fn fitted(text: &str, style: Style, limit: f64) -> String {
    let cut = |(end, _): (usize, char)| format!("{}…", text[..end].trim_end());
    let shorter = text.char_indices().rev().map(cut);
    let mut candidates = once(text.to_string()).chain(shorter);
    let found = candidates.find(|text| text_width(text, style) <= limit);
    found.unwrap_or_else(|| "…".into())
}

/// RGB pixels as a PNG file, where possible of 256 colours: that is half of what all colours take, and looks the same.
pub(crate) fn png(width: u32, height: u32, pixels: &[u8]) -> Result<Vec<u8>> {
    let indexed = indexed(pixels.as_chunks().0);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_color(png::ColorType::Rgb);
    if let Some((palette, _)) = &indexed {
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_palette(palette.as_flattened());
    }
    // Of cells and text nothing makes smaller files.
    encoder.set_filter(png::FilterType::NoFilter);
    encoder.set_compression(png::Compression::Default);
    let data = indexed.as_ref().map_or(pixels, |(_, numbers)| numbers);
    let mut writer = drawn(encoder.write_header())?;
    drawn(writer.write_image_data(data))?;
    drawn(writer.finish())?;
    Ok(file)
}

/// At most 256 colours, and each pixel's number among them. Those that fill the least become the nearest of the others: the
/// edges of letters and lines. None if that would change a colour which fills four pixels in a row, as the data do.
fn indexed(pixels: &[Color]) -> Option<(Vec<Color>, Vec<u8>)> {
    let runs: Vec<&[Color]> = pixels.chunk_by(|a, b| a == b).collect();
    let mut longest = HashMap::<Color, usize>::new();
    for run in &runs {
        let longest = longest.entry(run[0]).or_default();
        *longest = run.len().max(*longest);
    }
    let mut palette: Vec<Color> = longest.keys().copied().collect();
    palette.sort_by_key(|color| (Reverse(longest[color]), *color));
    let rare = palette.split_off(palette.len().min(256));
    if rare.first().is_some_and(|color| longest[color] >= 4) {
        return None;
    }
    let mut numbers: HashMap<Color, u8> = palette.iter().copied().zip(0..=255).collect();
    for color in rare {
        let distance = |other: &&Color| -> u32 {
            let parts = color.iter().zip(other.iter());
            parts.map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum()
        };
        if let Some(nearest) = palette.iter().min_by_key(distance) {
            numbers.insert(color, numbers[nearest]);
        }
    }
    let runs = runs.iter();
    let pixels = runs.flat_map(|run| repeat_n(numbers[&run[0]], run.len()));
    Some((palette, pixels.collect()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Painted pixels, and how many there are in a row.
    pub(crate) struct Painted {
        pub width: u32,
        pub pixels: Vec<u8>,
    }

    pub(crate) fn decoded(file: &[u8]) -> Painted {
        let mut decoder = png::Decoder::new(file);
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size()];
        let width = reader.next_frame(&mut pixels).unwrap().width;
        Painted { width, pixels }
    }

    impl Painted {
        pub(crate) fn color(&self, x: u32, y: u32) -> Color {
            let at = 3 * (y * self.width + x) as usize;
            [0, 1, 2].map(|part| self.pixels[at + part])
        }
    }

    fn painted(
        width: u32,
        height: u32,
        paint: impl FnOnce(&mut Canvas<BitMapBackend>) -> Result<()>,
    ) -> Painted {
        let pixels = pixels(width, height, paint).unwrap();
        Painted {
            width: width * SCALE,
            pixels,
        }
    }

    const INK: Style = Style {
        size: 20.0,
        bold: false,
        color: [34; 3],
        upward: false,
    };

    /// A small paper with one text on it.
    fn written(anchor: Anchor, style: Style, text: &str) -> Painted {
        painted(60, 40, |canvas| {
            canvas.text((30.0, 30.0), anchor, style, text)
        })
    }

    fn is_dark(canvas: &Painted, x: u32, y: u32) -> bool {
        canvas.color(x, y)[0] < 128
    }

    #[test]
    fn paper_is_opaque_and_twice_as_large() {
        assert_eq!(painted(30, 20, |_| Ok(())).pixels, vec![255; 60 * 40 * 3]);
    }

    #[test]
    fn every_russian_letter_has_its_own_shape() {
        let shape = |text| written(Anchor::Left, INK, text).pixels;
        // U+E000 is in no font: it is drawn as the box for what is missing.
        let mut seen = vec![("missing", shape("\u{e000}"))];
        assert!(seen[0].1.iter().any(|&value| value != 255), "no box");
        let letters = "БбГгДдЁёЖжЗзИиЙйКкЛлмнПптУфЦцЧчШшЩщЪъЫыЬьЭэЮюЯя№×✓✗…−";
        for (at, letter) in letters.char_indices() {
            let name = &letters[at..at + letter.len_utf8()];
            let pixels = shape(name);
            if let Some((other, _)) = seen.iter().find(|(_, other)| *other == pixels) {
                panic!("{name} looks like {other}");
            }
            seen.push((name, pixels));
        }
    }

    #[test]
    fn text_stands_on_its_baseline() {
        let canvas = written(Anchor::Left, INK, "Н");
        let ink = |y: u32| (0..120).any(|x| is_dark(&canvas, x, y));
        assert!(ink(59), "the last row above the baseline");
        assert!(!ink(60), "the row under the baseline");
        // A capital of DejaVu Sans is 0.73 em high.
        assert!(ink(32) && !ink(29));
    }

    #[test]
    fn text_is_as_wide_as_it_is_measured() {
        let width = text_width("Ш", INK);
        for (anchor, left, right) in [
            (Anchor::Right, 30.0 - width, 30.0),
            (Anchor::Center, 30.0 - width / 2.0, 30.0 + width / 2.0),
        ] {
            let canvas = written(anchor, INK, "Ш");
            let ink = |x: &u32| (0..80).any(|y| is_dark(&canvas, *x, y));
            let first = f64::from((0..120).find(ink).unwrap()) / 2.0;
            let last = f64::from((0..120).rfind(ink).unwrap()) / 2.0;
            // The letter's own space beside it, and plotters' rounding.
            assert!((left..left + 4.5).contains(&first), "{left} {first}");
            assert!((right - 4.5..right).contains(&last), "{right} {last}");
        }
    }

    #[test]
    fn upward_text_is_turned_to_the_left() {
        let upward = Style {
            upward: true,
            ..INK
        };
        // Where there is ink, from the point: across and down.
        let reach = |style| {
            let canvas = written(Anchor::Left, style, "Ж");
            let all = (0..80).flat_map(|y| (0..120).map(move |x| (x, y)));
            let ink: Vec<_> = all.filter(|(x, y)| is_dark(&canvas, *x, *y)).collect();
            let across = ink.iter().map(|(x, _)| *x as i32 - 60);
            let down = ink.iter().map(|(_, y)| *y as i32 - 60);
            [
                across.clone().min(),
                across.max(),
                down.clone().min(),
                down.max(),
            ]
            .map(Option::unwrap)
        };
        let [left, right, top, bottom] = reach(INK);
        let expected = [top, bottom, -right, -left];
        for (turned, expected) in reach(upward).into_iter().zip(expected) {
            assert!((turned - expected).abs() <= 2, "{turned} {expected}");
        }
    }

    #[test]
    fn long_text_is_cut() {
        let style = Style { size: 12.0, ..INK };
        assert_eq!(fitted("коротко", style, 200.0), "коротко");
        let cut = fitted("очень длинное имя варианта", style, 80.0);
        assert!(
            cut.ends_with('…') && text_width(&cut, style) <= 80.0,
            "{cut}"
        );
        assert_eq!(fitted("что угодно", style, 1.0), "…");
    }

    #[test]
    fn lines_are_equally_thick_in_all_directions() {
        for to in [(90.0, 10.0), (90.0, 90.0), (90.0, 30.0), (20.0, 90.0)] {
            let canvas = painted(100, 100, |canvas| {
                canvas.line(&[(10.0, 10.0), to], 2.0, [0; 3])
            });
            let ink = canvas
                .pixels
                .iter()
                .map(|&part| 1.0 - f64::from(part) / 255.0);
            // Of a pixel as shown there are four, of three colours each.
            let ink = ink.sum::<f64>() / 12.0;
            let thickness = ink / (to.0 - 10.0f64).hypot(to.1 - 10.0);
            assert!((thickness - 2.0).abs() < 0.1, "{to:?}: {thickness}");
        }
    }

    #[test]
    fn a_disc_is_round() {
        let canvas = painted(20, 20, |canvas| canvas.disc((10.0, 10.0), 4.0, [0; 3]));
        for (x, y, part) in [
            (20, 20, 0),
            (13, 20, 0),
            (20, 26, 0),
            (15, 15, 0),
            (12, 12, 255),
            (11, 20, 255),
        ] {
            assert_eq!(canvas.color(x, y)[0], part, "{x}, {y}");
        }
    }

    #[test]
    fn what_lies_beside_the_paper_is_left_out() {
        let canvas = painted(4, 4, |canvas| {
            canvas.line(&[(-9.0, 2.0), (30.0, 2.0)], 1.0, [0; 3])?;
            canvas.rectangle((3.0, 3.0), (9.0, 9.0), [0; 3])
        });
        assert_eq!((canvas.color(0, 4), canvas.color(7, 7)), ([0; 3], [0; 3]));
        assert_eq!(canvas.color(0, 0), PAPER);
    }

    #[test]
    fn png_holds_the_pixels() {
        let canvas = written(Anchor::Center, INK, "Ж");
        let decoded = decoded(&png(120, 80, &canvas.pixels).unwrap());
        assert_eq!((decoded.width, decoded.pixels), (120, canvas.pixels));
    }

    #[test]
    fn no_color_of_the_data_is_changed() {
        let pixels: Vec<Color> = (0..300)
            .flat_map(|at| [[0, (at / 2) as u8, (at % 2) as u8]; 4])
            .collect();
        let decoded = decoded(&png(1200, 1, pixels.as_flattened()).unwrap());
        assert_eq!(decoded.pixels, pixels.as_flattened());
    }

    #[test]
    fn of_more_than_256_colors_the_rare_ones_become_the_nearest() {
        let frequent = (0..=255).flat_map(|green| [[0, green, 0]; 5]);
        let rare = (0..=99).map(|green| [9, green, 0]);
        let pixels: Vec<Color> = frequent.clone().chain(rare).collect();
        let decoded = decoded(&png(1380, 1, pixels.as_flattened()).unwrap());
        let nearest = (0..=99).map(|green| [0, green, 0]);
        let expected: Vec<Color> = frequent.chain(nearest).collect();
        assert_eq!(decoded.pixels, expected.as_flattened());
    }
}
