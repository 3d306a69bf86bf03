//! Reading a TOML tree with spans so that every mistake is kept and nothing stops at the first.

use std::{cell::RefCell, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::suite::diagnostics::{Diagnostic, shown};

/// Mistakes that are kept.
const MOST_PROBLEMS: usize = 500;

/// What a configuration may name outside of itself.
#[derive(Clone, Copy)]
pub struct Outside<'c> {
    /// The variables of `${NAME}`.
    pub variable: &'c dyn Fn(&str) -> Option<String>,
    /// The text of a file, relative to the configuration's folder; or why there is none.
    pub file: &'c dyn Fn(&str) -> Result<String, String>,
}

impl Outside<'_> {
    /// Nothing is there.
    pub const NOTHING: Self = Self {
        variable: &|_| None,
        file: &|_| Err("no file is read here".to_owned()),
    };
}

/// What the readers share: the text, the environment, and what was found so far.
pub(super) struct Context<'c> {
    text: &'c str,
    outside: Outside<'c>,
    found: RefCell<Found>,
}

#[derive(Default)]
struct Found {
    problems: Vec<Diagnostic>,
    masked: Vec<Range<usize>>,
    #[cfg(test)]
    asked: Vec<(&'static str, &'static str)>,
}

impl<'c> Context<'c> {
    pub(super) fn new(text: &'c str, outside: Outside<'c>) -> Self {
        Self {
            text,
            outside,
            found: RefCell::default(),
        }
    }

    /// Keeps a mistake. A file with more than [`MOST_PROBLEMS`] is the wrong file: the rest would
    /// only cost time.
    pub(super) fn report(&self, problem: Diagnostic) {
        let mut found = self.found.borrow_mut();
        if found.problems.len() < MOST_PROBLEMS {
            found.problems.push(problem);
        }
    }

    /// Keeps a place of the file out of everything that is shown.
    pub(super) fn mask(&self, span: Range<usize>) {
        self.found.borrow_mut().masked.push(span);
    }

    /// A variable of the environment.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.outside.variable)(name)
    }

    /// The text of a file, or why it cannot be read.
    pub(super) fn file(&self, path: &str) -> Result<String, String> {
        (self.outside.file)(path)
    }

    /// Where `needle` stands inside `span`; `span` itself if it is not there as written (a TOML
    /// string may hold it in escapes).
    pub(super) fn narrow(&self, span: &Range<usize>, needle: &str) -> Range<usize> {
        self.text
            .get(span.clone())
            .and_then(|part| part.find(needle))
            .map_or_else(
                || span.clone(),
                |at| span.start + at..span.start + at + needle.len(),
            )
    }

    /// Every key that was asked for, with the place of its table.
    #[cfg(test)]
    pub(super) fn asked(&self) -> std::collections::BTreeSet<(&'static str, &'static str)> {
        self.found.borrow().asked.iter().copied().collect()
    }

    /// Mistakes and masked places.
    pub(super) fn into_found(self) -> (Vec<Diagnostic>, Vec<Range<usize>>) {
        let found = self.found.into_inner();
        (found.problems, found.masked)
    }
}

/// A table whose keys are asked for by name; the names asked for are the names allowed.
pub(super) struct Table<'c, 't> {
    cx: &'c Context<'c>,
    place: &'static str,
    span: Range<usize>,
    table: &'t DeTable<'t>,
    known: Vec<&'static str>,
}

impl<'c, 't> Table<'c, 't> {
    /// `place` names the table in messages, as in `[server]`.
    pub(super) fn new(
        cx: &'c Context<'c>,
        place: &'static str,
        span: Range<usize>,
        table: &'t DeTable<'t>,
    ) -> Self {
        Self {
            cx,
            place,
            span,
            table,
            known: Vec::new(),
        }
    }

    /// The value of `key`, if it is there. Makes the key an allowed one.
    pub(super) fn get(&mut self, key: &'static str) -> Option<Entry<'c, 't>> {
        self.known.push(key);
        let (found, value) = self.table.get_key_value(key)?;
        Some(Entry {
            cx: self.cx,
            name: key.to_owned(),
            key_span: found.span(),
            value,
        })
    }

    /// The value of a key that does not belong here, to be refused in words of its own.
    pub(super) fn get_foreign(&mut self, key: &'static str) -> Option<Entry<'c, 't>> {
        let entry = self.get(key);
        if entry.is_none() {
            // It stays out of the list of what is allowed.
            self.known.pop();
        }
        entry
    }

    /// Keeps a mistake of the table as a whole.
    pub(super) fn report(&self, message: impl Into<String>, label: &str, help: &str) {
        self.cx
            .report(Diagnostic::new(self.span.clone(), message, label).help(help));
    }

    /// The value of a key that must be there.
    pub(super) fn require(&mut self, key: &'static str, help: &str) -> Option<Entry<'c, 't>> {
        let entry = self.get(key);
        if entry.is_none() {
            self.cx.report(
                Diagnostic::new(
                    self.span.clone(),
                    format!("`{key}` is missing in {}", self.place),
                    format!("has no `{key}`"),
                )
                .help(help)
                .about_absence(),
            );
        }
        entry
    }

    /// Refuses every key that was not asked for. `planned` are keys that a later version will
    /// know, each with what to do until then.
    pub(super) fn finish(self, planned: &[(&str, &str)]) {
        #[cfg(test)]
        {
            let asked = self.known.iter().map(|key| (self.place, *key));
            self.cx.found.borrow_mut().asked.extend(asked);
        }
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let later = planned.iter().find(|(planned, _)| *planned == name);
            let problem = if let Some((_, instead)) = later {
                Diagnostic::new(
                    key.span(),
                    format!("`{}` in {} is not supported yet", shown(name), self.place),
                    "not supported yet",
                )
                .help(*instead)
            } else {
                let mut problem = Diagnostic::new(
                    key.span(),
                    format!("unknown key `{}` in {}", shown(name), self.place),
                    "not known here",
                );
                if let Some(near) = nearest(name, self.known.iter().copied()) {
                    problem = problem.help(format!("did you mean `{near}`?"));
                }
                problem.help(format!("allowed here: {}", self.known.join(", ")))
            };
            self.cx.report(problem);
        }
    }
}

/// One value with its place.
#[derive(Clone)]
pub(super) struct Entry<'c, 't> {
    cx: &'c Context<'c>,
    name: String,
    key_span: Range<usize>,
    value: &'t Spanned<DeValue<'t>>,
}

impl<'c, 't> Entry<'c, 't> {
    /// The key, as it may stand in a message.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Where the value stands.
    pub(super) fn span(&self) -> Range<usize> {
        self.value.span()
    }

    /// Where the key stands.
    pub(super) fn key_span(&self) -> Range<usize> {
        self.key_span.clone()
    }

    /// The shared context.
    pub(super) fn cx(&self) -> &'c Context<'c> {
        self.cx
    }

    /// The value itself.
    pub(super) fn value(&self) -> &'t DeValue<'t> {
        self.value.get_ref()
    }

    /// Keeps a mistake at the value.
    pub(super) fn refuse(&self, message: impl Into<String>, label: &str, help: impl Into<String>) {
        self.cx
            .report(Diagnostic::new(self.span(), message, label).help(help));
    }

    /// Keeps the mistake of a wrong type and says what was wanted.
    pub(super) fn wrong_type(&self, wanted: &str, help: impl Into<String>) {
        self.refuse(
            format!("`{}` must be {wanted}", self.name),
            &format!("this is {}", article(self.value().type_str())),
            help,
        );
    }

    /// A string.
    pub(super) fn string(&self, help: &str) -> Option<&'t str> {
        let text = self.value().as_str();
        if text.is_none() {
            self.wrong_type("a string", help);
        }
        text
    }

    /// A string with something in it besides white space.
    pub(super) fn filled_string(&self, help: &str) -> Option<&'t str> {
        let text = self.string(help)?;
        if text.trim().is_empty() {
            self.refuse(format!("`{}` is empty", self.name), "empty", help);
            return None;
        }
        Some(text)
    }

    /// A whole number within bounds.
    pub(super) fn integer(&self, allowed: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let (low, high) = (allowed.start(), allowed.end());
        let help = format!("allowed: a whole number from {low} to {high}");
        let Some(integer) = self.value().as_integer() else {
            self.wrong_type("a whole number", help);
            return None;
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let inside = number.filter(|n| allowed.contains(n));
        if inside.is_none() {
            self.refuse(
                format!("`{}` is out of range", self.name),
                "out of range",
                help,
            );
        }
        inside
    }

    /// The same for counts that fit 32 bits.
    pub(super) fn count(&self, allowed: std::ops::RangeInclusive<u32>) -> Option<u32> {
        self.integer(u64::from(*allowed.start())..=u64::from(*allowed.end()))
            .and_then(|n| u32::try_from(n).ok())
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let list = || {
            let quoted: Vec<String> = words.iter().map(|(w, _)| format!("\"{w}\"")).collect();
            format!("allowed: {}", quoted.join(", "))
        };
        let Some(text) = self.value().as_str() else {
            self.wrong_type("a string", list());
            return None;
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let mut problem = Diagnostic::new(
            self.span(),
            format!("`{}` cannot be \"{}\"", self.name, shown(text)),
            "not one of the allowed words",
        );
        if let Some(near) = nearest(text, words.iter().map(|(word, _)| *word)) {
            problem = problem.help(format!("did you mean \"{near}\"?"));
        }
        self.cx.report(problem.help(list()));
        None
    }

    /// A table with fixed keys.
    pub(super) fn table(&self, place: &'static str, help: &str) -> Option<Table<'c, 't>> {
        let table = self.value().as_table();
        if table.is_none() {
            self.wrong_type("a table", help);
        }
        table.map(|table| {
            // The header is the better place for what is missing in it than its whole body.
            Table::new(self.cx, place, self.header_span(), table)
        })
    }

    /// A table with free keys, as entries in the order of their names.
    pub(super) fn entries(&self, help: &str) -> Option<Vec<Entry<'c, 't>>> {
        let Some(table) = self.value().as_table() else {
            self.wrong_type("a table", help);
            return None;
        };
        Some(
            table
                .iter()
                .map(|(key, value)| Entry {
                    cx: self.cx,
                    name: key.get_ref().as_ref().to_owned(),
                    key_span: key.span(),
                    value,
                })
                .collect(),
        )
    }

    /// The elements of an array.
    pub(super) fn elements(&self, help: &str) -> Option<Vec<Entry<'c, 't>>> {
        let Some(array) = self.value().as_array() else {
            self.wrong_type("an array", help);
            return None;
        };
        Some(
            array
                .iter()
                .enumerate()
                .map(|(n, value)| Entry {
                    cx: self.cx,
                    name: format!("{}[{n}]", self.name),
                    key_span: value.span(),
                    value,
                })
                .collect(),
        )
    }

    fn header_span(&self) -> Range<usize> {
        let span = self.span();
        if span.is_empty() {
            self.key_span()
        } else {
            span
        }
    }
}

/// The known word that was most likely meant.
fn nearest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    const LIKELY: f64 = 0.8;
    // Words far longer than any of ours are not typing mistakes, and comparing them is costly.
    if word.len() > 64 {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let meant = plain(word);
    known
        .map(|candidate| {
            let likeness = strsim::jaro_winkler(&meant, &plain(candidate)).max(
                strsim::normalized_damerau_levenshtein(&meant, &plain(candidate)),
            );
            (candidate, likeness)
        })
        .filter(|(_, likeness)| *likeness >= LIKELY)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(candidate, _)| candidate)
}

fn article(kind: &str) -> String {
    match kind {
        "integer" | "array" => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}
