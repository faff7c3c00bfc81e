//! A table as text and as HTML.

use std::fmt;

use super::display::{Content, escape};

/// Rows below a head, all of its length.
pub(crate) struct Table {
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// How many columns hold words: they come first and stand at the left. The others hold numbers.
    pub words: usize,
    /// A line below the rows.
    pub foot: Option<String>,
}

impl Table {
    pub(crate) fn content(&self) -> Content {
        let row = |cells: &[String], tag: &str| {
            let cells = cells.iter().enumerate().map(|(i, cell)| {
                let align = if i < self.words { "left" } else { "right" };
                // A long head is broken, so that a wide table fits the page.
                let wrap = if tag == "th" { "normal" } else { "nowrap" };
                let style = format!("text-align:{align};white-space:{wrap}");
                format!("<{tag} style=\"{style}\">{}</{tag}>", escape(cell))
            });
            format!("<tr>{}</tr>", cells.collect::<String>())
        };
        let head = row(&self.head, "th");
        let rows: String = self.rows.iter().map(|cells| row(cells, "td")).collect();
        let mut html = format!("<table><thead>{head}</thead><tbody>{rows}</tbody>");
        if let Some(foot) = &self.foot {
            let (foot, columns) = (escape(foot), self.head.len());
            html += &format!(
                "<tfoot><tr><td colspan=\"{columns}\" style=\"text-align:right\"><b>{foot}</b></td></tr></tfoot>"
            );
        }
        Content::html(self.to_string(), html + "</table>")
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |i: usize| {
            let cells = self.rows.iter().map(|row| row[i].chars().count());
            cells.fold(self.head[i].chars().count(), usize::max)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let line = |cells: &[String]| {
            let cells = cells.iter().zip(&widths).enumerate();
            let cells = cells.map(|(i, (cell, &width))| match i < self.words {
                true => format!("{cell:width$}"),
                false => format!("{cell:>width$}"),
            });
            cells.collect::<Vec<_>>().join("  ")
        };
        let rule = "─".repeat(widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1));
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
