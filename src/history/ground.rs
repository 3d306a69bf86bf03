//! Which runs may be compared with each other: those whose figures differ by the code alone, as far
//! as can be told.

use super::entry::{Entry, Machine};
use crate::{gate::Metric, results::are_as_fast};

/// The machine classes of runs: each is of one description, and as fast as the class is typically,
/// where both tell. What one run does not tell of its speed does not part it from others.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Classes {
    /// The class of each run.
    pub(super) of: Vec<usize>,
    /// A machine of each class.
    pub(super) machines: Vec<Machine>,
}

impl Classes {
    /// In order of the runs: a class is numbered by its first one.
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut classes: Vec<(Machine, Vec<u64>)> = Vec::new();
        let mut of = Vec::new();
        for entry in entries {
            let machine = &entry.machine;
            let speed = machine.reference_work_ns.filter(|&ns| ns > 0);
            // Speeds are not in groups by nature: the nearest class within the factor takes it.
            let nearest = classes
                .iter()
                .enumerate()
                .filter(|(_, (known, _))| known.same_hardware(machine))
                .filter_map(|(index, (_, speeds))| {
                    let distance = match (speed, middle(speeds)) {
                        (Some(here), Some(there)) => {
                            let factor = here as f64 / there as f64;
                            if !are_as_fast(factor) {
                                return None;
                            }
                            factor.ln().abs()
                        }
                        _ => 0.0,
                    };
                    Some((index, distance))
                })
                .min_by(|a, b| a.1.total_cmp(&b.1));
            let index = match nearest {
                Some((index, _)) => index,
                None => {
                    classes.push((machine.clone(), Vec::new()));
                    classes.len() - 1
                }
            };
            if let (Some((_, speeds)), Some(speed)) = (classes.get_mut(index), speed) {
                speeds.push(speed);
            }
            of.push(index);
        }
        let machines = classes
            .into_iter()
            .map(|(mut machine, speeds)| {
                machine.reference_work_ns = middle(&speeds);
                machine
            })
            .collect();
        Self { of, machines }
    }
}

fn middle(speeds: &[u64]) -> Option<u64> {
    let mut sorted = speeds.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

/// What figures of one metric must share to stand in one series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ground {
    /// Number of the machine class. Memory does not depend on it: there it is that of the newest run, or
    /// the last one with the same system and architecture.
    pub(super) class: usize,
    how: String,
}

/// The ground of `metric` of a scenario in a run of this class.
pub(super) fn ground(
    entry: &Entry,
    class: usize,
    classes: &Classes,
    scenario: &str,
    metric: Metric,
) -> Ground {
    let is_memory = matches!(metric, Metric::PeakMemory | Metric::MemoryGrowth);
    let class = if is_memory {
        let alike = |machine: &Machine| {
            machine.os == entry.machine.os && machine.arch == entry.machine.arch
        };
        let newest = classes.of.last().copied().unwrap_or(class);
        match classes.machines.get(newest) {
            Some(machine) if alike(machine) => newest,
            _ => classes.machines.iter().rposition(alike).unwrap_or(class),
        }
    } else {
        class
    };
    let definition = entry
        .scenarios
        .get(scenario)
        .and_then(|figures| figures.definition_hash.as_deref());
    let mut how = vec![
        entry.transport.as_str(),
        entry.protocol_version.as_str(),
        if entry.attached { "attached" } else { "" },
        definition.unwrap_or_default(),
    ];
    if is_memory {
        how.push(entry.memory_measure.as_deref().unwrap_or_default());
    }
    if metric == Metric::PeakMemory {
        how.push(&entry.suite_hash);
    }
    Ground {
        class,
        how: how.join("\n"),
    }
}

/// `AMD EPYC, 2 cores, linux x86_64`; foreign text.
#[must_use]
pub fn machine_in_words(machine: &Machine) -> String {
    let model = if machine.cpu_model.is_empty() {
        "unknown CPU"
    } else {
        &machine.cpu_model
    };
    let cores = match machine.cores {
        1 => "1 core".to_owned(),
        cores => format!("{cores} cores"),
    };
    let limit = machine
        .container_cpu_limit_millicores
        .map_or_else(String::new, |limit| {
            format!(" limited to {}", f64::from(limit) / 1000.0)
        });
    format!("{model}, {cores}{limit}, {} {}", machine.os, machine.arch)
}
