//! How fast this machine is, and how much it is disturbed at this moment, by fixed pieces of work.

use std::{hint::black_box, iter::repeat_with};

use memmap2::MmapMut;
use rustix::time::{ClockId, clock_gettime};

/// Times that the work is done at each look: the first brings the ring into the cache. The quickest
/// counts, since nothing makes work quicker than the machine is.
const REPETITIONS: u32 = 2;
/// Least time between two looks: what disturbs the work seldom comes and goes within less.
const BETWEEN_LOOKS_NS: u64 = 100_000_000;
/// Steps of arithmetic, each of which needs the one before: about 0.4 ms.
const CHAINED: u64 = 150_000;
/// Jumps through a ring, each to where the one before says: about 0.7 ms.
const JUMPS: u32 = 100_000;
/// Places of the ring, 512 KiB of them: beyond the first cache, within the second.
const PLACES: u32 = 1 << 17;

/// Pieces of fresh memory that are filled at each look, 1 MiB each: too small for a huge page, whose
/// cost would depend on whether the system has one left.
const PIECES: u32 = 4;
const PIECE_BYTES: usize = 1 << 20;
const PAGE_BYTES: usize = 4096;

/// The quickest of several looks, which are best spread over time: neighbours on the same
/// processor come and go within seconds, and slow it down by half or more while they are there.
///
/// Both halves of the work wait for latencies of the processor (multiplication, second-level
/// cache), so that another compiler does not change the figure, and another clock rate, another
/// generation or a neighbour on the same core does.
#[derive(Debug)]
pub struct ReferenceWork {
    ring: Vec<u32>,
    quickest_ns: Option<u64>,
    last_look_ns: u64,
}

impl ReferenceWork {
    /// With a first look.
    #[must_use]
    pub fn begin() -> Self {
        let mut work = Self {
            ring: ring(),
            quickest_ns: None,
            last_look_ns: 0,
        };
        work.look();
        work
    }

    /// Does the work on this thread, which takes about 2 ms, unless it was done just before.
    pub fn look_again(&mut self) {
        if is_a_while_since(self.last_look_ns) {
            self.look();
        }
    }

    fn look(&mut self) {
        let ring = &self.ring;
        let seen = repeat_with(|| {
            let before = cpu_ns();
            black_box(chain(black_box(1)));
            black_box(jump(ring, black_box(0)));
            cpu_ns().saturating_sub(before)
        })
        .take(usize::try_from(REPETITIONS).unwrap_or(1))
        .chain(self.quickest_ns)
        .filter(|&figure| figure > 0)
        .min();
        self.quickest_ns = seen;
        self.last_look_ns = read_ns(ClockId::Monotonic);
    }

    /// CPU time of the work at its quickest; `None` if the system has no such clock.
    #[must_use]
    pub fn quickest_ns(&self) -> Option<u64> {
        self.quickest_ns
    }
}

/// How much the machine is disturbed, by others on the same host that no count of this system
/// shows: the CPU time of filling fresh memory, of which the *median* piece counts.
///
/// Under such neighbours the CPU time of one and the same server grew by up to 1.6 times while the
/// quickest [`ReferenceWork`] stayed the same and no time was reported as stolen. Of six pieces of
/// work that were tried beside starts of Node.js this one followed them closest: its median over 15
/// looks correlated with theirs at 0.87 and grew by the same factor. Chains of arithmetic did not
/// (0.59).
#[derive(Debug, Default)]
pub struct PageWork {
    seen_ns: Vec<u64>,
    last_look_ns: u64,
}

impl PageWork {
    /// Does the work on this thread, which takes about 1.5 ms. To be called while no server of ours
    /// runs, so that a server cannot pass off its own load as a neighbour's.
    pub fn look(&mut self) {
        self.seen_ns
            .extend((0..PIECES).filter_map(|_| filling_ns()));
        self.last_look_ns = read_ns(ClockId::Monotonic);
    }

    /// [`Self::look`], unless that was just before.
    pub fn look_again(&mut self) {
        if is_a_while_since(self.last_look_ns) {
            self.look();
        }
    }

    /// CPU time of filling all the pieces of a look, if each took what the median piece of all looks
    /// took; `None` if there was no look.
    #[must_use]
    pub fn typical_ns(&self) -> Option<u64> {
        let mut seen = self.seen_ns.clone();
        seen.sort_unstable();
        let median = seen.get(seen.len() / 2).copied()?;
        Some(median.saturating_mul(u64::from(PIECES)))
    }
}

fn filling_ns() -> Option<u64> {
    let before = cpu_ns();
    let mut piece = MmapMut::map_anon(PIECE_BYTES).ok()?;
    for page in piece.chunks_mut(PAGE_BYTES) {
        page.fill(1);
    }
    black_box(&piece);
    drop(piece);
    Some(cpu_ns().saturating_sub(before)).filter(|&figure| figure > 0)
}

fn is_a_while_since(look_ns: u64) -> bool {
    read_ns(ClockId::Monotonic).saturating_sub(look_ns) >= BETWEEN_LOOKS_NS
}

/// CPU time of this thread.
fn cpu_ns() -> u64 {
    read_ns(ClockId::ThreadCPUTime)
}

fn read_ns(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    u64::try_from(time.tv_sec)
        .unwrap_or(0)
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// The output function of splitmix64 (Steele, Lea, Flood 2014), fed with its own results.
fn chain(start: u64) -> u64 {
    (0..CHAINED).fold(start, |x, i| {
        (x ^ (x >> 30))
            .wrapping_mul(0xbf58_476d_1ce4_e5b9)
            .wrapping_add(i)
    })
}

/// One cycle through all places, by strides that are all different, so that no processor foresees
/// them: a linear congruence of full period (Hull and Dobell 1962). A shuffle would take longer to
/// make than the work takes.
fn ring() -> Vec<u32> {
    let next = |place: u32| place.wrapping_mul(0x0001_9e35).wrapping_add(0x0000_6d2b) % PLACES;
    (0..PLACES).map(next).collect()
}

fn jump(ring: &[u32], start: u32) -> u32 {
    (0..JUMPS).fold(start, |place, _| {
        usize::try_from(place)
            .ok()
            .and_then(|place| ring.get(place))
            .copied()
            .unwrap_or(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_leads_through_every_place_before_it_closes() {
        let ring = ring();
        let mut place = 0;
        for step in 1..=PLACES {
            place = ring[place as usize];
            assert_eq!(place == 0, step == PLACES, "after {step} steps");
        }
    }

    #[test]
    fn the_median_piece_counts() {
        let mut work = PageWork::default();
        assert_eq!(work.typical_ns(), None);
        work.look();
        work.look();
        assert_eq!(work.seen_ns.len(), 8);
        work.look_again();
        assert_eq!(work.seen_ns.len(), 8, "just before");
        work.last_look_ns -= BETWEEN_LOOKS_NS;
        work.look_again();
        assert_eq!(work.seen_ns.len(), 12);
        // 256 pages, none of which any system provides in under a nanosecond.
        assert!(work.seen_ns.iter().all(|&ns| ns > 256));
        work.seen_ns = vec![9, 100, 3, 7, 8];
        assert_eq!(work.typical_ns(), Some(32));
    }

    #[test]
    fn the_work_is_the_same_each_time_and_takes_time() {
        assert_eq!(chain(1), chain(1));
        assert_eq!(jump(&ring(), 0), jump(&ring(), 0));
        assert_ne!(chain(1), chain(2));
        // 250,000 steps, none of which any processor does in under a tenth of a nanosecond.
        let mut work = ReferenceWork::begin();
        let first = work.quickest_ns().unwrap();
        assert!(first > 25_000);
        work.look();
        assert!(work.quickest_ns().unwrap() <= first);
        let looked = work.last_look_ns;
        work.look_again();
        assert_eq!(work.last_look_ns, looked, "just before");
        work.last_look_ns -= BETWEEN_LOOKS_NS;
        work.look_again();
        assert!(work.last_look_ns >= looked);
    }
}
