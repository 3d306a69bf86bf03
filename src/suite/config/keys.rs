//! What `mcpgate.toml` may hold, in words: what `docs/reference.md` is made of. The tests hold every
//! row against the readers beside this file: its name, what it takes, and its default.

mod gate;
mod server;
mod suite;

/// A table of the file.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Its head, as it may stand in the file.
    pub head: &'static str,
    /// How messages name it.
    pub place: &'static str,
    /// What it is about, in a sentence.
    pub about: &'static str,
    /// In the order in which they are read about.
    pub keys: &'static [Key],
}

/// A key of a table.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// As it stands in the file.
    pub name: &'static str,
    /// What it may be.
    pub takes: Takes,
    /// What holds where it is not there.
    pub default: Unset,
    /// What it means, in a sentence.
    pub about: &'static str,
}

/// What a key may be.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// A string.
    Text,
    /// A string that reports show: `${NAME}` is refused in it, and `$${` stands for `${`.
    OpenText,
    /// A string that is never shown, in which `${NAME}` stands for a variable of the environment.
    Secret,
    /// An array of strings.
    Words,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number between these.
    Count(u64, u64),
    /// A duration above zero.
    Duration,
    /// A duration, or zero.
    DurationOrZero,
    /// A number of bytes above zero.
    Size,
    /// A number of bytes, or zero.
    SizeOrZero,
    /// A number of bytes between these, each written so.
    SizeWithin(&'static str, &'static str),
    /// A percentage between these.
    Percent(u32, u32),
    /// A day.
    Date,
    /// A table or an array of tables of a section of its own.
    Section(&'static str),
    /// Something else, in words.
    Other(&'static str),
}

/// What holds where a key is not there.
#[derive(Debug, Clone, Copy)]
pub enum Unset {
    /// The file is refused.
    Required,
    /// As if this stood there.
    Is(&'static str),
    /// In words.
    Means(&'static str),
    /// Nothing.
    Nothing,
}

use Takes::{
    Choice, Count, Date, Duration, DurationOrZero, OpenText, Other, Percent, Secret, Size,
    SizeOrZero, SizeWithin, Text, Words,
};
use Unset::{Is, Means, Nothing, Required};

const fn key(name: &'static str, takes: Takes, default: Unset, about: &'static str) -> Key {
    Key {
        name,
        takes,
        default,
        about,
    }
}

/// The tables, in the order of the documents.
pub const SECTIONS: [Section; 15] = [
    server::FILE,
    server::SERVER,
    server::OAUTH,
    server::TOOL,
    server::EXPECT,
    server::WRITES,
    suite::PROBES,
    suite::SUITE,
    gate::GATE,
    gate::TOLERANCES,
    gate::FLOORS,
    gate::BUDGETS,
    gate::ACCEPT,
    suite::SCENARIO,
    suite::STAGES,
];

impl Takes {
    /// In words.
    #[must_use]
    pub fn in_words(self) -> String {
        let number = |value: u64| match value {
            value if value == i64::MAX.unsigned_abs() => "2^63 − 1".to_owned(),
            value => {
                let digits = value.to_string();
                let mut grouped = String::new();
                for (index, digit) in digits.chars().enumerate() {
                    if index > 0 && (digits.len() - index) % 3 == 0 {
                        grouped.push(',');
                    }
                    grouped.push(digit);
                }
                grouped
            }
        };
        match self {
            Text | OpenText => "a string".to_owned(),
            Secret => "a string with `${NAME}`".to_owned(),
            Words => "an array of strings".to_owned(),
            Choice(words) => {
                let quoted: Vec<String> =
                    words.iter().map(|word| format!("`\"{word}\"`")).collect();
                quoted.join(", ")
            }
            Count(least, most) => format!("a whole number, {} to {}", number(least), number(most)),
            Duration => "a duration, such as `\"90s\"`".to_owned(),
            DurationOrZero => "a duration, or `\"0s\"`".to_owned(),
            Size => "a size, such as `\"10MB\"`".to_owned(),
            SizeOrZero => "a size, or `\"0B\"`".to_owned(),
            SizeWithin(least, most) => format!("a size, `\"{least}\"` to `\"{most}\"`"),
            Percent(least, most) => format!("`\"{least}%\"` to `\"{most}%\"`"),
            Date => "a date, such as `2027-01-31`".to_owned(),
            Takes::Section(head) => format!("`{head}`, below"),
            Other(words) => words.to_owned(),
        }
    }
}

impl Unset {
    /// In words; empty for nothing.
    #[must_use]
    pub fn in_words(self) -> String {
        match self {
            Required => "must be there".to_owned(),
            Is(value) => format!("`{value}`"),
            Means(words) => words.to_owned(),
            Nothing => String::new(),
        }
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
