//! Latencies in four bytes each, for loads of many calls.
//!
//! Every latency is kept while its load runs, not counted in the buckets of a histogram: at up to a million calls a
//! load the samples themselves are no larger than a histogram of three digits for each stage, every
//! quantile is a latency that was seen, and two of them can be merged without loss. A latency is
//! rounded to 24 significant bits, 60 parts in a thousand million; the largest is kept exactly.

use super::{Summary, quantile};

/// Latencies in the order in which they were added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompactLatencies {
    /// Of non-negative floating-point numbers, which are ordered as their bits are.
    bits: Vec<u32>,
    max_ns: u64,
}

impl CompactLatencies {
    /// Adds one, in nanoseconds.
    pub fn push(&mut self, ns: u64) {
        self.bits.push((ns as f32).to_bits());
        self.max_ns = self.max_ns.max(ns);
    }

    /// Adds all of another.
    pub fn append(&mut self, other: &Self) {
        self.bits.extend_from_slice(&other.bits);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bits.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bits.is_empty()
    }

    /// Each in nanoseconds, as rounded, in the order in which they were added.
    pub fn iter_ns(&self) -> impl Iterator<Item = u64> {
        self.bits.iter().map(|bits| ns(*bits))
    }

    /// Their quantiles, as [`quantile::summarize`] has them; `None` if there are none.
    #[must_use]
    pub fn summarize(&self) -> Option<Summary> {
        let mut sorted = self.bits.clone();
        sorted.sort_unstable();
        let ranks = quantile::ranks(&sorted)?;
        Some(Summary {
            p50_ns: ns(ranks.p50),
            p95_ns: ranks.p95.map(ns),
            p99_ns: ranks.p99.map(ns),
            max_ns: self.max_ns,
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it was a u64"
)]
fn ns(bits: u32) -> u64 {
    f32::from_bits(bits) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(all: &[u64]) -> CompactLatencies {
        let mut latencies = CompactLatencies::default();
        for ns in all {
            latencies.push(*ns);
        }
        latencies
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_the_latencies_to_seven_digits(
            mut all in prop::collection::vec(0_u64..100_000_000_000_000, 0..300),
        ) {
            let compact = of(&all).summarize();
            let exact = quantile::summarize(&mut all);
            prop_assert_eq!(compact.is_some(), exact.is_some());
            if let (Some(compact), Some(exact)) = (compact, exact) {
                let near = |a: u64, b: u64| a.abs_diff(b) as f64 <= b as f64 * 6e-8;
                prop_assert!(near(compact.p50_ns, exact.p50_ns));
                for (a, b) in [(compact.p95_ns, exact.p95_ns), (compact.p99_ns, exact.p99_ns)] {
                    prop_assert_eq!(a.is_some(), b.is_some());
                    prop_assert!(a.zip(b).is_none_or(|(a, b)| near(a, b)));
                }
                prop_assert_eq!(compact.max_ns, exact.max_ns);
            }
        }

        #[test]
        fn parts_together_are_the_whole(
            a in prop::collection::vec(any::<u64>(), 0..50),
            b in prop::collection::vec(any::<u64>(), 0..50),
        ) {
            let mut both = of(&a);
            both.append(&of(&b));
            prop_assert_eq!(both, of(&[a, b].concat()));
        }
    }

    #[test]
    fn up_to_16_ms_every_nanosecond_is_kept() {
        let all = [0, 1, 999, 1_000_001, 16_777_216];
        assert_eq!(of(&all).iter_ns().collect::<Vec<_>>(), all);
        assert_eq!(size_of_val(of(&all).bits.as_slice()), 4 * all.len());
    }
}
