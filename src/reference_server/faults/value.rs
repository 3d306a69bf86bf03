//! The values of faults as text.

use std::{num::NonZeroU64, time::Duration};

use super::super::tools::Tool;

/// Largest factor of `slow` and `tail`.
const MAX_FACTOR: f64 = 10_000.0;
/// Longest delay in milliseconds: one hour.
const MAX_MS: u64 = 3_600_000;
/// Largest amount of memory or text that a fault takes at once.
const MAX_BYTES: u64 = 16 << 30;

/// Most threads that a fault starts at once.
const MAX_THREADS: u64 = 64;

pub(super) fn nearest(name: &str, names: &[&str]) -> String {
    names
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map_or(String::new(), |(_, candidate)| {
            format!(" (did you mean {candidate:?}?)")
        })
}

/// Splits `[TOOL:]a:b` into the tool and the parts after it.
pub(super) fn scope<const PARTS: usize>(
    value: Option<&str>,
) -> Result<(Option<Tool>, [&str; PARTS]), String> {
    let value = needed(value)?;
    let mut fields: Vec<&str> = value.split(':').collect();
    let tool = if fields.len() == PARTS + 1 {
        let name = fields.remove(0);
        let names = Tool::ALL.map(Tool::name);
        Some(Tool::named(name).ok_or_else(|| {
            format!(
                "there is no tool {name:?}{} (tools: {})",
                nearest(name, &names),
                names.join(", ")
            )
        })?)
    } else {
        None
    };
    match fields.try_into() {
        Ok(parts) => Ok((tool, parts)),
        Err(_) => Err(format!("{value:?} has the wrong number of parts")),
    }
}

/// Whether the one allowed value was given.
pub(super) fn keyword(value: Option<&str>, allowed: &str) -> Result<bool, String> {
    match value {
        None => Ok(false),
        Some(value) if value == allowed => Ok(true),
        Some(value) => Err(format!(
            "the only value allowed is `{allowed}`, and {value:?} was given"
        )),
    }
}

pub(super) fn needed(value: Option<&str>) -> Result<&str, String> {
    value
        .filter(|value| !value.is_empty())
        .ok_or_else(|| "it needs a value".to_owned())
}

pub(super) fn none(value: Option<&str>) -> Result<(), String> {
    match value {
        None => Ok(()),
        Some(value) => Err(format!("it takes no value, and {value:?} was given")),
    }
}

/// A whole number above 0.
pub(super) fn positive(text: &str) -> Result<NonZeroU64, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not a whole number above 0"))
}

pub(super) fn number(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not a whole number"))
}

pub(super) fn every(value: Option<&str>) -> Result<NonZeroU64, String> {
    let Some(text) = value else {
        return Ok(NonZeroU64::MIN);
    };
    NonZeroU64::new(number(text)?).ok_or_else(|| "every 0 calls has no meaning".to_owned())
}

pub(super) fn threads(text: &str) -> Result<NonZeroU64, String> {
    NonZeroU64::new(number(text)?)
        .filter(|threads| threads.get() <= MAX_THREADS)
        .ok_or_else(|| format!("THREADS is above 0 and at most {MAX_THREADS}"))
}

fn float(text: &str) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|number| number.is_finite())
        .ok_or_else(|| format!("{text:?} is not a number"))
}

pub(super) fn factor(text: &str) -> Result<f64, String> {
    float(text).and_then(|factor| {
        if factor > 0.0 && factor <= MAX_FACTOR {
            Ok(factor)
        } else {
            Err(format!("a factor is above 0 and at most {MAX_FACTOR}"))
        }
    })
}

pub(super) fn percent(text: &str) -> Result<f64, String> {
    float(text).and_then(|percent| {
        if percent > 0.0 && percent <= 100.0 {
            Ok(percent)
        } else {
            Err("PERCENT is above 0 and at most 100".to_owned())
        }
    })
}

pub(super) fn milliseconds(text: &str) -> Result<Duration, String> {
    let ms = number(text)?;
    if ms > MAX_MS {
        return Err(format!("MS is at most {MAX_MS}"));
    }
    Ok(Duration::from_millis(ms))
}

pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let size: bytesize::ByteSize = text
        .parse()
        .map_err(|_| format!("{text:?} is not a size such as 4096, 64kB or 50MB"))?;
    if size.as_u64() > MAX_BYTES {
        return Err(format!("BYTES is at most {MAX_BYTES}"));
    }
    Ok(size.as_u64())
}
