//! The table of a model's layers.

use std::fmt;

use super::layer::format_shape;
use super::network::{BuiltLayer, Network};
use crate::Result;
use crate::session::display::Content;
use crate::session::progress::escape;
use crate::session::texts;

/// A model's layers, their output shapes and their weights, as a table: a notebook shows it as HTML, `println!` as
/// text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// One row a layer, first to last.
    pub rows: Vec<SummaryRow>,
    /// The shape of one image.
    pub input_shape: Vec<i64>,
    /// All weights of the model. All of them are trained.
    pub total: i64,
}

/// One layer of a [`Summary`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryRow {
    /// The layer's name: `conv2d`, `max_pooling2d`, `conv2d_1`, …
    pub name: String,
    /// The shape that comes out for one image.
    pub output_shape: Vec<i64>,
    /// The number of its weights.
    pub parameters: i64,
}

impl Summary {
    pub(crate) fn new(network: &Network) -> Self {
        let row = |BuiltLayer { plan, .. }: &BuiltLayer| SummaryRow {
            name: plan.at.name.clone(),
            output_shape: plan.output.clone(),
            parameters: plan.parameters(),
        };
        let rows: Vec<SummaryRow> = network.layers.iter().map(row).collect();
        let total = rows.iter().map(|row| row.parameters).sum();
        Self {
            rows,
            input_shape: network.input_shape().to_vec(),
            total,
        }
    }

    /// Shows the table now, in the middle of a cell.
    ///
    /// # Errors
    /// None today; a `Result`, so that all that shows itself is called alike.
    pub fn show(&self) -> Result<()> {
        self.content().show();
        Ok(())
    }

    /// Shows the value that ends a cell.
    pub fn evcxr_display(&self) {
        self.content().show_as_result();
    }

    fn content(&self) -> Content {
        let mut html = String::from("<table><thead><tr>");
        for (i, head) in head().iter().enumerate() {
            html.push_str(&format!(
                "<th style=\"text-align:{}\">{}</th>",
                align(i),
                escape(head)
            ));
        }
        html.push_str("</tr></thead><tbody>");
        for cells in self.cells() {
            html.push_str("<tr>");
            for (i, cell) in cells.iter().enumerate() {
                let align = align(i);
                html.push_str(&format!(
                    "<td style=\"text-align:{align}\">{}</td>",
                    escape(cell)
                ));
            }
            html.push_str("</tr>");
        }
        let total = escape(&texts::summary_total(thousands(self.total)));
        html.push_str(&format!(
            "</tbody><tfoot><tr><td colspan=\"3\" style=\"text-align:right\"><b>{total}</b></td></tr></tfoot></table>"
        ));
        Content::html(self.to_string(), html)
    }

    fn cells(&self) -> Vec<[String; 3]> {
        let row = |row: &SummaryRow| {
            [
                row.name.clone(),
                format_shape(&row.output_shape),
                thousands(row.parameters),
            ]
        };
        self.rows.iter().map(row).collect()
    }
}

fn head() -> [String; 3] {
    [
        texts::summary_layer(),
        texts::summary_shape(),
        texts::summary_parameters(),
    ]
}

fn align(column: usize) -> &'static str {
    if column == 2 { "right" } else { "left" }
}

/// 243786 as `243,786`, and in Russian as `243 786`: there a comma begins the decimals.
pub(crate) fn thousands(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push_str(&texts::thousands_separator());
        }
        text.push(digit);
    }
    if n < 0 { format!("-{text}") } else { text }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = head();
        let rows = self.cells();
        let width = |i: usize| {
            let cells = rows.iter().map(|row| row[i].chars().count());
            cells
                .chain([head[i].chars().count()])
                .max()
                .unwrap_or_default()
        };
        let (a, b, c) = (width(0), width(1), width(2));
        let line = "─".repeat(a + b + c + 4);
        writeln!(f, "{:a$}  {:b$}  {:>c$}", head[0], head[1], head[2])?;
        writeln!(f, "{line}")?;
        for [name, shape, parameters] in &rows {
            writeln!(f, "{name:a$}  {shape:b$}  {parameters:>c$}")?;
        }
        writeln!(f, "{line}")?;
        write!(f, "{}", texts::summary_total(thousands(self.total)))
    }
}
