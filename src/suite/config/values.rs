//! Values with a unit: durations, percentages, sizes.

use std::{ops::RangeInclusive, time::Duration};

use bytesize::ByteSize;
use toml::de::DeValue;

use super::reader::Entry;

/// Nothing may wait or measure longer than this.
const LONGEST: Duration = Duration::from_hours(24);

/// No limit or floor lies above this many bytes (1 TB).
const LARGEST_BYTES: u64 = 1_000_000_000_000;

/// Whether zero is a sensible value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Zero {
    /// As in a floor, which it switches off.
    Allowed,
    /// As in a time-out.
    Refused,
}

/// `"500ms"`, `"30s"`, `"1m 30s"`; at most a day.
pub(super) fn duration(entry: &Entry<'_, '_>, zero: Zero) -> Option<Duration> {
    let help = "write a duration with its unit, such as \"500ms\", \"30s\" or \"2m\"";
    let text = with_unit(entry, "a duration", help, |number| {
        format!("write \"{number}s\" or \"{number}ms\": the unit is part of the value")
    })?;
    let Ok(duration) = humantime::parse_duration(text.trim()) else {
        entry.refuse(
            format!("`{}` is not a duration", entry.name()),
            "not a duration",
            help,
        );
        return None;
    };
    if duration > LONGEST || (duration.is_zero() && zero == Zero::Refused) {
        entry.refuse(
            format!("`{}` is out of range", entry.name()),
            "out of range",
            match zero {
                Zero::Allowed => "allowed: at most \"24h\"",
                Zero::Refused => "allowed: more than zero, at most \"24h\"",
            },
        );
        return None;
    }
    Some(duration)
}

/// `"10MB"`, `"2 MiB"`, in bytes; at most 1 TB.
pub(super) fn bytes(entry: &Entry<'_, '_>, zero: Zero) -> Option<u64> {
    let help = "write a size with its unit, such as \"500kB\", \"10MB\" or \"2 MiB\"";
    let text = with_unit(entry, "a size", help, |number| {
        // Six digits and more are somebody's count of bytes.
        let units = if number.len() > 5 {
            format!("\"{number}B\"")
        } else {
            format!("\"{number}MB\" or \"{number}kB\"")
        };
        format!("write {units}: the unit is part of the value")
    })?;
    let parsed = text
        .ends_with(|c: char| c.is_ascii_alphabetic())
        .then(|| text.trim().parse::<ByteSize>().ok())
        .flatten();
    let Some(ByteSize(size)) = parsed else {
        entry.refuse(
            format!("`{}` is not a size", entry.name()),
            "not a size",
            help,
        );
        return None;
    };
    if size > LARGEST_BYTES || (size == 0 && zero == Zero::Refused) {
        entry.refuse(
            format!("`{}` is out of range", entry.name()),
            "out of range",
            match zero {
                Zero::Allowed => "allowed: at most \"1TB\"",
                Zero::Refused => "allowed: at least \"1B\", at most \"1TB\"",
            },
        );
        return None;
    }
    Some(size)
}

/// `"20%"` as a fraction (0.2). `allowed` is in percent.
pub(super) fn percentage(entry: &Entry<'_, '_>, allowed: RangeInclusive<f64>) -> Option<f64> {
    let help = "write a percentage, such as \"20%\"";
    let text = match entry.value() {
        DeValue::String(text) => text.trim(),
        DeValue::Float(number) => {
            entry.wrong_type("a percentage", as_percentage(number.as_str(), help));
            return None;
        }
        DeValue::Integer(number) => {
            let number = number.to_string();
            entry.wrong_type("a percentage", format!("write \"{number}%\""));
            return None;
        }
        _ => {
            entry.wrong_type("a percentage", help);
            return None;
        }
    };
    let Some(number) = text.strip_suffix('%').map(str::trim_end) else {
        entry.refuse(
            format!("`{}` is not a percentage", entry.name()),
            "no %",
            as_percentage(text, help),
        );
        return None;
    };
    let Some(percent) = plain_number(number) else {
        entry.refuse(
            format!("`{}` is not a percentage", entry.name()),
            "not a percentage",
            help,
        );
        return None;
    };
    if !allowed.contains(&percent) {
        entry.refuse(
            format!("`{}` is out of range", entry.name()),
            "out of range",
            format!(
                "allowed: \"{}%\" to \"{}%\"",
                allowed.start(),
                allowed.end()
            ),
        );
        return None;
    }
    Some(percent / 100.0)
}

/// What was most likely meant by a number without `%`: 0.2 and 20 are both 20 %.
fn as_percentage(number: &str, otherwise: &str) -> String {
    match plain_number(number.trim()) {
        Some(n) if n > 0.0 && n < 1.0 => {
            // Four decimals hide that 0.07 × 100 is 7.000000000000001.
            let percent = (n * 1_000_000.0).round() / 10_000.0;
            format!("write \"{percent}%\"")
        }
        Some(n) => format!("write \"{n}%\""),
        None => otherwise.to_owned(),
    }
}

/// Digits with at most one point; not what else Rust takes for a number (`inf`, `1e5`).
fn plain_number(text: &str) -> Option<f64> {
    let plain = text.chars().all(|c| c.is_ascii_digit() || c == '.')
        && text.starts_with(|c: char| c.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// The text of a value that must say its unit.
fn with_unit<'t>(
    entry: &Entry<'_, 't>,
    wanted: &str,
    help: &str,
    bare: impl Fn(&str) -> String,
) -> Option<&'t str> {
    match entry.value() {
        DeValue::String(text) => Some(text),
        DeValue::Integer(number) => {
            entry.wrong_type(wanted, bare(&number.to_string()));
            None
        }
        DeValue::Float(number) => {
            entry.wrong_type(wanted, bare(number.as_str()));
            None
        }
        _ => {
            entry.wrong_type(wanted, help);
            None
        }
    }
}
