//! Memory of a server's process tree, process by process.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most processes that are listed; the largest go first.
const MOST_LISTED: usize = 16;

/// Memory of a server's tree at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TreeMemory {
    /// Resident sizes (RSS) added up: what processes share is in it once for each of them.
    pub resident_bytes: u64,
    /// Proportional sizes (PSS) added up: of each page, its share among all processes of the
    /// machine that hold it. It changes as strangers come and go. Absent where the system has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proportional_bytes: Option<u64>,
    /// The processes if there are several, by falling resident size, 16 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<ProcessMemory>,
}

/// Memory of one process of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessMemory {
    /// Its short name.
    pub name: String,
    /// Resident size (RSS).
    pub resident_bytes: u64,
    /// Highest resident size since it began, where the system keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_resident_bytes: Option<u64>,
    /// Proportional size (PSS), where the system has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proportional_bytes: Option<u64>,
}

impl TreeMemory {
    /// Of all processes of a tree; `None` if there are none.
    #[must_use]
    pub fn of(mut processes: Vec<ProcessMemory>) -> Option<Self> {
        let resident_bytes = processes.iter().map(|p| p.resident_bytes).sum();
        let proportional_bytes = processes.iter().map(|p| p.proportional_bytes).sum();
        processes.sort_by(|a, b| {
            b.resident_bytes
                .cmp(&a.resident_bytes)
                .then_with(|| a.name.cmp(&b.name))
        });
        match processes.len() {
            0 => return None,
            1 => processes.clear(),
            _ => processes.truncate(MOST_LISTED),
        }
        Some(Self {
            resident_bytes,
            proportional_bytes,
            processes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(name: &str, resident_bytes: u64, proportional_bytes: Option<u64>) -> ProcessMemory {
        ProcessMemory {
            name: name.to_owned(),
            resident_bytes,
            peak_resident_bytes: None,
            proportional_bytes,
        }
    }

    #[test]
    fn several_are_listed_by_size_and_one_is_the_tree() {
        assert_eq!(TreeMemory::of(Vec::new()), None);
        let one = TreeMemory::of(vec![process("node", 7, Some(3))]).unwrap();
        assert_eq!((one.resident_bytes, one.proportional_bytes), (7, Some(3)));
        assert_eq!(one.processes, []);
        let (sh, node) = (process("sh", 2, Some(1)), process("node", 70, Some(30)));
        let two = TreeMemory::of(vec![sh.clone(), node.clone()]).unwrap();
        assert_eq!((two.resident_bytes, two.proportional_bytes), (72, Some(31)));
        assert_eq!(two.processes, [node, sh]);
        // One that could not be read leaves the sum open.
        let open = TreeMemory::of(vec![process("a", 1, None), process("b", 1, Some(1))]).unwrap();
        assert_eq!(open.proportional_bytes, None);
        let many = (0..40).map(|n| process("x", n, None)).collect();
        let many = TreeMemory::of(many).unwrap();
        assert_eq!(many.resident_bytes, 780);
        assert_eq!(many.processes.len(), MOST_LISTED);
    }
}
