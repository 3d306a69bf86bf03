//! `mcpgate github refresh`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::{
    cli::{history as history_file, options},
    environment,
    error::{Error, exit_code},
    gate::renewal::{Renewal, renewal, still_waits},
    github::{
        api::{Api, Failure},
        branch::{self, Proposal},
        command,
        event::{self, Event},
        prepared::Folder,
    },
    history::{self, Added},
    process::output::printable,
    report,
    results::{Acceptance, Results},
    store,
};

const TITLE: &str = "Update the performance baseline";

/// How the baseline of the main branch moves.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mcpgate github refresh")]
pub(super) struct Arguments {
    /// Folder that `prepare` and `compare --prepared` wrote.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The output `digest` of `prepare`: what decides must be what it was then.
    #[arg(long, value_name = "SHA-256")]
    digest: Option<String>,
    /// The branch that the new baseline is put on. It is mcpgate's own, one for each server: whatever
    /// else is on it is lost.
    #[arg(long, value_name = "NAME", default_value = "mcpgate/baseline")]
    branch: String,
    /// Leave it at the branch, without a pull request.
    #[arg(long)]
    no_pull_request: bool,
    /// Add no line of this run to the history; lines that wait stay.
    #[arg(long)]
    no_history: bool,
}

pub(super) async fn run(arguments: &Arguments) -> Result<u8, Error> {
    branch::check_name(&arguments.branch).map_err(|problem| Error::Usage(problem.to_string()))?;
    let runner = super::runner()?;
    let payload = store::read_text(&runner.event_path)?.unwrap_or_default();
    let event = event::parse(&runner.event_name, payload.as_bytes()).map_err(Error::Usage)?;
    let Event::Push { ref_name, .. } = &event else {
        return Err(Error::Usage(
            "the baseline is refreshed by pushes to the branch that holds it: use the event push"
                .to_owned(),
        ));
    };
    let Some(main) = ref_name.strip_prefix("refs/heads/") else {
        return Err(Error::Usage(
            "a tag was pushed, and the baseline lives on a branch: limit the event with \
             `push: branches:`"
                .to_owned(),
        ));
    };
    if main == arguments.branch {
        return Err(Error::Usage(
            "this is a push to the branch that mcpgate proposes baselines on: limit the event with \
             `push: branches:`"
                .to_owned(),
        ));
    }
    let folder = Folder::at(&arguments.dir);
    let prepared = folder.read_unchanged(arguments.digest.as_deref())?;
    let mut results = store::read_results(&folder.results())?;
    let policy = folder.policy(&prepared)?;
    let baseline = folder.base(&prepared)?;
    let accepted = folder.accepted(&prepared)?;
    let api = Api::new(&runner);
    let unclear = |problem: String| Error::NotDelivered {
        path: PathBuf::from(&prepared.baseline_path),
        source: std::io::Error::other(problem),
    };
    let tip = api
        .tip(main)
        .await
        .map_err(|failure| unclear(failure.to_string()))?;
    if tip != prepared.head_sha {
        options::say(&format!(
            "{main} has moved on to {tip}: the run of that commit sees to the baseline"
        ));
        return Ok(exit_code::OK);
    }
    let history_path = history_file::beside(Path::new(&prepared.baseline_path))
        .display()
        .to_string();
    let paths = (prepared.baseline_path.as_str(), history_path.as_str());
    let mut waiting = waiting(&api, &arguments.branch, paths)
        .await
        .map_err(unclear)?;
    waiting.baseline = waiting
        .baseline
        .filter(|(_, proposed)| still_waits(proposed, baseline.as_ref()));
    let today = environment::today();
    let decided = renewal(
        baseline.as_ref(),
        waiting.baseline.as_ref().map(|(_, results)| results),
        &results,
        &policy,
        (&accepted, &today),
    );
    // As the commit has it, and not as `prepare` saw it: what is proposed takes its place.
    let of_main = api
        .file(&prepared.head_sha, &history_path)
        .await
        .map_err(|failure| unclear(failure.to_string()))?;
    let of_this_run = match arguments.no_history {
        true => Vec::new(),
        false => history::entries_of(&results),
    };
    let history = lines(of_main.unwrap_or_default(), &waiting.history, of_this_run);
    if history.is_too_large {
        options::say(&format!(
            "note: {history_path} is larger than {} MiB: this cannot be a history, and it gets no line",
            history::MOST_BYTES >> 20
        ));
    }
    let place = Place {
        api: &api,
        branch: &arguments.branch,
        from_sha: &prepared.head_sha,
        paths,
        into: main,
    };
    let (reasons, is_certain) = match decided {
        Renewal::Refused(objections) => {
            options::say(&format!("the baseline stays:\n  - {}", listed(&objections)));
            place.keep_lines(&history, &waiting).await;
            return Ok(exit_code::REGRESSED);
        }
        Renewal::Unchanged => {
            options::say("the baseline stays: these results say what it says");
            place.keep_lines(&history, &waiting).await;
            return Ok(exit_code::OK);
        }
        Renewal::Pending(reasons) => {
            let page = branch::page(&api, &arguments.branch, main)
                .await
                .map_err(|failure| unclear(failure.to_string()))?;
            // What somebody may be reviewing is not replaced by what one run saw.
            if let (Some(page), Some(_)) = (page, &waiting.baseline) {
                options::say(&format!(
                    "an improvement, but a smaller one than what is proposed already: {page} stays \
                     as it is\n  - {}",
                    listed(&reasons)
                ));
                place.keep_lines(&history, &waiting).await;
                return Ok(exit_code::OK);
            }
            (reasons, false)
        }
        Renewal::Replaced(reasons) => (reasons, true),
    };
    results.accepted = Some(Acceptance {
        at: environment::now_rfc3339(),
        forced_over: Vec::new(),
    });
    let text = store::to_stable_text(&results);
    let run_page = runner.run_page(prepared.run.0);
    let body = body(&reasons, &run_page, &prepared.head_sha, &history);
    let files = place.files(Some(text.as_bytes()), &history);
    let proposal = place.proposal(&files, &body);
    branch::write(&api, &proposal)
        .await
        .map_err(|failure| unclear(failure.to_string()))?;
    let reasons = format!("  - {}", listed(&reasons));
    let page = if !is_certain {
        options::say(&format!(
            "an improvement, seen once: it moves the baseline if the next run on {main} sees it, \
             too\n{reasons}"
        ));
        String::new()
    } else if arguments.no_pull_request {
        options::say(&format!(
            "a new baseline is on {}\n{reasons}",
            arguments.branch
        ));
        String::new()
    } else {
        let page = branch::open(&api, &proposal)
            .await
            .map_err(|failure| unclear(failure.to_string()))?;
        options::say(&format!("a new baseline is proposed: {page}\n{reasons}"));
        page
    };
    if let Some(output) = &runner.output {
        let text = command::output("pull-request-url", &page, &environment::nonce());
        store::append(output, text.as_bytes())?;
    }
    Ok(exit_code::OK)
}

/// What earlier runs put on the branch.
struct Waiting {
    /// A baseline that was proposed, or an improvement that was seen once: as it stands there, and
    /// what it says.
    baseline: Option<(Vec<u8>, Results)>,
    /// The history as it stands there.
    history: Vec<u8>,
}

/// For a log, in which what a file says must not pass for a command.
fn listed(reasons: &[String]) -> String {
    let reasons: Vec<String> = reasons.iter().map(|reason| printable(reason)).collect();
    reasons.join("\n  - ")
}

/// Something else that lies there is as good as nothing.
async fn waiting(
    api: &Api,
    branch: &str,
    (baseline, history): (&str, &str),
) -> Result<Waiting, String> {
    let text = |failure: Failure| failure.to_string();
    if api.branch(branch).await.map_err(text)?.is_none() {
        return Ok(Waiting {
            baseline: None,
            history: Vec::new(),
        });
    }
    let baseline = api.file(branch, baseline).await.map_err(text)?;
    let history = api.file(branch, history).await.map_err(text)?;
    Ok(Waiting {
        baseline: baseline.and_then(|bytes| {
            let results = store::parse_results(&bytes).ok()?;
            Some((bytes, results))
        }),
        history: history
            .filter(|bytes| bytes.len() <= history::MOST_BYTES)
            .unwrap_or_default(),
    })
}

/// The history as it is to be.
#[derive(Default)]
struct Lines {
    /// The file: that of the main branch, and the lines that wait; `None` where that has what the main
    /// branch has.
    file: Option<Vec<u8>>,
    /// Lines in it that the main branch does not have.
    waiting: usize,
    /// Whether one of them is of this run, and not on the branch yet.
    is_new: bool,
    /// Whether the main branch has a file that cannot be a history. It is left as it is.
    is_too_large: bool,
}

fn lines(of_main: Vec<u8>, waiting: &[u8], of_this_run: Vec<history::Entry>) -> Lines {
    if of_main.len() > history::MOST_BYTES {
        return Lines {
            is_too_large: true,
            ..Lines::default()
        };
    }
    let mut entries = history::read(waiting).entries;
    let before = entries.len();
    for entry in of_this_run {
        if !entries.iter().any(|known| known.is_same_run(&entry)) {
            entries.push(entry);
        }
    }
    let known = history::read(&of_main).entries;
    let missing = |entry: &&history::Entry| !known.iter().any(|known| known.is_same_run(entry));
    Lines {
        is_too_large: false,
        waiting: entries.iter().filter(missing).count(),
        is_new: entries.iter().skip(before).any(|entry| missing(&entry)),
        file: match history::all_added(&of_main, &entries) {
            Added::Nothing => None,
            Added::Behind(bytes) => Some([of_main, bytes].concat()),
            Added::Instead(bytes) => Some(bytes),
        },
    }
}

/// Where proposals go.
struct Place<'a> {
    api: &'a Api,
    branch: &'a str,
    from_sha: &'a str,
    /// Of the baseline and of the history.
    paths: (&'a str, &'a str),
    into: &'a str,
}

impl<'a> Place<'a> {
    fn files<'b>(&self, baseline: Option<&'b [u8]>, history: &'b Lines) -> Vec<(&'b str, &'b [u8])>
    where
        'a: 'b,
    {
        let baseline = baseline.map(|content| (self.paths.0, content));
        let history = history.file.as_deref();
        let history = history.map(|content| (self.paths.1, content));
        baseline.into_iter().chain(history).collect()
    }

    fn proposal<'b>(&self, files: &'b [(&'b str, &'b [u8])], body: &'b str) -> Proposal<'b>
    where
        'a: 'b,
    {
        Proposal {
            branch: self.branch,
            from_sha: self.from_sha,
            files,
            title: TITLE,
            body,
            into: self.into,
        }
    }

    /// Puts the line of a run whose results are no new baseline on the branch, beside what waits there.
    /// Nothing depends on it, so that a failure is only said.
    async fn keep_lines(&self, history: &Lines, waiting: &Waiting) {
        if !history.is_new {
            return;
        }
        let baseline = waiting.baseline.as_ref();
        let files = self.files(baseline.map(|(bytes, _)| bytes.as_slice()), history);
        let proposal = self.proposal(&files, "");
        let (path, branch) = (self.paths.1, self.branch);
        options::say(&match branch::write(self.api, &proposal).await {
            Ok(()) => format!("its line for {path} waits on {branch} for the next baseline"),
            Err(failure) => format!("note: {path} gets no line of this run: {failure}"),
        });
    }
}

fn body(reasons: &[String], run_page: &str, sha: &str, history: &Lines) -> String {
    let lines = match (&history.file, history.waiting) {
        (None, _) => String::new(),
        (Some(_), 1) if history.is_new => "\n\nThe history gets the line of this run.".to_owned(),
        (Some(_), 1) => "\n\nThe history gets the line of an earlier run.".to_owned(),
        (Some(_), n) => format!("\n\nThe history gets the lines of {n} runs on this branch."),
    };
    let reasons: Vec<String> = reasons
        .iter()
        .map(|reason| format!("- {}", report::prose(reason)))
        .collect();
    format!(
        "Measured on `{sha}` by [this run]({run_page}). Why the baseline moves:\n\n{}\n\nThe gate of \
         this pull request still judges by the baseline before it.{lines}\n",
        reasons.join("\n")
    )
}
