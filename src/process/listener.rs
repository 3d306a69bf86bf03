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
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "used where listeners are looked up")
)]
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
            .filter(|entry| entry.local_address.port() == address.port())
            .map(|entry| (entry.local_address, entry.inode))
            .collect();
        // As the kernel does: the exact address goes before the one that stands for all, and that
        // of IPv6 takes IPv4 connections, too.
        let exact = |local: &SocketAddr| local.ip().to_canonical() == address.ip();
        let any = |local: &SocketAddr| {
            local.ip().is_unspecified() && (local.is_ipv4() == address.is_ipv4())
        };
        let any_of_both = |local: &SocketAddr| local.ip().is_unspecified() && local.is_ipv6();
        let rules: [&dyn Fn(&SocketAddr) -> bool; 3] = [&exact, &any, &any_of_both];
        for takes in rules {
            let inodes: BTreeSet<u64> = listening
                .iter()
                .filter(|(local, _)| takes(local))
                .map(|(_, inode)| *inode)
                .collect();
            if !inodes.is_empty() {
                return Ok(inodes);
            }
        }
        Err(format!(
            "no process of this machine is seen to listen on {address}: the server may run in a \
             container or in another network namespace"
        ))
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
