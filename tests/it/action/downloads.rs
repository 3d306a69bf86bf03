//! Where the action's mcpgate comes from.
#![expect(
    clippy::disallowed_methods,
    reason = "a test: it makes files and listens"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use super::{environment, job, stand_in, step};
use crate::harness::{Outcome, Project, repository};

const ARCHIVE: &str = "mcpgate-v1.2.3-x86_64-unknown-linux-musl.tar.gz";

/// A job with a copy of the action, of version 1.2.3, that pins what `checksums` says.
fn with_action(checksums: &str) -> Project {
    let mut project = job(repository());
    for script in ["lib.sh", "install.sh", "release.sh"] {
        let path = format!("action/{script}");
        let text = fs::read_to_string(repository().join(&path)).expect("a script");
        project = project.file(&path, &text);
    }
    let root = project.path("").display().to_string();
    let root = root.trim_end_matches('/').to_owned();
    project
        .file("action/checksums.txt", checksums)
        .file(
            "Cargo.toml",
            "[workspace.package]\nversion = \"9.9.9\"\n[package]\nname = \"mcpgate\"\nversion = \"1.2.3\"\n",
        )
        .file("Cargo.lock", "")
        .file("src/main.rs", "fn main() {}")
        .env("GITHUB_ACTION_PATH", &root)
        .env("MCPGATE_MODE", "gate")
        .env("MCPGATE_INSTALL", "auto")
        .env("MCPGATE_VERSION", "")
}

/// A `cargo` that installs a program saying where it comes from.
fn with_cargo(project: Project) -> Project {
    let body = "while [ \"$1\" != --root ]; do shift; done\n\
                mkdir -p \"$2/bin\"\n\
                printf '#!/bin/sh\\necho built\\n' >\"$2/bin/mcpgate\"\n\
                chmod +x \"$2/bin/mcpgate\"";
    stand_in(project, "cargo", body)
}

/// An archive as a release has it, and its SHA-256.
fn archive() -> (Vec<u8>, String) {
    let project = Project::new().file("mcpgate", "#!/bin/sh\necho downloaded\n");
    project.run_other("chmod", &["+x", "mcpgate"]).code(0);
    project
        .run_other("tar", &["-czf", ARCHIVE, "mcpgate"])
        .code(0);
    let digest = project.run_other(
        "bash",
        &["-c", "source \"$0\"; sha256 \"$1\"", &lib(), ARCHIVE],
    );
    let bytes = fs::read(project.path(ARCHIVE)).expect("the archive");
    (bytes, digest.code(0).stdout.trim().to_owned())
}

fn lib() -> String {
    repository().join("action/lib.sh").display().to_string()
}

/// What the server answers with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Whole,
    Half,
    Absent,
}

/// Serves one file on the loopback as a release would; its base address. Ends with the test.
fn serve(content: Vec<u8>, answer: Answer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever hangs up has what it wanted.
            let _ = respond(stream, &content, answer);
        }
    });
    format!("http://{address}/releases/")
}

fn respond(mut stream: TcpStream, content: &[u8], answer: Answer) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let is_known = request.contains(&format!("/v1.2.3/{ARCHIVE} "));
    let (status, body) = match answer {
        Answer::Whole if is_known => ("200 OK", content),
        Answer::Half if is_known => ("200 OK", &content[..content.len() / 2]),
        _ => ("404 Not Found", &[][..]),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    )?;
    stream.write_all(body)
}

fn install(project: &Project) -> Outcome {
    step(project, "install")
}

#[test]
fn a_pinned_binary_is_downloaded_and_checked() {
    let (content, digest) = archive();
    let project = with_action(&format!(
        "# a comment\nbase https://x.test\n{digest}  {ARCHIVE}\n"
    ))
    .env("MCPGATE_DOWNLOAD_BASE", &serve(content, Answer::Whole));
    install(&project).code(0).stdout_has("downloaded");
    let outputs = project.read("outputs");
    let program = outputs
        .trim_end()
        .strip_prefix("program=")
        .expect("an output");
    assert!(program.starts_with('/'), "{program}");
    project
        .run_other(program, &[])
        .code(0)
        .stdout_has("downloaded");
}

#[test]
fn what_is_not_what_was_pinned_is_never_run() {
    for (answer, wrong_pin) in [(Answer::Whole, true), (Answer::Half, false)] {
        let (content, digest) = archive();
        let digest = if wrong_pin { "0".repeat(64) } else { digest };
        let project = with_cargo(with_action(&format!("{digest}  {ARCHIVE}\n")))
            .env("MCPGATE_DOWNLOAD_BASE", &serve(content, answer));
        install(&project)
            .code(2)
            .stdout_has(&format!("and the action pins {digest}: it is not used"))
            .says_nothing_of("downloaded");
        assert_eq!(project.read("outputs"), "");
        assert!(
            !project.path("cargo.arguments").exists(),
            "nor is it built instead"
        );
    }
}

#[test]
fn without_a_binary_it_is_built_once() {
    let (content, digest) = archive();
    let absent = serve(content, Answer::Absent);
    for (checksums, said) in [
        (
            String::new(),
            "::notice title=mcpgate::action/checksums.txt pins no binary of mcpgate 1.2.3 for Linux X64",
        ),
        (
            format!("{digest}  {ARCHIVE}\n"),
            "could not be downloaded: mcpgate is built from source",
        ),
    ] {
        let project = with_cargo(with_action(&checksums)).env("MCPGATE_DOWNLOAD_BASE", &absent);
        install(&project)
            .code(0)
            .stdout_has(said)
            .stdout_has("built");
        let words = project.read("cargo.arguments");
        assert!(words.starts_with("install\n--locked\n"), "{words}");

        // The same source again; then another.
        fs::remove_file(project.path("cargo.arguments")).expect("remove a file");
        install(&project).code(0).stdout_has("built");
        assert!(!project.path("cargo.arguments").exists());
        let project = project.file("src/main.rs", "fn main() { }");
        install(&project).code(0);
        assert!(project.path("cargo.arguments").exists());
        let left: Vec<_> = fs::read_dir(project.path("tools/mcpgate"))
            .expect("a folder")
            .collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}

/// The inputs, and what is said to them.
#[test]
fn what_cannot_be_had_is_said_with_what_to_do() {
    let rows: [(&[(&str, &str)], &str); 8] = [
        (
            &[("MCPGATE_MODE", "refesh")],
            "mode: 'refesh' is none of gate, measure, publish",
        ),
        (
            &[("MCPGATE_INSTALL", "maybe")],
            "install: 'maybe' is none of auto, build, path",
        ),
        (
            &[("MCPGATE_INSTALL", "path")],
            "there is no mcpgate on the PATH",
        ),
        (
            &[("MCPGATE_VERSION", "v1.0.0")],
            "no binary of mcpgate 1.0.0 is pinned",
        ),
        (
            &[("MCPGATE_VERSION", "1.0.0"), ("MCPGATE_INSTALL", "build")],
            "install: build can only build mcpgate 1.2.3",
        ),
        (
            &[("MCPGATE_VERSION", "../../x")],
            "version: '../../x' is not of the form 1.2.3",
        ),
        (&[("RUNNER_OS", "Windows")], "does not support Windows yet"),
        (&[], "there is no cargo on the PATH: install Rust"),
    ];
    for (inputs, said) in rows {
        let project = environment(with_action(""), inputs);
        // No cargo of the machine's, and no mcpgate.
        let tools = project.path("few").display().to_string();
        for tool in [
            "bash",
            "sh",
            "awk",
            "find",
            "sort",
            "cut",
            "mkdir",
            "mktemp",
            "sha256sum",
            "shasum",
            "perl",
        ] {
            let line =
                format!("mkdir -p few; path=$(command -v {tool}) || exit 0; ln -sf \"$path\" few/");
            project.run_other("sh", &["-c", &line]).code(0);
        }
        let project = project.env("PATH", &tools);
        let script = project.path("action/install.sh").display().to_string();
        project
            .run_other("bash", &["--noprofile", "--norc", &script])
            .code(2)
            .stdout_has("::error title=mcpgate::")
            .stdout_has(said);
        assert_eq!(project.read("outputs"), "", "{said}");
    }
}

#[test]
fn a_binary_on_the_path_is_taken_as_it_is() {
    let project = stand_in(with_action(""), "mcpgate", "echo mine").env("MCPGATE_INSTALL", "path");
    install(&project).code(0).stdout_has("mine");
    let program = project.path("bin/mcpgate").display().to_string();
    assert_eq!(project.read("outputs"), format!("program={program}\n"));
}

/// What the release workflow makes is what the action takes.
#[test]
fn a_release_is_installed_from_what_it_wrote_down() {
    let target = "x86_64-unknown-linux-musl";
    let program = format!("target/{target}/release/mcpgate");
    let project = with_action("")
        .file(&program, "#!/bin/sh\necho released\n")
        .file("LICENSE-APACHE", "")
        .file("LICENSE-MIT", "")
        .env("TARGET", target)
        .env("GITHUB_REPOSITORY", "acme/mcpgate");
    project.run_other("chmod", &["+x", &program]).code(0);
    let release =
        |project: &Project, part: &str| project.run_other("bash", &["action/release.sh", part]);
    let project = project.env("GITHUB_REF_NAME", "v9.9.9");
    release(&project, "check")
        .code(1)
        .stderr_has("the tag is v9.9.9, and Cargo.toml has version 1.2.3");
    let project = project.env("GITHUB_REF_NAME", "v1.2.3");
    release(&project, "check").code(0);
    release(&project, "pack").code(0);
    let archive = fs::read(project.path("dist").join(ARCHIVE)).expect("the archive");
    let server = serve(archive, Answer::Whole);
    let server = server.trim_end_matches("/releases/");
    let project = project.env("GITHUB_SERVER_URL", server);
    release(&project, "checksums").code(0);
    let checksums = project.read("dist/checksums.txt");

    let project = project.file("action/checksums.txt", &checksums);
    install(&project).code(0).stdout_has("released");
    assert!(project.read("outputs").starts_with("program=/"));
}
