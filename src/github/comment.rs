//! The one comment: its text, which comment is ours, and which run is the newer one. Pure.

/// Most bytes of a comment. GitHub refuses more than 65,536 characters; bytes are the safe reading.
pub const MOST_BYTES: usize = 65_000;
/// The key where none is given.
pub const DEFAULT_KEY: &str = "default";
/// Longest key.
const LONGEST_KEY: usize = 64;

/// What the last line of a comment, hidden from readers, says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Tells the comments of several gates in one repository apart.
    pub key: String,
    /// The workflow run that wrote it, and its attempt; a larger pair is newer.
    pub run: (u64, u64),
    /// The commit that was measured.
    pub head_sha: String,
}

impl Marker {
    /// The line.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "<!-- mcpgate:{} run={}.{} head={} -->",
            self.key, self.run.0, self.run.1, self.head_sha
        )
    }

    /// The marker of a comment with this key, if its last line is one.
    #[must_use]
    pub fn of(body: &str, key: &str) -> Option<Self> {
        let last = body.trim_end().lines().last()?.trim();
        let inside = last
            .strip_prefix("<!-- mcpgate:")?
            .strip_suffix(" -->")?
            .strip_prefix(key)?;
        let mut fields = inside.strip_prefix(' ')?.split(' ');
        let (id, attempt) = fields.next()?.strip_prefix("run=")?.split_once('.')?;
        let head_sha = fields.next()?.strip_prefix("head=")?;
        fields.next().is_none().then_some(())?;
        Some(Self {
            key: key.to_owned(),
            run: (id.parse().ok()?, attempt.parse().ok()?),
            head_sha: head_sha.to_owned(),
        })
    }
}

/// Whether `key` can stand in a marker.
///
/// # Errors
/// In words.
pub fn check_key(key: &str) -> Result<(), String> {
    let is_sound = (1..=LONGEST_KEY).contains(&key.len())
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        && !key.contains("--");
    if is_sound {
        Ok(())
    } else {
        Err(format!(
            "the comment key must be 1 to {LONGEST_KEY} letters, digits, dots, underscores and \
             single hyphens"
        ))
    }
}

/// The comment's text: the report, links, and the marker as its last line. `report` is cut at a
/// line's end where it is too long, which [`crate::report::markdown`] is not.
#[must_use]
pub fn body(report: &str, links: &str, marker: &Marker) -> String {
    let tail = format!("\n{links}\n\n{}\n", marker.line());
    let room = MOST_BYTES.saturating_sub(tail.len());
    let mut report = report.trim_end();
    if report.len() > room {
        let mut cut = room;
        while !report.is_char_boundary(cut) {
            cut -= 1;
        }
        report = report.get(..cut).unwrap_or_default();
        report = report.rsplit_once('\n').map_or(report, |(kept, _)| kept);
    }
    format!("{report}\n{tail}")
}

/// A comment that is on the pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its number.
    pub id: u64,
    /// Login of its author.
    pub author: String,
    /// Its text.
    pub body: String,
    /// Its page.
    pub url: String,
}

/// What is to be done to have one comment, the newest run's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The comment to have.
    pub step: Step,
    /// Comments of ours that are too many.
    pub delete: Vec<u64>,
}

/// See [`Plan::step`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// There is none yet.
    Create,
    /// This one gets another text.
    Update(Found),
    /// This one has the very text already.
    Unchanged(Found),
    /// This one is that of a newer run.
    Newer(Found),
}

/// What to do. `created` is the comment that this run itself has made a moment ago.
///
/// Of several comments of ours (two runs at once can each have made one) the oldest stays. The
/// newest run updates it and deletes the others; an older run deletes what it made itself. So two
/// runs end with one comment, in whichever order they look.
#[must_use]
pub fn plan(
    comments: &[Found],
    author: &str,
    marker: &Marker,
    body: &str,
    created: Option<u64>,
) -> Plan {
    let mut ours: Vec<(&Found, Marker)> = comments
        .iter()
        // Whoever can comment can paste a marker.
        .filter(|comment| comment.author.eq_ignore_ascii_case(author))
        .filter_map(|comment| Some((comment, Marker::of(&comment.body, &marker.key)?)))
        .collect();
    ours.sort_unstable_by_key(|(comment, _)| comment.id);
    let Some(&(oldest, _)) = ours.first() else {
        return Plan {
            step: Step::Create,
            delete: Vec::new(),
        };
    };
    let others = ours.iter().skip(1).map(|(comment, _)| comment.id);
    if let Some((newer, _)) = ours.iter().find(|(_, theirs)| theirs.run > marker.run) {
        return Plan {
            step: Step::Newer((*newer).clone()),
            delete: others.filter(|id| created == Some(*id)).collect(),
        };
    }
    let step = if same_text(&oldest.body, body) {
        Step::Unchanged(oldest.clone())
    } else {
        Step::Update(oldest.clone())
    };
    Plan {
        step,
        delete: others.collect(),
    }
}

/// GitHub may store other line ends, and none at the end.
fn same_text(a: &str, b: &str) -> bool {
    a.trim_end().lines().eq(b.trim_end().lines())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &str = "github-actions[bot]";

    fn marker(run: u64) -> Marker {
        Marker {
            key: "default".to_owned(),
            run: (run, 1),
            head_sha: "abc".to_owned(),
        }
    }

    fn comment(id: u64, author: &str, text: &str, run: u64) -> Found {
        Found {
            id,
            author: author.to_owned(),
            body: body(text, "links", &marker(run)),
            url: format!("https://page/{id}"),
        }
    }

    fn planned(
        comments: &[Found],
        run: u64,
        created: Option<u64>,
    ) -> (&'static str, u64, Vec<u64>) {
        let text = body("new", "links", &marker(run));
        let plan = plan(comments, ME, &marker(run), &text, created);
        let (what, id) = match plan.step {
            Step::Create => ("create", 0),
            Step::Update(found) => ("update", found.id),
            Step::Unchanged(found) => ("unchanged", found.id),
            Step::Newer(found) => ("newer", found.id),
        };
        (what, id, plan.delete)
    }

    #[test]
    fn one_comment_stays_and_it_is_the_newest_runs() {
        let other_key = Found {
            body: body(
                "x",
                "",
                &Marker {
                    key: "api".to_owned(),
                    ..marker(1)
                },
            ),
            ..comment(1, ME, "x", 1)
        };
        let quoted = Found {
            body: format!("> {}\nwhat is this?", marker(9).line()),
            ..comment(2, ME, "x", 1)
        };
        let pasted = comment(3, "mallory", "x", 9);
        let noise = [other_key, quoted, pasted];
        for (ours, run, created, expected) in [
            (vec![], 5, None, ("create", 0, vec![])),
            (vec![(10, "old", 4)], 5, None, ("update", 10, vec![])),
            (vec![(10, "old", 5)], 5, None, ("update", 10, vec![])),
            (vec![(10, "new", 5)], 5, None, ("unchanged", 10, vec![])),
            (vec![(10, "old", 6)], 5, None, ("newer", 10, vec![])),
            // Two runs at once, each having made one; each as the other sees it.
            (
                vec![(11, "old", 4), (10, "new", 5)],
                5,
                Some(10),
                ("unchanged", 10, vec![11]),
            ),
            (
                vec![(11, "new", 5), (10, "old", 4)],
                5,
                Some(11),
                ("update", 10, vec![11]),
            ),
            (
                vec![(11, "old", 6), (10, "new", 5)],
                5,
                Some(10),
                ("newer", 11, vec![]),
            ),
            (
                vec![(11, "new", 5), (10, "old", 6)],
                5,
                Some(11),
                ("newer", 10, vec![11]),
            ),
        ] {
            let mut all = noise.to_vec();
            all.extend(
                ours.iter()
                    .map(|&(id, text, run)| comment(id, ME, text, run)),
            );
            assert_eq!(planned(&all, run, created), expected, "{ours:?}");
        }
    }

    #[test]
    fn a_marker_is_read_back_and_nothing_else_is() {
        let marker = Marker {
            key: "a.b_c-d".to_owned(),
            run: (12, 3),
            head_sha: "ff".to_owned(),
        };
        let text = body("report", "links", &marker);
        assert_eq!(Marker::of(&text, "a.b_c-d"), Some(marker.clone()));
        assert_eq!(
            Marker::of(&text.replace('\n', "\r\n"), "a.b_c-d"),
            Some(marker)
        );
        for (text, key) in [
            (text.as_str(), "a.b_c"),
            ("<!-- mcpgate:default -->", "default"),
            ("<!-- mcpgate:default run=1 head=a -->", "default"),
            ("<!-- mcpgate:default run=1.x head=a -->", "default"),
            ("<!-- mcpgate:default run=1.1 head=a more -->", "default"),
            ("<!-- mcpgate:default run=1.1 head=a -->\nmore", "default"),
            ("", "default"),
        ] {
            assert_eq!(Marker::of(text, key), None, "{text}");
        }
    }

    #[test]
    fn a_comment_is_never_too_long_and_keeps_its_end() {
        let report = format!("**verdict**\n{}", "| ä | row |\n".repeat(9_000));
        let text = body(&report, "links", &marker(1));
        assert!(
            text.len() <= MOST_BYTES && text.len() > MOST_BYTES - 100,
            "{}",
            text.len()
        );
        assert!(text.starts_with("**verdict**\n"));
        assert!(text.contains("| ä | row |\n\nlinks\n\n<!-- mcpgate:"));
    }

    #[test]
    fn keys_fit_a_marker() {
        for good in ["default", "a.b_c-1"] {
            assert_eq!(check_key(good), Ok(()));
        }
        for bad in ["", "a b", "a--b", "ü", ">", &"x".repeat(65)] {
            assert!(check_key(bad).is_err(), "{bad}");
        }
    }
}
