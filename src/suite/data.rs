//! Rows of a CSV or JSON-lines file, for `{{data.column}}`.
//!
//! Call number *i* uses row *i* modulo the number of rows: the same calls every time, and every
//! row as often as any other.

use std::collections::BTreeSet;

use serde_json::Value;

/// Largest file of rows, in bytes.
pub const LARGEST_FILE_BYTES: u64 = 16 << 20;

/// Most rows.
const MOST_ROWS: usize = 1_000_000;

/// Rows with named columns; never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct DataRows {
    columns: Vec<String>,
    /// Each as long as `columns`.
    rows: Vec<Vec<Value>>,
}

/// What is wrong with a file of rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// A line that cannot be read.
    #[error("line {line}: {problem}")]
    Line {
        /// Counts from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// No row.
    #[error("it has no row")]
    NoRow,
    /// More rows than are taken.
    #[error("it has more than {MOST_ROWS} rows")]
    TooMany,
}

fn at(line: u64, problem: impl Into<String>) -> DataError {
    DataError::Line {
        line,
        problem: problem.into(),
    }
}

impl DataRows {
    /// Reads comma-separated values (RFC 4180) whose first line names the columns; every cell is a
    /// string.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn from_csv(text: &str) -> Result<Self, DataError> {
        let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
        let problem = |error: &csv::Error| {
            let line = error.position().map_or(1, csv::Position::line);
            let words = match error.kind() {
                csv::ErrorKind::UnequalLengths {
                    expected_len, len, ..
                } => format!("{len} cells where the first line names {expected_len}"),
                _ => "cannot be read as comma-separated values".to_owned(),
            };
            at(line, words)
        };
        let header = reader.headers().map_err(|error| problem(&error))?;
        // Spreadsheets put a byte order mark first.
        let columns: Vec<String> = header
            .iter()
            .map(|name| name.trim_start_matches('\u{feff}').trim().to_owned())
            .collect();
        let mut seen = BTreeSet::new();
        for name in &columns {
            if !seen.insert(name) {
                let twice = crate::suite::diagnostics::shown(name);
                return Err(at(1, format!("the column `{twice}` is there twice")));
            }
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| problem(&error))?;
            rows.push(record.iter().map(Value::from).collect());
            if rows.len() > MOST_ROWS {
                return Err(DataError::TooMany);
            }
        }
        Self::new(columns, rows)
    }

    /// Reads one JSON object a line, each with the members of the first; cells may be any JSON.
    /// Empty lines are skipped.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn from_json_lines(text: &str) -> Result<Self, DataError> {
        let mut columns: Vec<String> = Vec::new();
        let mut rows = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            if text.trim().is_empty() {
                continue;
            }
            let mut object: serde_json::Map<String, Value> = serde_json::from_str(text)
                .map_err(|error| at(line, format!("no JSON object (column {})", error.column())))?;
            if rows.is_empty() {
                columns = object.keys().cloned().collect();
            }
            let cells: Vec<Value> = columns
                .iter()
                .filter_map(|name| object.remove(name))
                .collect();
            if cells.len() != columns.len() || !object.is_empty() {
                return Err(at(line, "other members than the first row has"));
            }
            rows.push(cells);
            if rows.len() > MOST_ROWS {
                return Err(DataError::TooMany);
            }
        }
        Self::new(columns, rows)
    }

    fn new(columns: Vec<String>, rows: Vec<Vec<Value>>) -> Result<Self, DataError> {
        if rows.is_empty() {
            return Err(DataError::NoRow);
        }
        Ok(Self { columns, rows })
    }

    /// The names that `{{data.NAME}}` may use.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The place of a column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// The cells of a column, by row.
    pub fn cells(&self, column: usize) -> impl Iterator<Item = &Value> {
        self.rows.iter().filter_map(move |row| row.get(column))
    }

    /// All of it as JSON, for a hash.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::json!({ "columns": self.columns, "rows": self.rows })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_and_mistakes() {
        let csv = DataRows::from_csv;
        let lines = DataRows::from_json_lines;
        let read = csv("\u{feff}query,limit\n\"a, \"\"b\"\"\",5\nc,\n").unwrap();
        assert_eq!(read.columns(), ["query", "limit"]);
        assert_eq!(
            read.to_json()["rows"],
            json!([["a, \"b\"", "5"], ["c", ""]])
        );
        let read = lines("{\"n\": 5, \"q\": [1]}\n\n{\"q\": null, \"n\": 6}\r\n").unwrap();
        assert_eq!(
            read.cells(read.column("n").unwrap()).collect::<Vec<_>>(),
            [5, 6]
        );
        assert_eq!(read.column("x"), None);
        for (found, expected) in [
            (csv(""), "it has no row"),
            (csv("a,b\n"), "it has no row"),
            (lines("\n \n"), "it has no row"),
            (csv("a,a\n1,2\n"), "line 1: the column `a` is there twice"),
            (
                csv("a,b\n1,2\n3\n"),
                "line 3: 1 cells where the first line names 2",
            ),
            (
                lines("{\"a\":1}\n{\"a\":1"),
                "line 2: no JSON object (column 6)",
            ),
            (lines("[1]"), "line 1: no JSON object (column 0)"),
            (
                lines("{\"a\":1}\n{\"b\":1}"),
                "line 2: other members than the first row has",
            ),
            (
                lines("{\"a\":1}\n{\"a\":1,\"b\":1}"),
                "line 2: other members than the first row has",
            ),
        ] {
            assert_eq!(found.unwrap_err().to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = DataRows::from_csv(&text);
            let _ = DataRows::from_json_lines(&text);
        }
    }
}
