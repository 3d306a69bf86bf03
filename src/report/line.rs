//! Sentences made of our words and of foreign ones, kept apart until a format lays them out, so
//! that no format can forget to escape.

use std::borrow::Cow;

use maud::{Markup, html};

use super::escape;

/// One part of a [`Line`].
#[derive(Debug, Clone, PartialEq)]
enum Piece {
    /// Our own words and figures; harmless everywhere.
    Own(Cow<'static, str>),
    /// Our own words that are typed as they stand: a verb, an option.
    Code(Cow<'static, str>),
    /// A foreign name.
    Name(String),
    /// A foreign path.
    Path(String),
    /// Foreign prose.
    Prose(String),
}

/// A sentence, or a part of one, without a line break.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Line(Vec<Piece>);

impl Line {
    /// Starts with our own words.
    pub(crate) fn own(text: impl Into<Cow<'static, str>>) -> Self {
        Self::default().then(text)
    }

    /// Starts with a foreign name.
    pub(crate) fn of_name(text: &str) -> Self {
        Self::default().name(text)
    }

    /// Starts with foreign prose.
    pub(crate) fn of_prose(text: &str) -> Self {
        Self::default().prose(text)
    }

    /// Goes on with our own words.
    pub(crate) fn then(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.0.push(Piece::Own(text.into()));
        self
    }

    /// Goes on with something to type.
    pub(crate) fn code(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.0.push(Piece::Code(text.into()));
        self
    }

    /// Goes on with a foreign name.
    pub(crate) fn name(mut self, text: &str) -> Self {
        self.0.push(Piece::Name(text.to_owned()));
        self
    }

    /// Goes on with a foreign path.
    pub(crate) fn path(mut self, text: &str) -> Self {
        self.0.push(Piece::Path(text.to_owned()));
        self
    }

    /// Goes on with foreign prose.
    pub(crate) fn prose(mut self, text: &str) -> Self {
        self.0.push(Piece::Prose(text.to_owned()));
        self
    }

    /// Goes on with another line.
    pub(crate) fn join(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// For a terminal or a plain file.
    pub(crate) fn plain(&self) -> String {
        self.lay_out(str::to_owned, escape::name, escape::path, escape::prose)
    }

    /// For Markdown, also inside a table. Arrows become one character, which cannot be broken.
    pub(crate) fn markdown(&self) -> String {
        self.lay_out(
            |own| own.replace("->", "→"),
            escape::markdown_name,
            escape::markdown_path,
            escape::markdown_prose,
        )
    }

    /// For a page of HTML. Foreign names stand in elements that keep their direction to themselves.
    pub(crate) fn html(&self) -> Markup {
        html! {
            @for piece in &self.0 {
                @match piece {
                    Piece::Own(text) => (with_code(&text.replace("->", "→"))),
                    Piece::Code(text) => code { (text) },
                    Piece::Name(text) => code { (escape::name(text)) },
                    Piece::Path(text) => code { (escape::path(text)) },
                    Piece::Prose(text) => bdi { (with_code(&escape::prose(text))) },
                }
            }
        }
    }

    fn lay_out(
        &self,
        own: fn(&str) -> String,
        name: fn(&str) -> String,
        path: fn(&str) -> String,
        prose: fn(&str) -> String,
    ) -> String {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Own(text) => own(text),
                Piece::Code(text) => format!("`{text}`"),
                Piece::Name(text) => name(text),
                Piece::Path(text) => path(text),
                Piece::Prose(text) => prose(text),
            })
            .collect()
    }
}

/// Our sentences put names in back-ticks; where these are in pairs they become elements.
fn with_code(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    html! {
        @if parts.len().is_multiple_of(2) {
            (text)
        } @else {
            @for (index, part) in parts.iter().enumerate() {
                @if index % 2 == 0 { (part) } @else { code { (part) } }
            }
        }
    }
}

/// Lines as one, with a separator between them.
pub(crate) fn separated(separator: &'static str, lines: impl IntoIterator<Item = Line>) -> Line {
    lines.into_iter().fold(Line::default(), |all, line| {
        if all.is_empty() {
            line
        } else {
            all.then(separator).join(line)
        }
    })
}
