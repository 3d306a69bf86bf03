//! A sample that cannot be empty.

/// Finite figures in ascending order; at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    sorted: Vec<f64>,
}

impl Sample {
    /// Drops what is not finite and sorts the rest; `None` if nothing is left.
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        if sorted.is_empty() {
            return None;
        }
        sorted.sort_by(f64::total_cmp);
        Some(Self { sorted })
    }

    /// The figures in ascending order; never empty.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.sorted
    }

    /// How many figures; at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a sample is never empty")]
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// The smallest figure.
    #[must_use]
    pub fn min(&self) -> f64 {
        self.sorted.first().copied().unwrap_or_default()
    }

    /// The largest figure.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.sorted.last().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_holds_only_finite_figures_in_order() {
        let sample = Sample::new([3.0, f64::NAN, -1.0, f64::INFINITY, 2.0]).unwrap();
        assert_eq!(sample.values(), [-1.0, 2.0, 3.0]);
        assert_eq!((sample.len(), sample.min(), sample.max()), (3, -1.0, 3.0));
    }

    #[test]
    fn nothing_finite_is_no_sample() {
        assert_eq!(Sample::new([]), None);
        assert_eq!(Sample::new([f64::NAN, f64::NEG_INFINITY]), None);
    }
}
