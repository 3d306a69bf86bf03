//! Any text as a header value. Pure.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::HeaderValue;

/// A header value for any text: as it is where that is safe, else in the `=?base64?…?=` form of
/// the 2026-07-28 revision.
pub(super) fn header_text(text: &str) -> HeaderValue {
    let is_plain = text.bytes().all(|b| (0x20..0x7f).contains(&b))
        && text.trim() == text
        && !(text.starts_with("=?base64?") && text.ends_with("?="));
    let plain = is_plain.then(|| HeaderValue::from_str(text).ok()).flatten();
    plain.unwrap_or_else(|| {
        HeaderValue::from_str(&format!("=?base64?{}?=", BASE64.encode(text)))
            .unwrap_or_else(|_| HeaderValue::from_static(""))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_names_travel_in_the_sentinel_form() {
        let table = [
            ("search", "search"),
            ("two words", "two words"),
            (" padded", "=?base64?IHBhZGRlZA==?="),
            ("naïve", "=?base64?bmHDr3Zl?="),
            ("=?base64?eA==?=", "=?base64?PT9iYXNlNjQ/ZUE9PT89?="),
            ("", ""),
        ];
        for (text, expected) in table {
            assert_eq!(header_text(text).to_str().unwrap(), expected);
        }
    }
}
