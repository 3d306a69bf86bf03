//! Making foreign text harmless: names, messages and machine descriptions come from servers,
//! files and systems that mcpgate does not trust.
//!
//! Two rules carry everything here.
//!
//! - **Visible**: a character that cannot be seen or that moves others (control, escape
//!   sequence, right-to-left mark, zero width) is shown as `\u{202e}`.
//! - **Code spans**: in Markdown, foreign text that could mean anything stands in a code span.
//!   GitHub expands mentions, issue numbers and links after entities are decoded, so `&#64;name`
//!   still notifies; inside code it expands nothing. The three characters that could end a span,
//!   a table cell or start a marker comment are shown as their look-alikes (`'`, `¦`, `‹`): no
//!   parser has to agree with ours on how they are escaped. The JSON report has the exact text.

use crate::suite::visible::{is_mark, is_seen};

/// Longest name shown, in characters; longer ones lose their middle.
const NAME_CHARS: usize = 64;
/// Longest path shown: cut later, since a path is there to be opened.
const PATH_CHARS: usize = 200;
/// Longest piece of prose shown (an error message, a finding).
const PROSE_CHARS: usize = 300;
/// Longest command shown.
const COMMAND_CHARS: usize = 1000;

/// A name (tool, scenario, server, CPU model) for a terminal.
pub(crate) fn name(text: &str) -> String {
    if text.is_empty() {
        return "(no name)".to_owned();
    }
    // Cut before, so that a huge text costs nothing, and after, since escapes are longer.
    cut_middle(&visible(&cut_middle(text, NAME_CHARS)), NAME_CHARS)
}

/// A name for a program that knows things by it: longer than for a reader, with nothing invisible.
pub(crate) fn whole_name(text: &str) -> String {
    if text.is_empty() {
        return "(no name)".to_owned();
    }
    path(text)
}

/// Text for a cell of a spreadsheet, which takes what begins so for a formula (OWASP, *CSV
/// injection*): an apostrophe before it makes it a text. Tabs and line breaks are visible by now.
pub(crate) fn spreadsheet_cell(visible_text: &str) -> String {
    const BEGINS_FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
    // Where semicolons part the cells, as in many languages, a cell begins behind each of them.
    let cells = visible_text.split(';').map(|cell| {
        let begins = cell.trim_start_matches(|c: char| c.is_whitespace() || c == '"');
        let apostrophe = if begins.starts_with(BEGINS_FORMULA) {
            "'"
        } else {
            ""
        };
        format!("{apostrophe}{cell}")
    });
    cells.collect::<Vec<_>>().join(";")
}

/// A path for a terminal.
pub(crate) fn path(text: &str) -> String {
    cut_middle(&visible(&cut_middle(text, PATH_CHARS)), PATH_CHARS)
}

/// Prose (a message, a reason) for a terminal: white space becomes single spaces, and a word too
/// long to be one loses its middle.
pub(crate) fn prose(text: &str) -> String {
    let line = one_line(text, PROSE_CHARS);
    cut_end(&visible(&cut_end(&line, PROSE_CHARS)), PROSE_CHARS)
}

/// A command for a terminal.
pub(crate) fn command(text: &str) -> String {
    cut_end(&visible(&cut_end(text, COMMAND_CHARS)), COMMAND_CHARS)
}

/// A name for Markdown, also inside a table: one code span.
pub(crate) fn markdown_name(text: &str) -> String {
    code_span(&name(text))
}

/// A path for Markdown: one code span.
pub(crate) fn markdown_path(text: &str) -> String {
    code_span(&path(text))
}

/// Prose for Markdown, also inside a table: plain words stay as they are, any other word
/// becomes a code span.
pub(crate) fn markdown_prose(text: &str) -> String {
    let text = prose(text);
    let mut words = text.split(' ');
    let first = words.next().unwrap_or_default();
    let first = if begins_block(first) {
        code_span(first)
    } else {
        markdown_word(first)
    };
    words.fold(first, |line, word| {
        format!("{line} {}", markdown_word(word))
    })
}

/// A command for Markdown: a fenced block of its own, so that it can be copied as it is.
pub(crate) fn markdown_block(text: &str) -> String {
    // A comment opener would let a command pass for the marker by which a comment is found.
    let text = command(text).replace("<!--", "‹!--");
    let longest_run = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest_run.max(2) + 1);
    format!("{fence}sh\n{text}\n{fence}")
}

/// For a terminal that shows ASCII alone: our own signs become others of the same width, and what else
/// is not ASCII is shown as `\u{691c}`.
pub(crate) fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '·' | '─' | '¦' => out.push('-'),
            'µ' => out.push('u'),
            '…' => out.push('~'),
            '→' | '▶' | '›' => out.push('>'),
            '◀' | '‹' => out.push('<'),
            '┈' => out.push('.'),
            '│' | '┼' => out.push('|'),
            '┊' | '╂' => out.push(':'),
            '├' => out.push('['),
            '┤' => out.push(']'),
            '●' => out.push('o'),
            '▁' => out.push('_'),
            '▂' => out.push('.'),
            '▃' => out.push('-'),
            '▄' => out.push(':'),
            '▅' => out.push('='),
            '▆' => out.push('+'),
            '▇' => out.push('*'),
            '█' => out.push('#'),
            '∞' => out.push_str("inf"),
            c if c.is_ascii() => out.push(c),
            c => out.extend(c.escape_unicode()),
        }
    }
    out
}

/// Takes the meaning from workflow commands of GitHub Actions, which obeys any printed line that
/// starts with `::` (after spaces) or holds `##[`. Looks behind our own colours.
pub(crate) fn disarm_workflow_commands(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let words = without_lead(line);
        if words.starts_with("::") {
            let indent = line.len() - words.len();
            out.push_str(&line[..indent]);
            out.push_str("· ");
            out.push_str(words);
        } else {
            out.push_str(line);
        }
    }
    out.replace("##[", "##·[")
}

/// A line without its leading spaces and colours.
fn without_lead(line: &str) -> &str {
    let line = line.trim_start();
    let after_color = line.strip_prefix("\u{1b}[").map(|codes| {
        codes
            .trim_start_matches(|c: char| c.is_ascii_digit() || c == ';')
            .trim_start_matches('m')
    });
    after_color.map_or(line, without_lead)
}

fn code_span(visible_text: &str) -> String {
    format!("`{}`", code(visible_text))
}

/// What stands between back-ticks, also in a table.
pub(crate) fn code(visible_text: &str) -> String {
    visible_text
        .chars()
        .map(|c| match c {
            '`' => '\'',
            '|' => '¦',
            '<' => '‹',
            other => other,
        })
        .collect()
}

/// `true` for a word that means a list or a rule at the start of a line: `1.`, `-`, `---`.
fn begins_block(word: &str) -> bool {
    let mark = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = mark.len() < word.len();
    match mark {
        "" => false,
        "." | ")" => numbered,
        mark => !numbered && mark.chars().all(|c| matches!(c, '-' | '+' | '=')),
    }
}

fn markdown_word(word: &str) -> String {
    let start = word.find(|c| c != '(').unwrap_or(word.len());
    let (before, rest) = word.split_at(start);
    let end = rest
        .trim_end_matches(['.', ',', ';', ':', ')', '?', '!'])
        .len();
    let (core, after) = rest.split_at(end);
    if core.is_empty() || is_plain(core) {
        return word.to_owned();
    }
    // Our own sentences put names in back-ticks; a second pair would only show the first.
    let bare = core
        .strip_prefix('`')
        .and_then(|c| c.strip_suffix('`'))
        .unwrap_or(core);
    let bare = if bare.is_empty() { core } else { bare };
    format!("{before}{}{after}", code_span(bare))
}

/// `true` for a word that no Markdown or GitHub extension gives a meaning.
fn is_plain(word: &str) -> bool {
    let lower = word.to_lowercase();
    if lower.contains("www.")
        || lower
            .split(|c: char| !c.is_alphanumeric())
            .any(|part| part == "gh")
    {
        return false;
    }
    let inside = |index: usize, c: char| {
        let before = word[..index].chars().next_back();
        let after = word[index + c.len_utf8()..].chars().next();
        [before, after]
            .iter()
            .all(|side| side.is_some_and(char::is_alphanumeric))
    };
    word.char_indices().all(|(index, c)| match c {
        '_' | ':' => inside(index, c),
        '.' | ',' | ';' | '\'' | '"' | '(' | ')' | '-' | '+' | '=' | '%' | '/' | '?' => true,
        other => other.is_alphanumeric() || !other.is_ascii(),
    })
}

/// Shows what cannot be seen. Up to two combining marks on a letter stay as they are.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut marks = 2;
    for c in text.chars() {
        if is_seen(c) {
            out.push(c);
            marks = 0;
        } else if marks < 2 && is_mark(c) {
            out.push(c);
            marks += 1;
        } else {
            out.extend(c.escape_debug());
            marks = 2;
        }
    }
    out
}

/// Words with single spaces between them; reads no more of a huge text than can be shown.
fn one_line(text: &str, limit: usize) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&cut_middle(word, NAME_CHARS));
        if line.chars().count() > limit {
            break;
        }
    }
    line
}

fn cut_end(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some(_) => text
            .chars()
            .take(limit.saturating_sub(1))
            .chain(['…'])
            .collect(),
    }
}

/// Keeps the end, since scenario names differ there (`…/sequential`, `…/concurrent`).
fn cut_middle(text: &str, limit: usize) -> String {
    if text.char_indices().nth(limit).is_none() {
        return text.to_owned();
    }
    let tail_chars = limit / 3;
    let tail_start = text
        .char_indices()
        .rev()
        .nth(tail_chars.saturating_sub(1))
        .map_or(0, |(index, _)| index);
    let head = text.chars().take(limit - tail_chars - 1);
    head.chain(['…'])
        .chain(text[tail_start..].chars())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn invisible_characters_are_shown() {
        let table = [
            ("search", "search"),
            ("a\nb\tc", "a\\nb\\tc"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("evil\u{202e}txt", "evil\\u{202e}txt"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
            ("it's \"quoted\" C:\\x", "it's \"quoted\" C:\\x"),
            ("e\u{301}te\u{301}", "e\u{301}te\u{301}"),
            ("\u{301}lead", "\\u{301}lead"),
            ("z\u{301}\u{301}\u{301}", "z\u{301}\u{301}\\u{301}"),
            ("検索", "検索"),
            ("", "(no name)"),
        ];
        for (input, expected) in table {
            assert_eq!(name(input), expected);
        }
    }

    #[test]
    fn no_cell_of_a_spreadsheet_is_a_formula_whatever_parts_the_cells() {
        for (text, expected) in [
            ("search", "search"),
            ("=1+1", "'=1+1"),
            (" +1", "' +1"),
            ("a;b", "a;b"),
            ("x;=cmd|'/c calc'!A0;y", "x;'=cmd|'/c calc'!A0;y"),
            ("x;\"=1", "x;'\"=1"),
            ("a-b; c", "a-b; c"),
        ] {
            assert_eq!(spreadsheet_cell(text), expected);
        }
    }

    #[test]
    fn long_names_keep_both_ends() {
        let long = format!("{}/sequential", "x".repeat(300));
        let shown = name(&long);
        assert_eq!(shown.chars().count(), NAME_CHARS);
        assert!(shown.starts_with("xxx") && shown.contains('…') && shown.ends_with("/sequential"));
        assert_eq!(name(&"é".repeat(NAME_CHARS)), "é".repeat(NAME_CHARS));
    }

    #[test]
    fn markdown_names_are_code_spans_without_ends() {
        let table = [
            ("search", "`search`"),
            ("a|b", "`a¦b`"),
            ("`x`", "`'x'`"),
            ("<!-- mcpgate:other -->", "`‹!-- mcpgate:other -->`"),
            ("@torvalds", "`@torvalds`"),
            ("![x](http://e.vil)", "`![x](http://e.vil)`"),
        ];
        for (input, expected) in table {
            assert_eq!(markdown_name(input), expected);
        }
    }

    #[test]
    fn markdown_prose_keeps_plain_words() {
        let table = [
            ("slower in every round", "slower in every round"),
            (
                "latency_p50 of search/sequential:",
                "latency_p50 of search/sequential:",
            ),
            ("ask @torvalds, now", "ask `@torvalds`, now"),
            ("see #12 and GH-7", "see `#12` and `GH-7`"),
            ("(http://e.vil)", "(`http://e.vil`)"),
            ("www.e.vil", "`www.e.vil`"),
            ("the tool `search` vanished.", "the tool `search` vanished."),
            ("*bold* _em_ ~~no~~ $x$", "`*bold*` `_em_` `~~no~~` `$x$`"),
            ("a | b\n<img src=x>", "a `¦` b `‹img` `src=x>`"),
            (
                "connect ECONNREFUSED ::1:3000",
                "connect ECONNREFUSED `::1:3000`",
            ),
            ("at 10:30 100% \u{202e}", "at 10:30 100% `\\u{202e}`"),
            ("``", "`''`"),
            ("1. one", "`1.` one"),
            ("--- x", "`---` x"),
            ("2025-11-25 high-water", "2025-11-25 high-water"),
            ("x (GH-3)", "x (`GH-3`)"),
        ];
        for (input, expected) in table {
            assert_eq!(markdown_prose(input), expected);
        }
    }

    #[test]
    fn a_command_keeps_its_characters_in_a_longer_fence() {
        assert_eq!(markdown_block("a | b < c"), "```sh\na | b < c\n```");
        assert_eq!(markdown_block("x ``` y"), "````sh\nx ``` y\n````");
        assert_eq!(markdown_block("a\n```\n@x"), "````sh\na\\n```\\n@x\n````");
        assert!(!markdown_block("<!-- mcpgate -->").contains("<!--"));
    }

    #[test]
    fn workflow_commands_lose_their_meaning() {
        assert_eq!(
            disarm_workflow_commands("ok\n  ::error::x\na ::b\n##[group]y\n"),
            "ok\n  · ::error::x\na ::b\n##·[group]y\n"
        );
        assert_eq!(
            disarm_workflow_commands("\u{1b}[1m\u{1b}[31m ::x\u{1b}[0m"),
            "\u{1b}[1m\u{1b}[31m · ::x\u{1b}[0m"
        );
    }

    fn is_invisible(c: char) -> bool {
        matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{61c}' | '\u{ad}')
    }

    proptest! {
        #[test]
        fn nothing_invisible_passes(text in "(.|[\u{200b}-\u{206f}\u{1b}\n\u{ad}]){0,40}") {
            for shown in [name(&text), prose(&text), command(&text)] {
                prop_assert!(shown.chars().all(|c| !c.is_control()));
                prop_assert!(!shown.chars().any(is_invisible), "{shown:?}");
            }
        }

        #[test]
        fn a_markdown_name_is_exactly_one_span(text in any::<String>()) {
            let span = markdown_name(&text);
            prop_assert_eq!(span.matches('`').count(), 2);
            prop_assert!(span.starts_with('`') && span.ends_with('`') && span.len() > 2);
            prop_assert!(!span.contains(['|', '<', '\n', '\r']));
        }

        #[test]
        fn lengths_are_bounded(text in ".{0,2000}") {
            prop_assert!(name(&text).chars().count() <= NAME_CHARS);
            prop_assert!(prose(&text).chars().count() <= PROSE_CHARS);
        }
    }
}
