//! Markdown tables and lists that end before they are too long.
//!
//! comfy-table's Markdown preset pads every cell to its column, which costs bytes that a comment
//! does not have; rows are written here instead, one array a row, so that no row can have a cell
//! too many.

/// A table whose cells are already harmless.
pub(crate) struct Table<const N: usize> {
    header: [&'static str; N],
    /// `true` for columns of figures.
    right: [bool; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(crate) fn new(header: [&'static str; N], right: [bool; N]) -> Self {
        Self {
            header,
            right,
            rows: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The table in at most `room` bytes, if `room` holds the header and the closing line.
    pub(crate) fn render(&self, room: usize) -> String {
        let rules = self.right.map(|right| if right { "--:" } else { "---" });
        let head = format!("{}{}", line(&self.header), line(&rules));
        cut(head, self.rows.iter().map(|row| line(row)), room, "row")
    }
}

/// A list of harmless sentences in at most `room` bytes. Two lists that follow each other need
/// different bullets (`-`, `*`), else they become one.
pub(crate) fn list(bullet: char, items: impl IntoIterator<Item = String>, room: usize) -> String {
    let items = items.into_iter().map(|item| format!("{bullet} {item}\n"));
    cut(String::new(), items, room, "line")
}

/// A part that is closed until it is clicked.
pub(crate) fn details(summary: &str, body: &str) -> String {
    format!(
        "<details>\n<summary>{summary}</summary>\n\n{}\n</details>\n",
        body.trim_end()
    )
}

fn line<S: AsRef<str>>(cells: &[S]) -> String {
    let mut line = String::from("|");
    for cell in cells {
        line.push(' ');
        line.push_str(cell.as_ref());
        line.push_str(" |");
    }
    line.push('\n');
    line
}

/// Whole rows while they fit, then how many were left out.
fn cut(head: String, rows: impl Iterator<Item = String>, room: usize, noun: &str) -> String {
    /// Bytes kept back for the closing line.
    const CLOSING: usize = 80;
    let mut out = head;
    let mut left_out = 0_usize;
    for row in rows {
        if left_out > 0 || out.len() + row.len() + CLOSING > room {
            left_out += 1;
        } else {
            out.push_str(&row);
        }
    }
    if left_out > 0 {
        let plural = if left_out == 1 { "" } else { "s" };
        out.push_str(&format!(
            "\n… and {left_out} more {noun}{plural}, see the results file.\n"
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_whole_and_counted() {
        let mut table = Table::new(["a", "b"], [false, true]);
        for i in 0..100 {
            table.push([format!("row {i}"), i.to_string()]);
        }
        let text = table.render(300);
        assert!(text.len() <= 300, "{}", text.len());
        assert!(text.starts_with("| a | b |\n| --- | --: |\n| row 0 | 0 |\n"));
        assert!(
            text.ends_with("more rows, see the results file.\n"),
            "{text}"
        );
        let shown = text
            .lines()
            .filter(|line| line.starts_with("| row"))
            .count();
        assert!(text.contains(&format!("… and {} more rows", 100 - shown)));
        assert_eq!(table.render(10_000).lines().count(), 102);
    }
}
