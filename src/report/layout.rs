//! Colour, wrapping and plain tables for the text formats.

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::{TextStyle, escape, figure, headline::Tone};
use crate::gate::Verdict;

/// Columns that a terminal is taken to have at least.
const NARROWEST: usize = 40;

/// Collects lines, coloured and wrapped as asked.
pub(crate) struct Page {
    style: TextStyle,
    out: String,
}

impl Page {
    pub(crate) fn new(style: TextStyle) -> Self {
        Self {
            style,
            out: String::new(),
        }
    }

    /// `true` where lines may be at least this long.
    pub(crate) fn holds(&self, columns: u16) -> bool {
        self.style.width.is_none_or(|width| width >= columns)
    }

    /// Columns that a line has; `None` where it may have any number.
    pub(crate) fn columns(&self) -> Option<usize> {
        self.style
            .width
            .map(|width| usize::from(width).max(NARROWEST))
    }

    /// Whether everything is to be told.
    pub(crate) fn is_verbose(&self) -> bool {
        self.style.verbose
    }

    /// The finished text; ends with a line break.
    pub(crate) fn finish(self) -> String {
        let text = escape::disarm_workflow_commands(&self.out).replace(figure::GAP, " ");
        if self.style.ascii {
            escape::ascii(&text)
        } else {
            text
        }
    }

    pub(crate) fn blank(&mut self) {
        self.out.push('\n');
    }

    /// A line as it stands.
    pub(crate) fn raw(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    /// A heading after a blank line, wrapped.
    pub(crate) fn heading(&mut self, style: Style, text: &str) {
        self.blank();
        for line in self.wrapped("", "  ", text) {
            let painted = self.paint(style, &line);
            self.raw(&painted);
        }
    }

    /// A sentence after `lead`, wrapped under itself.
    pub(crate) fn sentence(&mut self, lead: &str, text: &str) {
        let indent = " ".repeat(textwrap::core::display_width(lead));
        self.hanging(lead, &indent, text);
    }

    /// A sentence after `lead`, wrapped under `indent`.
    pub(crate) fn hanging(&mut self, lead: &str, indent: &str, text: &str) {
        for line in self.wrapped(lead, indent, text) {
            self.raw(&line);
        }
    }

    /// A sentence of less weight; `lead` is white space.
    pub(crate) fn aside(&mut self, lead: &str, text: &str) {
        for line in self.wrapped(lead, lead, text) {
            let line = self.paint(DIM, &line);
            self.raw(&line);
        }
    }

    fn wrapped(&self, lead: &str, indent: &str, text: &str) -> Vec<String> {
        let columns = self.columns().unwrap_or(usize::MAX);
        let options = textwrap::Options::new(columns)
            .initial_indent(lead)
            .subsequent_indent(indent)
            .break_words(false)
            .word_separator(textwrap::WordSeparator::AsciiSpace)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        textwrap::wrap(text, options)
            .into_iter()
            .map(std::borrow::Cow::into_owned)
            .collect()
    }

    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        if self.style.color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();

pub(crate) fn tone_style(tone: Tone) -> Style {
    match tone {
        Tone::Good => AnsiColor::Green.on_default().bold(),
        Tone::Doubtful => AnsiColor::Yellow.on_default().bold(),
        Tone::Bad => AnsiColor::Red.on_default().bold(),
        Tone::Neutral => AnsiColor::Cyan.on_default().bold(),
    }
}

pub(crate) fn verdict_style(verdict: Verdict) -> Style {
    tone_style(match verdict {
        Verdict::Pass | Verdict::Improved => Tone::Good,
        Verdict::Regressed => Tone::Bad,
        Verdict::Inconclusive => Tone::Doubtful,
        Verdict::NotMeasured => Tone::Neutral,
    })
}

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Lines of a table without rules; one line a row, since no cell is wrapped. Cells must be our
/// own words and figures, which are short; foreign text goes above or below a table.
pub(crate) fn columns(
    rows: &[Vec<String>],
    header: Option<&[&str]>,
    align: &[Align],
) -> Vec<String> {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    if let Some(header) = header {
        table.set_header(header.to_vec());
    }
    table.add_rows(rows);
    for (column, align) in table.column_iter_mut().zip(align) {
        column.set_padding((0, 2));
        column.set_cell_alignment(match align {
            Align::Left => CellAlignment::Left,
            Align::Right => CellAlignment::Right,
        });
    }
    table.lines().collect()
}
