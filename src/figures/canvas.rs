//! Pixels and what is painted into them: rectangles, lines and text with smooth edges.
//!
//! All lengths are in pixels as shown; `y` grows downwards. There are twice as many pixels in each direction, so that a
//! figure is sharp on screens that have two pixels for one.

use ab_glyph::{Font, FontRef, Glyph, InvalidFont, ScaleFont, point};

use crate::Result;
use crate::session::{error, texts};

/// Red, green, blue.
pub(crate) type Color = [u8; 3];

/// Opaque, so that a figure reads the same on a light and on a dark page.
pub(crate) const PAPER: Color = [255; 3];
/// Painted pixels for one that is shown, in each direction.
pub(crate) const SCALE: u32 = 2;
/// Height of DejaVu Sans, ascent and descent, in ems: ab_glyph takes this height as a font's size.
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

/// How a text lies to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A paper that is painted on.
pub(crate) struct Canvas {
    width: u32,
    height: u32,
    /// RGB, row by row.
    pixels: Vec<u8>,
}

impl Canvas {
    /// An empty paper of this size as shown.
    pub(crate) fn new(width: u32, height: u32) -> Self {
        let (width, height) = (width * SCALE, height * SCALE);
        Self {
            width,
            height,
            pixels: PAPER.repeat((width * height) as usize),
        }
    }

    /// Mixes a pixel with a colour that covers a part of it, 0 to 1. There are none beside the paper.
    fn blend(&mut self, x: i64, y: i64, color: Color, covered: f64) {
        let (width, height) = (i64::from(self.width), i64::from(self.height));
        if !(0..width).contains(&x) || !(0..height).contains(&y) {
            return;
        }
        let at = 3 * (y * width + x) as usize;
        for (part, wanted) in self.pixels[at..at + 3].iter_mut().zip(color) {
            let (old, new) = (f64::from(*part), f64::from(wanted));
            *part = (old + (new - old) * covered).round() as u8;
        }
    }

    /// A rectangle with sharp edges.
    pub(crate) fn rectangle(&mut self, at: (f64, f64), size: (f64, f64), color: Color) {
        let (left, top) = pixel(at);
        let (right, bottom) = pixel((at.0 + size.0, at.1 + size.1));
        for y in top..bottom {
            for x in left..right {
                self.blend(x, y, color, 1.0);
            }
        }
    }

    /// A straight line with round ends; one without length is a disc.
    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), width: f64, color: Color) {
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
            least.floor() as i64..(from.max(to) + half + 1.0).ceil() as i64
        };
        for y in reach(from.1, to.1) {
            for x in reach(from.0, to.0) {
                // How far the pixel's middle is from the line.
                let (px, py) = (x as f64 + 0.5 - from.0, y as f64 + 0.5 - from.1);
                let along = ((px * dx + py * dy) / square).clamp(0.0, 1.0);
                let distance = (px - along * dx).hypot(py - along * dy);
                self.blend(x, y, color, (half + 0.5 - distance).clamp(0.0, 1.0));
            }
        }
    }

    /// A text on its baseline.
    pub(crate) fn text(
        &mut self,
        at: (f64, f64),
        anchor: Anchor,
        style: Style,
        text: &str,
    ) -> std::result::Result<(), InvalidFont> {
        let font = font(style.bold)?;
        let (glyphs, width) = lay_out(&font, text, style.size * f64::from(SCALE));
        let before = match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => width / 2.0,
            Anchor::End => width,
        };
        let (x, y) = pixel(at);
        for mut glyph in glyphs {
            glyph.position.x -= before;
            let Some(outline) = font.outline_glyph(glyph) else {
                continue;
            };
            let corner = outline.px_bounds().min;
            outline.draw(|right, down, covered| {
                let right = corner.x as i64 + i64::from(right);
                let down = corner.y as i64 + i64::from(down);
                let (x, y) = match style.upward {
                    true => (x + down, y - 1 - right),
                    false => (x + right, y + down),
                };
                self.blend(x, y, style.color, f64::from(covered).min(1.0));
            });
        }
        Ok(())
    }

    /// The painted picture as a PNG file.
    pub(crate) fn png(&self) -> Result<Vec<u8>> {
        png(self.width, self.height, &self.pixels)
    }
}

/// The nearest corner of four pixels.
fn pixel((x, y): (f64, f64)) -> (i64, i64) {
    let scale = f64::from(SCALE);
    ((x * scale).round() as i64, (y * scale).round() as i64)
}

/// The font that comes with the program: a figure needs none of the system's.
fn font(bold: bool) -> std::result::Result<FontRef<'static>, InvalidFont> {
    FontRef::try_from_slice(match bold {
        true => dejavu::sans::bold(),
        false => dejavu::sans::regular(),
    })
}

/// The glyphs of a text that begins at 0, and its width.
fn lay_out(font: &FontRef, text: &str, size: f64) -> (Vec<Glyph>, f32) {
    let font = font.as_scaled((size * LINE_HEIGHT) as f32);
    let mut glyphs: Vec<Glyph> = Vec::new();
    let mut x = 0.0;
    for letter in text.chars() {
        let id = font.glyph_id(letter);
        x += glyphs.last().map_or(0.0, |last| font.kern(last.id, id));
        glyphs.push(id.with_scale_and_position(font.scale(), point(x, 0.0)));
        x += font.h_advance(id);
    }
    (glyphs, x)
}

/// The width of a text on the paper.
pub(crate) fn text_width(text: &str, style: Style) -> f64 {
    // A font that can't be read is an error when the text is painted.
    font(style.bold).map_or(0.0, |font| lay_out(&font, text, style.size).1.into())
}

/// The text, cut with "…" where it would be wider than `limit`.
pub(crate) fn fitted(text: &str, style: Style, limit: f64) -> String {
    if text_width(text, style) <= limit {
        return text.into();
    }
    let mut end = text.to_string();
    while end.pop().is_some() {
        let shorter = format!("{}…", end.trim_end());
        if text_width(&shorter, style) <= limit {
            return shorter;
        }
    }
    "…".into()
}

/// RGB pixels as a PNG file.
pub(crate) fn png(width: u32, height: u32, pixels: &[u8]) -> Result<Vec<u8>> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // Of cells and text nothing makes smaller files: the grid has 140 KB, packed in about 30 ms.
    encoder.set_filter(png::FilterType::NoFilter);
    encoder.set_compression(png::Compression::Default);
    let write = || {
        let mut writer = encoder.write_header()?;
        writer.write_image_data(pixels)?;
        writer.finish()
    };
    write().map_err(|problem| error(texts::figure_not_drawn(problem)))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Canvas {
        /// The colour of a painted pixel.
        pub(crate) fn color(&self, x: u32, y: u32) -> Color {
            let at = 3 * (y * self.width + x) as usize;
            [0, 1, 2].map(|part| self.pixels[at + part])
        }
    }

    const INK: Style = Style {
        size: 20.0,
        bold: false,
        color: [34; 3],
        upward: false,
    };

    /// A small paper with one text on it.
    fn written(anchor: Anchor, style: Style, text: &str) -> Canvas {
        let mut canvas = Canvas::new(60, 40);
        canvas.text((30.0, 30.0), anchor, style, text).unwrap();
        canvas
    }

    fn is_dark(canvas: &Canvas, x: u32, y: u32) -> bool {
        canvas.color(x, y)[0] < 128
    }

    #[test]
    fn paper_is_opaque_and_twice_as_large() {
        assert_eq!(Canvas::new(30, 20).pixels, vec![255; 60 * 40 * 3]);
    }

    #[test]
    fn every_russian_letter_has_its_own_shape() {
        let painted = |text| written(Anchor::Start, INK, text).pixels;
        // U+E000 is in no font: it is drawn as the box for what is missing.
        let mut seen = vec![("missing", painted("\u{e000}"))];
        assert!(seen[0].1.iter().any(|&value| value != 255), "no box");
        let letters = "БбГгДдЁёЖжЗзИиЙйКкЛлмнПптУфЦцЧчШшЩщЪъЫыЬьЭэЮюЯя№×✓✗…−";
        for (at, letter) in letters.char_indices() {
            let name = &letters[at..at + letter.len_utf8()];
            let pixels = painted(name);
            if let Some((other, _)) = seen.iter().find(|(_, other)| *other == pixels) {
                panic!("{name} looks like {other}");
            }
            seen.push((name, pixels));
        }
    }

    #[test]
    fn text_stands_on_its_baseline() {
        let canvas = written(Anchor::Start, INK, "Н");
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
            (Anchor::End, 30.0 - width, 30.0),
            (Anchor::Middle, 30.0 - width / 2.0, 30.0 + width / 2.0),
        ] {
            let canvas = written(anchor, INK, "Ш");
            let ink = |x: &u32| (0..80).any(|y| is_dark(&canvas, *x, y));
            let first = f64::from((0..120).find(ink).unwrap()) / 2.0;
            let last = f64::from((0..120).rfind(ink).unwrap()) / 2.0;
            assert!((left..left + 3.0).contains(&first), "{anchor:?} {first}");
            assert!((right - 3.0..right).contains(&last), "{anchor:?} {last}");
        }
    }

    #[test]
    fn upward_text_is_turned_to_the_left() {
        let (flat, turned) = (
            INK,
            Style {
                upward: true,
                ..INK
            },
        );
        let flat = written(Anchor::Start, flat, "Ж");
        let turned = written(Anchor::Start, turned, "Ж");
        for right in 0..36 {
            for up in 1..36 {
                let color = flat.color(60 + right, 60 - up);
                assert_eq!(turned.color(60 - up, 59 - right), color);
            }
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
            let mut canvas = Canvas::new(100, 100);
            canvas.line((10.0, 10.0), to, 2.0, [0; 3]);
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
    fn a_line_without_length_is_a_disc() {
        let mut canvas = Canvas::new(20, 20);
        canvas.line((10.0, 10.0), (10.0, 10.0), 8.0, [0; 3]);
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
        let mut canvas = Canvas::new(4, 4);
        canvas.line((-9.0, 2.0), (30.0, 2.0), 1.0, [0; 3]);
        canvas.rectangle((3.0, 3.0), (9.0, 9.0), [0; 3]);
        assert_eq!((canvas.color(0, 4), canvas.color(7, 7)), ([0; 3], [0; 3]));
        assert_eq!(canvas.color(0, 0), PAPER);
    }

    #[test]
    fn png_holds_the_pixels() {
        let canvas = written(Anchor::Middle, INK, "Ж");
        let file = canvas.png().unwrap();
        let mut reader = png::Decoder::new(file.as_slice()).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (120, 80));
        assert_eq!(pixels, canvas.pixels);
    }
}
