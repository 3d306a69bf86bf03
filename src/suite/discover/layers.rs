//! What is said of one value: a JSON Schema with all that it refers to and combines.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// A schema and all that it refers to and combines: every layer holds.
#[derive(Clone, Default)]
pub(super) struct Layers<'v> {
    /// In the order in which they were found.
    pub(super) layers: Vec<&'v Map<String, Value>>,
    /// One branch of each holds as well (`anyOf`, `oneOf`).
    pub(super) choices: Vec<&'v [Value]>,
    /// A layer allows nothing.
    pub(super) is_void: bool,
}

impl<'v> Layers<'v> {
    /// The first text under a key.
    pub(super) fn text(&self, key: &str) -> Option<&'v str> {
        self.layers
            .iter()
            .find_map(|layer| layer.get(key).and_then(Value::as_str))
    }

    /// Whether a layer has a key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.layers.iter().any(|layer| layer.contains_key(key))
    }

    /// Every number under a key.
    pub(super) fn numbers(&self, key: &str) -> impl Iterator<Item = f64> {
        let values = self.layers.iter().filter_map(move |layer| layer.get(key));
        values.filter_map(Value::as_f64)
    }

    /// The largest number under a key.
    pub(super) fn most(&self, key: &str) -> Option<f64> {
        self.numbers(key).reduce(f64::max)
    }

    /// The smallest number under a key.
    pub(super) fn least(&self, key: &str) -> Option<f64> {
        self.numbers(key).reduce(f64::min)
    }

    /// A count under a key: of several, the one that `of` chooses.
    pub(super) fn count(&self, key: &str, of: fn(u64, u64) -> u64) -> Option<u64> {
        let values = self.layers.iter().filter_map(|layer| layer.get(key));
        values.filter_map(Value::as_u64).reduce(of)
    }

    /// Whether a layer switches a key on.
    pub(super) fn flag(&self, key: &str) -> bool {
        let mut values = self.layers.iter().filter_map(|layer| layer.get(key));
        values.any(|value| value.as_bool() == Some(true))
    }

    /// Everything that is said of a property.
    pub(super) fn property(&self, name: &str) -> Vec<&'v Value> {
        let all = self.layers.iter().filter_map(|l| l.get("properties"));
        all.filter_map(|properties| properties.get(name)).collect()
    }

    /// Names of the properties that must be there, each once.
    pub(super) fn required(&self) -> Vec<&'v str> {
        let (mut names, mut seen) = (Vec::new(), HashSet::new());
        let lists = self.layers.iter().filter_map(|l| l.get("required"));
        for name in lists.filter_map(Value::as_array).flatten() {
            if let Some(name) = name.as_str().filter(|name| seen.insert(*name)) {
                names.push(name);
            }
        }
        names
    }

    /// The types that every layer with a type allows; `None` where none has one.
    pub(super) fn types(&self) -> Option<Vec<&'v str>> {
        let mut allowed: Option<Vec<&str>> = None;
        for kind in self.layers.iter().filter_map(|layer| layer.get("type")) {
            let these: Vec<&str> = match kind {
                Value::String(one) => vec![one],
                Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
                _ => continue,
            };
            let both = |kind: &&str| {
                these.contains(kind) || (*kind == "integer" && these.contains(&"number"))
            };
            allowed = Some(match allowed {
                None => these,
                Some(before) => {
                    let narrower = these
                        .iter()
                        .filter(|kind| **kind == "integer" && before.contains(&"number"));
                    let mut left: Vec<&str> = narrower.copied().collect();
                    left.extend(before.iter().copied().filter(both));
                    left.dedup();
                    left
                }
            });
        }
        allowed
    }

    /// A value that the schema itself names, and how many others of it there are to choose from.
    /// `null` counts only as a constant.
    pub(super) fn stated(&self) -> Option<(&'v Value, Option<usize>)> {
        let get = |key| self.layers.iter().find_map(move |layer| layer.get(key));
        if let Some(constant) = get("const") {
            return Some((constant, None));
        }
        let mut enums = self.layers.iter().filter_map(|layer| {
            let values = layer.get("enum")?.as_array()?;
            Some(values.as_slice())
        });
        let first_enum = enums.next();
        let others: Vec<&[Value]> = enums.collect();
        let is_allowed =
            |value: &&Value| !value.is_null() && others.iter().all(|others| others.contains(value));
        let given = self.layers.iter().find_map(|layer| {
            let default = layer.get("default").filter(|value| !value.is_null());
            default.or_else(|| {
                let examples = layer.get("examples")?.as_array()?;
                examples.iter().find(|value| !value.is_null())
            })
        });
        if let Some(given) = given {
            return Some((given, None));
        }
        let words = first_enum?;
        let usable = words.iter().filter(is_allowed).count();
        let first = words.iter().find(is_allowed)?;
        Some((first, Some(usable).filter(|usable| *usable > 1)))
    }
}
