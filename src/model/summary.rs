//! The table of a model's layers.

use std::fmt;

use super::layer::format_shape;
use super::network::{BuiltLayer, Network};
use crate::Result;
use crate::session::display::{Content, Show, shows_itself};
use crate::session::table::Table;
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

    fn table(&self) -> Table {
        let cells = |row: &SummaryRow| {
            let shape = format_shape(&row.output_shape);
            vec![row.name.clone(), shape, thousands(row.parameters)]
        };
        Table {
            head: vec![
                texts::summary_layer(),
                texts::summary_shape(),
                texts::summary_parameters(),
            ],
            rows: self.rows.iter().map(cells).collect(),
            words: 2,
            foot: Some(texts::summary_total(thousands(self.total))),
        }
    }
}

shows_itself!(Summary);

impl Show for Summary {
    fn content(&self) -> Result<Content> {
        Ok(self.table().content())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table().fmt(f)
    }
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
