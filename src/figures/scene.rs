//! What a figure is made of: text, lines, shapes and pictures at fixed places, to be painted as PNG or written as SVG.
//!
//! All lengths are in pixels as shown; `y` grows downwards.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plotters::backend::DrawingBackend;

use super::canvas::{self, Anchor, Canvas, Color, Point, SCALE, Style};
use crate::Result;
use crate::session::display::escape;

/// Coloured cells in rows and columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cells {
    pub columns: usize,
    /// Row by row.
    pub colors: Vec<Color>,
}

impl Cells {
    pub(crate) fn rows(&self) -> usize {
        self.colors.len() / self.columns
    }

    /// How many lie along the longer axis.
    pub(crate) fn longer(&self) -> f64 {
        self.rows().max(self.columns) as f64
    }

    /// As an element of an SVG document: a pixel for each cell, of which the viewer makes sharp blocks.
    fn svg(&self, (x, y): Point, (width, height): Point) -> Result<String> {
        let (columns, rows) = (self.columns as u32, self.rows() as u32);
        let file = STANDARD.encode(canvas::png(columns, rows, self.colors.as_flattened())?);
        let [x, y, width, height] = [x, y, width, height].map(|length| length * f64::from(SCALE));
        Ok(format!(
            "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" \
             style=\"image-rendering:optimizeSpeed;image-rendering:pixelated\" \
             href=\"data:image/png;base64,{file}\"/>\n"
        ))
    }
}

/// One thing to paint. Text stands on its baseline; a line and a disc are followed by width and radius.
enum Mark {
    Text(Point, Anchor, Style, String),
    Line(Vec<Point>, f64, Color),
    Rectangle(Point, Point, Color),
    Disc(Point, f64, Color),
    /// Each cell is a sharp block.
    Picture(Point, Point, Cells),
}

/// A figure's content, painted in the order of its marks.
pub(crate) struct Scene {
    pub width: u32,
    pub height: u32,
    marks: Vec<Mark>,
}

impl Scene {
    /// An empty paper, its size rounded up to whole pixels.
    pub(crate) fn new(width: f64, height: f64) -> Self {
        Self {
            width: width.ceil() as u32,
            height: height.ceil() as u32,
            marks: Vec::new(),
        }
    }

    /// A text on its baseline.
    pub(crate) fn text(&mut self, at: Point, anchor: Anchor, style: Style, text: String) {
        self.marks.push(Mark::Text(at, anchor, style, text));
    }

    pub(crate) fn line(&mut self, points: Vec<Point>, width: f64, color: Color) {
        self.marks.push(Mark::Line(points, width, color));
    }

    /// A line of dashes of 6 pixels with gaps of 4.
    pub(crate) fn dashes(&mut self, points: &[Point], width: f64, color: Color) {
        for dash in cut(points, 6.0, 4.0) {
            self.line(dash, width, color);
        }
    }

    pub(crate) fn rectangle(&mut self, at: Point, size: Point, color: Color) {
        self.marks.push(Mark::Rectangle(at, size, color));
    }

    pub(crate) fn disc(&mut self, center: Point, radius: f64, color: Color) {
        self.marks.push(Mark::Disc(center, radius, color));
    }

    /// Square cells in the middle of a square, whose side their longer axis fills; gives back where they lie and how large
    /// they are.
    pub(crate) fn picture(&mut self, square: Point, side: f64, cells: Cells) -> (Point, Point) {
        let length = |count: usize| (side * count as f64 / cells.longer()).round().max(1.0);
        let size = (length(cells.columns), length(cells.rows()));
        let centered = |start: f64, size: f64| start + ((side - size) / 2.0).floor();
        let at = (centered(square.0, size.0), centered(square.1, size.1));
        self.marks.push(Mark::Picture(at, size, cells));
        (at, size)
    }

    /// The figure as the bytes of a PNG file, with twice as many pixels in each direction as are shown.
    pub(crate) fn png(&self) -> Result<Vec<u8>> {
        canvas::png(self.width * SCALE, self.height * SCALE, &self.pixels()?)
    }

    fn pixels(&self) -> Result<Vec<u8>> {
        canvas::pixels(self.width, self.height, |canvas| {
            self.marks.iter().try_for_each(|mark| mark.paint(canvas))
        })
    }

    /// The figure as an SVG document with this title.
    pub(crate) fn svg(&self, title: &str) -> Result<String> {
        // plotters' SVG has neither a title nor, unless all of the crate `image` comes with it, pictures.
        let title = format!(">\n<title>{}</title>", escape(title));
        let mut end = String::new();
        let document = canvas::svg(self.width, self.height, |canvas| {
            for mark in &self.marks {
                match mark {
                    Mark::Picture(at, size, cells) => end += &cells.svg(*at, *size)?,
                    mark => mark.paint(canvas)?,
                }
            }
            Ok(())
        })?;
        end += "</svg>";
        Ok(document.replacen('>', &title, 1).replace("</svg>", &end))
    }
}

impl Mark {
    fn paint<B: DrawingBackend>(&self, canvas: &mut Canvas<B>) -> Result<()> {
        match self {
            Self::Text(at, anchor, style, text) => canvas.text(*at, *anchor, *style, text),
            Self::Line(points, width, color) => canvas.line(points, *width, *color),
            Self::Rectangle(at, size, color) => canvas.rectangle(*at, *size, *color),
            Self::Disc(center, radius, color) => canvas.disc(*center, *radius, *color),
            Self::Picture(at, size, cells) => {
                let cell = (size.0 / cells.columns as f64, size.1 / cells.rows() as f64);
                for (i, color) in cells.colors.iter().enumerate() {
                    let (column, row) = ((i % cells.columns) as f64, (i / cells.columns) as f64);
                    let at = (at.0 + column * cell.0, at.1 + row * cell.1);
                    canvas.rectangle(at, cell, *color)?;
                }
                Ok(())
            }
        }
    }
}

/// The dashes of a line.
fn cut(points: &[Point], dash: f64, gap: f64) -> Vec<Vec<Point>> {
    // Dashes and gaps in turn.
    let mut pieces = Vec::new();
    let mut piece = Vec::from_iter(points.first().copied());
    let mut left = dash;
    for &[mut from, to] in points.array_windows() {
        loop {
            let (dx, dy) = (to.0 - from.0, to.1 - from.1);
            let length = dx.hypot(dy);
            if length <= left {
                left -= length;
                piece.push(to);
                break;
            }
            from = (from.0 + dx * left / length, from.1 + dy * left / length);
            piece.push(from);
            pieces.push(std::mem::replace(&mut piece, vec![from]));
            left = [dash, gap][pieces.len() % 2];
        }
    }
    pieces.push(piece);
    let dashes = pieces.into_iter().step_by(2);
    dashes.filter(|dash| dash.len() > 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::canvas::PAPER;
    use crate::figures::canvas::tests::{Painted, decoded};
    use crate::figures::theme::TEXT;

    impl Scene {
        /// The painted pixels.
        pub(crate) fn painted(&self) -> Painted {
            Painted {
                width: self.width * SCALE,
                pixels: self.pixels().unwrap(),
            }
        }

        /// What is written on the paper.
        pub(crate) fn texts(&self) -> Vec<&str> {
            let texts = self.marks.iter().filter_map(|mark| match mark {
                Mark::Text(.., text) => Some(text.as_str()),
                _ => None,
            });
            texts.collect()
        }

        /// The pictures on the paper.
        pub(crate) fn pictures(&self) -> Vec<&Cells> {
            let pictures = self.marks.iter().filter_map(|mark| match mark {
                Mark::Picture(.., cells) => Some(cells),
                _ => None,
            });
            pictures.collect()
        }
    }

    fn cells(columns: usize, colors: &[Color]) -> Cells {
        let colors = colors.to_vec();
        Cells { columns, colors }
    }

    #[test]
    fn cells_are_sharp_blocks_of_their_very_colour() {
        let mut scene = Scene::new(20.0, 19.5);
        let colors = [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]];
        let place = scene.picture((5.0, 6.0), 10.0, cells(2, &colors));
        assert_eq!(place, ((5.0, 6.0), (10.0, 10.0)));
        let canvas = scene.painted();
        for (x, y, color) in [
            (10, 12, [1, 2, 3]),
            (19, 21, [1, 2, 3]),
            (20, 12, [4, 5, 6]),
            (29, 21, [4, 5, 6]),
            (19, 22, [7, 8, 9]),
            (29, 31, [10, 11, 12]),
            (9, 12, PAPER),
            (30, 31, PAPER),
            (29, 32, PAPER),
        ] {
            assert_eq!(canvas.color(x, y), color, "{x}, {y}");
        }
    }

    #[test]
    fn cells_are_square_and_in_the_middle() {
        let mut scene = Scene::new(20.0, 20.0);
        let wide = cells(4, &[[0; 3]; 8]);
        let place = scene.picture((1.0, 2.0), 16.0, wide);
        assert_eq!(place, ((1.0, 6.0), (16.0, 8.0)));
    }

    #[test]
    fn cells_that_do_not_divide_the_size_leave_no_gap() {
        let mut scene = Scene::new(10.0, 10.0);
        scene.picture((0.0, 0.0), 10.0, cells(7, &[[9; 3]; 49]));
        let canvas = scene.painted();
        assert!((0..20).all(|x| (0..20).all(|y| canvas.color(x, y) == [9; 3])));
    }

    #[test]
    fn dashes_have_their_lengths() {
        let dashes = cut(&[(0.0, 0.0), (0.0, 12.0), (0.0, 30.0)], 6.0, 4.0);
        let ends = dashes
            .iter()
            .map(|dash| (dash[0].1, dash[dash.len() - 1].1));
        let ends: Vec<_> = ends.collect();
        assert_eq!(ends, [(0.0, 6.0), (10.0, 16.0), (20.0, 26.0)]);
        assert!(cut(&[], 6.0, 4.0).is_empty());
        assert!(cut(&[(1.0, 1.0)], 6.0, 4.0).is_empty());
    }

    #[test]
    fn svg_has_every_mark() {
        let mut scene = Scene::new(60.0, 40.0);
        let upward = Style {
            upward: true,
            ..TEXT
        };
        scene.text(
            (10.0, 30.5),
            Anchor::Right,
            TEXT,
            "Потери < 1 & больше".into(),
        );
        scene.text((1.0, 2.0), Anchor::Center, upward, "вверх".into());
        scene.line(vec![(1.0, 2.0), (3.5, 4.0)], 2.0, [0, 114, 178]);
        scene.rectangle((1.0, 1.0), (5.0, 6.0), [1, 2, 3]);
        scene.disc((7.0, 8.0), 3.5, [255, 0, 0]);
        scene.picture((3.0, 4.0), 6.0, cells(1, &[[9, 8, 7]]));
        let svg = scene.svg("Имя <1>").unwrap();
        assert!(
            svg.starts_with("<svg ") && svg.ends_with("</svg>\n"),
            "{svg}"
        );
        for part in [
            "width=\"60\" height=\"40\" viewBox=\"0 0 120 80\"",
            "<title>Имя &lt;1&gt;</title>",
            "text-anchor=\"end\" font-family=\"DejaVu Sans, Verdana, sans-serif\"",
            "Потери &lt; 1 &amp; больше\n</text>",
            "rotate(270, ",
            "вверх\n</text>",
            "stroke=\"#0072B2\" stroke-width=\"4\" points=\"2,4 7,8 \"",
            "<rect x=\"2\" y=\"2\" width=\"10\" height=\"12\" opacity=\"1\" fill=\"#010203\"",
            "<circle cx=\"14\" cy=\"16\" r=\"7\" opacity=\"1\" fill=\"#FF0000\"",
            "<image x=\"6\" y=\"8\" width=\"12\" height=\"12\"",
        ] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        let (_, data) = svg.split_once("data:image/png;base64,").unwrap();
        let (data, _) = data.split_once('"').unwrap();
        let file = STANDARD.decode(data).unwrap();
        assert_eq!(decoded(&file).pixels, [9, 8, 7]);
    }
}
