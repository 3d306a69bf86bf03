//! Programs that stand in for a server which runs elsewhere: in a container, a virtual machine or
//! on another host. Their memory and CPU time are not the server's.

use super::{table, tree};

/// Programs that start a server elsewhere and pass its input and output on.
const CLIENTS: [&str; 22] = [
    "colima",
    "com.docker.cli",
    "container",
    "distrobox",
    "docker",
    "docker-compose",
    "finch",
    "incus",
    "kubectl",
    "lima",
    "limactl",
    "lxc",
    "minikube",
    "multipass",
    "nerdctl",
    "oc",
    "orb",
    "podman",
    "podman-compose",
    "podman-remote",
    "ssh",
    "vagrant",
];

/// Programs that listen on a port of this machine for a server that runs elsewhere.
#[cfg(any(target_os = "linux", test))]
const PROXIES: [&str; 17] = [
    "com.docker.backend",
    "com.docker.vpnkit",
    "conmon",
    "containers-rootlessport",
    "docker-proxy",
    "gvproxy",
    "lima-guestagent",
    "limactl",
    "pasta",
    "pasta.avx2",
    "passt",
    "passt.avx2",
    "rootlesskit",
    "rootlessport",
    "slirp4netns",
    "vpnkit",
    "wslrelay",
];

/// The container client in a process tree, by name, if there is one now.
///
/// To be asked while no call is in flight: a server may itself use such a program for its work.
#[must_use]
pub fn client_in_tree(root: u32) -> Option<String> {
    find_client(root).map(|(_, name)| name)
}

/// The same with its process.
pub(crate) fn find_client(root: u32) -> Option<(u32, String)> {
    std::iter::once(root)
        .chain(tree::descendants(root).into_iter().map(|id| id.pid))
        .find_map(|pid| Some((pid, client(pid)?)))
}

/// What the results say of a server behind such a client.
#[must_use]
pub fn not_measured(client: &str) -> String {
    if client == "ssh" {
        "the server runs on another machine (ssh): what is here is only its client".to_owned()
    } else {
        format!("the server runs in a container ({client}): what is here is only its client")
    }
}

/// The name under which a process is known as a container client.
fn client(pid: u32) -> Option<String> {
    table::names(pid)
        .into_iter()
        .find(|name| CLIENTS.contains(&name.as_str()))
}

/// The name under which a process is known to listen for a server that runs elsewhere.
#[cfg(target_os = "linux")]
pub(crate) fn proxy(pid: u32) -> Option<String> {
    table::names(pid).into_iter().find(|name| {
        // The kernel cuts short names at 15 bytes.
        PROXIES
            .iter()
            .chain(&CLIENTS)
            .any(|proxy| name == proxy || (name.len() == 15 && proxy.starts_with(name.as_str())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::testing::{Shell, until};

    #[test]
    fn lists_are_sorted() {
        assert!(CLIENTS.is_sorted());
        let mut proxies = PROXIES;
        proxies.sort_unstable();
        proxies
            .windows(2)
            .for_each(|two| assert_ne!(two[0], two[1]));
    }

    #[test]
    fn a_client_behind_a_shell_is_seen_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let fake = folder.path().join("docker");
        std::os::unix::fs::symlink("/bin/sleep", &fake).unwrap();
        let shell = Shell::start(&format!("{} 60 & wait", fake.display()));
        until("the client", || client_in_tree(shell.pid()).is_some());
        assert_eq!(client_in_tree(shell.pid()).as_deref(), Some("docker"));
        let other = Shell::start("sleep 60 & wait");
        assert_eq!(client_in_tree(other.pid()), None);
    }
}
