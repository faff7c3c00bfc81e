//! What a figure is made of: text, lines, shapes and pictures at fixed places, to be painted as PNG or written as SVG.
//!
//! All lengths are in pixels as shown; `y` grows downwards.

use ab_glyph::InvalidFont;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::canvas::{Anchor, Canvas, Color, PAPER, Style, png};
use crate::Result;
use crate::session::display::escape;
use crate::session::{error, texts};

/// Coloured cells in rows and columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cells {
    pub columns: usize,
    pub rows: usize,
    /// Row by row, `columns × rows` of them.
    pub colors: Vec<Color>,
}

impl Cells {
    /// How many lie along the longer axis.
    pub(crate) fn longer(&self) -> f64 {
        self.rows.max(self.columns).max(1) as f64
    }

    /// The size of a picture of these cells in a square of `side`: the longer axis fills it, the cells are square.
    fn size_within(&self, side: f64) -> (f64, f64) {
        let size = |count: usize| (side * count as f64 / self.longer()).round().max(1.0);
        (size(self.columns), size(self.rows))
    }
}

/// Across and down.
pub(crate) type Point = (f64, f64);

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
    pub(crate) fn text(
        &mut self,
        at: Point,
        anchor: Anchor,
        style: Style,
        text: impl Into<String>,
    ) {
        self.marks.push(Mark::Text(at, anchor, style, text.into()));
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

    /// Cells in the middle of a square; gives back where they lie and how large they are.
    pub(crate) fn picture(&mut self, square: Point, side: f64, cells: Cells) -> (Point, Point) {
        let size = cells.size_within(side);
        let centered = |start: f64, size: f64| start + ((side - size) / 2.0).floor();
        let at = (centered(square.0, size.0), centered(square.1, size.1));
        self.marks.push(Mark::Picture(at, size, cells));
        (at, size)
    }

    /// What is painted, as pixels: twice as many in each direction as are shown.
    pub(crate) fn paint(&self) -> Result<Canvas> {
        let mut canvas = Canvas::new(self.width, self.height);
        for mark in &self.marks {
            mark.paint(&mut canvas)
                .map_err(|problem| error(texts::figure_not_drawn(problem)))?;
        }
        Ok(canvas)
    }

    /// The figure as an SVG document with this title.
    pub(crate) fn svg(&self, title: &str) -> Result<String> {
        let (width, height, paper) = (self.width, self.height, hex(PAPER));
        let marks = self
            .marks
            .iter()
            .map(Mark::svg)
            .collect::<Result<Vec<_>>>()?;
        Ok(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"DejaVu Sans, Verdana, sans-serif\">\n\
             <title>{}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"{paper}\"/>\n{}</svg>\n",
            escape(title),
            marks.concat(),
        ))
    }
}

impl Mark {
    fn paint(&self, canvas: &mut Canvas) -> std::result::Result<(), InvalidFont> {
        match self {
            Self::Text(at, anchor, style, text) => canvas.text(*at, *anchor, *style, text)?,
            Self::Line(points, width, color) => {
                for pair in points.windows(2) {
                    canvas.line(pair[0], pair[1], *width, *color);
                }
            }
            Self::Rectangle(at, size, color) => canvas.rectangle(*at, *size, *color),
            Self::Disc(center, radius, color) => {
                canvas.line(*center, *center, 2.0 * radius, *color)
            }
            Self::Picture(at, size, cells) => {
                let cell = (size.0 / cells.columns as f64, size.1 / cells.rows as f64);
                for (i, color) in cells.colors.iter().enumerate() {
                    let (column, row) = ((i % cells.columns) as f64, (i / cells.columns) as f64);
                    let at = (at.0 + column * cell.0, at.1 + row * cell.1);
                    canvas.rectangle(at, cell, *color);
                }
            }
        }
        Ok(())
    }

    /// The mark as an element of an SVG document.
    fn svg(&self) -> Result<String> {
        Ok(match self {
            Self::Text((x, y), anchor, style, text) => {
                let anchor = format!("{anchor:?}").to_lowercase();
                let weight = if style.bold { "bold" } else { "normal" };
                let turn = if style.upward { -90 } else { 0 };
                let (size, fill, text) = (style.size, hex(style.color), escape(text));
                format!(
                    "<text x=\"{x}\" y=\"{y}\" transform=\"rotate({turn} {x} {y})\" text-anchor=\"{anchor}\" \
                     font-size=\"{size}\" font-weight=\"{weight}\" fill=\"{fill}\">{text}</text>\n"
                )
            }
            Self::Line(points, width, color) => {
                let points: Vec<String> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
                let (points, stroke) = (points.join(" "), hex(*color));
                format!(
                    "<polyline points=\"{points}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{width}\" \
                     stroke-linecap=\"round\" stroke-linejoin=\"round\"/>\n"
                )
            }
            Self::Rectangle((x, y), (width, height), color) => {
                let fill = hex(*color);
                format!(
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\"/>\n"
                )
            }
            Self::Disc((x, y), radius, color) => {
                let fill = hex(*color);
                format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"{fill}\"/>\n")
            }
            // A pixel for each cell: the viewer makes sharp blocks of them.
            Self::Picture((x, y), (width, height), cells) => {
                let (columns, rows) = (cells.columns as u32, cells.rows as u32);
                let file = STANDARD.encode(png(columns, rows, cells.colors.as_flattened())?);
                format!(
                    "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" \
                     style=\"image-rendering:optimizeSpeed;image-rendering:pixelated\" \
                     href=\"data:image/png;base64,{file}\"/>\n"
                )
            }
        })
    }
}

/// The colour as SVG writes it.
fn hex([red, green, blue]: Color) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
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
    use crate::figures::theme::TEXT;

    impl Scene {
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
        Cells {
            columns,
            rows: colors.len() / columns,
            colors: colors.to_vec(),
        }
    }

    #[test]
    fn cells_are_sharp_blocks_of_their_very_colour() {
        let mut scene = Scene::new(20.0, 19.5);
        let colors = [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]];
        let place = scene.picture((5.0, 6.0), 10.0, cells(2, &colors));
        assert_eq!(place, ((5.0, 6.0), (10.0, 10.0)));
        let canvas = scene.paint().unwrap();
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
        let canvas = scene.paint().unwrap();
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
        scene.text((10.0, 30.5), Anchor::End, TEXT, "Потери < 1 & больше");
        scene.text((1.0, 2.0), Anchor::Middle, upward, "вверх");
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
            "width=\"60\" height=\"40\"",
            "<title>Имя &lt;1&gt;</title>",
            "<text x=\"10\" y=\"30.5\" transform=\"rotate(0 10 30.5)\" text-anchor=\"end\" font-size=\"13\"",
            ">Потери &lt; 1 &amp; больше</text>",
            "transform=\"rotate(-90 1 2)\" text-anchor=\"middle\"",
            ">вверх</text>",
            "<polyline points=\"1,2 3.5,4\" fill=\"none\" stroke=\"#0072b2\" stroke-width=\"2\"",
            "<rect x=\"1\" y=\"1\" width=\"5\" height=\"6\" fill=\"#010203\"/>",
            "<circle cx=\"7\" cy=\"8\" r=\"3.5\" fill=\"#ff0000\"/>",
            "<image x=\"3\" y=\"4\" width=\"6\" height=\"6\"",
        ] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        let (_, data) = svg.split_once("data:image/png;base64,").unwrap();
        let (data, _) = data.split_once('"').unwrap();
        let file = STANDARD.decode(data).unwrap();
        let mut reader = png::Decoder::new(file.as_slice()).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels, [9, 8, 7]);
    }
}
