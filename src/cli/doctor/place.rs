//! Whether files can be written, and what git and GitHub allow.

use std::path::Path;

use super::{super::options::RESULTS, note, ok, problem};
use crate::{
    environment,
    git::Git,
    github::{
        event::{self, Event},
        runner::Runner,
    },
    report::Check,
    store,
};

pub(super) async fn files(
    folder: &Path,
    baseline: &Path,
    has_baseline: bool,
    has_build: bool,
) -> Vec<Check> {
    let mut checks = Vec::new();
    for (what, path) in [("results", Path::new(RESULTS)), ("baseline", baseline)] {
        let name = path.display();
        checks.push(match store::may_write(path) {
            Ok(()) => ok(what, format!("{name} can be written")),
            Err(why) => problem(
                what,
                format!("{name} {why}"),
                "make room for it, or name another place",
            ),
        });
    }
    let git = Git::new(folder);
    if git.top().await.is_err() {
        checks.push(note(
            "git",
            "no work tree of git",
            "results then name no commit, and `compare --against` has nothing to take files from",
        ));
        return checks;
    }
    let Some((head, _)) = git.head().await else {
        checks.push(note("git", "no commit yet", "commit the project"));
        return checks;
    };
    let short: String = head.chars().take(10).collect();
    checks.push(ok("git", format!("at commit {short}")));
    // Asked from the folder of the configuration.
    let inside = match baseline.strip_prefix(folder) {
        Ok(inside) => inside.to_owned(),
        Err(_) => std::path::absolute(baseline).unwrap_or_else(|_| baseline.to_owned()),
    };
    let inside = inside.display().to_string();
    if git.ignores(&inside).await {
        checks.push(problem(
            "baseline",
            format!("git ignores {}", baseline.display()),
            "take it out of .gitignore: a baseline is committed",
        ));
    } else if has_baseline && !git.tracks(&inside).await {
        checks.push(note(
            "baseline",
            format!("git does not know {} yet", baseline.display()),
            "commit it",
        ));
    }
    let Some(branch) = git.default_branch().await else {
        checks.push(note(
            "merge base",
            "neither origin/HEAD nor a branch main or master is known",
            "name the branch: `compare --against BRANCH`",
        ));
        return checks;
    };
    let known_as = branch
        .trim_start_matches("refs/remotes/")
        .trim_start_matches("refs/heads/");
    checks.push(match git.merge_base("HEAD", &branch).await {
        Some(base) => {
            let short: String = base.chars().take(10).collect();
            ok("merge base", format!("{short}, with {known_as}"))
        }
        None if has_build => problem(
            "merge base",
            format!("the clone does not reach back to where HEAD left {known_as}"),
            "`git fetch --unshallow`, or `fetch-depth: 0` for actions/checkout",
        ),
        None => note(
            "merge base",
            format!("the clone does not reach back to where HEAD left {known_as}"),
            "for `compare --against`: `git fetch --unshallow`, or `fetch-depth: 0` for actions/checkout",
        ),
    });
    checks
}

/// What the workflow's token permits, as far as its environment tells; nothing elsewhere.
pub(super) fn github() -> Vec<Check> {
    if environment::variable("GITHUB_ACTIONS").as_deref() != Some("true") {
        return Vec::new();
    }
    let runner = match Runner::from_environment(environment::variable) {
        Ok(runner) => runner,
        Err(why) => return vec![note("environment", why, "")],
    };
    let mut checks = Vec::new();
    let payload = store::read_text(&runner.event_path).ok().flatten();
    let event = event::parse(&runner.event_name, payload.unwrap_or_default().as_bytes());
    checks.push(match &event {
        Ok(Event::PullRequest(request)) if request.is_fork => note(
            "event",
            format!(
                "pull request {} from a fork, whose token may not comment",
                request.number
            ),
            "for the comment: examples/workflows/fork-measure.yml and fork-publish.yml",
        ),
        Ok(Event::PullRequest(request)) => ok("event", format!("pull request {}", request.number)),
        Ok(Event::MergeGroup { .. }) => ok("event", "merge queue"),
        Ok(Event::Push { .. }) => ok("event", "push: nothing to comment on"),
        Ok(Event::WorkflowRun(_)) => ok("event", "a workflow that measured has ended"),
        Err(why) => note("event", why.clone(), ""),
    });
    checks.push(match runner.token {
        Some(_) => ok(
            "token",
            "given; the comment needs `pull-requests: write` in the job's permissions",
        ),
        None => note(
            "token",
            "no GITHUB_TOKEN in this step",
            "the action passes it to its own steps; without it nothing is commented",
        ),
    });
    checks
}
