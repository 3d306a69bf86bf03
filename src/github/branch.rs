//! What is proposed: files on a branch of our own, and a pull request for it.

use std::fmt;

use super::api::{Api, Failure};

/// The branch, and what is written to it.
#[derive(Debug)]
pub struct Proposal<'a> {
    /// The branch of our own.
    pub branch: &'a str,
    /// The commit that it begins at: the one that was measured.
    pub from_sha: &'a str,
    /// The files: path from the repository's root, and content.
    pub files: &'a [(&'a str, &'a [u8])],
    /// Of the commit and the pull request, in one line.
    pub title: &'a str,
    /// Text of the pull request.
    pub body: &'a str,
    /// The branch to merge into.
    pub into: &'a str,
}

/// Puts the files on the branch, which then holds nothing else that the measured commit does not.
///
/// The branch goes from one commit with files to the next: GitHub closes a pull request whose branch
/// holds for a moment nothing that its base does not. Every request may be repeated.
///
/// # Errors
/// What GitHub refused, or what remained unclear.
pub async fn write(api: &Api, proposal: &Proposal<'_>) -> Result<(), Failure> {
    let commit = api
        .commit(proposal.from_sha, proposal.files, proposal.title)
        .await?;
    if api.branch(proposal.branch).await?.is_some() {
        return api.set_branch(proposal.branch, &commit).await;
    }
    match api.make_branch(proposal.branch, &commit).await {
        Ok(()) => Ok(()),
        // Perhaps made all the same.
        Err(failure) => match api.branch(proposal.branch).await? {
            Some(_) => api.set_branch(proposal.branch, &commit).await,
            None => Err(failure),
        },
    }
}

/// The page of the pull request for the branch: the one that is open, else a new one.
///
/// # Errors
/// What GitHub refused, or what remained unclear.
pub async fn open(api: &Api, proposal: &Proposal<'_>) -> Result<String, Failure> {
    let listed = || page(api, proposal.branch, proposal.into);
    if let Some(page) = listed().await? {
        return Ok(page);
    }
    let made = api
        .make_pull_request(
            proposal.title,
            proposal.body,
            proposal.branch,
            proposal.into,
        )
        .await;
    match made {
        Err(Failure::Unclear(said)) => listed().await?.ok_or(Failure::Unclear(said)),
        other => other,
    }
}

/// The page of the open pull request from `branch` into another branch, if there is one.
///
/// # Errors
/// What GitHub refused, or what remained unclear.
pub async fn page(api: &Api, branch: &str, into: &str) -> Result<Option<String>, Failure> {
    let owner = api.owner().to_owned();
    let open = api.open_pull_requests(&owner, branch).await?;
    let ours = open.into_iter().find(|open| open.base.name == into);
    Ok(ours.and_then(|open| open.html_url))
}

/// Whether `name` can be a branch: what `git check-ref-format` refuses is refused, and more.
///
/// # Errors
/// In words.
pub fn check_name(name: &str) -> Result<(), impl fmt::Display + use<>> {
    let is_sound = (1..=100).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte))
        && !name.contains("..")
        && !name.contains("//")
        && name
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with(['.', '-']) && !part.ends_with('.'))
        && !name.to_ascii_lowercase().ends_with(".lock");
    if is_sound {
        Ok(())
    } else {
        Err("the branch must be a name of letters, digits, dots, underscores, hyphens and slashes")
    }
}

#[cfg(test)]
mod tests {
    use super::check_name;

    #[test]
    fn names_of_branches() {
        for good in ["mcpgate/baseline", "a", "a.b-c_d/e"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in [
            "", "-x", "a..b", "/a", "a/", "a//b", "a b", "a/.b", "a.lock", "a.", "ü",
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
