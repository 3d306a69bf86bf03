//! CPU time and run-queue wait of a process tree around a call, from Linux's `schedstat`.
//!
//! On a shared machine most of the spread between unchanged rounds is time that the server or the
//! client spent waiting for a core. The kernel counts it for each thread in the second field of
//! `/proc/PID/task/TID/schedstat`; a finished wait is never missing there. `/proc/PID/schedstat`
//! is the main thread alone, so every thread is read, by a descriptor that is kept open (0.6 µs
//! instead of 5 µs a thread).
//!
//! CPU time comes from each process's own CPU clock, which also holds what threads used that ended
//! meanwhile. The part of a thread that is on a core at this moment is missing from it until the
//! next tick (up to 4 ms), so the CPU time of a call is taken from before this call to before the
//! next one; see [`Reading::call`].
//!
//! Nothing here allocates between calls as long as no thread is born.
#![expect(
    clippy::disallowed_methods,
    reason = "reads /proc, the scheduler statistics of the system"
)]

use std::{
    fs::File,
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
};

use super::{
    container,
    cpu_clock::{self, EndedChildren},
    table::ProcessId,
    tree,
};
use crate::stats::adjusted::SchedulerDelta;

/// Most threads of one tree. More would take longer to read than a fast call takes, and each
/// takes a file descriptor.
const MOST_THREADS: usize = 400;

/// Reads the scheduler statistics of a process tree and of the calling thread.
#[derive(Debug)]
pub struct SchedulerProbe {
    root: ProcessId,
    client: File,
    processes: Vec<Watched>,
    /// In the order of their keys.
    threads: Vec<Thread>,
    next_key: u64,
    /// CPU time of processes that are gone.
    past_cpu_ns: u64,
    /// Waits of threads that are gone.
    past_wait_ns: u64,
    children_cpu_ns: u64,
    problem: Option<String>,
}

#[derive(Debug)]
struct Watched {
    id: ProcessId,
    clock: cpu_clock::ProcessClock,
    cpu_ns: u64,
    /// `/proc/PID/task`: its link count is the number of threads plus two.
    tasks: File,
    links: u64,
    /// A thread of it was found to be gone.
    stale: bool,
}

#[derive(Debug)]
struct Thread {
    /// Rises with every thread seen; never used twice, unlike a thread id.
    key: u64,
    process: ProcessId,
    tid: u32,
    schedstat: File,
    wait_ns: u64,
}

/// What the counters said at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    client_wait_ns: u64,
    server_cpu_ns: u64,
    server_wait_ns: u64,
    /// Key and wait of every living thread, by rising key.
    waits: Vec<(u64, u64)>,
}

/// What happened between two readings. All in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delta {
    /// Largest run-queue wait of any server thread.
    pub max_server_wait_ns: u64,
    /// Run-queue wait of the calling thread.
    pub client_wait_ns: u64,
    /// CPU time of all server threads.
    pub server_cpu_ns: u64,
    /// Run-queue wait of all server threads together.
    pub server_wait_total_ns: u64,
}

/// The calling thread's run-queue wait so far, to be read before a server is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientWait(u64);

impl ClientWait {
    /// Reads it now; `None` where the system does not count it.
    #[must_use]
    pub fn now() -> Option<Self> {
        let file = File::open("/proc/thread-self/schedstat").ok()?;
        read_wait(&file).ok().map(Self)
    }
}

impl SchedulerProbe {
    /// Opens the counters of the tree of `root` and of the *calling thread*, which must be the one
    /// that makes the timed calls.
    ///
    /// # Errors
    /// Why adjusted latency cannot be had, in words.
    pub fn attach(root: u32) -> Result<Self, String> {
        let client = File::open("/proc/thread-self/schedstat").map_err(|_| {
            "this system does not tell how long a thread waits for a core (Linux's schedstat)"
                .to_owned()
        })?;
        if counts_nothing(&client) {
            return Err("this kernel does not count waits for a core (schedstat is 0)".to_owned());
        }
        let root = ProcessId::of(root)
            .filter(|id| id.is_running())
            .ok_or_else(|| format!("process {root} is gone or cannot be seen"))?;
        if let Some(client) = container::client_in_tree(root.pid) {
            return Err(container::not_measured(&client));
        }
        let mut probe = Self {
            root,
            client,
            processes: Vec::new(),
            threads: Vec::new(),
            next_key: 0,
            past_cpu_ns: 0,
            past_wait_ns: 0,
            children_cpu_ns: 0,
            problem: None,
        };
        probe.refresh();
        if let Some(problem) = probe.problem {
            return Err(problem);
        }
        if probe.threads.is_empty() {
            return Err(format!(
                "the threads of process {} cannot be read",
                root.pid
            ));
        }
        Ok(probe)
    }

    /// Why the readings cannot be trusted any more, in words, if so: to be asked at the end.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Threads that are read.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Walks the whole tree again: finds new processes. Not to be done around a timed call.
    pub fn refresh(&mut self) {
        let mut tree = tree::descendants(self.root.pid);
        tree.insert(0, self.root);
        for id in tree {
            if self.processes.iter().all(|known| known.id != id)
                && let Some(process) = Watched::open(id)
            {
                self.processes.push(process);
            }
        }
        for process in &mut self.processes {
            process.stale = true;
        }
        self.refresh_if_changed();
    }

    /// Looks whether threads of known processes were born or ended, and opens the new ones. To be
    /// done before each reading (about 0.5 µs a process where nothing changed).
    pub fn refresh_if_changed(&mut self) {
        for index in 0..self.processes.len() {
            let Some(process) = self.processes.get_mut(index) else {
                return;
            };
            let links = process.tasks.metadata().map_or(0, |meta| meta.nlink());
            if links != process.links || process.stale {
                process.links = links;
                process.stale = false;
                let id = process.id;
                self.open_threads(id);
            }
        }
        let past_cpu_ns = &mut self.past_cpu_ns;
        self.processes.retain(|process| {
            let is_there = process.links > 2 || ProcessId::of(process.id.pid) == Some(process.id);
            if !is_there {
                *past_cpu_ns += process.cpu_ns;
            }
            is_there
        });
    }

    fn open_threads(&mut self, process: ProcessId) {
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", process.pid)) else {
            return;
        };
        let tids = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
        for tid in tids {
            let is_known = |thread: &Thread| thread.process == process && thread.tid == tid;
            if self.threads.iter().any(is_known) {
                continue;
            }
            if self.threads.len() >= MOST_THREADS {
                self.problem.get_or_insert_with(|| {
                    format!("the server has more than {MOST_THREADS} threads")
                });
                return;
            }
            match File::open(format!("/proc/{}/task/{tid}/schedstat", process.pid)) {
                Ok(schedstat) => {
                    self.threads.push(Thread {
                        key: self.next_key,
                        process,
                        tid,
                        schedstat,
                        wait_ns: 0,
                    });
                    self.next_key += 1;
                }
                // It ended meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    self.problem.get_or_insert_with(|| {
                        format!("a thread of the server cannot be read: {error}")
                    });
                }
            }
        }
    }

    /// Reads all counters now.
    #[must_use]
    pub fn read(&mut self) -> Reading {
        let mut reading = Reading::default();
        self.read_into(&mut reading);
        reading
    }

    /// Reads all counters now, into a reading that is no longer needed.
    pub fn read_into(&mut self, reading: &mut Reading) {
        reading.waits.clear();
        let mut server_wait_ns = 0;
        let mut server_cpu_ns = 0;
        let (processes, past_wait_ns) = (&mut self.processes, &mut self.past_wait_ns);
        self.threads.retain_mut(|thread| {
            let Ok(wait_ns) = read_wait(&thread.schedstat) else {
                // Gone: what it waited for counts on, and its process is looked at again.
                *past_wait_ns += thread.wait_ns;
                for process in processes.iter_mut().filter(|p| p.id == thread.process) {
                    process.stale = true;
                }
                return false;
            };
            thread.wait_ns = wait_ns;
            server_wait_ns += wait_ns;
            reading.waits.push((thread.key, wait_ns));
            true
        });
        for process in processes {
            if let Some(cpu_ns) = process.clock.now_ns() {
                process.cpu_ns = cpu_ns.max(process.cpu_ns);
            }
            server_cpu_ns += process.cpu_ns;
        }
        reading.server_wait_ns = server_wait_ns + *past_wait_ns;
        reading.server_cpu_ns = server_cpu_ns + self.past_cpu_ns;
        if let Ok(wait_ns) = read_wait(&self.client) {
            reading.client_wait_ns = wait_ns;
        }
    }

    /// What the tree's processes report of children that ended so far. For the start and the end
    /// of a scenario, not for each call (about 20 µs a process). A rise of `page_faults` in between
    /// means that the server starts processes for its work, and that adjusted latency, whose floor
    /// then misses their CPU time, may hide what the server causes itself.
    pub fn ended_children(&mut self) -> EndedChildren {
        let mut ended = EndedChildren::default();
        for process in &self.processes {
            if let Some(of_one) = cpu_clock::ended_children(process.id) {
                ended.cpu_ns += of_one.cpu_ns;
                ended.page_faults += of_one.page_faults;
            }
        }
        // A process that was watched until it ended is reported by its parent once more.
        let unseen = ended.cpu_ns.saturating_sub(self.past_cpu_ns);
        self.children_cpu_ns = self.children_cpu_ns.max(unseen);
        EndedChildren {
            cpu_ns: self.children_cpu_ns,
            ..ended
        }
    }
}

impl Watched {
    fn open(id: ProcessId) -> Option<Self> {
        let tasks = File::open(format!("/proc/{}/task", id.pid)).ok()?;
        let clock = cpu_clock::ProcessClock::of(id.pid)?;
        // Checked last: all that was opened before is this very process's.
        (ProcessId::of(id.pid) == Some(id)).then_some(Self {
            id,
            clock,
            cpu_ns: 0,
            tasks,
            links: 0,
            stale: true,
        })
    }
}

impl Reading {
    /// What happened since an earlier reading of the same probe. A thread that was not there then
    /// counts from its birth.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Delta {
        let mut before = earlier.waits.iter().peekable();
        let mut max_server_wait_ns = 0;
        for &(key, wait_ns) in &self.waits {
            while before.next_if(|(known, _)| *known < key).is_some() {}
            let then = before
                .next_if(|(known, _)| *known == key)
                .map_or(0, |(_, wait_ns)| *wait_ns);
            max_server_wait_ns = max_server_wait_ns.max(wait_ns.saturating_sub(then));
        }
        Delta {
            max_server_wait_ns,
            client_wait_ns: self.client_wait_ns.saturating_sub(earlier.client_wait_ns),
            server_cpu_ns: self.server_cpu_ns.saturating_sub(earlier.server_cpu_ns),
            server_wait_total_ns: self.server_wait_ns.saturating_sub(earlier.server_wait_ns),
        }
    }

    /// Everything since the server's birth, for its start-up. `client` was read before it.
    #[must_use]
    pub fn since_birth(&self, client: ClientWait) -> Delta {
        self.since(&Self {
            client_wait_ns: client.0,
            ..Self::default()
        })
    }

    /// What happened during one call: waits from `before` to `after` (a finished wait is never
    /// missing), CPU time from `before` to `next_before`, just before the next call (what a thread
    /// used that is still on its core is missing until the next tick).
    #[must_use]
    pub fn call(before: &Self, after: &Self, next_before: &Self) -> SchedulerDelta {
        let waits = after.since(before);
        SchedulerDelta {
            max_server_wait_ns: waits.max_server_wait_ns,
            client_wait_ns: waits.client_wait_ns,
            server_cpu_ns: next_before
                .server_cpu_ns
                .saturating_sub(before.server_cpu_ns),
        }
    }
}

/// The three numbers of a `schedstat`: time on a core, time waiting for one (both nanoseconds),
/// and how often it got one.
fn read_numbers(file: &File) -> io::Result<[u64; 3]> {
    let mut buffer = [0; 96];
    let length = file.read_at(&mut buffer, 0)?;
    numbers(buffer.get(..length).unwrap_or_default())
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

fn read_wait(file: &File) -> io::Result<u64> {
    read_numbers(file).map(|[_, wait_ns, _]| wait_ns)
}

fn counts_nothing(file: &File) -> bool {
    read_numbers(file).is_ok_and(|numbers| numbers == [0; 3])
}

fn numbers(text: &[u8]) -> Option<[u64; 3]> {
    let mut numbers = [0_u64; 3];
    let mut words = text.split(u8::is_ascii_whitespace);
    for number in &mut numbers {
        let word = words.next().filter(|word| !word.is_empty())?;
        for &digit in word {
            if !digit.is_ascii_digit() {
                return None;
            }
            *number = number
                .checked_mul(10)?
                .checked_add(u64::from(digit - b'0'))?;
        }
    }
    Some(numbers)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
#[path = "scheduler_tests.rs"]
mod tests;
