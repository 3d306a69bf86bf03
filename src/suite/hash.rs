//! Short hashes of JSON that do not depend on the order of keys.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// JSON without white space and with the keys of every object in byte order.
///
/// Written out here since the order in which `serde_json` keeps keys depends on a feature that any
/// dependency may switch on.
#[must_use]
pub fn canonical_json(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// SHA-256 of [`canonical_json`], first 16 hex digits.
#[must_use]
pub fn short_hash(value: &Value) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::digest(canonical_json(value));
    let mut out = String::new();
    for byte in digest.iter().take(8) {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            out.push('{');
            for (n, (key, item)) in entries.into_iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write(item, out);
            }
            out.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{canonical_json, short_hash};
    use serde_json::json;

    #[test]
    fn keys_are_sorted_at_every_level() {
        let value = json!({"b": [{"z": 1, "a": null}], "a": "\"x\"\n", "B": 1.5});
        assert_eq!(
            canonical_json(&value),
            r#"{"B":1.5,"a":"\"x\"\n","b":[{"a":null,"z":1}]}"#
        );
    }

    #[test]
    fn hash_is_the_published_one() {
        // SHA-256 of `{}`, as any other tool gives it.
        assert_eq!(short_hash(&json!({})), "44136fa355b3678a");
    }
}
