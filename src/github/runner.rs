//! What GitHub's runner tells a step in its environment. Pure.

use std::path::PathBuf;

use crate::suite::Secret;

/// Where requests go unless the runner says otherwise.
const API: &str = "https://api.github.com";
const SERVER: &str = "https://github.com";

/// The environment of a step.
#[derive(Debug, Clone)]
pub struct Runner {
    /// Name of the event, such as `pull_request`.
    pub event_name: String,
    /// File with the event's payload.
    pub event_path: PathBuf,
    /// `OWNER/NAME`.
    pub repository: String,
    /// The commit that the event is about; for a pull request, its merge into the base.
    pub sha: String,
    /// Base of the API's addresses, without a slash at the end.
    pub api_url: String,
    /// Base of the addresses of pages, without a slash at the end.
    pub server_url: String,
    /// The workflow run and its attempt.
    pub run: (u64, u64),
    /// File for the job's summary.
    pub summary: Option<PathBuf>,
    /// File for the step's outputs.
    pub output: Option<PathBuf>,
    /// Token for the API.
    pub token: Option<Secret>,
}

impl Runner {
    /// Reads the environment.
    ///
    /// # Errors
    /// Every variable that is missing or wrong, in one text.
    pub fn from_environment(env: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let get = |name: &str| env(name).filter(|value| !value.is_empty());
        let mut wrong = Vec::new();
        let mut need = |name: &str, is_sound: fn(&str) -> bool, wanted: &str| {
            let value = get(name).unwrap_or_default();
            if !is_sound(&value) {
                wrong.push(format!("{name} is not {wanted}"));
            }
            value
        };
        let event_path = need("GITHUB_EVENT_PATH", |v| !v.is_empty(), "set");
        let repository = need("GITHUB_REPOSITORY", is_repository, "OWNER/NAME");
        let sha = need("GITHUB_SHA", crate::git::is_sha, "the name of a commit");
        let number = |name: &str| get(name).and_then(|value| value.parse().ok());
        let url = |name: &str, usual: &str| {
            let value = get(name).unwrap_or_else(|| usual.to_owned());
            value.trim_end_matches('/').to_owned()
        };
        let runner = Self {
            event_name: get("GITHUB_EVENT_NAME").unwrap_or_default(),
            event_path: event_path.into(),
            repository,
            sha: sha.to_ascii_lowercase(),
            api_url: url("GITHUB_API_URL", API),
            server_url: url("GITHUB_SERVER_URL", SERVER),
            run: (
                number("GITHUB_RUN_ID").unwrap_or(0),
                number("GITHUB_RUN_ATTEMPT").unwrap_or(1),
            ),
            summary: get("GITHUB_STEP_SUMMARY").map(PathBuf::from),
            output: get("GITHUB_OUTPUT").map(PathBuf::from),
            token: get("GITHUB_TOKEN").map(Secret::new),
        };
        if wrong.is_empty() {
            Ok(runner)
        } else {
            Err(format!(
                "{}: `mcpgate github` runs in a GitHub workflow; elsewhere, `mcpgate compare` is \
                 all that is needed",
                wrong.join(", ")
            ))
        }
    }

    /// The page of a run of this repository.
    #[must_use]
    pub fn run_page(&self, run_id: u64) -> String {
        format!(
            "{}/{}/actions/runs/{run_id}",
            self.server_url, self.repository
        )
    }
}

/// Names of owners and repositories have no other characters, so they need no escaping in an
/// address.
fn is_repository(text: &str) -> bool {
    let is_name = |part: &str| {
        !part.is_empty()
            && part.len() <= 100
            && !part.chars().all(|c| c == '.')
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    text.split_once('/')
        .is_some_and(|(owner, name)| is_name(owner) && is_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_read_and_has_defaults() {
        let runner = Runner::from_environment(|name| {
            let value = match name {
                "GITHUB_EVENT_PATH" => "/event.json",
                "GITHUB_REPOSITORY" => "acme/mcp.server",
                "GITHUB_SHA" => "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                "GITHUB_SERVER_URL" => "https://ghe.example/",
                "GITHUB_RUN_ID" => "12",
                "GITHUB_TOKEN" => "secret-token",
                _ => return None,
            };
            Some(value.to_owned())
        })
        .unwrap();
        assert_eq!(runner.api_url, "https://api.github.com");
        assert_eq!(
            runner.run_page(12),
            "https://ghe.example/acme/mcp.server/actions/runs/12"
        );
        assert_eq!(runner.run, (12, 1));
        assert!(crate::git::is_sha(&runner.sha) && !runner.sha.contains('A'));
        assert!(!format!("{runner:?}").contains("secret-token"));
    }

    #[test]
    fn everything_that_is_missing_is_said_at_once() {
        let problem = Runner::from_environment(|name| {
            (name == "GITHUB_REPOSITORY").then(|| "acme/../x".to_owned())
        })
        .unwrap_err();
        for part in [
            "GITHUB_EVENT_PATH is",
            "GITHUB_REPOSITORY is",
            "GITHUB_SHA is",
        ] {
            assert!(problem.contains(part), "{problem}");
        }
        for bad in ["acme", "acme/..", "/x", "a b/c", "acme/x?y", ""] {
            assert!(!is_repository(bad), "{bad}");
        }
    }
}
