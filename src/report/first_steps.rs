//! What `mcpgate init` and `mcpgate doctor` found, as text.

use super::{
    TextStyle, escape, figure,
    headline::Tone,
    layout::{BOLD, DIM, Page, tone_style},
};
use crate::gate::Unit;

/// Columns of a name.
const NAME_COLUMNS: usize = 26;
/// Columns of a line where no terminal says how many there are.
const USUAL_COLUMNS: usize = 120;

/// What `mcpgate init` wrote.
#[derive(Debug, Clone)]
pub struct Written {
    /// Files, each with what it holds.
    pub files: Vec<(String, String)>,
    /// What a person must know or do.
    pub notes: Vec<String>,
    /// Commands to go on with, each with what it does.
    pub next: Vec<(String, String)>,
}

/// A tool and what its first call gave.
#[derive(Debug, Clone)]
pub struct TriedTool {
    /// Its name.
    pub name: String,
    /// What happened.
    pub outcome: Tried,
}

/// What the first call of a tool gave.
#[derive(Debug, Clone)]
pub enum Tried {
    /// An answer after so many nanoseconds.
    Answered {
        /// How long it took.
        ns: u64,
        /// The answer, in a line.
        answer: String,
        /// Whether it reads like a refusal or is empty.
        is_doubtful: bool,
    },
    /// No answer that counts: why.
    Failed(String),
    /// It was not called: why.
    NotCalled(String),
}

/// One thing that `mcpgate doctor` looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// How it stands.
    pub state: CheckState,
    /// What was looked at, in one or two words.
    pub what: String,
    /// What was found.
    pub found: String,
    /// What to do about it; empty if nothing.
    pub advice: String,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    /// As it should be.
    Ok,
    /// Less than could be had, or worth knowing.
    Note,
    /// Must be mended.
    Problem,
}

/// What `mcpgate init` found, as text for a terminal. `server`: who answered, such as
/// `everything 2.0.0, stdio, protocol 2025-11-25`.
#[must_use]
pub fn first_calls(server: &str, tools: &[TriedTool], style: TextStyle) -> String {
    let mut page = Page::new(style);
    page.hanging("", "  ", &escape::prose(server));
    let group = |wanted: fn(&Tried) -> bool| -> Vec<&TriedTool> {
        let tools = tools.iter();
        tools.filter(|tool| wanted(&tool.outcome)).collect()
    };
    for (heading, tone, tools) in [
        (
            "Called once, and will be measured",
            Tone::Good,
            group(|outcome| {
                matches!(
                    outcome,
                    Tried::Answered {
                        is_doubtful: false,
                        ..
                    }
                )
            }),
        ),
        (
            "Called once; measured, though the answer is empty or reads like a refusal",
            Tone::Doubtful,
            group(|outcome| {
                matches!(
                    outcome,
                    Tried::Answered {
                        is_doubtful: true,
                        ..
                    }
                )
            }),
        ),
        (
            "Called once, and switched off",
            Tone::Bad,
            group(|outcome| matches!(outcome, Tried::Failed(_))),
        ),
        (
            "Not called",
            Tone::Neutral,
            group(|outcome| matches!(outcome, Tried::NotCalled(_))),
        ),
    ] {
        if !tools.is_empty() {
            page.heading(tone_style(tone), heading);
            for tool in tools {
                tool_line(&mut page, tool, style);
            }
        }
    }
    page.finish()
}

/// What `mcpgate init` wrote, as text for a terminal.
#[must_use]
pub fn written(written: &Written, style: TextStyle) -> String {
    let mut page = Page::new(style);
    page.blank();
    for (file, what) in &written.files {
        let wrote = page.paint(BOLD, "Wrote");
        page.hanging("", "  ", &format!("{wrote} {}: {what}", escape::path(file)));
    }
    for note in &written.notes {
        page.hanging("", "  ", &escape::prose(note));
    }
    if !written.next.is_empty() {
        page.heading(BOLD, "Next");
        let longest = written.next.iter().map(|(command, _)| width(command)).max();
        for (command, what) in &written.next {
            let lead = format!("  {}  ", pad(command, longest.unwrap_or_default()));
            // Under itself, where that leaves room enough.
            let indent = match page.columns() {
                Some(columns) if width(&lead) > columns / 2 => 6,
                _ => width(&lead),
            };
            page.hanging(&lead, &" ".repeat(indent), what);
        }
    }
    page.finish()
}

/// A tool on one line, two where its reason is long: an answer is cut, a reason is not.
fn tool_line(page: &mut Page, tool: &TriedTool, style: TextStyle) {
    let name = pad(&escape::name(&tool.name), NAME_COLUMNS);
    match &tool.outcome {
        Tried::Answered { ns, answer, .. } => {
            let time = figure::figure(*ns as f64, Unit::Nanoseconds).replace(figure::GAP, " ");
            let lead = format!("  {name} {time:>8}  ");
            let columns = style
                .width
                .map_or(USUAL_COLUMNS, |w| usize::from(w).max(60));
            let room = columns.saturating_sub(width(&lead));
            let answer = page.paint(DIM, &cut(&escape::prose(answer), room));
            page.raw(&format!("{lead}{answer}"));
        }
        Tried::Failed(reason) | Tried::NotCalled(reason) => {
            page.hanging(&format!("  {name} "), "      ", &escape::prose(reason));
        }
    }
}

/// `mcpgate doctor`, as text for a terminal. `end`: what is to be done first, in a sentence.
#[must_use]
pub fn checks(areas: &[(&str, Vec<Check>)], end: &str, style: TextStyle) -> String {
    const COLUMNS: usize = 16;
    let mut page = Page::new(style);
    let mut is_first = true;
    for (area, checks) in areas {
        if checks.is_empty() {
            continue;
        }
        if is_first {
            let heading = page.paint(BOLD, area);
            page.raw(&heading);
        } else {
            page.heading(BOLD, area);
        }
        is_first = false;
        for check in checks {
            let (word, tone) = match check.state {
                CheckState::Ok => ("ok     ", Tone::Good),
                CheckState::Note => ("note   ", Tone::Doubtful),
                CheckState::Problem => ("problem", Tone::Bad),
            };
            let word = page.paint(tone_style(tone), word);
            let what = pad(&escape::name(&check.what), COLUMNS);
            let indent = " ".repeat(2 + 7 + 1 + COLUMNS + 1);
            let mut lines = check.found.lines().map(escape::command);
            let mut found = lines.next().unwrap_or_default();
            if !check.advice.is_empty() {
                found.push_str(&format!("; {}", check.advice));
            }
            page.hanging(&format!("  {word} {what} "), &indent, &found);
            // Mistakes at their places, the end of an output: as they came.
            for line in lines {
                page.raw(&format!("          {line}"));
            }
        }
    }
    page.blank();
    page.hanging("", "", end);
    page.finish()
}

fn width(text: &str) -> usize {
    textwrap::core::display_width(text)
}

fn pad(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(missing))
}

/// The start of a text, with an ellipsis where something was cut.
fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut left = columns.saturating_sub(1);
    for c in text.chars() {
        let Some(rest) = left.checked_sub(width(c.encode_utf8(&mut [0; 4]))) else {
            break;
        };
        left = rest;
        out.push(c);
    }
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(width: Option<u16>) -> TextStyle {
        TextStyle {
            ascii: false,
            color: false,
            width,
            verbose: false,
        }
    }

    fn tool(name: &str, outcome: Tried) -> TriedTool {
        TriedTool {
            name: name.to_owned(),
            outcome,
        }
    }

    fn answered(answer: &str, is_doubtful: bool) -> Tried {
        Tried::Answered {
            ns: 1_234_000,
            answer: answer.to_owned(),
            is_doubtful,
        }
    }

    #[test]
    fn what_init_says() {
        let tools = [
            tool(
                "search",
                answered(
                    "1. hello 0\n2. \u{1b}[31mred\u{202e} and a text that is far too long for one line of eighty columns",
                    false,
                ),
            ),
            tool(
                "検索-と-とても-長い-名前-の-道具-です",
                answered(
                    "検索検索検索検索検索検索検索検索検索検索検索検索検索検索検索検索検索検索検索検索",
                    false,
                ),
            ),
            tool("read", answered("Error: no such file", true)),
            tool(
                "a-name-that-is-longer-than-the-column-of-names",
                Tried::Failed("the tool refused: ::error::x | `y`".to_owned()),
            ),
            tool(
                "write",
                Tried::NotCalled("says that it changes something".to_owned()),
            ),
        ];
        let written_files = Written {
            files: vec![(
                "mcpgate.toml".to_owned(),
                "3 tools are measured, 2 stand switched off, each with its reason".to_owned(),
            )],
            notes: vec!["500 more tools were not looked at".to_owned()],
            next: vec![
                (
                    "mcpgate run".to_owned(),
                    "measures; takes some minutes, and this goes on".to_owned(),
                ),
                ("mcpgate baseline update".to_owned(), "accepts".to_owned()),
            ],
        };
        let pages = [Some(80), None].map(|width| {
            let found = first_calls(
                "notes\u{7} 1.0, stdio, protocol 2025-11-25: 5 tools",
                &tools,
                style(width),
            );
            found + &written(&written_files, style(width))
        });
        let narrow = pages[0].lines().map(width).max();
        assert!(narrow <= Some(80), "{}", pages[0]);
        insta::assert_snapshot!("init", pages.join("\n════\n"));
    }

    #[test]
    fn what_doctor_says() {
        let check = |state, what: &str, found: &str, advice: &str| Check {
            state,
            what: what.to_owned(),
            found: found.to_owned(),
            advice: advice.to_owned(),
        };
        let areas = [
            (
                "Machine",
                vec![check(CheckState::Ok, "system", "linux x86_64, 2 cores", "")],
            ),
            (
                "Configuration",
                vec![
                    check(
                        CheckState::Problem,
                        "mcpgate.toml",
                        "cannot be used\nerror: unknown key\n  |\n1 | comand = 1\u{1b}\n  | ^^^^^^ not known here, in a line that is longer than eighty columns are",
                        "",
                    ),
                    check(
                        CheckState::Note,
                        "build",
                        "not set in [server]",
                        "`compare --against` then takes the other commit's files as they are",
                    ),
                ],
            ),
            ("Nothing", Vec::new()),
        ];
        insta::assert_snapshot!(
            "doctor",
            checks(
                &areas,
                "1 problem; the line says what to do.",
                style(Some(80))
            )
        );
    }
}
