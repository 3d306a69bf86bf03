//! Memory that processes of one tree share, so that it can be counted once.
//!
//! For each process Linux says of each mapping how much is resident and how much of that is mapped
//! by nobody else (`/proc/PID/smaps`), but not with whom the rest is shared. So mappings are
//! grouped: the same part of the same file, or (memory inherited by fork) the same start address.
//! A group counts as the sum of the private parts and the *largest* shared part.
//!
//! This is an approximation. It counts too little where two processes share different pages of one
//! mapping with strangers, and too much where a fork moved a mapping. In a tree of one program the
//! shared parts are nearly the same pages. Unlike PSS it does not change when strangers come and
//! go (spread between unchanged rounds 2 % instead of 12 %).

use std::collections::HashMap;

use super::table::ProcessId;

/// What makes two mappings of different processes the same memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    not(any(target_os = "linux", test)),
    expect(dead_code, reason = "only Linux tells")
)]
enum Key {
    File {
        device: (i32, i32),
        inode: u64,
        offset: u64,
    },
    Inherited {
        start: u64,
    },
}

/// One mapping of one process.
#[derive(Debug, Clone, Copy)]
struct Mapping {
    key: Key,
    shared_bytes: u64,
}

/// By how much the sum of the processes' resident memory exceeds the memory of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overlap {
    /// Bytes counted more than once in the sum.
    pub bytes: u64,
    /// Some process could not be read, so its share is not in `bytes`.
    pub incomplete: bool,
}

/// Measures the overlap. Reads every mapping of every process, which takes milliseconds and holds
/// up memory mapping in those processes: not to be done around a timed call.
#[must_use]
pub fn overlap(processes: &[ProcessId]) -> Overlap {
    let mut incomplete = false;
    let mut mappings = Vec::new();
    for id in processes {
        match read(*id) {
            Some(found) => mappings.extend(found),
            None => incomplete |= id.is_running(),
        }
    }
    Overlap {
        bytes: surplus(&mappings),
        incomplete,
    }
}

/// In each group, everything shared beyond the largest share.
fn surplus(mappings: &[Mapping]) -> u64 {
    let mut groups: HashMap<Key, (u64, u64)> = HashMap::new();
    for mapping in mappings {
        let (sum, largest) = groups.entry(mapping.key).or_default();
        *sum = sum.saturating_add(mapping.shared_bytes);
        *largest = mapping.shared_bytes.max(*largest);
    }
    groups.values().map(|(sum, largest)| sum - largest).sum()
}

/// The shared mappings of one process; `None` if it is gone or may not be read.
#[cfg(target_os = "linux")]
fn read(id: ProcessId) -> Option<Vec<Mapping>> {
    let process = procfs::process::Process::new(i32::try_from(id.pid).ok()?).ok()?;
    let maps = process.smaps().ok()?;
    Some(
        maps.iter()
            .filter_map(|map| {
                let shared_bytes = ["Shared_Clean", "Shared_Dirty"]
                    .iter()
                    .filter_map(|name| map.extension.map.get(*name))
                    .sum();
                let key = if map.inode == 0 {
                    Key::Inherited {
                        start: map.address.0,
                    }
                } else {
                    Key::File {
                        device: map.dev,
                        inode: map.inode,
                        offset: map.offset,
                    }
                };
                (shared_bytes > 0).then_some(Mapping { key, shared_bytes })
            })
            .collect(),
    )
}

#[cfg(not(target_os = "linux"))]
fn read(_id: ProcessId) -> Option<Vec<Mapping>> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(inode: u64, shared_bytes: u64) -> Mapping {
        Mapping {
            key: Key::File {
                device: (8, 1),
                inode,
                offset: 0,
            },
            shared_bytes,
        }
    }

    fn inherited(start: u64, shared_bytes: u64) -> Mapping {
        Mapping {
            key: Key::Inherited { start },
            shared_bytes,
        }
    }

    #[test]
    fn each_group_counts_once() {
        for (what, mappings, surplus_bytes) in [
            ("nothing", vec![], 0),
            ("one process", vec![file(1, 100), inherited(1, 50)], 0),
            (
                "the same library in three",
                vec![file(1, 100), file(1, 100), file(1, 80)],
                180,
            ),
            ("two libraries", vec![file(1, 100), file(2, 100)], 0),
            (
                "memory inherited by fork",
                vec![inherited(0x7000, 900), inherited(0x7000, 900)],
                900,
            ),
            (
                "a file and an address of one number",
                vec![file(7, 10), inherited(7, 10)],
                0,
            ),
            (
                "numbers without end",
                vec![file(1, u64::MAX), file(1, u64::MAX)],
                0,
            ),
        ] {
            assert_eq!(surplus(&mappings), surplus_bytes, "{what}");
        }
    }
}
