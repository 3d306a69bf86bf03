//! Secrets in texts from outside: a server may repeat the token it was given in an error message,
//! and that message would stand in a report and in a committed baseline.

use std::sync::Arc;

use crate::{
    error::Error,
    mcp::oauth::TokenSource,
    results::{ErrorSample, Job},
    suite::Config,
};

/// What stands for a secret.
const MASKED: &str = "***";
/// A secret's beginning of at least this length is hidden where a text was cut inside it, and a
/// line of a secret of several lines.
const PART: usize = 6;

/// Hides the values that the configuration took from the environment.
#[derive(Clone, Default)]
pub(super) struct Mask {
    /// Longest first.
    secrets: Vec<String>,
    /// Of tokens that are issued as the run goes on.
    tokens: Option<Arc<TokenSource>>,
}

impl Mask {
    /// For all secrets of a configuration.
    pub(super) fn of(config: &Config) -> Self {
        Self::of_values(config.secrets())
    }

    /// For these values.
    pub(super) fn of_values<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        let mut secrets: Vec<String> = Vec::new();
        for secret in values {
            secrets.push(secret.to_owned());
            // As it stands in JSON that is shown as it came.
            let quoted = serde_json::Value::from(secret).to_string();
            secrets.push(quoted.trim_matches('"').to_owned());
            // Texts are shown on one line, and the end of the output line by line.
            let lines = secret.lines().map(str::trim);
            secrets.extend(
                lines
                    .filter(|line| line.chars().count() >= PART)
                    .map(str::to_owned),
            );
        }
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        secrets.dedup();
        Self {
            secrets,
            tokens: None,
        }
    }

    /// For the tokens of this source, too.
    pub(super) fn and(self, tokens: Option<Arc<TokenSource>>) -> Self {
        Self { tokens, ..self }
    }

    fn issued(&self) -> Vec<String> {
        let tokens = self.tokens.as_ref();
        tokens.map(|tokens| tokens.issued()).unwrap_or_default()
    }

    /// The text without secrets.
    pub(super) fn text(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        let issued = self.issued();
        for secret in self.secrets.iter().chain(&issued) {
            if masked.contains(secret.as_str()) {
                masked = masked.replace(secret.as_str(), MASKED);
            }
            masked = without_cut(&masked, secret);
        }
        masked
    }

    fn is_empty(&self) -> bool {
        self.secrets.is_empty() && self.tokens.is_none()
    }

    /// As [`Self::text`], in place.
    pub(super) fn hide(&self, text: &mut String) {
        if !self.is_empty() {
            *text = self.text(text);
        }
    }

    /// Hides secrets in all that a server can have put into a job.
    pub(super) fn hide_in_job(&self, job: &mut Job) {
        if self.is_empty() {
            return;
        }
        if let Some(why) = &mut job.incomplete {
            self.hide(why);
        }
        for ErrorSample { message, .. } in job.error_samples.values_mut() {
            self.hide(message);
        }
        let mut notes = Vec::new();
        for note in &job.notes {
            let note = self.text(note);
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        job.notes = notes;
    }

    /// Hides secrets in the text of an error.
    pub(super) fn error(&self, error: Error) -> Error {
        match error {
            Error::NotMeasured(text) => Error::NotMeasured(self.text(&text)),
            Error::Usage(text) => Error::Usage(self.text(&text)),
            other => other,
        }
    }
}

/// The text without the beginning of `secret` at a place where the text was cut (`…`).
fn without_cut(text: &str, secret: &str) -> String {
    let mut out = String::new();
    for (number, part) in text.split('…').enumerate() {
        if number > 0 {
            out.push('…');
        }
        out.push_str(part);
        let is_cut = out.len() < text.len() && number + 1 < text.split('…').count();
        if !is_cut {
            continue;
        }
        let beginning = secret
            .char_indices()
            .skip(PART)
            .map(|(at, _)| &secret[..at])
            .filter(|beginning| out.ends_with(beginning))
            .last();
        if let Some(beginning) = beginning {
            out.truncate(out.len() - beginning.len());
            out.push_str(MASKED);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(secrets: &[&str]) -> Mask {
        let mut text = "[server]\ncommand = [\"a\"]\n[server.env]\n".to_owned();
        for number in 0..secrets.len() {
            text.push_str(&format!("V{number} = \"${{V{number}}}\"\n"));
        }
        let variable = |name: &str| {
            let number: usize = name.strip_prefix('V')?.parse().ok()?;
            secrets.get(number).map(|secret| (*secret).to_owned())
        };
        let outside = crate::suite::config::Outside {
            variable: &variable,
            ..crate::suite::config::Outside::NOTHING
        };
        let config = crate::suite::config::parse("mcpgate.toml", &text, outside);
        Mask::of(&config.unwrap())
    }

    #[test]
    fn every_form_of_a_secret_is_hidden() {
        let table: [(&[&str], &str, &str); 8] = [
            (
                &["s3cret-token"],
                "no access with s3cret-token!",
                "no access with ***!",
            ),
            (
                &["s3cret-token"],
                "s3cret s3cret-toke",
                "s3cret s3cret-toke",
            ),
            // Cut inside the secret, as long texts of servers are.
            (&["s3cret-token"], "bearer s3cret-to…", "bearer ***…"),
            (
                &["s3cret-token"],
                "bearer s3cret-to… and more",
                "bearer ***… and more",
            ),
            (&["s3cret-token"], "a… s3cret-token …", "a… *** …"),
            (
                &["a\"b\\c-secret"],
                r#"{"x": "a\"b\\c-secret"}"#,
                r#"{"x": "***"}"#,
            ),
            (
                &["begin key\nabcdefgh\nend"],
                "begin key abcdefgh end",
                "*** *** end",
            ),
            // One secret inside another.
            (
                &["token", "token-and-more"],
                "token-and-more, token",
                "***, ***",
            ),
        ];
        for (secrets, text, expected) in table {
            assert_eq!(mask(secrets).text(text), expected, "{text}");
        }
        assert_eq!(Mask::default().text("as it is…"), "as it is…");
    }
}
