//! Which characters are seen: of all that a stranger may write, what can neither hide nor steer.

/// Whether a character shows by itself, as itself.
#[must_use]
pub fn is_seen(c: char) -> bool {
    // `escape_debug` knows which characters can be printed; these it escapes for another reason.
    matches!(c, '\'' | '"' | '\\') || c.escape_debug().len() == 1
}

/// Whether a character is a mark on the one before it. Not those that join or tag, which show nothing.
#[must_use]
pub fn is_mark(c: char) -> bool {
    // Escaped alone, but not after a letter.
    let after_letter = String::from_iter(['a', c]);
    let is_tag = matches!(c, '\u{200b}'..='\u{200f}' | '\u{e0000}'..='\u{e007f}');
    !is_seen(c) && !is_tag && after_letter.escape_debug().eq(after_letter.chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_and_what_is_a_mark() {
        for (c, seen, mark) in [
            ('a', true, false),
            (' ', true, false),
            ('"', true, false),
            ('\\', true, false),
            ('ü', true, false),
            ('語', true, false),
            ('🦀', true, false),
            // An acute accent, and the sign that makes a picture of a character.
            ('\u{301}', false, true),
            ('\u{fe0f}', false, true),
            ('\t', false, false),
            ('\n', false, false),
            ('\u{1b}', false, false),
            ('\u{ad}', false, false),
            ('\u{a0}', false, false),
            ('\u{200b}', false, false),
            ('\u{200c}', false, false),
            ('\u{200d}', false, false),
            ('\u{202e}', false, false),
            ('\u{2066}', false, false),
            ('\u{feff}', false, false),
            ('\u{e000}', false, false),
            ('\u{e0041}', false, false),
        ] {
            assert_eq!((is_seen(c), is_mark(c)), (seen, mark), "{c:?}");
        }
    }
}
