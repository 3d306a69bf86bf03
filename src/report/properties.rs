//! What must hold of every report, whatever the names in it are. An independent Markdown parser
//! is the judge of what our escapes amount to.

use proptest::{collection::vec, prelude::*};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{
    MARKDOWN_LIMIT_BYTES, TextStyle, markdown, run_markdown, run_text,
    test_support::{self as made, HOSTILE},
    text,
};

/// The only tags that we write.
const OWN_TAGS: [&str; 7] = [
    "<details>",
    "</details>",
    "<summary>",
    "</summary>",
    "<br>",
    "<sub>",
    "</sub>",
];

/// Arbitrary text, hostile text, and text made of the characters that mean something.
pub(super) fn foreign() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        proptest::sample::select(HOSTILE.to_vec()).prop_map(str::to_owned),
        "[@#<>|`*_~!\\[\\]()\\\\&$:/.w\\-+=0-9a-zé\n\r\t \u{1b}\u{202e}\u{200b}\u{85}\u{2028}]{0,80}",
        "[a-z|]{300,400}",
        "(-|1\\.|#|>|```|<!--|---) ?@x",
    ]
}

fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Asserts that `source` holds no markup but ours.
fn check_markdown(source: &str) -> Result<(), TestCaseError> {
    prop_assert!(
        source.len() <= MARKDOWN_LIMIT_BYTES,
        "{} bytes",
        source.len()
    );
    prop_assert!(
        !source.chars().any(|c| c != '\n' && is_invisible(c)),
        "{source:?}"
    );
    check_tags(source)?;
    check_rows(source)?;
    let mut open_code = 0_i32;
    let mut prose = String::new();
    let mut rules = 0;
    for event in Parser::new_ext(
        source,
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH,
    ) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => open_code += 1,
            Event::End(TagEnd::CodeBlock) => open_code -= 1,
            Event::Text(text) if open_code == 0 => prose.push_str(&text),
            Event::Start(Tag::Paragraph | Tag::Item | Tag::TableCell) | Event::SoftBreak => {
                prose.push('\n');
            }
            Event::Code(_) => prose.push('\u{fffc}'),
            Event::Start(tag @ (Tag::Link { .. } | Tag::Image { .. } | Tag::Heading { .. })) => {
                return Err(TestCaseError::fail(format!("{tag:?} in\n{source}")));
            }
            Event::Start(tag @ (Tag::Strikethrough | Tag::BlockQuote(_))) => {
                return Err(TestCaseError::fail(format!("{tag:?} in\n{source}")));
            }
            Event::Rule => rules += 1,
            Event::Html(html) | Event::InlineHtml(html) => {
                prop_assert!(
                    OWN_TAGS.iter().any(|tag| html.contains(tag)) || html.trim().is_empty()
                );
            }
            _ => {}
        }
    }
    prop_assert_eq!(rules, 0);
    // What GitHub would look for in text that is not code.
    for (index, c) in prose.char_indices() {
        let next = prose[index + c.len_utf8()..].chars().next();
        if c == '@' || c == '#' {
            prop_assert!(!next.is_some_and(char::is_alphanumeric), "{prose}");
        }
    }
    let lower = prose.to_lowercase();
    for trigger in ["://", "www.", " gh-", "/gh-", "<!--", "$"] {
        prop_assert!(!lower.contains(trigger), "{trigger} in {prose}");
    }
    Ok(())
}

/// Every `<` begins one of our tags, and what we open we close.
fn check_tags(source: &str) -> Result<(), TestCaseError> {
    let command = source.split_once("```sh\n").map_or("", |(_, rest)| rest);
    let command = command.split_once('\n').map_or("", |(command, _)| command);
    let in_command = command.matches('<').count();
    let own: usize = OWN_TAGS.iter().map(|tag| source.matches(tag).count()).sum();
    let in_command_own: usize = OWN_TAGS
        .iter()
        .map(|tag| command.matches(tag).count())
        .sum();
    prop_assert_eq!(
        source.matches('<').count() - in_command,
        own - in_command_own
    );
    prop_assert!(!source.contains("<!--"));
    Ok(())
}

/// Every row of a table has as many cells as its header.
fn check_rows(source: &str) -> Result<(), TestCaseError> {
    let mut columns = None;
    let mut in_command = false;
    for line in source.lines() {
        if line.starts_with("```") {
            in_command = !in_command;
        } else if line.starts_with('|') && !in_command {
            let bars = line.matches('|').count();
            prop_assert_eq!(*columns.get_or_insert(bars), bars, "{}", line);
            prop_assert!(line.ends_with(" |"));
        } else {
            columns = None;
        }
    }
    Ok(())
}

/// Removes our own colours: `ESC [ digits and semicolons m`.
fn without_colors(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let codes = part
            .find(|c: char| !c.is_ascii_digit() && c != ';')
            .unwrap_or(part.len());
        let rest = &part[codes..];
        plain.push_str(
            rest.strip_prefix('m')
                .expect("an escape that is not a colour"),
        );
    }
    plain
}

fn check_text(text: &str) -> Result<(), TestCaseError> {
    prop_assert!(
        !text.chars().any(|c| c != '\n' && is_invisible(c)),
        "{text:?}"
    );
    prop_assert!(
        !text.lines().any(|line| line.trim_start().starts_with("::")),
        "{text}"
    );
    prop_assert!(!text.contains("##["), "{text}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn markdown_has_no_markup_but_ours(texts in vec(foreign(), 1..40)) {
        let mut fixture = made::hostile(&texts);
        fixture.context.against = (texts.len() % 2 == 0).then(|| texts[0].clone());
        check_markdown(&markdown(&fixture.report()))?;
        check_markdown(&run_markdown(&fixture.candidate, Some(&fixture.judgement)))?;
    }

    #[test]
    fn text_has_no_control_characters_but_ours(
        texts in vec(foreign(), 1..40),
        width in proptest::option::of(0_u16..200),
        verbose in any::<bool>(),
    ) {
        let mut fixture = made::hostile(&texts);
        fixture.context.against = (texts.len() % 2 == 0).then(|| texts[0].clone());
        let plain = TextStyle { color: false, width, ascii: false, verbose };
        let ascii = TextStyle { ascii: true, ..plain };
        prop_assert!(text(&fixture.report(), ascii).is_ascii());
        let color = TextStyle { color: true, ..plain };
        let report = fixture.report();
        let judgement = Some(&fixture.judgement);
        check_text(&text(&report, plain))?;
        check_text(&run_text(&fixture.candidate, judgement, plain))?;
        check_text(&without_colors(&text(&report, color)))?;
        let same = |color: &str, plain: &str| {
            let color = without_colors(color);
            color.lines().map(str::trim_end).eq(plain.lines().map(str::trim_end))
        };
        prop_assert!(same(&text(&report, color), &text(&report, plain)));
        let run = |style| run_text(&fixture.candidate, judgement, style);
        prop_assert!(same(&run(color), &run(plain)));
    }
}

#[test]
fn the_largest_report_is_whole_markdown() {
    let fixture = made::large(500);
    check_markdown(&markdown(&fixture.report())).unwrap();
    check_markdown(&run_markdown(&fixture.candidate, Some(&fixture.judgement))).unwrap();
}
