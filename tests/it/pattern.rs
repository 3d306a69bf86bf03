//! Lines of which a part changes from run to run.

/// Whether a line has the parts of a pattern around each `…`, in order.
pub(crate) fn is_like(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        let at = if parts.peek().is_none() {
            rest.ends_with(part).then(|| rest.len() - part.len())
        } else {
            rest.find(part)
        };
        match at {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

#[test]
fn a_pattern_is_held_at_both_ends() {
    let lines = [
        ("a", "a", true),
        ("a", "ab", false),
        ("a…", "ab", true),
        ("…b", "ab", true),
        ("…b", "abc", false),
        ("a…c…e", "abcde", true),
        ("a…c…e", "abde", false),
        ("a…e", "e", false),
    ];
    for (pattern, line, expected) in lines {
        assert_eq!(is_like(pattern, line), expected, "{pattern} {line}");
    }
}
