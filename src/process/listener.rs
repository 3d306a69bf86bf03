//! The process behind a port of this machine, for servers that the user started.

use std::net::SocketAddr;

/// The process that listens on `address` (a loopback address).
///
/// Where several processes share the socket, or listen side by side, it is the one that the others
/// descend from.
///
/// # Errors
/// Why it cannot be told, in words; the user can name it by `--pid`.
#[cfg(target_os = "linux")]
pub fn process_behind(address: SocketAddr) -> Result<u32, String> {
    let inodes = linux::listening_sockets(address)?;
    let holders = linux::holders(&inodes);
    let pid = match holders.as_slice() {
        [] => Err(format!(
            "the process that listens on {address} belongs to another user or another namespace"
        )),
        [one] => Ok(*one),
        several => common_ancestor(several, super::tree::ancestors).ok_or_else(|| {
            format!(
                "several processes listen on {address} ({}), and none of them is the others' \
                 parent",
                several
                    .iter()
                    .map(u32::to_string)
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        }),
    }?;
    holders
        .iter()
        .chain([&pid])
        .find_map(|&pid| super::container::proxy(pid))
        .map_or(Ok(pid), |proxy| {
            Err(format!(
                "`{proxy}` listens on {address} for a server in a container or on another machine"
            ))
        })
}

/// Elsewhere the system is not asked.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn process_behind(address: SocketAddr) -> Result<u32, String> {
    Err(format!(
        "which process listens on {address} is only looked up on Linux; name it by `--pid`"
    ))
}

/// The process among or above `pids` that all of them descend from: one of them, or their common
/// parent unless we descend from that one, too (a shell, a test runner, the first process).
#[cfg(target_os = "linux")]
fn common_ancestor(pids: &[u32], ancestors: impl Fn(u32) -> Vec<u32>) -> Option<u32> {
    let lines: Vec<(u32, Vec<u32>)> = pids.iter().map(|&pid| (pid, ancestors(pid))).collect();
    let is_above_all = |top: u32| {
        lines
            .iter()
            .all(|(pid, above)| *pid == top || above.contains(&top))
    };
    if let Some(top) = pids.iter().copied().find(|&pid| is_above_all(pid)) {
        return Some(top);
    }
    let (_, above) = lines.first()?;
    let parent = *above.first()?;
    let ours = ancestors(std::process::id());
    let is_server = parent > 1 && parent != std::process::id() && !ours.contains(&parent);
    (is_server
        && lines
            .iter()
            .all(|(_, above)| above.first() == Some(&parent)))
    .then_some(parent)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{collections::BTreeSet, net::SocketAddr};

    use procfs::{net::TcpState, process::FDTarget};

    /// Inodes of the sockets that take connections to `address`.
    pub(super) fn listening_sockets(address: SocketAddr) -> Result<BTreeSet<u64>, String> {
        let four = procfs::net::tcp().unwrap_or_default();
        let six = procfs::net::tcp6().unwrap_or_default();
        let listening: Vec<(SocketAddr, u64)> = four
            .into_iter()
            .chain(six)
            .filter(|entry| entry.state == TcpState::Listen)
            .map(|entry| (entry.local_address, entry.inode))
            .collect();
        let inodes = choose(&listening, address);
        if inodes.is_empty() {
            return Err(format!(
                "no process of this machine is seen to listen on {address}: the server may run in \
                 a container or in another network namespace"
            ));
        }
        Ok(inodes)
    }

    /// As the kernel does: the exact address goes before the one that stands for all, and that of
    /// IPv6 takes IPv4 connections, too.
    pub(super) fn choose(listening: &[(SocketAddr, u64)], address: SocketAddr) -> BTreeSet<u64> {
        let exact = |local: &SocketAddr| local.ip().to_canonical() == address.ip();
        let any = |local: &SocketAddr| {
            local.ip().is_unspecified() && local.is_ipv4() == address.is_ipv4()
        };
        let any_of_both = |local: &SocketAddr| local.ip().is_unspecified() && local.is_ipv6();
        let rules: [&dyn Fn(&SocketAddr) -> bool; 3] = [&exact, &any, &any_of_both];
        rules
            .into_iter()
            .map(|takes| {
                listening
                    .iter()
                    .filter(|(local, _)| local.port() == address.port() && takes(local))
                    .map(|(_, inode)| *inode)
                    .collect::<BTreeSet<u64>>()
            })
            .find(|inodes| !inodes.is_empty())
            .unwrap_or_default()
    }

    /// Processes that hold one of these sockets, by rising id.
    pub(super) fn holders(inodes: &BTreeSet<u64>) -> Vec<u32> {
        let Ok(processes) = procfs::process::all_processes() else {
            return Vec::new();
        };
        let mut holders: Vec<u32> = processes
            .filter_map(|process| {
                let process = process.ok()?;
                let holds = process.fd().ok()?.any(|descriptor| {
                    descriptor.is_ok_and(|descriptor| {
                        matches!(descriptor.target, FDTarget::Socket(inode) if inodes.contains(&inode))
                    })
                });
                holds.then(|| u32::try_from(process.pid()).ok()).flatten()
            })
            .collect();
        holders.sort_unstable();
        holders
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::{collections::BTreeSet, net::TcpListener, os::unix::process::CommandExt as _};

    use super::*;
    use crate::process::testing::{Shell, helper_command, number_in};

    #[test]
    fn this_process_is_found_behind_its_port() {
        for host in ["127.0.0.1", "[::1]", "0.0.0.0", "[::]"] {
            // A machine may have no IPv6.
            let Ok(listener) = TcpListener::bind(format!("{host}:0")) else {
                assert!(host.starts_with('['));
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            let asked = match host {
                "0.0.0.0" | "[::]" => SocketAddr::from(([127, 0, 0, 1], port)),
                _ => listener.local_addr().unwrap(),
            };
            assert_eq!(process_behind(asked), Ok(std::process::id()), "{host}");
        }
    }

    #[test]
    fn nobody_behind_a_port_is_said() {
        // Taken and never listened on. One that was listened on a moment ago may still be, by a
        // child that another test has just forked.
        let taken = tokio::net::TcpSocket::new_v4().unwrap();
        taken.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let port = taken.local_addr().unwrap().port();
        let why = process_behind(SocketAddr::from(([127, 0, 0, 1], port))).unwrap_err();
        assert!(why.starts_with("no process of this machine"), "{why}");
    }

    #[test]
    fn the_parent_of_a_shared_socket_is_the_server() {
        for (role, holders) in [("listen", 2), ("listen by children", 2)] {
            let folder = tempfile::tempdir().unwrap();
            let server = Shell::spawn(helper_command(role).current_dir(folder.path()));
            let port = u16::try_from(number_in(&folder.path().join("port"))).unwrap();
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            let inodes = linux::listening_sockets(address).unwrap();
            assert_eq!(linux::holders(&inodes).len(), holders, "{role}");
            assert_eq!(process_behind(address), Ok(server.pid()), "{role}");
        }
    }

    #[test]
    fn a_proxy_is_not_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let _proxy = Shell::spawn(
            helper_command("listen")
                .arg0("/usr/bin/docker-proxy")
                .current_dir(folder.path()),
        );
        let port = u16::try_from(number_in(&folder.path().join("port"))).unwrap();
        let why = process_behind(SocketAddr::from(([127, 0, 0, 1], port))).unwrap_err();
        assert!(why.starts_with("`docker-proxy` listens on"), "{why}");
    }

    #[test]
    fn the_socket_is_chosen_as_the_kernel_does() {
        let listening: Vec<(SocketAddr, u64)> = [
            ("127.0.0.1:80", 1),
            ("0.0.0.0:80", 2),
            ("[::]:80", 3),
            ("[::1]:81", 4),
            ("[::]:82", 5),
            ("[::ffff:127.0.0.1]:83", 6),
            ("127.0.0.2:84", 7),
            ("0.0.0.0:85", 8),
            ("0.0.0.0:85", 9),
        ]
        .map(|(address, inode)| (address.parse().unwrap(), inode))
        .to_vec();
        for (address, inodes) in [
            ("127.0.0.1:80", &[1][..]),
            ("127.0.0.2:80", &[2]),
            ("[::1]:80", &[3]),
            ("[::1]:81", &[4]),
            ("127.0.0.1:81", &[]),
            ("127.0.0.1:82", &[5]),
            ("127.0.0.1:83", &[6]),
            ("127.0.0.1:84", &[]),
            ("127.0.0.1:85", &[8, 9]),
            ("[::1]:85", &[]),
        ] {
            let chosen = linux::choose(&listening, address.parse().unwrap());
            assert_eq!(
                chosen,
                BTreeSet::from_iter(inodes.iter().copied()),
                "{address}"
            );
        }
    }

    #[test]
    fn only_a_process_that_can_be_the_server_speaks_for_several() {
        let me = std::process::id();
        // 10 started 20, 21 and 22; 22 started 30; a shell (5) started 40, 41 and mcpgate.
        let ancestors = |pid| match pid {
            20..=22 => vec![10, 5, 1],
            30 => vec![22, 10, 5, 1],
            40 | 41 | 10 => vec![5, 1],
            50 | 51 => vec![1],
            pid if pid == me => vec![5, 1],
            _ => vec![],
        };
        for (pids, expected) in [
            (&[10, 20, 21][..], Some(10)),
            (&[30, 22], Some(22)),
            (&[20, 21], Some(10)),
            (&[20, 30], None),
            (&[40, 41], None),
            (&[50, 51], None),
        ] {
            assert_eq!(common_ancestor(pids, ancestors), expected, "{pids:?}");
        }
    }
}
