//! What is asked of GitHub: one method a request.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde_json::{Value, json};

use super::{
    api::{Api, Failure, JSON, RAW, parsed},
    comment::Found,
    sticky::Comments,
};

/// Comments on a page, and most pages that are looked through.
const PAGE: usize = 100;
const MOST_PAGES: usize = 50;

/// A pull request as the API lists it.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Listed {
    /// Its number.
    pub number: u64,
    /// The branch that it is to be merged into.
    pub base: Tip,
    /// Its own branch.
    pub head: Tip,
    /// Its page.
    #[serde(default)]
    pub html_url: Option<String>,
}

/// A branch and its commit, as the API lists them.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Tip {
    /// The branch.
    #[serde(rename = "ref")]
    pub name: String,
    /// The commit.
    pub sha: String,
}

impl Api {
    /// A file at a commit or on a branch; `None` if it has none there.
    ///
    /// # Errors
    /// Any failure, also where the commit itself cannot be seen: that is not the same as a file
    /// that is not there.
    pub async fn file(&self, sha: &str, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        let place = format!("contents/{}?ref={}", escaped(path), escaped(sha));
        match self.get_raw(&self.in_repository(&place), RAW).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Failure::NotFound(_)) => {
                let commit = self.in_repository(&format!("commits/{}?per_page=1", escaped(sha)));
                self.get_raw(&commit, JSON).await.map(|_| None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// The newest commit of a branch.
    ///
    /// # Errors
    /// Any failure.
    pub async fn tip(&self, branch: &str) -> Result<String, Failure> {
        let place = self.in_repository(&format!("git/ref/{}", escaped(&format!("heads/{branch}"))));
        let found: Value = self.get(&place).await?;
        sha_at(&found, "/object/sha")
    }

    /// Who owns the repository.
    #[must_use]
    pub fn owner(&self) -> &str {
        self.repository().split('/').next().unwrap_or_default()
    }

    /// The newest commit of a branch; `None` if there is no such branch.
    ///
    /// # Errors
    /// Any other failure.
    pub async fn branch(&self, branch: &str) -> Result<Option<String>, Failure> {
        match self.tip(branch).await {
            Ok(sha) => Ok(Some(sha)),
            Err(Failure::NotFound(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Makes a branch.
    ///
    /// # Errors
    /// Any failure; one that there is already is refused.
    pub async fn make_branch(&self, branch: &str, sha: &str) -> Result<(), Failure> {
        let body = json!({ "ref": format!("refs/heads/{branch}"), "sha": sha });
        self.once("POST", "git/refs", &body).map(|_| ())
    }

    /// Sets a branch to a commit, whatever it was before.
    ///
    /// # Errors
    /// Any failure.
    pub async fn set_branch(&self, branch: &str, sha: &str) -> Result<(), Failure> {
        let place =
            self.in_repository(&format!("git/refs/{}", escaped(&format!("heads/{branch}"))));
        let body = json!({ "sha": sha, "force": true });
        self.repeatedly(|| self.send("PATCH", &place, JSON, Some(&body)))
            .await
            .map(|_| ())
    }

    /// Makes a commit on top of `parent` in which `files` (path and content) are as given and all else
    /// is as it was, and gives its name. No branch leads to it yet.
    ///
    /// # Errors
    /// Any failure. Everything is named by its content, so that all of it may be repeated.
    pub async fn commit(
        &self,
        parent: &str,
        files: &[(&str, &[u8])],
        message: &str,
    ) -> Result<String, Failure> {
        let place = self.in_repository(&format!("git/commits/{}", escaped(parent)));
        let found: Value = self.get(&place).await?;
        let base_tree = sha_at(&found, "/tree/sha")?;
        let mut entries = Vec::new();
        for (path, content) in files {
            let body = json!({ "content": BASE64_STANDARD.encode(content), "encoding": "base64" });
            let blob = self.made("git/blobs", &body).await?;
            entries.push(json!({ "path": path, "mode": "100644", "type": "blob", "sha": blob }));
        }
        let tree = json!({ "base_tree": base_tree, "tree": entries });
        let tree = self.made("git/trees", &tree).await?;
        let commit = json!({ "message": message, "tree": tree, "parents": [parent] });
        self.made("git/commits", &commit).await
    }

    /// Makes an object of git, and gives its name.
    async fn made(&self, place: &str, body: &Value) -> Result<String, Failure> {
        let place = self.in_repository(place);
        let made = self
            .repeatedly(|| self.send("POST", &place, JSON, Some(body)))
            .await?;
        sha_at(&parsed(&made)?, "/sha")
    }

    /// Opens a pull request, and gives its page.
    ///
    /// # Errors
    /// Any failure.
    pub async fn make_pull_request(
        &self,
        title: &str,
        body: &str,
        from: &str,
        into: &str,
    ) -> Result<String, Failure> {
        let body = json!({ "title": title, "body": body, "head": from, "base": into });
        let made: Listed = parsed(&self.once("POST", "pulls", &body)?)?;
        Ok(made.html_url.unwrap_or_default())
    }

    /// The newest commit that both have behind them.
    ///
    /// # Errors
    /// Any failure.
    pub async fn merge_base(&self, base: &str, head: &str) -> Result<String, Failure> {
        let place = format!("compare/{}...{}?per_page=1", escaped(base), escaped(head));
        let found: Value = self.get(&self.in_repository(&place)).await?;
        sha_at(&found, "/merge_base_commit/sha")
    }

    /// Open pull requests from a branch of `owner`'s repository.
    ///
    /// # Errors
    /// Any failure.
    pub async fn open_pull_requests(
        &self,
        owner: &str,
        branch: &str,
    ) -> Result<Vec<Listed>, Failure> {
        let place = format!(
            "pulls?state=open&per_page={PAGE}&head={}:{}",
            escaped(owner),
            escaped(branch)
        );
        self.get(&self.in_repository(&place)).await
    }

    /// Whose token it is; `None` for a token of GitHub Actions or of an app, which has no user.
    ///
    /// # Errors
    /// Any failure but that of having no user.
    pub async fn login(&self) -> Result<Option<String>, Failure> {
        match self.get::<Value>("/user").await {
            Ok(user) => Ok(user
                .pointer("/login")
                .and_then(Value::as_str)
                .map(str::to_owned)),
            Err(Failure::Refused(_) | Failure::NotFound(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

impl Comments for Api {
    async fn list(&self, number: u64) -> Result<Vec<Found>, Failure> {
        let mut all = Vec::new();
        for page in 1..=MOST_PAGES {
            let place = format!("issues/{number}/comments?per_page={PAGE}&page={page}");
            let found: Vec<Comment> = self.get(&self.in_repository(&place)).await?;
            let is_last = found.len() < PAGE;
            all.extend(found.into_iter().map(Found::from));
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    async fn create(&self, number: u64, body: &str) -> Result<Found, Failure> {
        let place = format!("issues/{number}/comments");
        let made = self.once("POST", &place, &json!({ "body": body }))?;
        parsed::<Comment>(&made).map(Found::from)
    }

    async fn update(&self, id: u64, body: &str) -> Result<Found, Failure> {
        let place = self.in_repository(&format!("issues/comments/{id}"));
        let body = json!({ "body": body });
        let made = self
            .repeatedly(|| self.send("PATCH", &place, JSON, Some(&body)))
            .await?;
        parsed::<Comment>(&made).map(Found::from)
    }

    async fn delete(&self, id: u64) -> Result<(), Failure> {
        let place = self.in_repository(&format!("issues/comments/{id}"));
        let done = self
            .repeatedly(|| self.send("DELETE", &place, JSON, None))
            .await;
        match done {
            Ok(_) | Err(Failure::NotFound(_)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}

#[derive(serde::Deserialize)]
struct Comment {
    id: u64,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    html_url: Option<String>,
    #[serde(default)]
    user: Option<Author>,
}

#[derive(serde::Deserialize)]
struct Author {
    login: String,
}

impl From<Comment> for Found {
    fn from(comment: Comment) -> Self {
        Self {
            id: comment.id,
            author: comment.user.map(|user| user.login).unwrap_or_default(),
            body: comment.body.unwrap_or_default(),
            url: comment.html_url.unwrap_or_default(),
        }
    }
}

fn sha_at(answer: &Value, pointer: &str) -> Result<String, Failure> {
    answer
        .pointer(pointer)
        .and_then(Value::as_str)
        .filter(|sha| crate::git::is_sha(sha))
        .map(str::to_owned)
        .ok_or_else(|| Failure::Unclear("GitHub's answer names no commit".to_owned()))
}

/// Percent-encoded, slashes too: one segment of a path, or one value of a query.
fn escaped(text: &str) -> PercentEncode<'_> {
    /// All but RFC 3986's unreserved characters.
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~');
    utf8_percent_encode(text, RESERVED)
}
