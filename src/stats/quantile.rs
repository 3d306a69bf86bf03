//! Quantiles of latencies, by one definition: **nearest rank**.
//!
//! The q-quantile of n values is the value of rank ⌈q·n⌉ (Hyndman and Fan 1996, type 1, the
//! inverse of the empirical distribution; `numpy.quantile(…, method="inverted_cdf")`). It was
//! chosen over interpolation because each quantile shown is then a latency that was seen, stays
//! within the sample, and needs no rounding of nanoseconds; at the sample sizes of a round a
//! smoother estimator (Harrell-Davis) gained nothing on latencies with bursts.

/// Below this many samples a 95th percentile would be the maximum by another name.
pub const P95_NEEDS: usize = 20;
/// Below this many samples a 99th percentile would be the maximum by another name.
pub const P99_NEEDS: usize = 100;

/// Quantiles of one round's latencies, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Median.
    pub p50_ns: u64,
    /// 95th percentile; `None` below [`P95_NEEDS`] samples.
    pub p95_ns: Option<u64>,
    /// 99th percentile; `None` below [`P99_NEEDS`] samples.
    pub p99_ns: Option<u64>,
    /// Largest.
    pub max_ns: u64,
}

/// Sorts `ns` in place and takes its quantiles; `None` if it is empty.
#[must_use]
pub fn summarize(ns: &mut [u64]) -> Option<Summary> {
    ns.sort_unstable();
    let ranks = ranks(ns)?;
    Some(Summary {
        p50_ns: ranks.p50,
        p95_ns: ranks.p95,
        p99_ns: ranks.p99,
        max_ns: *ns.last()?,
    })
}

/// Those quantiles of a sorted sample that it supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ranks<T> {
    pub(super) p50: T,
    pub(super) p95: Option<T>,
    pub(super) p99: Option<T>,
}

/// Of values in ascending order; `None` if there are none.
pub(super) fn ranks<T: Copy>(sorted: &[T]) -> Option<Ranks<T>> {
    let supported = |needs: usize, per_mille: usize| {
        if sorted.len() < needs {
            None
        } else {
            nearest_rank(sorted, per_mille)
        }
    };
    Some(Ranks {
        p50: nearest_rank(sorted, 500)?,
        p95: supported(P95_NEEDS, 950),
        p99: supported(P99_NEEDS, 990),
    })
}

/// The value of rank ⌈n · `per_mille` / 1000⌉ in ascending `sorted`: the smallest value for 0,
/// the largest for 1000 and above; `None` if there is no value.
///
/// The level is in thousandths so that the rank is exact: 0.95 as a float times 20 is not always
/// 19.
#[must_use]
pub fn nearest_rank<T: Copy>(sorted: &[T], per_mille: usize) -> Option<T> {
    let last = sorted.len().checked_sub(1)?;
    let rank = sorted.len().saturating_mul(per_mille).div_ceil(1000);
    sorted.get(rank.saturating_sub(1).min(last)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn agrees_with_numpy() {
        // numpy 2.x: numpy.quantile(x, q, method="inverted_cdf")
        let sorted = [278, 284, 290, 299, 301, 305, 312, 330, 359, 410];
        for (per_mille, expected) in [
            (0, 278),
            (250, 290),
            (500, 301),
            (950, 410),
            (990, 410),
            (1000, 410),
        ] {
            assert_eq!(nearest_rank(&sorted, per_mille), Some(expected));
        }
    }

    #[test]
    fn ranks_are_exact_at_the_sizes_that_matter() {
        for (n, per_mille, rank) in [
            (1_u64, 500, 1),
            (2, 500, 1),
            (3, 500, 2),
            (20, 950, 19),
            (21, 950, 20),
            (100, 950, 95),
            (100, 990, 99),
            (400, 950, 380),
        ] {
            let sorted: Vec<u64> = (1..=n).collect();
            assert_eq!(
                nearest_rank(&sorted, per_mille),
                Some(rank),
                "{n} {per_mille}"
            );
        }
        assert_eq!(nearest_rank::<u64>(&[], 500), None);
    }

    #[test]
    fn a_percentile_without_support_is_absent() {
        let of = |n: u64| summarize(&mut (1..=n).rev().collect::<Vec<_>>());
        assert_eq!(of(0), None);
        let s = of(19).unwrap();
        assert_eq!(
            (s.p50_ns, s.p95_ns, s.p99_ns, s.max_ns),
            (10, None, None, 19)
        );
        let s = of(20).unwrap();
        assert_eq!((s.p95_ns, s.p99_ns), (Some(19), None));
        assert_eq!(of(99).unwrap().p99_ns, None);
        assert_eq!(of(100).unwrap().p99_ns, Some(99));
    }

    proptest! {
        #[test]
        fn quantiles_are_monotone_and_within_the_sample(
            mut ns in prop::collection::vec(any::<u64>(), 1..300),
        ) {
            let s = summarize(&mut ns).unwrap();
            let mut last = ns[0];
            for q in [Some(s.p50_ns), s.p95_ns, s.p99_ns, Some(s.max_ns)].into_iter().flatten() {
                prop_assert!(q >= last && ns.contains(&q));
                last = q;
            }
            for pair in (0..=1000).collect::<Vec<_>>().windows(2) {
                prop_assert!(nearest_rank(&ns, pair[0]) <= nearest_rank(&ns, pair[1]));
            }
        }

        #[test]
        fn quantiles_scale_with_the_sample(
            mut ns in prop::collection::vec(0_u64..1 << 40, 1..200),
            factor in 1_u64..1000,
        ) {
            let mut scaled: Vec<u64> = ns.iter().map(|v| v * factor).collect();
            let (a, b) = (summarize(&mut ns).unwrap(), summarize(&mut scaled).unwrap());
            prop_assert_eq!(a.p50_ns * factor, b.p50_ns);
            prop_assert_eq!(a.p95_ns.map(|v| v * factor), b.p95_ns);
            prop_assert_eq!(a.p99_ns.map(|v| v * factor), b.p99_ns);
            prop_assert_eq!(a.max_ns * factor, b.max_ns);
        }

        #[test]
        fn half_the_sample_lies_on_each_side_of_the_median(
            mut ns in prop::collection::vec(any::<u64>(), 1..300),
        ) {
            let p50 = summarize(&mut ns).unwrap().p50_ns;
            prop_assert!(ns.iter().filter(|v| **v <= p50).count() * 2 >= ns.len());
            prop_assert!(ns.iter().filter(|v| **v >= p50).count() * 2 >= ns.len());
        }
    }
}
