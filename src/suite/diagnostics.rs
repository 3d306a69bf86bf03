//! Mistakes in a configuration file, shown at their places.

use std::{fmt, ops::Range};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::visible::is_seen;

/// More mistakes than this are counted, not shown: nobody reads on.
const SHOWN_AT_MOST: usize = 40;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where, in bytes of the text.
    pub span: Range<usize>,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// A few words beside the caret; may be empty.
    pub label: String,
    /// What is allowed, and what to do instead.
    pub help: Vec<String>,
    /// Set where something is missing, which broken syntax elsewhere may explain.
    pub(super) about_absence: bool,
}

impl Diagnostic {
    /// A mistake with no help yet.
    #[must_use]
    pub fn new(span: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            label: label.into(),
            help: Vec::new(),
            about_absence: false,
        }
    }

    /// Marks the mistake as something missing.
    #[must_use]
    pub(super) fn about_absence(mut self) -> Self {
        self.about_absence = true;
        self
    }

    /// Adds a line that says what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }
}

/// Every mistake of one file, in the order of their places.
///
/// Holds the file's text to show it, with the places that hold secrets already masked: neither
/// `Debug` nor [`Diagnostics::render`] can give one away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    file_name: String,
    text: String,
    problems: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Sorts the mistakes by place and replaces every character within `masked` by `*`.
    pub(super) fn new(
        file_name: &str,
        text: &str,
        mut problems: Vec<Diagnostic>,
        masked: &[Range<usize>],
    ) -> Self {
        for problem in &mut problems {
            problem.span = within(text, &problem.span);
        }
        problems.sort_by(|a, b| {
            (a.span.start, a.span.end, &a.message).cmp(&(b.span.start, b.span.end, &b.message))
        });
        problems.dedup();
        Self {
            file_name: file_name.to_owned(),
            text: mask(text, masked),
            problems,
        }
    }

    /// The mistakes, in the order of their places; never empty.
    #[must_use]
    pub fn problems(&self) -> &[Diagnostic] {
        &self.problems
    }

    /// All mistakes with file, line, column, caret and help, and a last line that counts them.
    /// Ends without a line break. `color` adds ANSI styles.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut out = String::new();
        for problem in self.problems.iter().take(SHOWN_AT_MOST) {
            let snippet = Snippet::source(self.text.as_str())
                .path(self.file_name.as_str())
                .annotation(
                    AnnotationKind::Primary
                        .span(problem.span.clone())
                        .label(problem.label.as_str()),
                );
            let group = Level::ERROR
                .primary_title(problem.message.as_str())
                .element(snippet)
                .elements(
                    problem
                        .help
                        .iter()
                        .map(|text| Level::HELP.message(text.as_str())),
                );
            out.push_str(&renderer.render(&[group]));
            out.push_str("\n\n");
        }
        let hidden = self.problems.len().saturating_sub(SHOWN_AT_MOST);
        if hidden > 0 {
            out.push_str(&format!("… and {hidden} more\n"));
        }
        let count = self.problems.len();
        let mistakes = if count == 1 { "mistake" } else { "mistakes" };
        out.push_str(&format!(
            "{}: {count} {mistakes}; nothing was run",
            shown(&self.file_name)
        ));
        out
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

/// Text from outside as it may stand in a message: at most 60 characters, with control and
/// direction marks escaped.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    shown_up_to(text, LONGEST)
}

/// The same of at most so many characters.
pub(super) fn shown_up_to(text: &str, longest: usize) -> String {
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == longest {
            out.push('…');
            break;
        }
        if is_seen(c) {
            out.push(c);
        } else {
            out.extend(c.escape_debug());
        }
    }
    out
}

/// The nearest range that lies in `text` and splits no character.
fn within(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let end = text.ceil_char_boundary(span.end.min(text.len()));
    start..end.max(start)
}

fn mask(text: &str, masked: &[Range<usize>]) -> String {
    let mut masked = masked.to_vec();
    masked.sort_by_key(|range| range.start);
    let mut masked = masked.into_iter().peekable();
    // Stars as long in bytes as what they hide, so that spans behind them stay right; line breaks
    // stay, so that lines do.
    let mut out = String::with_capacity(text.len());
    let mut hidden_until = 0;
    for (at, c) in text.char_indices() {
        while let Some(range) = masked.next_if(|range| range.start <= at) {
            hidden_until = hidden_until.max(range.end);
        }
        if at < hidden_until && c != '\n' && c != '\r' {
            out.extend(std::iter::repeat_n('*', c.len_utf8()));
        } else {
            out.push(c);
        }
    }
    out
}
