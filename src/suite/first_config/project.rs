//! How a project is built and started, told from its files. Only what must work is told; where that
//! is not certain, the reason is.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

use super::is_visible;

/// The files of a project's folder.
#[derive(Clone, Copy)]
pub struct Project<'p> {
    /// Names in the folder, and in its folders `cmd` and `.venv/bin`, relative to it.
    pub files: &'p BTreeSet<String>,
    /// The text of one of them.
    pub read: &'p dyn Fn(&str) -> Option<String>,
}

/// How another commit's server is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Build {
    /// A shell command that builds what the server's command starts.
    Known(String),
    /// Why none is known, and one that may be right.
    Unknown {
        /// In words, without a full stop.
        why: String,
        /// To be checked by a person.
        perhaps: Option<String>,
    },
}

/// Why a tool that takes over an activated environment is not trusted to build another commit.
const OWN_ENVIRONMENT: &str = "inside an activated environment it would install there, for both \
                               commits: set its option for an environment in the project";

impl Build {
    fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown {
            why: why.into(),
            perhaps: None,
        }
    }

    fn perhaps(command: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Unknown {
            why: why.into(),
            perhaps: Some(command.into()),
        }
    }
}

/// A command that may start the project's server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// To be written behind `--`.
    pub command: String,
    /// What names it, such as `bin in package.json`.
    pub from: &'static str,
}

/// What a project is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Node,
    Python,
    Rust,
    Go,
}

impl Project<'_> {
    fn has(&self, name: &str) -> bool {
        self.files.contains(name)
    }

    fn kinds(&self) -> Vec<Kind> {
        let marks = [
            (Kind::Node, self.has("package.json")),
            (
                Kind::Python,
                self.has("pyproject.toml") || self.has("requirements.txt"),
            ),
            (Kind::Rust, self.has("Cargo.toml")),
            (Kind::Go, self.has("go.mod")),
        ];
        let found = marks.into_iter().filter(|(_, is_there)| *is_there);
        found.map(|(kind, _)| kind).collect()
    }

    fn package_json(&self) -> Option<Value> {
        serde_json::from_str(&(self.read)("package.json")?).ok()
    }

    fn toml(&self, name: &str) -> Option<toml::Table> {
        (self.read)(name)?.parse().ok()
    }

    /// How the server that `command` starts is built.
    #[must_use]
    pub fn build(&self, command: &[String]) -> Build {
        let Some(program) = command.first() else {
            return Build::unknown("mcpgate does not start this server");
        };
        let kinds = self.kinds();
        let kind = match (of_command(command), &kinds[..]) {
            (Some(kind), _) if kinds.contains(&kind) => kind,
            (None, [only]) => *only,
            (Some(_), _) | (None, []) => {
                return Build::unknown(
                    "no file beside this one says how the server is built; without a build the \
                     other commit's files are taken as they are",
                );
            }
            (None, _) => {
                return Build::unknown(format!(
                    "the folder holds projects of several kinds, and `{}` could be of any",
                    last_part(program)
                ));
            }
        };
        match kind {
            Kind::Node => self.node_build(command),
            Kind::Python => self.python_build(command),
            Kind::Rust => self.rust_build(command),
            Kind::Go => self.go_build(program, command),
        }
    }

    /// The package manager, and how it installs.
    fn node_install(&self, package: &Value) -> (&'static str, &'static str) {
        let is_berry = self.has(".yarnrc.yml");
        for (file, manager, install) in [
            ("package-lock.json", "npm", "npm ci"),
            ("npm-shrinkwrap.json", "npm", "npm ci"),
            ("pnpm-lock.yaml", "pnpm", "pnpm install --frozen-lockfile"),
            (
                "yarn.lock",
                "yarn",
                if is_berry {
                    "yarn install --immutable"
                } else {
                    "yarn install --frozen-lockfile"
                },
            ),
            ("bun.lock", "bun", "bun install --frozen-lockfile"),
            ("bun.lockb", "bun", "bun install --frozen-lockfile"),
        ] {
            if self.has(file) {
                return (manager, install);
            }
        }
        let named = package.get("packageManager").and_then(Value::as_str);
        match named.and_then(|named| named.split('@').next()) {
            Some("pnpm") => ("pnpm", "pnpm install"),
            Some("yarn") => ("yarn", "yarn install"),
            Some("bun") => ("bun", "bun install"),
            _ => ("npm", "npm install"),
        }
    }

    fn node_build(&self, command: &[String]) -> Build {
        let Some(package) = self.package_json() else {
            return Build::unknown("package.json cannot be read");
        };
        let (program, first) = (command.first(), command.get(1));
        let program = program.map(|program| last_part(program));
        let is_foreign = matches!(
            (program, first.map(String::as_str)),
            (Some("npx" | "bunx" | "pnpx"), _) | (Some("pnpm" | "yarn"), Some("dlx"))
        );
        if is_foreign {
            return Build::unknown(
                "the command runs a published package, which is the same for both commits; name the \
                 server's own file to compare commits",
            );
        }
        let (manager, install) = self.node_install(&package);
        let has_script = |name: &str| {
            let script = package.get("scripts").and_then(|all| all.get(name));
            script
                .and_then(Value::as_str)
                .is_some_and(|script| !script.trim().is_empty())
        };
        let dependencies = ["dependencies", "devDependencies", "optionalDependencies"];
        let mut versions = dependencies
            .into_iter()
            .filter_map(|key| package.get(key)?.as_object())
            .flat_map(serde_json::Map::values)
            .peekable();
        let needs_install = versions.peek().is_some();
        let is_of_workspace = versions.any(|version| {
            version
                .as_str()
                .is_some_and(|version| version.starts_with("workspace:"))
        });
        let run = format!("{manager} run build");
        let build = match (needs_install, has_script("build")) {
            (true, true) => format!("{install} && {run}"),
            (true, false) => install.to_owned(),
            (false, true) => run,
            (false, false) => {
                return Build::unknown("package.json has neither dependencies nor a build script");
            }
        };
        if is_of_workspace && install == "npm install" {
            return Build::perhaps(
                build,
                "package.json belongs to a workspace whose root is elsewhere",
            );
        }
        let is_script = matches!(program, Some("npm" | "pnpm" | "yarn" | "bun"));
        let is_file_of_ours = |word: &String| {
            const ENDINGS: [&str; 6] = [".js", ".mjs", ".cjs", ".ts", ".mts", ".tsx"];
            !word.starts_with('/') && ENDINGS.iter().any(|ending| word.ends_with(ending))
        };
        let is_program_of_ours = command
            .first()
            .is_some_and(|program| program.contains('/') && !program.starts_with('/'));
        if !is_script && !is_program_of_ours && !command.iter().any(is_file_of_ours) {
            return Build::perhaps(
                build,
                "the command names no file of this folder: a program that is installed elsewhere is the \
                 same for both commits",
            );
        }
        Build::Known(build)
    }

    fn python_build(&self, command: &[String]) -> Build {
        let program = command.first().map(String::as_str).unwrap_or_default();
        let project = self.toml("pyproject.toml");
        let uv = if self.has("uv.lock") {
            "uv sync --frozen"
        } else {
            "uv sync"
        };
        let runs = command.get(1).map(String::as_str) == Some("run");
        match last_part(program) {
            "uv" if runs && project.is_some() => return Build::Known(uv.to_owned()),
            "poetry" if runs => {
                return Build::perhaps("poetry install".to_owned(), OWN_ENVIRONMENT);
            }
            "pdm" if runs => return Build::Known("pdm install".to_owned()),
            "pipenv" if runs => return Build::perhaps("pipenv sync".to_owned(), OWN_ENVIRONMENT),
            "uvx" => {
                return Build::unknown(
                    "uvx runs a published package, which is the same for both commits; `uv run` \
                     starts the one in this folder",
                );
            }
            _ => {}
        }
        let folder = [".venv", "venv"].into_iter().find(|folder| {
            let inside = format!("{folder}/bin/");
            program.trim_start_matches("./").starts_with(&inside)
        });
        let Some(folder) = folder else {
            return Build::perhaps(
                "python3 -m venv .venv && .venv/bin/pip install -e .",
                "what the interpreter has installed is the same for both commits; with an environment \
                 in this folder (command = [\".venv/bin/python\", …]) each has its own",
            );
        };
        if folder == ".venv" && self.has("uv.lock") && project.is_some() {
            return Build::Known(uv.to_owned());
        }
        let has = |key: &str| project.as_ref().is_some_and(|p| p.contains_key(key));
        let pip =
            |what: &str| format!("python3 -m venv {folder} && {folder}/bin/pip install {what}");
        if has("build-system") {
            Build::Known(pip("-e ."))
        } else if self.has("requirements.txt") {
            Build::Known(pip("-r requirements.txt"))
        } else {
            Build::perhaps(
                pip("-e ."),
                "pyproject.toml has no [build-system], so that pip may not find its packages",
            )
        }
    }

    fn rust_build(&self, command: &[String]) -> Build {
        let program = command.first().map(String::as_str).unwrap_or_default();
        let locked = if self.has("Cargo.lock") {
            " --locked"
        } else {
            ""
        };
        if last_part(program) == "cargo" {
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            let own = words.split(|word| *word == "--").next().unwrap_or_default();
            let is_release = own.iter().any(|word| ["--release", "-r"].contains(word));
            return Build::Known(match is_release {
                true => format!("cargo build --release{locked}"),
                false => format!("cargo build{locked}"),
            });
        }
        let inside = program.trim_start_matches("./").strip_prefix("target/");
        match inside.and_then(|inside| inside.split('/').next()) {
            Some("release") => Build::Known(format!("cargo build --release{locked}")),
            Some("debug") => Build::Known(format!("cargo build{locked}")),
            _ => Build::perhaps(
                format!("cargo build --release{locked}"),
                "the command names no file below target/, so that another commit's build would not be \
                 what is started",
            ),
        }
    }

    fn go_build(&self, program: &str, command: &[String]) -> Build {
        if last_part(program) == "go" {
            let run = command.get(1).map(String::as_str) == Some("run");
            return Build::unknown(if run {
                "`go run` compiles at each start, which start-up time then holds; a program made by \
                 `go build -o bin/server` is measured without it"
            } else {
                "the command starts the go tool and no server of this folder"
            });
        }
        let is_inside = !program.starts_with('/') && program.contains('/');
        let package = match self.go_packages(last_part(program)).as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        };
        let quoted = shlex::try_quote(program.trim_start_matches("./")).ok();
        match (is_inside, package, quoted) {
            (true, Some(package), Some(program)) => {
                Build::Known(format!("go build -o {program} {package}"))
            }
            _ => Build::perhaps(
                "go build -o bin/server .",
                "which package makes the program that is started is not certain",
            ),
        }
    }

    /// Packages of commands: the one named like the program, else all of them.
    fn go_packages(&self, program: &str) -> Vec<String> {
        let own = format!("cmd/{program}");
        if self.has(&own) {
            return shlex::try_quote(&own)
                .map(|own| format!("./{own}"))
                .into_iter()
                .collect();
        }
        if self.has("main.go") {
            return vec![".".to_owned()];
        }
        let commands = self.files.iter().filter_map(|f| f.strip_prefix("cmd/"));
        commands
            .filter(|name| is_visible(name))
            .filter_map(|name| shlex::try_quote(name).ok())
            .map(|name| format!("./cmd/{name}"))
            .collect()
    }

    /// Commands that may start the server, the likeliest first.
    #[must_use]
    pub fn suggestions(&self) -> Vec<Suggestion> {
        let mut out = Vec::new();
        self.suggest_node(&mut out);
        self.suggest_python(&mut out);
        self.suggest_rust(&mut out);
        if self.has("go.mod") {
            let packages = self.go_packages("server");
            out.extend(packages.into_iter().take(MOST_SUGGESTED).map(|package| {
                let command = format!("go run {package}");
                suggestion(command, "go.mod")
            }));
        }
        // A command that is not what it looks like is not one to be copied.
        out.retain(|suggestion| is_visible(&suggestion.command));
        out.truncate(MOST_SUGGESTED);
        out
    }

    fn suggest_node(&self, out: &mut Vec<Suggestion>) {
        let Some(package) = self.package_json() else {
            return;
        };
        let file = |value: &Value| {
            let file = value.as_str()?;
            let file = file.strip_prefix("./").unwrap_or(file);
            let file = shlex::try_quote(file).ok()?;
            Some(format!("node {file}"))
        };
        match package.get("bin") {
            Some(Value::Object(several)) => {
                let files = several.values().take(MOST_SUGGESTED).filter_map(file);
                out.extend(files.map(|file| suggestion(file, "`bin` in package.json")));
            }
            Some(one) => {
                out.extend(file(one).map(|file| suggestion(file, "`bin` in package.json")));
            }
            None => {}
        }
        if out.is_empty() {
            // `npm start` itself would write its banner to the protocol's pipe.
            let start = package.get("scripts").and_then(|all| all.get("start"));
            let start = start.and_then(Value::as_str).filter(|start| {
                let first = start.split_whitespace().next();
                let is_plain = !start.contains(['&', '|', ';', '$', '`', '>', '<']);
                is_plain && matches!(first, Some("node" | "tsx" | "bun"))
            });
            let start = start.map(|start| match start.strip_prefix("tsx ") {
                Some(rest) => format!("node_modules/.bin/tsx {rest}"),
                None => start.to_owned(),
            });
            out.extend(start.map(|start| suggestion(start, "`scripts.start` in package.json")));
        }
        if out.is_empty() {
            let main = package.get("main").and_then(file);
            out.extend(main.map(|main| suggestion(main, "`main` in package.json")));
        }
    }

    fn suggest_python(&self, out: &mut Vec<Suggestion>) {
        let Some(project) = self.toml("pyproject.toml") else {
            return;
        };
        let names = |table: Option<&toml::Value>| -> Vec<String> {
            let scripts = table.and_then(|table| table.get("scripts"));
            let scripts = scripts.and_then(toml::Value::as_table);
            let names = scripts.into_iter().flat_map(toml::Table::keys);
            let quoted = names.filter_map(|name| Some(shlex::try_quote(name).ok()?.into_owned()));
            quoted.take(MOST_SUGGESTED).collect()
        };
        for name in names(project.get("project")) {
            let command = if self.has("uv.lock") {
                format!("uv run {name}")
            } else if self.has(&format!(".venv/bin/{name}")) {
                format!(".venv/bin/{name}")
            } else {
                name
            };
            out.push(suggestion(command, "[project.scripts] in pyproject.toml"));
        }
        let poetry = project.get("tool").and_then(|tool| tool.get("poetry"));
        for name in names(poetry) {
            let command = format!("poetry run {name}");
            out.push(suggestion(
                command,
                "[tool.poetry.scripts] in pyproject.toml",
            ));
        }
    }

    fn suggest_rust(&self, out: &mut Vec<Suggestion>) {
        let Some(manifest) = self.toml("Cargo.toml") else {
            return;
        };
        let name = |table: &toml::Value| Some(table.get("name")?.as_str()?.to_owned());
        let mut names: Vec<String> = manifest
            .get("bin")
            .and_then(toml::Value::as_array)
            .map(|bins| bins.iter().filter_map(name).collect())
            .unwrap_or_default();
        if names.is_empty() && self.has("src/main.rs") {
            names.extend(manifest.get("package").and_then(name));
        }
        for name in names.into_iter().take(MOST_SUGGESTED) {
            if let Ok(name) = shlex::try_quote(&name) {
                let command = format!("target/release/{name}");
                out.push(suggestion(command, "Cargo.toml"));
            }
        }
    }
}

/// More suggestions than this are no help.
const MOST_SUGGESTED: usize = 4;

fn suggestion(command: String, from: &'static str) -> Suggestion {
    Suggestion { command, from }
}

fn last_part(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// What the words of a command say.
fn of_command(command: &[String]) -> Option<Kind> {
    let program = command.first()?;
    let inside = program.trim_start_matches("./");
    let ends_in = |word: &str, endings: &[&str]| {
        let ending = Path::new(word).extension().and_then(|e| e.to_str());
        ending.is_some_and(|ending| endings.contains(&ending))
    };
    let scripts = ["js", "mjs", "cjs", "ts", "mts", "cts"];
    match last_part(program) {
        "node" | "npx" | "npm" | "pnpm" | "pnpx" | "yarn" | "bun" | "bunx" | "tsx" | "ts-node" => {
            Some(Kind::Node)
        }
        "uv" | "uvx" | "poetry" | "pdm" | "pipenv" | "hatch" | "fastmcp" => Some(Kind::Python),
        "cargo" => Some(Kind::Rust),
        "go" => Some(Kind::Go),
        name if name.starts_with("python") || ends_in(name, &["py"]) => Some(Kind::Python),
        name if ends_in(name, &scripts) => Some(Kind::Node),
        _ if inside.contains("node_modules/") => Some(Kind::Node),
        _ if inside.starts_with(".venv/") || inside.starts_with("venv/") => Some(Kind::Python),
        _ if inside.starts_with("target/") => Some(Kind::Rust),
        _ => None,
    }
}
