//! The commit whose baseline and policy decide, and its files.

use std::path::Path;

use super::{
    api::{Api, Failure},
    event::{Event, PullRequest, WorkflowRun},
    prepared::Prepared,
    requests::Listed,
    runner::Runner,
};
use crate::{error::Error, git::Git, store};

/// Where the base's files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Clone,
    Api,
}

/// The base of an event.
#[derive(Debug)]
pub struct Base<'a> {
    git: &'a Git,
    api: &'a Api,
    source: Source,
    sha: String,
    /// Whether what is measured lies in the working directory.
    is_checked_out: bool,
}

/// Finds what is to be judged by what. `None`: there is nothing to judge any more.
///
/// # Errors
/// [`Error::Usage`] in words with what to do: a checkout that is neither the pull request nor its
/// merge, a base that cannot be read.
pub async fn find<'a>(
    event: &Event,
    runner: &Runner,
    git: &'a Git,
    api: &'a Api,
) -> Result<Option<(Prepared, Base<'a>)>, Error> {
    let (prepared, source) = match event {
        Event::PullRequest(request) => {
            let mut prepared = of_pull_request(request, runner, git, api).await?;
            prepared.pull_request = Some(request.number);
            prepared.is_fork = request.is_fork;
            let source = source(&prepared.base_sha, runner, git).await?;
            (prepared, source)
        }
        Event::MergeGroup { base_sha, head_sha } => {
            let by = "the commit that the merge queue built on";
            let prepared = Prepared::new(head_sha, base_sha, by, runner.run);
            let source = source(base_sha, runner, git).await?;
            (prepared, source)
        }
        Event::Push { after, .. } => {
            let by = "the pushed commit itself";
            let prepared = Prepared::new(after, after, by, runner.run);
            let source = source(after, runner, git).await?;
            (prepared, source)
        }
        Event::WorkflowRun(run) => match of_workflow_run(run, api).await? {
            // The clone may be anything here, and nothing of the pull request is to be touched.
            Some(prepared) => (prepared, Source::Api),
            None => return Ok(None),
        },
    };
    let sha = prepared.base_sha.clone();
    Ok(Some((
        prepared,
        Base {
            git,
            api,
            source,
            sha,
            is_checked_out: !matches!(event, Event::WorkflowRun(_)),
        },
    )))
}

impl Base<'_> {
    /// A file of what is measured; `None` if it has none there.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub async fn head_file(
        &self,
        prepared: &Prepared,
        path: &str,
        full_path: &str,
    ) -> Result<Option<Vec<u8>>, Error> {
        if self.is_checked_out {
            return store::read_text(Path::new(path)).map(|text| text.map(String::into_bytes));
        }
        // The commits of forks can be read through the repository that they want to go into.
        let found = self.api.file(&prepared.head_sha, full_path).await;
        found.map_err(|failure| {
            Error::Usage(format!(
                "{full_path} of the measured commit ({}) cannot be read: {failure}",
                prepared.head_sha
            ))
        })
    }

    /// A file as the base has it; `path` is from the working directory, `full_path` from the
    /// repository's root. `None` if the base has none there.
    ///
    /// # Errors
    /// [`Error::Usage`]: failing to read the base is not the same as finding nothing there.
    pub async fn file(&self, path: &str, full_path: &str) -> Result<Option<Vec<u8>>, Error> {
        let read = match self.source {
            Source::Clone => self.git.file(&self.sha, path).await,
            Source::Api => {
                let found = self.api.file(&self.sha, full_path).await;
                found.map_err(|failure| failure.to_string())
            }
        };
        read.map_err(|problem| {
            Error::Usage(format!(
                "{full_path} of the base ({}) cannot be read, so nothing can be judged: {problem}",
                self.sha
            ))
        })
    }
}

async fn of_pull_request(
    request: &PullRequest,
    runner: &Runner,
    git: &Git,
    api: &Api,
) -> Result<Prepared, Error> {
    let Some((head, parents)) = git.head().await else {
        return Err(Error::Usage(
            "there is no clone in the working directory: let the job begin with actions/checkout"
                .to_owned(),
        ));
    };
    if let [first, second] = &parents[..]
        && (head == runner.sha || *second == request.head_sha)
    {
        let by = "the first parent of the merge commit";
        return Ok(Prepared::new(&head, first, by, runner.run));
    }
    if head != request.head_sha {
        return Err(Error::Usage(format!(
            "the checked-out commit {head} is neither the pull request's newest ({}) nor its merge \
             into {} ({}): let actions/checkout take its usual `ref`, or \
             `github.event.pull_request.head.sha`",
            request.head_sha, request.base_ref, runner.sha
        )));
    }
    let tracked = format!("refs/remotes/origin/{}", request.base_ref);
    let mut base = None;
    for tip in [&tracked, &request.base_sha] {
        if base.is_none() && git.has(tip).await {
            base = git.merge_base(&head, tip).await;
        }
    }
    let base = match base {
        Some(base) => base,
        None => api
            .merge_base(&request.base_ref, &head)
            .await
            .map_err(|failure| {
                Error::Usage(format!(
                    "the clone does not reach back to where the pull request left {}, and GitHub \
                     does not tell it: {failure}. Give actions/checkout `fetch-depth: 0`, or let it \
                     take its usual `ref`, the merge commit",
                    request.base_ref
                ))
            })?,
    };
    let by = format!("where the pull request left {}", request.base_ref);
    Ok(Prepared::new(&head, &base, &by, runner.run))
}

/// The clone where it has the commit or can get it, else the API.
async fn source(sha: &str, runner: &Runner, git: &Git) -> Result<Source, Error> {
    if git.has(sha).await {
        return Ok(Source::Clone);
    }
    let problem = match git.fetch(sha).await {
        Ok(()) if git.has(sha).await => return Ok(Source::Clone),
        Ok(()) => "it was not there after fetching it".to_owned(),
        Err(problem) => problem,
    };
    if runner.token.is_some() {
        return Ok(Source::Api);
    }
    Err(Error::Usage(format!(
        "the base {sha} is not in the clone and cannot be fetched ({problem}): give actions/checkout \
         `fetch-depth: 2`, or this step a GITHUB_TOKEN with `contents: read`"
    )))
}

async fn of_workflow_run(run: &WorkflowRun, api: &Api) -> Result<Option<Prepared>, Error> {
    let unreadable = |failure: Failure| {
        Error::Usage(format!(
            "the pull request of the run that ended cannot be found: {failure}"
        ))
    };
    let open = api
        .open_pull_requests(&run.head_owner, &run.head_branch)
        .await
        .map_err(unreadable)?;
    // The event's own list is empty for forks, so the pull request is the one that shows this very
    // commit now. None: it was closed, or has newer commits, and their run will speak.
    let mut showing = open.iter().filter(|open| open.head.sha == run.head_sha);
    let (Some(found), more) = (showing.next(), showing.next()) else {
        return Ok(None);
    };
    if more.is_some() {
        return Err(Error::Usage(format!(
            "several open pull requests show the commit {}: which one was measured cannot be told",
            run.head_sha
        )));
    }
    let Listed { number, base, .. } = found;
    let tip = api.tip(&base.name).await.map_err(unreadable)?;
    let by = "the newest commit of the branch to merge into";
    let mut prepared = Prepared::new(&run.head_sha, &tip, by, run.run);
    prepared.pull_request = Some(*number);
    Ok(Some(prepared))
}
