//! Texts and numbers that a schema allows.

use serde_json::{Number, Value};

use super::{layers::Layers, words};
use crate::suite::diagnostics::shown;

/// Texts that must be longer than this are given up.
const LONGEST_TEXT: u64 = 4_096;

/// The property that a value is for.
#[derive(Clone, Copy)]
pub(super) struct Place<'s> {
    pub(super) name: &'s str,
    pub(super) description: &'s str,
}

impl Place<'_> {
    /// Why there is no value.
    pub(super) fn needs(&self, what: &str) -> String {
        format!("needs `{}`: {what}", shown(self.name))
    }
}

/// Free text of the wanted length, with the call's number in it where there is room: calls that
/// differ are not answered from a cache by accident, and mixed-up answers can be told apart.
pub(super) fn sentence(layers: &Layers<'_>, place: Place<'_>) -> Result<Value, String> {
    /// `hello ` and the longest number.
    const WITH_NUMBER: u64 = 26;
    const WITHOUT_NUMBER: u64 = 6;
    let shortest = layers.count("minLength", u64::max).unwrap_or(0);
    let longest = layers.count("maxLength", u64::min);
    let longest = longest.unwrap_or(LONGEST_TEXT.max(shortest));
    if shortest > longest || shortest > LONGEST_TEXT {
        return Err(place.needs(&format!(
            "a text of at least {shortest} characters cannot be guessed"
        )));
    }
    let pad = |have: u64| "a".repeat(usize::try_from(shortest.saturating_sub(have)).unwrap_or(0));
    if longest >= WITH_NUMBER.max(shortest + 20) {
        let padding = pad(WITHOUT_NUMBER + 1);
        return Ok(format!("hello{padding} {{{{i}}}}").into());
    }
    let text = format!("hello{}", pad(5));
    let cut: String = text
        .chars()
        .take(usize::try_from(longest).unwrap_or(usize::MAX))
        .collect();
    Ok(cut.into())
}

/// The number nearest to 1 that the schema allows.
pub(super) fn number(layers: &Layers<'_>, place: Place<'_>, whole: bool) -> Result<Value, String> {
    if words::names_one_thing(place.name) {
        return Err(place.needs("no value can be guessed (it names one thing among many)"));
    }
    let step = layers.most("multipleOf").filter(|step| *step > 0.0);
    let grain = step.unwrap_or(1.0);
    let mut low = layers.most("minimum").unwrap_or(f64::NEG_INFINITY);
    let mut high = layers.least("maximum").unwrap_or(f64::INFINITY);
    // Before 2019 the exclusive bounds were flags beside the bounds.
    let open_low = if layers.flag("exclusiveMinimum") {
        low
    } else {
        layers.most("exclusiveMinimum").unwrap_or(f64::NEG_INFINITY)
    };
    let open_high = if layers.flag("exclusiveMaximum") {
        high
    } else {
        layers.least("exclusiveMaximum").unwrap_or(f64::INFINITY)
    };
    low = low.max(open_low);
    high = high.min(open_high);
    let allowed = |n: f64| {
        n.is_finite()
            && n >= low
            && n <= high
            && n > open_low
            && n < open_high
            && (!whole || n.fract() == 0.0)
            && layers
                .numbers("multipleOf")
                .all(|step| step <= 0.0 || (n / step).fract() == 0.0)
    };
    let on_grid = |n: f64| [(n / grain).ceil() * grain, (n / grain).floor() * grain];
    let candidates = [1.0, 0.0, grain]
        .into_iter()
        .chain(on_grid(low))
        .chain([on_grid(low)[0] + grain])
        .chain(on_grid(high))
        .chain([on_grid(high)[1] - grain])
        .chain([low, high, f64::midpoint(low, high)]);
    candidates
        .filter(|n| allowed(*n))
        .min_by(|a, b| (a - 1.0).abs().total_cmp(&(b - 1.0).abs()))
        .and_then(json_number)
        .map(Value::Number)
        .ok_or_else(|| place.needs("no number that its schema allows was found"))
}

/// Whole numbers without a decimal point, as people write them.
fn json_number(n: f64) -> Option<Number> {
    /// Every whole number up to here is exact in a float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if n.fract() == 0.0 && n.abs() <= EXACT {
        // The text of a whole float is a whole number: no cast that could be wrong.
        return format!("{n:.0}").parse::<i64>().ok().map(Number::from);
    }
    Number::from_f64(n)
}
