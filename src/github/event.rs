//! What happened on GitHub, from the payload of the event. Pure.

use serde_json::Value;

/// An event that mcpgate judges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A pull request was opened or got commits.
    PullRequest(PullRequest),
    /// A merge queue asks whether a group may be merged.
    MergeGroup {
        /// The commit that the group was built on.
        base_sha: String,
        /// The group's own commit.
        head_sha: String,
    },
    /// Commits arrived on a branch.
    Push {
        /// Such as `refs/heads/main`.
        ref_name: String,
        /// The newest of them.
        after: String,
    },
    /// Another workflow ended; it measured a pull request whose code has no rights here.
    WorkflowRun(WorkflowRun),
}

/// The pull request of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// The branch it is to be merged into.
    pub base_ref: String,
    /// That branch's commit as of the last push to the pull request: it may be old.
    pub base_sha: String,
    /// Its newest commit.
    pub head_sha: String,
    /// Whether its commits come from another repository, whose code has no rights here.
    pub is_fork: bool,
}

/// The run that a `workflow_run` event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowRun {
    /// The commit it measured: the pull request's newest then.
    pub head_sha: String,
    /// The branch of that commit.
    pub head_branch: String,
    /// Who owns the repository of that branch.
    pub head_owner: String,
    /// The run's number and its attempt: a larger one is a newer one.
    pub run: (u64, u64),
}

/// Reads the payload of the event called `name`.
///
/// # Errors
/// In words: an event that is not supported, by its name and with what is; a payload without a
/// field that the event has, by the field's name.
pub fn parse(name: &str, payload: &[u8]) -> Result<Event, String> {
    let read = || -> Result<Value, String> {
        serde_json::from_slice(payload)
            .map_err(|error| format!("the payload of the event is not JSON: {error}"))
    };
    match name {
        "pull_request" => pull_request(&read()?).map(Event::PullRequest),
        "merge_group" => {
            let payload = read()?;
            let group = Fields::of(&payload, "merge_group");
            Ok(Event::MergeGroup {
                base_sha: group.sha("/base_sha")?,
                head_sha: group.sha("/head_sha")?,
            })
        }
        "push" => {
            let payload = read()?;
            let push = Fields::of(&payload, "");
            if payload.pointer("/deleted") == Some(&Value::Bool(true)) {
                return Err("this push deleted a branch: there is nothing to measure".to_owned());
            }
            Ok(Event::Push {
                ref_name: push.text("/ref")?,
                after: push.sha("/after")?,
            })
        }
        "workflow_run" => workflow_run(&read()?).map(Event::WorkflowRun),
        "pull_request_target" => Err(
            "the event pull_request_target is refused: it hands the rights of the repository to a \
             job that would start the pull request's own server. Use pull_request; for comments on \
             pull requests from forks, the pair of workflows in examples/workflows"
                .to_owned(),
        ),
        "" => Err(
            "GITHUB_EVENT_NAME is not set: `mcpgate github` runs in a GitHub workflow; elsewhere, \
             `mcpgate compare` is all that is needed"
                .to_owned(),
        ),
        other => Err(format!(
            "the event {} is not supported; supported are pull_request, merge_group, push and \
             workflow_run",
            shown(other)
        )),
    }
}

fn pull_request(payload: &Value) -> Result<PullRequest, String> {
    let request = Fields::of(payload, "pull_request");
    // A fork that was deleted meanwhile is null.
    let head_repo = request.optional("/head/repo/full_name");
    let own = Fields::of(payload, "repository").text("/full_name")?;
    Ok(PullRequest {
        number: request.number("/number")?,
        base_ref: request.text("/base/ref")?,
        base_sha: request.sha("/base/sha")?,
        head_sha: request.sha("/head/sha")?,
        is_fork: head_repo.is_none_or(|head| !head.eq_ignore_ascii_case(&own)),
    })
}

fn workflow_run(payload: &Value) -> Result<WorkflowRun, String> {
    let run = Fields::of(payload, "workflow_run");
    let cause = run.text("/event")?;
    if cause != "pull_request" {
        return Err(format!(
            "the run that ended was started by the event {}, and only that of a pull_request has \
             one to comment on: add `if: github.event.workflow_run.event == 'pull_request'` to \
             the job",
            shown(&cause)
        ));
    }
    Ok(WorkflowRun {
        head_sha: run.sha("/head_sha")?,
        head_branch: run.text("/head_branch")?,
        head_owner: run.text("/head_repository/owner/login")?,
        run: (run.number("/id")?, run.number("/run_attempt").unwrap_or(1)),
    })
}

/// A part of the payload, and what it is called.
struct Fields<'a> {
    part: Option<&'a Value>,
    name: &'static str,
}

impl<'a> Fields<'a> {
    fn of(payload: &'a Value, name: &'static str) -> Self {
        let part = if name.is_empty() {
            Some(payload)
        } else {
            payload.get(name)
        };
        Self { part, name }
    }

    fn at(&self, pointer: &str) -> Option<&'a Value> {
        self.part.and_then(|part| part.pointer(pointer))
    }

    fn missing(&self, pointer: &str, wanted: &str) -> String {
        let path = format!("{}{}", self.name, pointer.replace('/', "."));
        format!(
            "the payload of the event has no `{}` that is {wanted}",
            path.trim_start_matches('.')
        )
    }

    fn optional(&self, pointer: &str) -> Option<String> {
        let text = self.at(pointer)?.as_str()?;
        // No branch, owner or repository is longer, nor has one a control character.
        let is_sound = !text.is_empty() && text.len() <= 1000 && !text.contains(char::is_control);
        is_sound.then(|| text.to_owned())
    }

    fn text(&self, pointer: &str) -> Result<String, String> {
        self.optional(pointer)
            .ok_or_else(|| self.missing(pointer, "a name"))
    }

    fn sha(&self, pointer: &str) -> Result<String, String> {
        self.optional(pointer)
            .filter(|text| crate::git::is_sha(text))
            .map(|text| text.to_ascii_lowercase())
            .ok_or_else(|| self.missing(pointer, "the name of a commit"))
    }

    fn number(&self, pointer: &str) -> Result<u64, String> {
        self.at(pointer)
            .and_then(Value::as_u64)
            .filter(|&number| number > 0)
            .ok_or_else(|| self.missing(pointer, "a number"))
    }
}

fn shown(name: &str) -> String {
    let name: String = name.chars().take(60).collect();
    crate::process::output::printable(&name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn request(head_repo: &Value) -> Value {
        json!({
            "number": 7,
            "pull_request": {
                "number": 7,
                "base": { "ref": "main", "sha": A },
                "head": { "ref": "faster", "sha": B, "repo": head_repo },
            },
            "repository": { "full_name": "acme/server" },
        })
    }

    fn read(name: &str, payload: &Value) -> Result<Event, String> {
        parse(name, payload.to_string().as_bytes())
    }

    #[test]
    fn a_fork_is_whatever_is_not_this_repository() {
        for (head, is_fork) in [
            (json!({ "full_name": "acme/server" }), false),
            (json!({ "full_name": "ACME/Server" }), false),
            (json!({ "full_name": "mallory/server" }), true),
            (Value::Null, true),
        ] {
            let Ok(Event::PullRequest(found)) = read("pull_request", &request(&head)) else {
                panic!("{head}");
            };
            assert_eq!(found.is_fork, is_fork, "{head}");
            assert_eq!((found.number, found.base_ref.as_str()), (7, "main"));
            assert_eq!((found.base_sha.as_str(), found.head_sha.as_str()), (A, B));
        }
    }

    #[test]
    fn the_other_events_are_read() {
        assert_eq!(
            read(
                "merge_group",
                &json!({ "merge_group": { "base_sha": A, "head_sha": B } })
            ),
            Ok(Event::MergeGroup {
                base_sha: A.to_owned(),
                head_sha: B.to_owned()
            })
        );
        assert_eq!(
            read(
                "push",
                &json!({ "ref": "refs/heads/main", "after": B, "before": A })
            ),
            Ok(Event::Push {
                ref_name: "refs/heads/main".to_owned(),
                after: B.to_owned()
            })
        );
        let run = json!({ "workflow_run": {
            "event": "pull_request", "id": 12, "run_attempt": 2, "head_sha": B,
            "head_branch": "faster", "head_repository": { "owner": { "login": "mallory" } },
            "pull_requests": [],
        }});
        assert_eq!(
            read("workflow_run", &run),
            Ok(Event::WorkflowRun(WorkflowRun {
                head_sha: B.to_owned(),
                head_branch: "faster".to_owned(),
                head_owner: "mallory".to_owned(),
                run: (12, 2),
            }))
        );
    }

    #[test]
    fn what_cannot_be_judged_is_refused_by_name() {
        let mut short = request(&Value::Null);
        short["pull_request"]["base"]["sha"] = json!("--upload-pack=x");
        let mut no_number = request(&Value::Null);
        no_number["pull_request"]["number"] = json!("7");
        let by_push = json!({ "workflow_run": { "event": "push" } });
        for (name, payload, expected) in [
            (
                "pull_request",
                short,
                "`pull_request.base.sha` that is the name of a commit",
            ),
            (
                "pull_request",
                no_number,
                "`pull_request.number` that is a number",
            ),
            (
                "pull_request",
                json!([]),
                "`repository.full_name` that is a name",
            ),
            ("push", json!({ "deleted": true }), "deleted a branch"),
            ("push", json!({ "after": A }), "`ref` that is a name"),
            ("workflow_run", by_push, "by the event push"),
            (
                "pull_request_target",
                json!({}),
                "pull_request_target is refused",
            ),
            ("schedule", json!({}), "the event schedule is not supported"),
            (
                "issue\u{202e}s",
                json!({}),
                "issue\\u{202e}s is not supported",
            ),
            ("", json!({}), "GITHUB_EVENT_NAME is not set"),
        ] {
            let refused = read(name, &payload).unwrap_err();
            assert!(refused.contains(expected), "{refused}\nlacks\n{expected}");
        }
        assert!(parse("push", b"{").unwrap_err().contains("not JSON"));
    }
}
