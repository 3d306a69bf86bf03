//! The process of a server that runs in a container, seen from outside of it.
//!
//! A client (`docker run`) only passes bytes on. Where the container has a name on the client's
//! command line, and its engine runs on this very kernel, its first process can be watched like
//! any other; its control group proves that it is the right one. An engine in a virtual machine
//! or on another host tells process ids of elsewhere, and fails that proof.

use std::process::Stdio;

use tokio::{io::AsyncReadExt as _, process::Command, time::timeout};

use super::{container, table};

/// Clients that answer `inspect --format` alike.
const INSPECTABLE: [&str; 3] = ["docker", "nerdctl", "podman"];
/// How long the engine may take to say which process it is.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
/// Much more than an id and a number.
const MOST_BYTES: u64 = 4096;
/// Hexadecimal digits of a container's whole id.
const ID_DIGITS: usize = 64;

/// The process to watch for the server that was started as `root`: that one, or the first process
/// of the container for which it, or one of its descendants, is only the client.
///
/// To be asked while no call is in flight.
///
/// # Errors
/// In words, when the server runs in a container and its process cannot be told.
pub async fn server_process(root: u32) -> Result<u32, String> {
    let Some((client, name)) = container::find_client(root) else {
        return Ok(root);
    };
    first_process(client, &name)
        .await
        .map_err(|why| format!("{}; {why}", container::not_measured(&name)))
}

async fn first_process(client: u32, program: &str) -> Result<u32, String> {
    if !INSPECTABLE.contains(&program) {
        return Err("its own processes cannot be told from here".to_owned());
    }
    let named = container_name(&table::arguments(client)).ok_or_else(|| {
        "with `--name NAME` in its command its own processes are measured, if its engine runs on \
         this machine"
            .to_owned()
    })?;
    let said = inspect(program, &named)
        .await
        .map_err(|why| format!("`{program} inspect` does not tell its process ({why})"))?;
    let (id, pid) =
        read_inspection(&said).ok_or_else(|| format!("`{program} inspect` tells no process"))?;
    if is_in_container(&table::control_groups(pid), &id) {
        Ok(pid)
    } else {
        Err("its engine runs elsewhere: no process here is in its control group".to_owned())
    }
}

async fn inspect(program: &str, container: &str) -> Result<String, String> {
    let mut child = Command::new(program)
        .args([
            "inspect",
            "--format",
            "{{.Id}} {{.State.Pid}}",
            "--",
            container,
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| e.to_string())?;
    let mut said = String::new();
    let answered = timeout(PATIENCE, async {
        if let Some(stdout) = child.stdout.take() {
            stdout.take(MOST_BYTES).read_to_string(&mut said).await?;
        }
        child.wait().await
    })
    .await
    .map_err(|_| format!("no answer within {}", humantime::format_duration(PATIENCE)))?
    .map_err(|e| e.to_string())?;
    if answered.success() {
        Ok(said)
    } else {
        Err(answered.to_string())
    }
}

/// What the container is called on the client's command line.
fn container_name(arguments: &[String]) -> Option<String> {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if let Some(name) = argument.strip_prefix("--name=") {
            return Some(name.to_owned());
        }
        if argument == "--name" {
            return arguments.next().cloned();
        }
    }
    None
}

/// Id and process of `ID PID`; `None` for anything else, and for 0, the process of a container
/// that does not run.
fn read_inspection(said: &str) -> Option<(String, u32)> {
    let (id, pid) = said.trim().split_once(' ')?;
    let is_whole = id.len() == ID_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let pid = pid.parse().ok().filter(|&pid| pid > 0)?;
    is_whole.then(|| (id.to_owned(), pid))
}

/// Whether a process with these control groups (lines of `/proc/PID/cgroup`) is in a container.
fn is_in_container(control_groups: &str, id: &str) -> bool {
    control_groups
        .lines()
        .filter_map(|line| line.rsplit(':').next())
        .any(|path| path.contains(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn names_are_found_on_the_command_line() {
        let table = [
            ("docker run -i --rm --name notes image", Some("notes")),
            ("docker run --name=notes image", Some("notes")),
            ("docker run -i image", None),
            ("docker run --name", None),
        ];
        for (line, name) in table {
            let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(container_name(&arguments).as_deref(), name, "{line}");
        }
    }

    #[test]
    fn only_a_whole_answer_is_believed() {
        assert_eq!(
            read_inspection(&format!("{ID} 4711\n")),
            Some((ID.to_owned(), 4711))
        );
        for said in [
            "",
            "4711",
            "notes 4711",
            &format!("{ID} 0"),
            &format!("{ID} -1"),
            &format!("{ID}0 4711"),
        ] {
            assert_eq!(read_inspection(said), None, "{said}");
        }
    }

    #[test]
    fn the_control_group_is_the_proof() {
        let table = [
            (format!("0::/system.slice/docker-{ID}.scope\n"), true),
            (format!("12:memory:/docker/{ID}\n1:name=systemd:/\n"), true),
            (
                format!("0::/user.slice/user-1000.slice/libpod-{ID}.scope/container\n"),
                true,
            ),
            ("0::/user.slice/session-2.scope\n".to_owned(), false),
            (String::new(), false),
        ];
        for (text, expected) in table {
            assert_eq!(is_in_container(&text, ID), expected, "{text}");
        }
    }
}
