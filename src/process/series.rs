//! A figure against another, thinned out as it grows.

/// Most points that are kept.
const MOST: usize = 64;

/// Points in order, at even distances over all that were pushed, and the last one: however many
/// come, at most [`MOST`] are kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Series {
    kept: Vec<(u64, u64)>,
    last: Option<(u64, u64)>,
    /// Every `2^halvings`-th is kept.
    halvings: u32,
    pushed: u64,
}

impl Series {
    pub(super) fn push(&mut self, point: (u64, u64)) {
        self.last = Some(point);
        if self.pushed.trailing_zeros() >= self.halvings {
            if self.kept.len() == MOST - 1 {
                let mut is_even = false;
                self.kept.retain(|_| {
                    is_even = !is_even;
                    is_even
                });
                self.halvings += 1;
            }
            if self.pushed.trailing_zeros() >= self.halvings {
                self.kept.push(point);
            }
        }
        self.pushed = self.pushed.saturating_add(1);
    }

    /// What was kept, the last point included.
    pub(super) fn points(&self) -> Vec<(u64, u64)> {
        let mut points = self.kept.clone();
        if let Some(last) = self.last
            && points.last() != Some(&last)
        {
            points.push(last);
        }
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_at_even_distances_and_the_last_is_among_them() {
        for pushed in [0_u64, 1, 2, 63, 64, 65, 1000, 100_000] {
            let mut series = Series::default();
            for n in 0..pushed {
                series.push((n, n));
            }
            let points = series.points();
            assert!(points.len() <= MOST, "{pushed}");
            assert!(points.len() as u64 >= pushed.min(31), "{pushed}");
            assert_eq!(
                points.last().map(|p| p.0 + 1),
                (pushed > 0).then_some(pushed)
            );
            let distances: Vec<u64> = points.windows(2).map(|w| w[1].0 - w[0].0).collect();
            if let Some((last, even)) = distances.split_last() {
                assert!(
                    even.iter().all(|d| d == &even[0] && d.is_power_of_two()),
                    "{pushed}"
                );
                assert!(even.is_empty() || *last <= even[0], "{pushed}");
            }
        }
    }
}
