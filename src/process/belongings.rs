//! Which processes belong to a server, also when they hide, and ending them.
//!
//! A wrapper (`npx`, a shell) may end before its child; a daemon leaves group, session and parent
//! behind. No single sign finds them all, so several are used, each of them proof by itself:
//!
//! - the server itself, and what was seen as its descendant before;
//! - its process group, as long as the server itself has not been waited for (its id, which is
//!   the group's, can then belong to nobody else), or when the process re-parented to us;
//! - the marker: an environment variable with a value made for this server alone, which every
//!   descendant inherits unless it clears its environment;
//! - an orphan that re-parented to us in a session that is not ours, begun after the server, while
//!   this is the only server alive;
//! - whatever descends from one of these.

use std::collections::HashSet;

use rustix::process::{Signal, WaitOptions, waitpid};

use super::{
    registry::{self, Child},
    table::{self, ProcessId, Row, raw},
};

/// The environment variable that marks the processes of a server.
pub const MARKER_VARIABLE: &str = "MCPGATE_SERVER";

/// A process that outlived its server and had to be ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Its process id.
    pub pid: u32,
    /// Its short name, made printable.
    pub name: String,
}

/// A server and what is known about its processes.
#[derive(Debug, Clone)]
pub(crate) struct Belongings {
    /// The process that was started.
    pub(crate) root: ProcessId,
    /// Value of [`MARKER_VARIABLE`].
    pub(crate) marker: String,
    /// Everything ever seen to belong to the server.
    known: HashSet<ProcessId>,
}

/// Who looks at the process table.
struct Viewer {
    pid: u32,
    session: u32,
    children: Vec<Child>,
}

impl Belongings {
    pub(crate) fn new(root: ProcessId, marker: String) -> Self {
        Self {
            root,
            marker,
            known: HashSet::from([root]),
        }
    }

    /// All running processes that belong to the server, the server itself included. Also waits
    /// for the dead ones among our children, so that no zombies pile up.
    ///
    /// Nothing is found only by two looks in a row: a process that forks and ends while the table
    /// is read is no longer in it, and its child not yet.
    pub(crate) fn running(&mut self) -> Vec<ProcessId> {
        let running = self.look();
        if running.is_empty() {
            return self.look();
        }
        running
    }

    fn look(&mut self) -> Vec<ProcessId> {
        let viewer = Viewer::here();
        let rows = table::all();
        let running = self.claim(&rows, &viewer, |pid| {
            table::has_variable(pid, MARKER_VARIABLE, &self.marker)
        });
        self.known.extend(&running);
        for pid in self.to_reap(&rows, &viewer).filter_map(raw) {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
        running
    }

    /// One pass of ending everything that still runs; empty once nothing is left.
    pub(crate) fn kill_once(&mut self) -> Vec<ProcessId> {
        let running = self.running();
        for id in &running {
            id.signal(Signal::KILL);
        }
        running
    }

    fn claim(
        &self,
        rows: &[Row],
        viewer: &Viewer,
        is_marked: impl Fn(u32) -> bool,
    ) -> Vec<ProcessId> {
        let root_is_there = rows.iter().any(|row| row.id == self.root);
        let only_server = !viewer
            .children
            .iter()
            .any(|child| child.id != self.root && child.marker.is_some());
        let candidates: Vec<&Row> = rows
            .iter()
            .filter(|row| !row.zombie && row.id.pid > 1 && row.id.pid != viewer.pid)
            .filter(|row| row.id == self.root || !viewer.started(row.id))
            .collect();
        let is_ours = |row: &Row| {
            let adopted = row.parent == viewer.pid && row.id != self.root;
            let in_group = row.group == self.root.pid;
            let later = row.id.start >= self.root.start;
            row.id == self.root
                || self.known.contains(&row.id)
                || (in_group && later && (root_is_there || adopted))
                || (later && is_marked(row.id.pid))
                || (adopted && later && only_server && row.session != viewer.session)
        };
        let mut ours: Vec<ProcessId> = candidates
            .iter()
            .filter(|row| is_ours(row))
            .map(|row| row.id)
            .collect();
        let mut pids: HashSet<u32> = ours.iter().map(|id| id.pid).collect();
        loop {
            let more: Vec<ProcessId> = candidates
                .iter()
                .filter(|row| pids.contains(&row.parent) && !pids.contains(&row.id.pid))
                .map(|row| row.id)
                .collect();
            if more.is_empty() {
                return ours;
            }
            pids.extend(more.iter().map(|id| id.pid));
            ours.extend(more);
        }
    }

    /// Dead children of ours that nobody else waits for: orphans that re-parented to us. A child
    /// that other code started is in our own session, so it is never taken from that code.
    fn to_reap<'a>(&'a self, rows: &'a [Row], viewer: &'a Viewer) -> impl Iterator<Item = u32> {
        rows.iter()
            .filter(|row| row.zombie && row.parent == viewer.pid && row.id != self.root)
            .filter(|row| !viewer.started(row.id))
            .filter(|row| {
                self.known.contains(&row.id)
                    || row.group == self.root.pid
                    || row.session != viewer.session
            })
            .map(|row| row.id.pid)
    }
}

impl Viewer {
    fn here() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            // From the same table as the rows it is compared with. A session whose leader is
            // outside of our PID namespace (a container's, an unshared CI job's) has number 0
            // there, which `getsid` of rustix takes for impossible.
            session: table::row(pid).map_or(0, |row| row.session),
            children: registry::snapshot(),
        }
    }

    fn started(&self, id: ProcessId) -> bool {
        self.children.iter().any(|child| child.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: u32 = 100;
    const OUR_SESSION: u32 = 90;

    fn id(pid: u32, start: u64) -> ProcessId {
        ProcessId { pid, start }
    }

    fn row(pid: u32, parent: u32, group: u32, session: u32) -> Row {
        Row {
            id: id(pid, 1000 + u64::from(pid)),
            parent,
            group,
            session,
            zombie: false,
        }
    }

    fn viewer(servers: &[ProcessId]) -> Viewer {
        Viewer {
            pid: ME,
            session: OUR_SESSION,
            children: servers
                .iter()
                .map(|&id| Child {
                    id,
                    marker: Some("m".to_owned()),
                })
                .collect(),
        }
    }

    fn claimed(rows: &[Row], viewer: &Viewer, marked: &[u32]) -> Vec<u32> {
        let belongings = Belongings::new(id(200, 1200), "m".to_owned());
        let mut pids: Vec<u32> = belongings
            .claim(rows, viewer, |pid| marked.contains(&pid))
            .iter()
            .map(|id| id.pid)
            .collect();
        pids.sort_unstable();
        pids
    }

    #[test]
    fn each_sign_is_proof() {
        let server = row(200, ME, 200, OUR_SESSION);
        let us = row(ME, 50, ME, OUR_SESSION);
        let alone = viewer(&[server.id]);
        let two = viewer(&[server.id, id(300, 1300)]);
        let other = row(300, ME, 300, OUR_SESSION);
        struct Case {
            what: &'static str,
            rows: Vec<Row>,
            marked: Vec<u32>,
            two_servers: bool,
            ours: Vec<u32>,
        }
        let case = |what, rows, marked: &[u32], two_servers, ours: &[u32]| Case {
            what,
            rows,
            marked: marked.to_vec(),
            two_servers,
            ours: ours.to_vec(),
        };
        let table = [
            case("itself", vec![us, server], &[], false, &[200]),
            case(
                "descendants in sessions of their own",
                vec![
                    server,
                    row(201, 200, 201, 201),
                    row(203, 202, 203, 203),
                    row(202, 201, 202, 202),
                ],
                &[],
                false,
                &[200, 201, 202, 203],
            ),
            case(
                "its group, re-parented to init",
                vec![server, row(205, 1, 200, OUR_SESSION)],
                &[],
                false,
                &[200, 205],
            ),
            case(
                "that group once the server is gone: the number could be a stranger's",
                vec![row(205, 1, 200, OUR_SESSION)],
                &[],
                false,
                &[],
            ),
            case(
                "the number of the server used again by a stranger with a group",
                vec![
                    Row {
                        id: id(200, 9999),
                        ..row(200, 1, 200, 200)
                    },
                    row(205, 200, 200, 200),
                ],
                &[],
                false,
                &[],
            ),
            case(
                "its group, re-parented to us",
                vec![row(205, ME, 200, OUR_SESSION)],
                &[],
                false,
                &[205],
            ),
            case(
                "the marker, after setsid and a double fork, with a child",
                vec![row(205, 1, 204, 204), row(206, 205, 206, 206)],
                &[205],
                true,
                &[205, 206],
            ),
            case(
                "re-parented to us, no marker, the only server",
                vec![row(205, ME, 204, 204)],
                &[],
                false,
                &[205],
            ),
            case(
                "the same beside another server: whose is it?",
                vec![other, row(205, ME, 204, 204)],
                &[],
                true,
                &[],
            ),
            case(
                "a daemon of a set-up hook, begun before the server",
                vec![server, row(150, ME, 149, 149)],
                &[],
                false,
                &[200],
            ),
            case(
                "a child that other code of ours started",
                vec![server, row(205, ME, ME, OUR_SESSION)],
                &[],
                false,
                &[200],
            ),
            case(
                "another server and its child",
                vec![server, other, row(301, 300, 300, OUR_SESSION)],
                &[],
                true,
                &[200],
            ),
            case(
                "init and ourselves, whatever they carry",
                vec![server, us, row(1, 0, 1, 1)],
                &[1, ME],
                false,
                &[200],
            ),
        ];
        for case in table {
            let viewer = if case.two_servers { &two } else { &alone };
            assert_eq!(
                claimed(&case.rows, viewer, &case.marked),
                case.ours,
                "{}",
                case.what
            );
        }
    }

    #[test]
    fn only_orphans_are_waited_for() {
        let dead = |pid, group, session| Row {
            zombie: true,
            ..row(pid, ME, group, session)
        };
        let server = dead(200, 200, OUR_SESSION);
        let rows = [
            server,
            dead(205, 200, OUR_SESSION),
            dead(206, 206, 206),
            dead(207, ME, OUR_SESSION),
            row(208, ME, 208, 208),
            Row {
                parent: 1,
                ..dead(209, 200, OUR_SESSION)
            },
        ];
        let belongings = Belongings::new(server.id, "m".to_owned());
        let viewer = viewer(&[server.id]);
        let reaped: Vec<u32> = belongings.to_reap(&rows, &viewer).collect();
        assert_eq!(reaped, [205, 206]);
    }
}
