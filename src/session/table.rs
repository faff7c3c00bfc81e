//! A table as text and as HTML.

use std::fmt;

use super::display::{Content, escape};

/// Rows below a head.
pub(crate) struct Table<const COLUMNS: usize> {
    pub head: [String; COLUMNS],
    pub rows: Vec<[String; COLUMNS]>,
    /// How many columns hold words: they come first and stand at the left. The others hold numbers.
    pub words: usize,
    /// A line below the rows.
    pub foot: Option<String>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub(crate) fn content(&self) -> Content {
        let row = |cells: &[String; COLUMNS], tag: &str| {
            let cells = cells.iter().enumerate().map(|(i, cell)| {
                let align = if i < self.words { "left" } else { "right" };
                let style = format!("text-align:{align};white-space:nowrap");
                format!("<{tag} style=\"{style}\">{}</{tag}>", escape(cell))
            });
            format!("<tr>{}</tr>", cells.collect::<String>())
        };
        let head = row(&self.head, "th");
        let rows: String = self.rows.iter().map(|cells| row(cells, "td")).collect();
        let mut html = format!("<table><thead>{head}</thead><tbody>{rows}</tbody>");
        if let Some(foot) = &self.foot {
            let foot = escape(foot);
            html += &format!(
                "<tfoot><tr><td colspan=\"{COLUMNS}\" style=\"text-align:right\"><b>{foot}</b></td></tr></tfoot>"
            );
        }
        Content::html(self.to_string(), html + "</table>")
    }
}

impl<const COLUMNS: usize> fmt::Display for Table<COLUMNS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |i: usize| {
            let cells = self.rows.iter().map(|row| row[i].chars().count());
            cells.fold(self.head[i].chars().count(), usize::max)
        };
        let widths: [usize; COLUMNS] = std::array::from_fn(width);
        let line = |cells: &[String; COLUMNS]| {
            let cells = cells.iter().zip(widths).enumerate();
            let cells = cells.map(|(i, (cell, width))| match i < self.words {
                true => format!("{cell:width$}"),
                false => format!("{cell:>width$}"),
            });
            cells.collect::<Vec<_>>().join("  ")
        };
        let rule = "─".repeat(widths.iter().sum::<usize>() + 2 * (COLUMNS - 1));
        write!(f, "{}\n{rule}", line(&self.head))?;
        for row in &self.rows {
            write!(f, "\n{}", line(row))?;
        }
        match &self.foot {
            Some(foot) => write!(f, "\n{rule}\n{foot}"),
            None => Ok(()),
        }
    }
}
