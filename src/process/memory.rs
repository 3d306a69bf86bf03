//! Memory of a server's process tree.
//!
//! One process: resident size for readings, and the high-water mark that the system keeps (Linux
//! `VmHWM`) for the peak, which no sampling can miss. Several: the sum of the resident sizes less
//! what they share (see [`super::overlap`]), sampled; in the peak the largest process counts with
//! its high-water mark instead of its size at that moment, so that a spike between two samples is
//! seen. That lets a tree's peak come out too high if its processes were large one after another.
//!
//! Looking costs little, or happens seldom: see `SHARE`.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

use super::{
    container,
    overlap::{Overlap, overlap},
    series::Series,
    table::ProcessId,
    tree,
};
use crate::results::{Measure, ProcessMemory, TreeMemory};

/// How long a measured overlap holds while the processes stay the same.
const OVERLAP_HOLDS: Duration = Duration::from_secs(5);
/// How long it holds at least, however often they change.
const OVERLAP_HOLDS_AT_LEAST: Duration = Duration::from_secs(1);
/// A look may be had again after so many times its own CPU time, and an overlap measured again
/// after so many times that of the last: together they take at most one hundredth of a core,
/// however large the tree.
const SHARE: u32 = 200;

/// What the looks of a sampler are held against: the calls ended so far.
pub type MemoryWatch = Box<dyn Fn() -> u64 + Send>;

/// Memory of a tree at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryReading {
    /// Resident memory, pages shared inside the tree counted once.
    pub bytes: u64,
    /// Processes in the tree.
    pub processes: u32,
}

/// What was seen from start to finish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemorySummary {
    /// Highest memory; absent where it could not be measured.
    pub peak_bytes: Option<u64>,
    /// Processes in the tree at the last look; absent where there was none.
    pub processes: Option<u32>,
    /// The tree at the last look, process by process.
    pub at_end: Option<TreeMemory>,
    /// `(calls ended, bytes)` since [`MemorySampler::watch`], thinned out.
    pub series: Vec<(u64, u64)>,
    /// By which method, or why not.
    pub measure: Measure,
}

/// Looks at a process tree again and again, on a thread of its own.
#[derive(Debug)]
pub struct MemorySampler {
    shared: Arc<Mutex<Sampling>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl MemorySampler {
    /// Starts looking at the tree of `root` every `interval` (100 ms is a good one).
    #[must_use]
    pub fn start(root: u32, interval: Duration) -> Self {
        let shared = Arc::new(Mutex::new(Sampling::new(root)));
        let (stop, stopped) = channel();
        let sampling = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("memory".to_owned())
            .spawn(move || {
                let mut pause = interval;
                while matches!(stopped.recv_timeout(pause), Err(RecvTimeoutError::Timeout)) {
                    let mut sampling = lock(&sampling);
                    sampling.sample();
                    pause = interval.max(sampling.look_cost * SHARE);
                }
            })
            // Without a thread the looks of `sample_now` and `finish` are left.
            .ok();
        Self {
            shared,
            stop: Some(stop),
            thread,
        }
    }

    /// Looks now. `None` if the tree is gone or, while no call is in flight, a container client.
    #[must_use]
    pub fn sample_now(&self) -> Option<MemoryReading> {
        let mut sampling = lock(&self.shared);
        sampling.look_for_client();
        let reading = sampling.sample();
        if sampling.client.is_some() {
            None
        } else {
            reading
        }
    }

    /// From now on holds each look against the calls ended by then, with a look now.
    pub fn watch(&self, calls: MemoryWatch) {
        let mut sampling = lock(&self.shared);
        sampling.watch = Some((calls, Series::default()));
        sampling.sample();
    }

    /// A last look, then the summary. To be called before the server is stopped and while no call
    /// is in flight.
    #[must_use]
    pub fn finish(mut self) -> MemorySummary {
        self.end();
        let mut sampling = lock(&self.shared);
        sampling.look_for_client();
        sampling.sample();
        sampling.look_at_each();
        sampling.summary()
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Drop for MemorySampler {
    fn drop(&mut self) {
        self.end();
    }
}

fn lock(shared: &Mutex<Sampling>) -> MutexGuard<'_, Sampling> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Sampling {
    root: u32,
    /// Absent if the process was gone before the first look.
    id: Option<ProcessId>,
    peak: Option<Peak>,
    processes: Option<u32>,
    client: Option<String>,
    shared: Option<MeasuredOverlap>,
    at_end: Option<TreeMemory>,
    watch: Option<(MemoryWatch, Series)>,
    /// CPU time of the last look, a measured overlap apart.
    look_cost: Duration,
}

impl std::fmt::Debug for Sampling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sampling")
            .field("id", &self.id)
            .field("peak", &self.peak)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy)]
struct Peak {
    bytes: u64,
    by: &'static str,
}

#[derive(Debug)]
struct MeasuredOverlap {
    at: Instant,
    cost: Duration,
    processes: Vec<ProcessId>,
    overlap: Overlap,
}

/// Memory of one process.
#[derive(Debug, Clone, Copy)]
struct Usage {
    resident_bytes: u64,
    /// Where the system keeps it.
    high_water_bytes: Option<u64>,
}

impl Sampling {
    fn new(root: u32) -> Self {
        Self {
            root,
            id: ProcessId::of(root),
            peak: None,
            processes: None,
            client: None,
            shared: None,
            at_end: None,
            watch: None,
            look_cost: Duration::ZERO,
        }
    }

    fn look_for_client(&mut self) {
        if self.id.is_some_and(ProcessId::is_running) {
            self.client = container::client_in_tree(self.root);
        }
    }

    fn sample(&mut self) -> Option<MemoryReading> {
        let began = cpu_time();
        let id = self.id.filter(|id| id.is_running())?;
        let tree: Vec<(ProcessId, Usage)> = std::iter::once(id)
            .chain(tree::descendants(self.root))
            .filter_map(|id| Some((id, usage(id)?)))
            .collect();
        let largest = tree
            .iter()
            .map(|(_, usage)| usage)
            .max_by_key(|usage| usage.resident_bytes)?;
        let sum: u64 = tree.iter().map(|(_, usage)| usage.resident_bytes).sum();
        let ids: Vec<ProcessId> = tree.iter().map(|(id, _)| *id).collect();
        let before_overlap = cpu_time();
        let overlap = self.overlap(&ids);
        self.look_cost = before_overlap.saturating_sub(began);
        let bytes = sum.saturating_sub(overlap.bytes);
        let beyond = largest
            .high_water_bytes
            .map_or(0, |high| high.saturating_sub(largest.resident_bytes));
        let peak = Peak {
            bytes: bytes + beyond,
            by: match (ids.len(), largest.high_water_bytes) {
                (1, Some(_)) => "high-water mark",
                (1, None) => "resident size, sampled",
                (_, None) => "tree, resident sizes added up, sampled",
                _ if overlap.incomplete => "tree, shared pages in each process",
                _ => "tree, shared pages once",
            },
        };
        if self.peak.is_none_or(|known| known.bytes <= peak.bytes) {
            self.peak = Some(peak);
        }
        let processes = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        self.processes = Some(processes);
        if let Some((calls, series)) = &mut self.watch {
            series.push((calls(), bytes));
        }
        Some(MemoryReading { bytes, processes })
    }

    /// Takes milliseconds, and holds up memory mapping in those processes, as [`overlap`] does.
    fn look_at_each(&mut self) {
        let Some(id) = self.id.filter(|id| id.is_running()) else {
            return;
        };
        let processes = std::iter::once(id)
            .chain(tree::descendants(self.root))
            .filter_map(|id| {
                let usage = usage(id)?;
                Some(ProcessMemory {
                    name: id.name(),
                    resident_bytes: usage.resident_bytes,
                    peak_resident_bytes: usage.high_water_bytes,
                    proportional_bytes: proportional(id),
                })
            });
        self.at_end = TreeMemory::of(processes.collect());
    }

    fn overlap(&mut self, ids: &[ProcessId]) -> Overlap {
        if ids.len() < 2 {
            return Overlap::default();
        }
        if let Some(known) = &self.shared {
            let age = known.at.elapsed();
            let least = OVERLAP_HOLDS_AT_LEAST.max(known.cost * SHARE);
            if age < least || (age < OVERLAP_HOLDS && known.processes == ids) {
                return known.overlap;
            }
        }
        let before = cpu_time();
        let overlap = overlap(ids);
        self.shared = Some(MeasuredOverlap {
            at: now(),
            cost: cpu_time().saturating_sub(before),
            processes: ids.to_vec(),
            overlap,
        });
        overlap
    }

    fn summary(&self) -> MemorySummary {
        let (peak_bytes, measure) = match (&self.client, self.peak) {
            (Some(client), _) => (None, Measure::NotMeasured(container::not_measured(client))),
            (None, Some(peak)) => (Some(peak.bytes), Measure::By(peak.by.to_owned())),
            (None, None) if self.id.is_none() => (
                None,
                Measure::NotMeasured(format!("process {} cannot be seen", self.root)),
            ),
            (None, None) => (
                None,
                Measure::NotMeasured("the server ended before the first look".to_owned()),
            ),
        };
        let (at_end, series) = if self.client.is_some() {
            (None, Vec::new())
        } else {
            let series = self.watch.as_ref().map(|(_, series)| series.points());
            (self.at_end.clone(), series.unwrap_or_default())
        };
        MemorySummary {
            peak_bytes,
            processes: self.processes,
            at_end,
            series,
            measure,
        }
    }
}

#[cfg(target_os = "linux")]
fn usage(id: ProcessId) -> Option<Usage> {
    let process = procfs::process::Process::new(i32::try_from(id.pid).ok()?).ok()?;
    let status = process.status().ok()?;
    Some(Usage {
        resident_bytes: status.vmrss? * 1024,
        high_water_bytes: status.vmhwm.map(|kib| kib * 1024),
    })
}

/// Proportional set size.
#[cfg(target_os = "linux")]
fn proportional(id: ProcessId) -> Option<u64> {
    let process = procfs::process::Process::new(i32::try_from(id.pid).ok()?).ok()?;
    let rollup = process.smaps_rollup().ok()?;
    let all = rollup.memory_map_rollup.into_iter().next()?;
    all.extension.map.get("Pss").copied()
}

#[cfg(not(target_os = "linux"))]
fn proportional(_id: ProcessId) -> Option<u64> {
    None
}

#[cfg(not(target_os = "linux"))]
fn usage(id: ProcessId) -> Option<Usage> {
    Some(Usage {
        resident_bytes: super::elsewhere::resident_bytes(id.pid)?,
        high_water_bytes: None,
    })
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "the age of a measured overlap")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::process::testing::{Shell, number_in, until};

    /// Longer than any test: only the looks that the test asks for happen.
    const NEVER: Duration = Duration::from_hours(1);
    const MB: u64 = 1_000_000;

    /// A shell that holds 40 MB, then goes on with a script in which `$FILE` is a file.
    fn holder(script: &str) -> (Shell, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ready");
        let script = format!(
            "x=$(head -c 40000000 /dev/zero | tr '\\0' x); FILE={}; {script}",
            file.display()
        );
        let shell = Shell::start(&script);
        number_in(&file);
        (shell, folder)
    }

    #[test]
    fn one_process_is_counted_by_its_high_water_mark() {
        let (shell, _folder) = holder("unset x; echo $$ > $FILE; exec 3<$FILE; kill -STOP $$");
        let sampler = MemorySampler::start(shell.pid(), NEVER);
        let now = sampler.sample_now().unwrap();
        assert_eq!(now.processes, 1);
        let summary = sampler.finish();
        // Freed before the first look, and seen all the same.
        assert!(
            summary.peak_bytes.unwrap() > now.bytes + 30 * MB,
            "{now:?} {summary:?}"
        );
        assert_eq!(summary.measure, Measure::By("high-water mark".to_owned()));
        assert_eq!(summary.processes, Some(1));
    }

    #[test]
    fn what_a_tree_shares_is_counted_once() {
        let script = "(sleep 600; :) & (sleep 600; :) & echo $$ > $FILE; wait; echo $x";
        let (shell, _folder) = holder(script);
        until("two subshells and their sleeps", || {
            let tree = tree::descendants(shell.pid());
            tree.iter().filter(|id| id.name() == "sleep").count() == 2
        });
        let sampler = MemorySampler::start(shell.pid(), NEVER);
        let now = sampler.sample_now().unwrap();
        assert_eq!(now.processes, 5);
        let mut ids = tree::descendants(shell.pid());
        ids.push(ProcessId::of(shell.pid()).unwrap());
        let resident: u64 = ids
            .iter()
            .map(|&id| usage(id).unwrap().resident_bytes)
            .sum();
        let proportional: u64 = ids
            .iter()
            .map(|id| {
                let process = procfs::process::Process::new(id.pid.cast_signed()).unwrap();
                process.smaps_rollup().unwrap().memory_map_rollup.0[0]
                    .extension
                    .map["Pss"]
            })
            .sum();
        // Three shells hold the same 40 MB. PSS differs by what strangers share (the C library).
        assert!(resident > 120 * MB, "{resident}");
        assert!(now.bytes > 40 * MB && now.bytes < 60 * MB, "{now:?}");
        assert!(
            now.bytes.abs_diff(proportional) < 8 * MB,
            "{now:?} {proportional}"
        );
        let summary = sampler.finish();
        assert_eq!(
            summary.measure,
            Measure::By("tree, shared pages once".to_owned())
        );
        assert_eq!(summary.processes, Some(5));
        let end = summary.at_end.unwrap();
        assert!(end.resident_bytes > 120 * MB, "{end:?}");
        let proportional = end.proportional_bytes.unwrap();
        assert!(now.bytes.abs_diff(proportional) < 8 * MB, "{end:?}");
        let listed: u64 = end.processes.iter().map(|p| p.resident_bytes).sum();
        assert_eq!((end.processes.len(), listed), (5, end.resident_bytes));
        let names: Vec<&str> = end.processes.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names[3..], ["sleep", "sleep"], "{names:?}");
        // The largest process counts with its high-water mark.
        assert!(summary.peak_bytes.unwrap() >= now.bytes);
    }

    #[test]
    fn the_thread_looks_by_itself() {
        let mut shell = Shell::start("sleep 600; :");
        // Between fork and exec a child's pages cannot be told apart.
        until("the child", || {
            tree::descendants(shell.pid())
                .iter()
                .any(|id| id.name() == "sleep")
        });
        let sampler = MemorySampler::start(shell.pid(), Duration::from_millis(1));
        until("a look", || lock(&sampler.shared).processes == Some(2));
        shell.kill();
        assert_eq!(sampler.sample_now(), None);
        let summary = sampler.finish();
        assert!(summary.peak_bytes.unwrap() > 100_000);
        assert_eq!(
            summary.measure,
            Measure::By("tree, shared pages once".to_owned())
        );
    }

    #[test]
    fn a_container_client_is_never_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let fake = folder.path().join("podman");
        std::os::unix::fs::symlink("/bin/sleep", &fake).unwrap();
        let shell = Shell::start(&format!("{} 600; :", fake.display()));
        until("the client", || {
            container::client_in_tree(shell.pid()).is_some()
        });
        let sampler = MemorySampler::start(shell.pid(), Duration::from_millis(1));
        until("a look", || lock(&sampler.shared).peak.is_some());
        assert_eq!(sampler.sample_now(), None);
        let summary = sampler.finish();
        assert_eq!(summary.peak_bytes, None);
        assert_eq!(
            summary.measure,
            Measure::NotMeasured(
                "the server runs in a container (podman): what is here is only its client"
                    .to_owned()
            )
        );
    }

    #[test]
    fn a_process_that_is_gone_is_not_measured() {
        let mut shell = Shell::start("exec sleep 600");
        let pid = shell.pid();
        let early = MemorySampler::start(pid, NEVER);
        shell.kill();
        let summary = early.finish();
        assert!(matches!(summary.measure, Measure::NotMeasured(why) if why.contains("ended")));
        let late = MemorySampler::start(pid, NEVER).finish();
        assert_eq!((late.peak_bytes, late.processes), (None, None));
        assert!(
            matches!(late.measure, Measure::NotMeasured(why) if why.contains("cannot be seen"))
        );
    }
}
