//! `{{i}}`, `{{vu}}`, `{{uuid}}`, `{{random 1 100}}` and `{{data.column}}` in arguments and
//! expectations.
//!
//! A template is compiled once; each call is then a concatenation of ready bytes, so that filling
//! in costs the engine next to nothing between timed calls.

#[cfg(test)]
mod tests;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{data::DataRows, diagnostics::shown};

/// The placeholders, as help shows them.
pub const PLACEHOLDERS: &str = "{{i}} (number of the call, from 0), {{vu}} (number of the caller), {{uuid}}, \
     {{random 1 100}} (a whole number, both ends included), {{data.column}} (of the tool's `data` \
     file)";

/// Stands for the characters `{{`.
const ESCAPE: &str = "{{{{";

/// What makes one call differ from another.
#[derive(Debug, Clone, Copy)]
pub struct CallContext<'s> {
    seed: &'s CallSeed,
    vu: u32,
    i: u64,
}

/// Everything random in the calls of one scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallSeed([u8; 32]);

impl CallSeed {
    /// From the run's seed and the scenario's name.
    #[must_use]
    pub fn new(seed: u64, scenario: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update(scenario.as_bytes());
        Self(hash.finalize().into())
    }

    /// Call `i` of caller `vu`, both from 0.
    #[must_use]
    pub fn call(&self, vu: u32, i: u64) -> CallContext<'_> {
        CallContext { seed: self, vu, i }
    }
}

impl CallContext<'_> {
    /// The call's UUID (version 4): the same for every `{{uuid}}` of the call, so that an
    /// expectation can name what the arguments sent.
    #[must_use]
    pub fn uuid(&self) -> uuid::Uuid {
        // Four words (16 bytes) a call, whoever makes it: callers that share calls take them as they
        // become idle, which no seed decides.
        let mut random = ChaCha8Rng::from_seed(self.seed.0);
        random.set_word_pos(u128::from(self.i) * 4);
        let mut bytes = [0; 16];
        random.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A whole number from `low` to `high`, each as likely: the same wherever a call names the
    /// same bounds, so that an expectation can name what the arguments sent.
    #[must_use]
    pub fn random(&self, low: i64, high: i64) -> i64 {
        // Streams of its own: apart from the UUIDs', and for each pair of bounds.
        let mut seed = self.seed.0;
        let bounds = [low.to_le_bytes(), high.to_le_bytes()];
        for (byte, mixed) in seed.iter_mut().zip(bounds.as_flattened()) {
            *byte ^= mixed;
        }
        let mut random = ChaCha8Rng::from_seed(seed);
        random.set_stream(1 << 32);
        random.set_word_pos(u128::from(self.i) * 2);
        let span = u128::from(low.abs_diff(high)) + 1;
        // The bias is below the span times 2^-64: none that a test could see.
        let above = u64::try_from((u128::from(random.next_u64()) * span) >> 64);
        low.saturating_add_unsigned(above.unwrap_or(0))
    }
}

/// A placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placeholder<'t> {
    Call,
    Caller,
    Uuid,
    Random { low: i64, high: i64 },
    Data(&'t str),
}

impl<'t> Placeholder<'t> {
    /// `None` for a name that is none of [`PLACEHOLDERS`].
    fn read(inner: &'t str) -> Option<Self> {
        // The name of a column may hold spaces.
        if let Some(column) = inner.trim().strip_prefix("data.") {
            return Some(Self::Data(column)).filter(|_| !column.is_empty());
        }
        let mut words = inner.split_ascii_whitespace();
        let found = match words.next()? {
            "i" => Self::Call,
            "vu" => Self::Caller,
            "uuid" => Self::Uuid,
            "random" => Self::Random {
                low: words.next()?.parse().ok()?,
                high: words.next()?.parse().ok()?,
            },
            _ => return None,
        };
        words.next().is_none().then_some(found)
    }

    /// Whether a string that holds nothing else becomes a value that is no string.
    fn is_value(self) -> bool {
        !matches!(self, Self::Uuid)
    }
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `{{…}}` with a name that is none of [`PLACEHOLDERS`].
    #[error("unknown placeholder `{}`", shown(.0))]
    Unknown(String),
    /// `{{random 5 1}}`.
    #[error("`{}` has no number to give: its first bound is above its second", shown(.0))]
    Empty(String),
    /// `{{data.column}}` where there is no `data` file.
    #[error("`{}` needs a file of rows", shown(.0))]
    NoData(String),
    /// `{{data.column}}` with a column that the `data` file does not have.
    #[error("the rows of `data` have no `{}`", shown(.1))]
    NoColumn(String, String),
    /// `{{` without `}}`.
    #[error("placeholder `{}` is not closed by `}}}}`", shown(.0))]
    Unclosed(String),
}

impl TemplateError {
    /// The part of the text that is wrong.
    #[must_use]
    pub fn place(&self) -> &str {
        match self {
            Self::Unknown(place)
            | Self::Empty(place)
            | Self::NoData(place)
            | Self::NoColumn(place, _)
            | Self::Unclosed(place) => place,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Part<'t> {
    Text(&'t str),
    Filled {
        placeholder: Placeholder<'t>,
        /// The column of a [`Placeholder::Data`].
        column: usize,
    },
}

/// Splits a template; the first mistake ends it.
fn parts<'t>(
    text: &'t str,
    data: Option<&'t DataRows>,
) -> impl Iterator<Item = Result<Part<'t>, TemplateError>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(at) = rest.find("{{") else {
            return Some(Ok(Part::Text(std::mem::take(&mut rest))));
        };
        if at > 0 {
            let (before, after) = rest.split_at(at);
            rest = after;
            return Some(Ok(Part::Text(before)));
        }
        if let Some(after) = rest.strip_prefix(ESCAPE) {
            rest = after;
            return Some(Ok(Part::Text("{{")));
        }
        let whole = std::mem::take(&mut rest);
        let Some(end) = whole.find("}}") else {
            return Some(Err(TemplateError::Unclosed(whole.to_owned())));
        };
        rest = &whole[end + 2..];
        Some(filled(&whole[..end + 2], data))
    })
}

/// A whole placeholder, with its braces.
fn filled<'t>(whole: &'t str, data: Option<&'t DataRows>) -> Result<Part<'t>, TemplateError> {
    let inner = &whole[2..whole.len() - 2];
    let placeholder =
        Placeholder::read(inner).ok_or_else(|| TemplateError::Unknown(whole.to_owned()))?;
    let mut column = 0;
    match placeholder {
        Placeholder::Random { low, high } if low > high => {
            return Err(TemplateError::Empty(whole.to_owned()));
        }
        Placeholder::Data(name) => {
            let data = data.ok_or_else(|| TemplateError::NoData(whole.to_owned()))?;
            column = data
                .column(name)
                .ok_or_else(|| TemplateError::NoColumn(whole.to_owned(), name.to_owned()))?;
        }
        _ => {}
    }
    Ok(Part::Filled {
        placeholder,
        column,
    })
}

/// Whether a text is a right template for a tool with these rows.
///
/// # Errors
///
/// The first placeholder that is unknown or not closed.
pub fn check(text: &str, data: Option<&DataRows>) -> Result<(), TemplateError> {
    parts(text, data).try_for_each(|part| part.map(|_| ()))
}

/// The template that gives `text` itself.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace("{{", ESCAPE)
}

/// The same for every string of a JSON value, keys excepted: keys are no templates.
#[must_use]
pub fn escape_value(value: &Value) -> Value {
    map_strings(value, &|text| Value::String(escape(text)))
}

/// Recursion is bounded by whoever made the value: TOML and JSON readers both stop at a depth.
fn map_strings(value: &Value, change: &dyn Fn(&str) -> Value) -> Value {
    match value {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter().map(|item| map_strings(item, change)).collect(),
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, item)| (key.clone(), map_strings(item, change)))
                .collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// The placeholder of a string that becomes a value which is no string.
fn lone_value<'t>(text: &'t str, data: Option<&'t DataRows>) -> Option<(Placeholder<'t>, usize)> {
    let mut parts = parts(text, data);
    match (parts.next(), parts.next()) {
        (
            Some(Ok(Part::Filled {
                placeholder,
                column,
            })),
            None,
        ) if placeholder.is_value() => Some((placeholder, column)),
        _ => None,
    }
}

/// What is written for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Filling {
    Call,
    Caller,
    Uuid,
    Random {
        low: i64,
        high: i64,
    },
    /// By row.
    Row(Vec<Box<[u8]>>),
}

impl Filling {
    /// `written` turns a cell into what stands in the place of the placeholder.
    fn new(
        placeholder: Placeholder<'_>,
        column: usize,
        data: Option<&DataRows>,
        written: fn(&Value) -> String,
    ) -> Self {
        match placeholder {
            Placeholder::Call => Self::Call,
            Placeholder::Caller => Self::Caller,
            Placeholder::Uuid => Self::Uuid,
            Placeholder::Random { low, high } => Self::Random { low, high },
            Placeholder::Data(_) => Self::Row(
                data.map(|data| data.cells(column))
                    .into_iter()
                    .flatten()
                    .map(|cell| written(cell).into_bytes().into())
                    .collect(),
            ),
        }
    }

    /// All but rows are digits, letters a to f and `-` only: they need no escaping in JSON.
    fn write(&self, call: CallContext<'_>, out: &mut Vec<u8>) {
        use std::io::Write as _;
        // Writing to a vector cannot fail.
        let _ = match self {
            Self::Call => write!(out, "{}", call.i),
            Self::Caller => write!(out, "{}", call.vu),
            Self::Uuid => write!(out, "{}", call.uuid()),
            Self::Random { low, high } => write!(out, "{}", call.random(*low, *high)),
            Self::Row(cells) => {
                let rows = u64::try_from(cells.len()).unwrap_or(u64::MAX).max(1);
                let row = usize::try_from(call.i % rows).unwrap_or(0);
                out.write_all(cells.get(row).map(|cell| &**cell).unwrap_or_default())
            }
        };
    }
}

/// A cell in the midst of a text.
fn plain(cell: &Value) -> String {
    match cell {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A cell in the midst of a JSON string.
fn quoted(cell: &Value) -> String {
    let quoted = Value::from(plain(cell)).to_string();
    quoted
        .get(1..quoted.len() - 1)
        .unwrap_or_default()
        .to_owned()
}

/// Ready bytes and placeholders in turn.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Segments {
    /// Each with the ready bytes before it.
    filled: Vec<(Vec<u8>, Filling)>,
    /// The ready bytes behind the last one.
    tail: Vec<u8>,
}

impl Segments {
    fn push(&mut self, filling: Filling) {
        let before = std::mem::take(&mut self.tail);
        self.filled.push((before, filling));
    }

    fn write(&self, call: CallContext<'_>, out: &mut Vec<u8>) {
        for (before, filling) in &self.filled {
            out.extend_from_slice(before);
            filling.write(call, out);
        }
        out.extend_from_slice(&self.tail);
    }
}

/// A text template, ready to be filled in many times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompiledText(Segments);

impl CompiledText {
    /// Compiles a text.
    ///
    /// # Errors
    ///
    /// As [`check`].
    pub fn new(text: &str, data: Option<&DataRows>) -> Result<Self, TemplateError> {
        let mut segments = Segments::default();
        for part in parts(text, data) {
            match part? {
                Part::Text(text) => segments.tail.extend_from_slice(text.as_bytes()),
                Part::Filled {
                    placeholder,
                    column,
                } => segments.push(Filling::new(placeholder, column, data, plain)),
            }
        }
        Ok(Self(segments))
    }

    /// The text for one call.
    #[must_use]
    pub fn render(&self, call: CallContext<'_>) -> String {
        let mut out = Vec::new();
        self.0.write(call, &mut out);
        String::from_utf8(out).unwrap_or_default()
    }
}

/// The arguments of a tool call, ready to be filled in many times.
///
/// A string that is exactly `{{i}}`, `{{vu}}` or `{{random 1 9}}` becomes a number, one that is
/// exactly `{{data.column}}` the value that stands in the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompiledArguments(Segments);

impl CompiledArguments {
    /// Compiles the arguments of a [`ToolCall`](super::ToolCall).
    ///
    /// # Errors
    ///
    /// As [`check`], for the first string that is wrong.
    pub fn new(
        arguments: &Map<String, Value>,
        data: Option<&DataRows>,
    ) -> Result<Self, TemplateError> {
        let mut segments = Segments::default();
        compile_object(arguments, data, &mut segments)?;
        Ok(Self(segments))
    }

    /// Appends the arguments of one call to `out`, as a JSON object without white space.
    pub fn render_json(&self, call: CallContext<'_>, out: &mut Vec<u8>) {
        self.0.write(call, out);
    }
}

fn compile_object(
    map: &Map<String, Value>,
    data: Option<&DataRows>,
    segments: &mut Segments,
) -> Result<(), TemplateError> {
    segments.tail.push(b'{');
    for (n, (key, value)) in map.iter().enumerate() {
        if n > 0 {
            segments.tail.push(b',');
        }
        push_json(&Value::String(key.clone()), segments);
        segments.tail.push(b':');
        compile(value, data, segments)?;
    }
    segments.tail.push(b'}');
    Ok(())
}

fn compile(
    value: &Value,
    data: Option<&DataRows>,
    segments: &mut Segments,
) -> Result<(), TemplateError> {
    match value {
        Value::String(text) => {
            if let Some((placeholder, column)) = lone_value(text, data) {
                let filling = Filling::new(placeholder, column, data, Value::to_string);
                segments.push(filling);
                return Ok(());
            }
            segments.tail.push(b'"');
            for part in parts(text, data) {
                match part? {
                    Part::Text(text) => {
                        let inner = quoted(&Value::from(text));
                        segments.tail.extend_from_slice(inner.as_bytes());
                    }
                    Part::Filled {
                        placeholder,
                        column,
                    } => segments.push(Filling::new(placeholder, column, data, quoted)),
                }
            }
            segments.tail.push(b'"');
        }
        Value::Array(items) => {
            segments.tail.push(b'[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    segments.tail.push(b',');
                }
                compile(item, data, segments)?;
            }
            segments.tail.push(b']');
        }
        Value::Object(map) => compile_object(map, data, segments)?,
        Value::Null | Value::Bool(_) | Value::Number(_) => push_json(value, segments),
    }
    Ok(())
}

fn push_json(value: &Value, segments: &mut Segments) {
    segments
        .tail
        .extend_from_slice(value.to_string().as_bytes());
}
