//! `mcpgate github refresh`.

use std::path::PathBuf;

use clap::Args;

use crate::{
    cli::options,
    environment,
    error::{Error, exit_code},
    gate::renewal::{Renewal, renewal},
    github::{
        api::Api,
        branch::{self, Proposal},
        command,
        event::{self, Event},
        prepared::Folder,
    },
    report,
    results::{Acceptance, Results},
    store,
};

const TITLE: &str = "Update the performance baseline";

/// How the baseline of the main branch moves.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder that `prepare` and `compare --prepared` wrote.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The output `digest` of `prepare`: what decides must be what it was then.
    #[arg(long, value_name = "SHA-256")]
    digest: Option<String>,
    /// The branch that the new baseline is put on. It is mcpgate's own: whatever else is on it is
    /// lost.
    #[arg(long, value_name = "NAME", default_value = "mcpgate/baseline")]
    branch: String,
    /// Leave it at the branch, without a pull request.
    #[arg(long)]
    no_pull_request: bool,
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
    let pending = pending(&api, &arguments.branch, &prepared.baseline_path)
        .await
        .map_err(unclear)?;
    let today = environment::today();
    let decided = renewal(
        baseline.as_ref(),
        pending.as_ref(),
        &results,
        &policy,
        (&accepted, &today),
    );
    let (reasons, is_certain) = match decided {
        Renewal::Refused(objections) => {
            options::say(&format!(
                "the baseline stays:\n  - {}",
                objections.join("\n  - ")
            ));
            return Ok(exit_code::REGRESSED);
        }
        Renewal::Unchanged => {
            options::say("the baseline stays: these results say what it says");
            return Ok(exit_code::OK);
        }
        Renewal::Pending(reasons) => (reasons, false),
        Renewal::Replaced(reasons) => (reasons, true),
    };
    results.accepted = Some(Acceptance {
        at: environment::now_rfc3339(),
        forced_over: Vec::new(),
    });
    let text = store::to_stable_text(&results);
    let proposal = Proposal {
        branch: &arguments.branch,
        from_sha: &prepared.head_sha,
        path: &prepared.baseline_path,
        content: text.as_bytes(),
        title: TITLE,
        body: &body(
            &reasons,
            &runner.run_page(prepared.run.0),
            &prepared.head_sha,
        ),
        into: main,
    };
    branch::write(&api, &proposal)
        .await
        .map_err(|failure| unclear(failure.to_string()))?;
    let reasons = format!("  - {}", reasons.join("\n  - "));
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

/// What an earlier run put on the branch. Something else that lies there is as good as nothing.
async fn pending(api: &Api, branch: &str, path: &str) -> Result<Option<Results>, String> {
    let text = |failure: crate::github::api::Failure| failure.to_string();
    if api.branch(branch).await.map_err(text)?.is_none() {
        return Ok(None);
    }
    let found = api.file(branch, path).await.map_err(text)?;
    Ok(found.and_then(|bytes| store::parse_results(&bytes).ok()))
}

fn body(reasons: &[String], run_page: &str, sha: &str) -> String {
    let reasons: Vec<String> = reasons
        .iter()
        .map(|reason| format!("- {}", report::prose(reason)))
        .collect();
    format!(
        "Measured on `{sha}` by [this run]({run_page}). Why the baseline moves:\n\n{}\n\nThe gate of \
         this pull request still judges by the baseline before it.\n",
        reasons.join("\n")
    )
}
