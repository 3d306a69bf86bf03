//! `${NAME}`: values from the environment.

use crate::suite::Secret;

use super::reader::Entry;
use crate::suite::diagnostics::{Diagnostic, shown};

/// One part of a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// As written.
    Text(&'a str),
    /// `$${`: stands for `${`.
    Escape,
    /// `${NAME}`.
    Variable(&'a str),
    /// `${` that is not a variable; holds it up to `}` or to the end.
    Malformed(&'a str),
}

/// Splits a value. Total: every text gives parts that cover it.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let escaped = rest[..at].ends_with('$');
        let before = &rest[..at - usize::from(escaped)];
        if !before.is_empty() {
            out.push(Part::Text(before));
        }
        if escaped {
            out.push(Part::Escape);
            rest = &rest[at + 2..];
            continue;
        }
        let end = rest[at..].find('}').map_or(rest.len(), |n| at + n + 1);
        let whole = &rest[at..end];
        out.push(
            whole
                .strip_prefix("${")
                .and_then(|inner| inner.strip_suffix('}'))
                .filter(|name| is_variable_name(name))
                .map_or(Part::Malformed(whole), Part::Variable),
        );
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        out.push(Part::Text(rest));
    }
    out
}

/// What a value of `env` or `headers` says besides variables: `None` where it names none, or has
/// something else that begins with `${` or `$${`.
#[must_use]
pub fn literals(text: &str) -> Option<Vec<&str>> {
    let parts = parts(text);
    if !parts.iter().any(|part| matches!(part, Part::Variable(_))) {
        return None;
    }
    let said = parts.into_iter().filter_map(|part| match part {
        Part::Variable(_) => None,
        Part::Text(text) => Some(Some(text)),
        Part::Escape | Part::Malformed(_) => Some(None),
    });
    said.collect()
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Fills in `${NAME}` of one `env` or `headers` value. Every missing variable is reported.
pub(super) fn secret(entry: &Entry<'_, '_>, text: &str) -> Option<Secret> {
    let mut value = String::new();
    let mut taken = Vec::new();
    let mut whole = true;
    for part in parts(text) {
        match part {
            Part::Text(text) => value.push_str(text),
            Part::Escape => value.push_str("${"),
            Part::Variable(name) => {
                if let Some(filled) = variable(entry, name) {
                    value.push_str(&filled);
                    taken.push(filled);
                } else {
                    whole = false;
                }
            }
            Part::Malformed(text) => {
                malformed(entry, text);
                whole = false;
            }
        }
    }
    whole.then(|| Secret::from_environment(value, taken))
}

fn variable(entry: &Entry<'_, '_>, name: &str) -> Option<String> {
    let span = entry.cx().narrow(&entry.span(), &format!("${{{name}}}"));
    let key = shown(entry.name());
    match entry.cx().variable(name) {
        Some(value) if !value.is_empty() => Some(value),
        Some(_) => {
            entry.cx().report(
                Diagnostic::new(
                    span,
                    format!("environment variable `{}` is empty", shown(name)),
                    format!("needed for `{key}`"),
                )
                .help("GitHub gives pull requests from forks empty secrets; leave the entry out where it may be empty"),
            );
            None
        }
        None => {
            entry.cx().report(
                Diagnostic::new(
                    span,
                    format!("environment variable `{}` is not set", shown(name)),
                    format!("needed for `{key}`"),
                )
                .help("set it before starting mcpgate, or write `$${` for the characters `${`"),
            );
            None
        }
    }
}

fn malformed(entry: &Entry<'_, '_>, text: &str) {
    entry.cx().report(
        Diagnostic::new(
            entry.cx().narrow(&entry.span(), text),
            format!("`{}` names no environment variable", shown(text)),
            "not a variable",
        )
        .help("write `${NAME}` with letters, digits and `_` only; defaults such as `${NAME:-x}` are not supported")
        .help("write `$${` for the characters `${`"),
    );
}

/// A value that is shown in reports: `${NAME}` is refused, `$${` gives `${`.
pub(super) fn open_text(entry: &Entry<'_, '_>, text: &str, shown_where: &str) -> Option<String> {
    let mut value = String::new();
    let mut whole = true;
    for part in parts(text) {
        match part {
            Part::Text(text) => value.push_str(text),
            Part::Escape => value.push_str("${"),
            Part::Variable(name) => {
                refuse_open(entry, &format!("${{{name}}}"), shown_where);
                whole = false;
            }
            Part::Malformed(text) => {
                refuse_open(entry, text, shown_where);
                whole = false;
            }
        }
    }
    whole.then_some(value)
}

fn refuse_open(entry: &Entry<'_, '_>, text: &str, shown_where: &str) {
    entry.cx().report(
        Diagnostic::new(
            entry.cx().narrow(&entry.span(), text),
            format!("`{}` is not filled in {shown_where}", shown(text)),
            "would be shown in reports",
        )
        .help("pass secrets by `env` or `headers` in [server], which are never shown")
        .help("write `$${` to hand the characters `${` on, to a shell for example"),
    );
}

#[cfg(test)]
mod tests {
    use super::{Part, parts};
    use proptest::prelude::*;

    #[test]
    fn splits() {
        use Part::{Escape, Malformed, Text, Variable};
        for (text, expected) in [
            ("", vec![]),
            ("plain $ { }", vec![Text("plain $ { }")]),
            ("${A}", vec![Variable("A")]),
            (
                "Bearer ${A_1}!",
                vec![Text("Bearer "), Variable("A_1"), Text("!")],
            ),
            ("$${A}", vec![Escape, Text("A}")]),
            ("$$${A}", vec![Text("$"), Escape, Text("A}")]),
            ("${A", vec![Malformed("${A")]),
            ("${}", vec![Malformed("${}")]),
            ("${1A}", vec![Malformed("${1A}")]),
            ("${A:-b}c", vec![Malformed("${A:-b}"), Text("c")]),
            ("${ü}", vec![Malformed("${ü}")]),
        ] {
            assert_eq!(parts(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn covers_every_text(text in "[$}{aü_]{0,12}") {
            let back: String = parts(&text)
                .iter()
                .map(|part| match part {
                    Part::Text(t) | Part::Malformed(t) => (*t).to_owned(),
                    Part::Escape => "$${".to_owned(),
                    Part::Variable(name) => format!("${{{name}}}"),
                })
                .collect();
            prop_assert_eq!(back, text);
        }
    }
}
