//! Broken TOML: one mistake for each cause, and what else can be said of such a file.

use std::ops::Range;

use toml::de::{DeTable, DeValue, Error};

use crate::suite::diagnostics::Diagnostic;

/// Broken lines that are kept: a file with more is the wrong file.
const MOST_LINES: usize = 100;

/// A mistake of syntax and the part of the text that it makes unreadable.
pub(super) struct Broken {
    /// What is shown.
    pub(super) problem: Diagnostic,
    /// Whole lines.
    lines: Range<usize>,
}

/// The mistakes of syntax: one for each array that was left open and so swallows what follows, and
/// the first one of each other line.
pub(super) fn mistakes(text: &str, root: &DeTable<'_>, errors: &[Error]) -> Vec<Broken> {
    let place = |error: &Error| error.span().unwrap_or(text.len()..text.len());
    let mut open: Vec<Range<usize>> = errors
        .iter()
        .take(MOST_LINES)
        .filter(|error| error.message().starts_with("unclosed array"))
        .filter_map(|error| {
            let end = place(error).end;
            array_around(root, &place(error)).map(|array| array.start..end)
        })
        .collect();
    // An array left open within another one is explained by the outer one.
    open.sort_by_key(|array| array.start);
    open.dedup_by(|inner, outer| inner.start < outer.end);
    let mut out: Vec<Broken> = open
        .iter()
        .map(|array| Broken {
            problem: Diagnostic::new(
                array.start..array.start + 1,
                "not valid TOML: this array is not closed by `]`",
                "opened here",
            ),
            lines: lines(text, array),
        })
        .collect();
    for error in errors {
        if out.len() >= MOST_LINES {
            break;
        }
        let span = place(error);
        let lines = lines(text, &span);
        if out.iter().all(|earlier| apart(&earlier.lines, &lines)) {
            let message = format!("not valid TOML: {}", error.message());
            out.push(Broken {
                problem: Diagnostic::new(span, message, "here"),
                lines,
            });
        }
    }
    out
}

/// The outermost array that reaches up to a place.
fn array_around(table: &DeTable<'_>, place: &Range<usize>) -> Option<Range<usize>> {
    table.values().find_map(|value| {
        let span = value.span();
        match value.get_ref() {
            DeValue::Array(items) if span.start < place.start && place.start <= span.end => {
                // The array of a [[section]] has no brackets of its own.
                let section = items
                    .iter()
                    .filter_map(|item| item.get_ref().as_table())
                    .find_map(|table| array_around(table, place));
                section.or(Some(span))
            }
            DeValue::Array(items) => items
                .iter()
                .filter_map(|item| item.get_ref().as_table())
                .find_map(|table| array_around(table, place)),
            DeValue::Table(inner) => array_around(inner, place),
            _ => None,
        }
    })
}

/// The mistakes that broken syntax does not explain: those on other lines, and not those about
/// something missing, which may stand in what could not be read.
pub(super) fn unexplained(
    text: &str,
    broken: &[Broken],
    problems: Vec<Diagnostic>,
) -> Vec<Diagnostic> {
    problems
        .into_iter()
        .filter(|problem| {
            let place = lines(text, &problem.span);
            !problem.about_absence && broken.iter().all(|broken| apart(&broken.lines, &place))
        })
        .collect()
}

fn apart(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.end < b.start || b.end < a.start
}

/// The lines that a range touches, as a range of bytes.
fn lines(text: &str, span: &Range<usize>) -> Range<usize> {
    let bytes = text.as_bytes();
    let start = span.start.min(bytes.len());
    let end = span.end.clamp(start, bytes.len());
    let first = bytes[..start]
        .iter()
        .rposition(|&b| b == b'\n')
        .map_or(0, |at| at + 1);
    let last = bytes[end..]
        .iter()
        .position(|&b| b == b'\n')
        .map_or(bytes.len(), |at| end + at);
    first..last
}
