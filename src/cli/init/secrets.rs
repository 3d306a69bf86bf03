//! Values of the environment that must not get into a file or onto the screen.

use crate::{error::Error, suite::config};

/// Whether a variable's name says that its value is nobody's business.
fn is_secret_name(name: &str) -> bool {
    const WORDS: [&str; 10] = [
        "TOKEN",
        "SECRET",
        "PASS",
        "PWD",
        "KEY",
        "CREDENTIAL",
        "AUTH",
        "DSN",
        "PRIVATE",
        "COOKIE",
    ];
    let name = name.to_uppercase();
    // Where a shell stands, and who writes commits, are no secrets.
    let is_known = name == "PWD" || name == "OLDPWD" || name.starts_with("GIT_AUTHOR_");
    !is_known && (name.ends_with("_PAT") || WORDS.iter().any(|word| name.contains(word)))
}

/// The variables whose values are secrets, as far as names and values tell.
fn secret_variables(variables: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> + Clone {
    const SHORTEST: usize = 6;
    variables.iter().filter_map(|(name, value)| {
        let may_be_secret = is_secret_name(name) || (value.contains("://") && value.contains('@'));
        (may_be_secret && value.len() >= SHORTEST).then_some((name.as_str(), value.as_str()))
    })
}

/// Values that must not be written.
pub(super) fn secret(variables: &[(String, String)]) -> impl Iterator<Item = &str> {
    secret_variables(variables).map(|(_, value)| value)
}

/// A command with a secret in it would be written into a file that is committed.
pub(super) fn refuse(words: &[&str], variables: &[(String, String)]) -> Result<(), Error> {
    let mut secrets = secret_variables(variables);
    let found = secrets.find(|(_, value)| words.iter().any(|word| word.contains(value)));
    match found {
        None => Ok(()),
        Some((name, _)) => Err(Error::Usage(format!(
            "the server's command, url or header holds the value of the environment variable {name}, which \
             would be written into a file: a server that mcpgate starts has the whole environment and \
             can read {name} there; over HTTP, --header 'Authorization: Bearer ${{{name}}}' sends it and \
             writes its name alone (single quotes keep the shell from filling it in)"
        ))),
    }
}

/// `Name: value` of `--header`. The value is as the file is to have it: a variable by its name.
pub(super) fn header(text: &str) -> Result<(String, String), Error> {
    let refuse = |problem: String| {
        Err(Error::Usage(format!(
            "--header: {problem}; write it as --header 'Authorization: Bearer ${{MCP_TOKEN}}', in single \
             quotes"
        )))
    };
    let Some((name, value)) = text.split_once(':') else {
        return refuse("there is no `:` behind a name".to_owned());
    };
    let (name, value) = (name.trim(), value.trim());
    if name.parse::<http::HeaderName>().is_err() {
        return refuse("what stands before `:` is no name of a header".to_owned());
    }
    // The value is in no message: it may be the secret.
    if is_secret_name(name) && !is_by_variables(name, value) {
        return refuse(format!(
            "what {name} sends is a secret, and would be written into a file that is committed: put it \
             into a variable of the environment and give its name, with nothing else but a word such as \
             Bearer before it"
        ));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Whether all that a header sends comes from variables, but for the scheme before a credential and the
/// names of cookies.
fn is_by_variables(header: &str, value: &str) -> bool {
    const SCHEMES: [&str; 5] = ["", "Bearer", "Basic", "Token", "ApiKey"];
    let is_scheme = |said: &str| {
        let mut schemes = SCHEMES.iter();
        schemes.any(|scheme| said.trim().eq_ignore_ascii_case(scheme))
    };
    let is_cookie_name = |said: &str| {
        let name = said.trim_start_matches([';', ' ']).strip_suffix('=');
        header.eq_ignore_ascii_case("cookie")
            && name.is_some_and(|name| !name.contains(['=', ';', ' ']))
    };
    config::literals(value).is_some_and(|said| {
        said.iter()
            .all(|said| is_scheme(said) || is_cookie_name(said))
    })
}

/// Values that a server may repeat and nobody is to see.
pub(super) fn hidden(variables: &[(String, String)]) -> impl Iterator<Item = &str> {
    const SHORTEST: usize = 8;
    const SHORTEST_SECRET: usize = 4;
    // What every machine has, and hides nothing.
    const KNOWN: [&str; 9] = [
        "PWD", "OLDPWD", "HOME", "SHELL", "LANG", "TERM", "TMPDIR", "PATH", "_",
    ];
    variables.iter().filter_map(|(name, value)| {
        let shortest = if is_secret_name(name) {
            SHORTEST_SECRET
        } else {
            SHORTEST
        };
        let is_hidden = value.len() >= shortest && !KNOWN.contains(&name.as_str());
        is_hidden.then_some(value.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Vec<(String, String)> {
        [
            ("NOTES_TOKEN", "s3cret-token"),
            ("DATABASE_URL", "postgres://u:p@h/d"),
            ("api_key", "abc"),
            ("NODE_ENV", "production"),
            ("PWD", "/srv/notes"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    #[test]
    fn a_command_with_a_secret_is_refused() {
        for (word, expected) in [
            ("--token=s3cret-token", Some("NOTES_TOKEN")),
            ("postgres://u:p@h/d?x", Some("DATABASE_URL")),
            // Too short to be told from an ordinary word.
            ("abc", None),
            ("--mode=production", None),
            ("/srv/notes/server", None),
        ] {
            let refused = refuse(&["node", word], &variables()).err();
            let text = refused.map(|error| error.to_string()).unwrap_or_default();
            assert_eq!(expected.is_some(), !text.is_empty(), "{word}: {text}");
            assert!(text.contains(expected.unwrap_or_default()) && !text.contains("s3cret"));
        }
    }

    #[test]
    fn a_header_is_given_by_the_name_of_its_secret() {
        for (text, expected) in [
            (
                "Authorization: Bearer ${T}",
                Some(("Authorization", "Bearer ${T}")),
            ),
            ("x-tenant:a:b ", Some(("x-tenant", "a:b"))),
            ("x-empty:", Some(("x-empty", ""))),
            ("Cookie: a=${A}; b=${B}", Some(("Cookie", "a=${A}; b=${B}"))),
            ("X-Api-Key: ${K}", Some(("X-Api-Key", "${K}"))),
            ("Cookie: session=s3cret; t=${TENANT}", None),
            ("Cookie: a=${A}; s3cret", None),
            ("Authorization: Bearer $${s3cret}", None),
            ("Authorization: Bearer ${T} $${s3cret}", None),
            ("Authorization: Bearer ${T}s3cret", None),
            ("Authorization: s3cret=${T}", None),
            ("Authorization: Bearer ${s3cret", None),
            ("Authorization: Bearer s3cret", None),
            ("X-Api-Key: s3cret", None),
            ("Cookie: s3cret", None),
            ("s3cret", None),
            ("two words: s3cret", None),
            (": s3cret", None),
            ("a\r\nb: s3cret", None),
        ] {
            match (header(text), expected) {
                (Ok(found), Some((name, value))) => {
                    assert_eq!((found.0.as_str(), found.1.as_str()), (name, value));
                }
                (Err(error), None) => assert!(!error.to_string().contains("s3cret"), "{error}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn what_a_server_may_repeat_is_hidden() {
        let variables = variables();
        let hidden: Vec<&str> = hidden(&variables).collect();
        assert_eq!(hidden, ["s3cret-token", "postgres://u:p@h/d", "production"]);
    }
}
