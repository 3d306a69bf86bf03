//! From what failed to annotations on the lines of the configuration. Pure.

use super::command::{Annotation, Level};
use crate::{report::Remark, suite::config};

/// GitHub shows ten annotations of a level for a step and drops the rest without a word.
const MOST: usize = 9;

/// Annotations of the remarks: each on the line where the configuration names its tool, where it
/// does. `path` is the configuration's, from the repository's root.
#[must_use]
pub fn annotations(remarks: &[Remark], path: &str, text: Option<&str>) -> Vec<Annotation> {
    let lines = text.map(config::tool_lines).unwrap_or_default();
    let place = |tool: Option<&String>| {
        let line = tool.and_then(|tool| lines.get(tool)).copied();
        text.map(|_| (path.to_owned(), line.unwrap_or(1)))
    };
    let level = |fails: bool| if fails { Level::Error } else { Level::Warning };
    let mut all: Vec<Annotation> = remarks
        .iter()
        .map(|remark| Annotation {
            level: level(remark.fails),
            place: place(remark.tool.as_ref()),
            title: remark.title.clone(),
            message: remark.message.clone(),
        })
        .collect();
    let more = all.len().saturating_sub(MOST);
    if more > 0 {
        all.truncate(MOST);
        all.push(Annotation {
            level: level(remarks.iter().any(|remark| remark.fails)),
            place: None,
            title: format!("mcpgate: and {more} more"),
            message: "the job's summary has them all".to_owned(),
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remark(tool: Option<&str>) -> Remark {
        Remark {
            tool: tool.map(str::to_owned),
            fails: true,
            title: "t".to_owned(),
            message: "m".to_owned(),
        }
    }

    #[test]
    fn a_remark_stands_where_its_tool_is_named() {
        let text = "[server]\ncommand = [\"x\"]\n\n[[tool]]\nname = \"search\"\n\n[[tool]]\n\
                    arguments = { a = 1 }\nname = \"a:b\"\n";
        let remarks = [remark(Some("a:b")), remark(Some("gone")), remark(None)];
        let places: Vec<_> = annotations(&remarks, "s/mcpgate.toml", Some(text))
            .into_iter()
            .map(|annotation| annotation.place.unwrap())
            .collect();
        let at = |line| ("s/mcpgate.toml".to_owned(), line);
        assert_eq!(places, [at(9), at(1), at(1)]);
        assert_eq!(annotations(&remarks, "x", None)[0].place, None);
    }

    #[test]
    fn no_more_than_github_shows() {
        let remarks = vec![remark(None); 30];
        let shown = annotations(&remarks, "x", None);
        assert_eq!(shown.len(), 10);
        assert_eq!(shown[9].title, "mcpgate: and 21 more");
        assert_eq!(annotations(&remarks[..9], "x", None).len(), 9);
    }
}
