//! `{{i}}`, `{{vu}}` and `{{uuid}}` in arguments and expectations.
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

use super::diagnostics::shown;

/// The placeholders, as help shows them.
pub const PLACEHOLDERS: &str =
    "{{i}} (number of the call, from 0), {{vu}} (number of the caller), {{uuid}}";

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
        // One stream a caller, and four words (16 bytes) of it a call.
        let mut random = ChaCha8Rng::from_seed(self.seed.0);
        random.set_stream(u64::from(self.vu));
        random.set_word_pos(u128::from(self.i) * 4);
        let mut bytes = [0; 16];
        random.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// A placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placeholder {
    Call,
    Caller,
    Uuid,
}

impl Placeholder {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "i" => Some(Self::Call),
            "vu" => Some(Self::Caller),
            "uuid" => Some(Self::Uuid),
            _ => None,
        }
    }

    /// Digits, letters a to f and `-` only: needs no escaping in JSON.
    fn write(self, call: CallContext<'_>, out: &mut Vec<u8>) {
        use std::io::Write as _;
        // Writing to a vector cannot fail.
        let _ = match self {
            Self::Call => write!(out, "{}", call.i),
            Self::Caller => write!(out, "{}", call.vu),
            Self::Uuid => write!(out, "{}", call.uuid()),
        };
    }
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `{{…}}` with a name that is none of [`PLACEHOLDERS`].
    #[error("unknown placeholder `{}`", shown(.0))]
    Unknown(String),
    /// `{{` without `}}`.
    #[error("placeholder `{}` is not closed by `}}}}`", shown(.0))]
    Unclosed(String),
}

impl TemplateError {
    /// The part of the text that is wrong.
    #[must_use]
    pub fn place(&self) -> &str {
        match self {
            Self::Unknown(place) | Self::Unclosed(place) => place,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Part<'t> {
    Text(&'t str),
    Filled(Placeholder),
}

/// Splits a template; the first mistake ends it.
fn parts(text: &str) -> impl Iterator<Item = Result<Part<'_>, TemplateError>> {
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
        let name = whole[2..end].trim();
        Some(
            Placeholder::from_name(name)
                .map(Part::Filled)
                .ok_or_else(|| TemplateError::Unknown(whole[..end + 2].to_owned())),
        )
    })
}

/// Whether a text is a right template.
///
/// # Errors
///
/// The first placeholder that is unknown or not closed.
pub fn check(text: &str) -> Result<(), TemplateError> {
    parts(text).try_for_each(|part| part.map(|_| ()))
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

/// Fills in a text. A wrong template, which [`check`] refuses, stays as it is.
#[must_use]
pub fn fill_text(text: &str, call: CallContext<'_>) -> String {
    CompiledText::new(text).map_or_else(|_| text.to_owned(), |compiled| compiled.render(call))
}

/// Fills in every string of a JSON value. A string that is exactly `{{i}}` or `{{vu}}` becomes a
/// number. A wrong template, which [`check`] refuses, stays as it is.
#[must_use]
pub fn fill(value: &Value, call: CallContext<'_>) -> Value {
    map_strings(value, &|text| match lone_number(text) {
        Some(Placeholder::Call) => call.i.into(),
        Some(Placeholder::Caller) => call.vu.into(),
        Some(Placeholder::Uuid) | None => Value::String(fill_text(text, call)),
    })
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

/// The placeholder of a string that becomes a JSON number.
fn lone_number(text: &str) -> Option<Placeholder> {
    let mut parts = parts(text);
    match (parts.next(), parts.next()) {
        (Some(Ok(Part::Filled(it @ (Placeholder::Call | Placeholder::Caller)))), None) => Some(it),
        _ => None,
    }
}

/// Ready bytes and placeholders in turn.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Segments {
    /// Each with the ready bytes before it.
    filled: Vec<(Vec<u8>, Placeholder)>,
    /// The ready bytes behind the last one.
    tail: Vec<u8>,
}

impl Segments {
    fn push(&mut self, placeholder: Placeholder) {
        let before = std::mem::take(&mut self.tail);
        self.filled.push((before, placeholder));
    }

    fn write(&self, call: CallContext<'_>, out: &mut Vec<u8>) {
        for (before, placeholder) in &self.filled {
            out.extend_from_slice(before);
            placeholder.write(call, out);
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
    pub fn new(text: &str) -> Result<Self, TemplateError> {
        let mut segments = Segments::default();
        for part in parts(text) {
            match part? {
                Part::Text(text) => segments.tail.extend_from_slice(text.as_bytes()),
                Part::Filled(placeholder) => segments.push(placeholder),
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompiledArguments(Segments);

impl CompiledArguments {
    /// Compiles the arguments of a [`ToolCall`](super::ToolCall).
    ///
    /// # Errors
    ///
    /// As [`check`], for the first string that is wrong.
    pub fn new(arguments: &Map<String, Value>) -> Result<Self, TemplateError> {
        let mut segments = Segments::default();
        compile_object(arguments, &mut segments)?;
        Ok(Self(segments))
    }

    /// Appends the arguments of one call to `out`, as a JSON object without white space.
    pub fn render_json(&self, call: CallContext<'_>, out: &mut Vec<u8>) {
        self.0.write(call, out);
    }
}

fn compile_object(map: &Map<String, Value>, segments: &mut Segments) -> Result<(), TemplateError> {
    segments.tail.push(b'{');
    for (n, (key, value)) in map.iter().enumerate() {
        if n > 0 {
            segments.tail.push(b',');
        }
        push_json(&Value::String(key.clone()), segments);
        segments.tail.push(b':');
        compile(value, segments)?;
    }
    segments.tail.push(b'}');
    Ok(())
}

fn compile(value: &Value, segments: &mut Segments) -> Result<(), TemplateError> {
    match value {
        Value::String(text) => {
            if let Some(placeholder) = lone_number(text) {
                segments.push(placeholder);
                return Ok(());
            }
            segments.tail.push(b'"');
            for part in parts(text) {
                match part? {
                    Part::Text(text) => {
                        let quoted = Value::from(text).to_string();
                        let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
                        segments.tail.extend_from_slice(inner.as_bytes());
                    }
                    Part::Filled(placeholder) => segments.push(placeholder),
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
                compile(item, segments)?;
            }
            segments.tail.push(b']');
        }
        Value::Object(map) => compile_object(map, segments)?,
        Value::Null | Value::Bool(_) | Value::Number(_) => push_json(value, segments),
    }
    Ok(())
}

fn push_json(value: &Value, segments: &mut Segments) {
    segments
        .tail
        .extend_from_slice(value.to_string().as_bytes());
}
