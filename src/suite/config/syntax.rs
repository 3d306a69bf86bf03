//! Broken TOML: one mistake for each cause, and what else can be said of such a file.

use std::ops::Range;

use toml::de::{DeTable, DeValue, Error};

use crate::suite::diagnostics::Diagnostic;

/// The mistakes of syntax: one for each array that was left open and so swallows what follows, and
/// the first one of each other line.
pub(super) fn mistakes(text: &str, root: &DeTable<'_>, errors: &[Error]) -> Vec<Diagnostic> {
    let place = |error: &Error| error.span().unwrap_or(text.len()..text.len());
    let mut open: Vec<Range<usize>> = errors
        .iter()
        .filter(|error| error.message().starts_with("unclosed array"))
        .filter_map(|error| {
            let end = place(error).end;
            array_around(root, &place(error)).map(|array| array.start..end)
        })
        .collect();
    // An array left open within another one is explained by the outer one.
    open.sort_by_key(|array| array.start);
    open.dedup_by(|inner, outer| inner.start < outer.end);
    let mut out: Vec<Diagnostic> = open
        .iter()
        .map(|array| {
            Diagnostic::new(
                array.start..array.start + 1,
                "not valid TOML: this array is not closed by `]`",
                "opened here",
            )
        })
        .collect();
    for error in errors {
        let span = place(error);
        let line = lines(text, &span);
        let explained = open
            .iter()
            .any(|array| array.start <= span.start && span.start <= array.end)
            || out
                .iter()
                .any(|earlier| line.start <= earlier.span.start && earlier.span.start <= line.end);
        if !explained {
            let message = format!("not valid TOML: {}", error.message());
            out.push(Diagnostic::new(span, message, "here"));
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
    broken: &[Diagnostic],
    problems: Vec<Diagnostic>,
) -> Vec<Diagnostic> {
    let broken: Vec<Range<usize>> = broken.iter().map(|b| lines(text, &b.span)).collect();
    problems
        .into_iter()
        .filter(|problem| {
            let place = lines(text, &problem.span);
            !problem.about_absence
                && broken
                    .iter()
                    .all(|b| place.end < b.start || b.end < place.start)
        })
        .collect()
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
