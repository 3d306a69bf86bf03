//! The descendants of a process.

use std::collections::{HashMap, HashSet};

use super::{
    belongings::MARKER_VARIABLE,
    registry,
    table::{self, ProcessId, Row},
};

/// Most processes that one tree may have; a tree beyond it is cut.
const MOST_PROCESSES: usize = 4096;

/// All running descendants of `root`, without `root` itself, nearest first.
///
/// For a server that we started this includes orphans of its tree that re-parented to us (see
/// [`super::become_subreaper`]) and still carry its marker.
#[must_use]
pub fn descendants(root: u32) -> Vec<ProcessId> {
    let mut seeds = vec![root];
    seeds.extend(adopted(root));
    let known_seeds: HashSet<u32> = seeds.iter().copied().collect();
    let found = by_lists(&seeds).unwrap_or_else(|| by_table(&table::all(), &seeds));
    let (own, adopted): (Vec<u32>, Vec<u32>) = found
        .into_iter()
        .filter(|&pid| pid != root)
        .partition(|pid| !known_seeds.contains(pid));
    adopted
        .into_iter()
        .chain(own)
        .filter_map(table::row)
        .filter(|row| !row.zombie)
        .map(|row| row.id)
        .collect()
}

/// Open descriptors and threads of a process and its descendants together; 0 where the system does
/// not tell.
#[must_use]
pub fn holdings(root: u32) -> (u32, u32) {
    let others = descendants(root).into_iter().map(|id| id.pid);
    let all = std::iter::once(root).chain(others);
    all.filter_map(table::holdings)
        .fold((0, 0), |(descriptors, threads), (more, further)| {
            (descriptors + more, threads + further)
        })
}

/// Children of this process that are orphans of the server `root`.
fn adopted(root: u32) -> Vec<u32> {
    let children = registry::snapshot();
    let Some(marker) = children
        .iter()
        .find(|child| child.id.pid == root)
        .and_then(|child| child.marker.as_deref())
    else {
        return Vec::new();
    };
    table::children(std::process::id())
        .unwrap_or_default()
        .into_iter()
        .filter(|pid| !children.iter().any(|child| child.id.pid == *pid))
        .filter(|&pid| table::has_variable(pid, MARKER_VARIABLE, marker))
        .collect()
}

/// Seeds and their descendants by the system's lists of children; `None` where it has none.
fn by_lists(seeds: &[u32]) -> Option<Vec<u32>> {
    let mut found = seeds.to_vec();
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        next += 1;
        let Some(children) = table::children(pid) else {
            // A process that ended meanwhile has no list either.
            if table::row(pid).is_some() {
                return None;
            }
            continue;
        };
        for child in children {
            if found.len() < MOST_PROCESSES && !found.contains(&child) {
                found.push(child);
            }
        }
    }
    Some(found)
}

/// Seeds and their descendants by the parents in the process table.
fn by_table(rows: &[Row], seeds: &[u32]) -> Vec<u32> {
    let mut by_parent: HashMap<u32, Vec<u32>> = HashMap::new();
    for row in rows {
        by_parent.entry(row.parent).or_default().push(row.id.pid);
    }
    let mut found = seeds.to_vec();
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        next += 1;
        for &child in by_parent.get(pid).into_iter().flatten() {
            if found.len() < MOST_PROCESSES && !found.contains(&child) {
                found.push(child);
            }
        }
    }
    found
}

/// The ancestors of a process, nearest first, up to the first process of the system.
#[cfg(any(target_os = "linux", test))]
pub(crate) fn ancestors(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut current = pid;
    while let Some(row) = table::row(current) {
        if row.parent == 0 || found.contains(&row.parent) {
            break;
        }
        found.push(row.parent);
        current = row.parent;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::testing::{Shell, until};

    #[test]
    fn a_cycle_in_a_torn_table_ends() {
        let row = |pid, parent| Row {
            id: ProcessId { pid, start: 1 },
            parent,
            group: 1,
            session: 1,
            zombie: false,
        };
        let rows = [row(10, 12), row(11, 10), row(12, 11), row(13, 1)];
        assert_eq!(by_table(&rows, &[10]), [10, 11, 12]);
    }

    #[tokio::test]
    async fn grandchildren_are_found_by_both_ways() {
        let shell = Shell::start("sh -c 'sleep 60 & sleep 60 & wait' & wait");
        let root = shell.pid();
        until("a shell and two sleeps", || descendants(root).len() == 3);
        let mut by_list: Vec<u32> = descendants(root).iter().map(|id| id.pid).collect();
        let mut by_parent = by_table(&table::all(), &[root]);
        by_list.push(root);
        by_list.sort_unstable();
        by_parent.sort_unstable();
        assert_eq!(by_list, by_parent);
        assert!(ancestors(by_list[3]).contains(&std::process::id()));
    }
}
