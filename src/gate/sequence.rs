//! The sequence of looks of a side-by-side comparison: after how many pairs of rounds it is judged,
//! what error each look may spend, and what it can see.
//!
//! A pair is a round of the base and a round of the candidate, one after the other; its figure is
//! the logarithm of candidate / base. Two stages answer for "regressed":
//!
//! - An *alarm* at one of the looks. All comparisons of a suite share [`ALARM_ERROR`], each its
//!   part evenly over its looks (Bonferroni). No comparison's share depends on when another stops,
//!   and a look that is not taken gives its share back to nobody: so comparisons may stop apart.
//! - A *confirmation* by pairs that are measured for it alone. They know nothing of the first
//!   stage, so only the comparisons that raised an alarm share [`CONFIRM_ERROR`], and not all that
//!   were made.
//!
//! As the stages know nothing of each other, an unchanged suite is called regressed with a chance of
//! at most their product.
//!
//! "Not worse by the tolerance" may err in [`PASS_ERROR`] of comparisons, evenly over the looks.

use super::rule::TRIM_PERCENT;
use crate::stats::{
    Sample,
    interval::{Difference, spread_quantile, student_t_quantile},
    location::{TrimmedMean, trim_count},
};

/// Chance that any comparison of an unchanged suite raises an alarm: what a confirmation is spent
/// on for nothing.
pub const ALARM_ERROR: f64 = 0.1;
/// Chance that fresh pairs confirm any of the alarms of an unchanged suite.
pub const CONFIRM_ERROR: f64 = 0.05;
/// Chance that a change of the tolerance passes, in one comparison.
pub const PASS_ERROR: f64 = 0.05;
/// Fresh pairs that confirm or dismiss an alarm.
pub const CONFIRMING_PAIRS: u32 = 8;
/// Pairs before the first look, and the fewest that may be planned.
pub(super) const FIRST_LOOK: u32 = 5;
/// Pairs at the looks, as far as the most pairs allow.
const LOOKS: [u32; 6] = [FIRST_LOOK, 8, 11, 15, 21, 30];
/// Pairs from which the mean is trimmed. At eight, leaving out two costs more degrees of freedom
/// than it saves spread: the smallest change found at a spread of 10 % was 1.35 x instead of 1.30 x.
const TRIM_FROM: usize = 11;
/// A look must find a doubling with this power at [`TYPICAL_SPREAD`], or it is not taken.
const POWER: f64 = 0.9;
/// Standard deviation of a pair's figure on an ordinary runner.
const TYPICAL_SPREAD: f64 = 0.1;
/// The trivial change, as it is unless set otherwise.
const USUAL_TRIVIAL: f64 = 0.05;

/// What is asked of the pairs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairTerms {
    /// The change that is too much, as a fraction: 0.2 = 20 % worse.
    pub tolerance: f64,
    /// The change that the lower bound of an alarm must exclude, as a fraction.
    pub trivial: f64,
}

/// The one-sided errors of one comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PairErrors {
    pub(super) alarm: f64,
    pub(super) pass: f64,
    pub(super) confirm: f64,
    /// Pairs at the last look.
    pub(super) most_pairs: u32,
}

/// What pairs say at a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Worse by more than the tolerance, as far as these pairs go: to be confirmed.
    Alarm,
    /// The mirror of an alarm.
    Improved,
    /// Not worse by the tolerance.
    Pass,
    /// None of these.
    Undecided,
}

/// The looks that every comparison of a suite takes until it is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    comparisons: u32,
    looks: Vec<u32>,
}

impl Sequence {
    /// For so many comparisons that can fail the build (at least 1), with at most so many pairs
    /// (at least 5). The last look is at the most pairs.
    #[must_use]
    pub fn new(comparisons: u32, most_pairs: u32) -> Self {
        let most_pairs = most_pairs.max(LOOKS.first().copied().unwrap_or(1));
        let mut looks: Vec<u32> = LOOKS.into_iter().filter(|&n| n < most_pairs).collect();
        looks.push(most_pairs);
        let mut sequence = Self {
            comparisons: comparisons.max(1),
            looks,
        };
        // Leaving one out lets the others spend more, so the rest is looked at anew.
        while sequence.looks.len() > 1 {
            let first = sequence.looks.first().copied().unwrap_or(most_pairs);
            if sequence.finds_a_doubling(first) {
                break;
            }
            sequence.looks.remove(0);
        }
        sequence
    }

    /// Pairs at each look, rising.
    #[must_use]
    pub fn looks(&self) -> &[u32] {
        &self.looks
    }

    /// One-sided error that one comparison spends on an alarm at each look.
    #[must_use]
    pub fn alarm_share(&self) -> f64 {
        ALARM_ERROR / f64::from(self.comparisons) / self.looks.len() as f64
    }

    /// One-sided error that one comparison spends on a pass at each look.
    #[must_use]
    pub fn pass_share(&self) -> f64 {
        PASS_ERROR / self.looks.len() as f64
    }

    /// The errors of each comparison, where so many raised an alarm.
    pub(super) fn errors(&self, alarmed: u32) -> PairErrors {
        PairErrors {
            alarm: self.alarm_share(),
            pass: self.pass_share(),
            confirm: confirm_share(alarmed),
            most_pairs: self.looks.last().copied().unwrap_or(FIRST_LOOK),
        }
    }

    /// By how many standard errors the estimate must exceed the trivial change for an alarm after
    /// so many pairs.
    #[must_use]
    pub fn critical_value(&self, pairs: u32) -> f64 {
        student_t_quantile(1.0 - self.alarm_share(), degrees_of_freedom(pairs))
    }

    /// Judges pairs, in the order in which they were measured. `None` if there is no look after so
    /// many, or if a figure is not finite.
    #[must_use]
    pub fn judge(&self, log_ratios: &[f64], terms: PairTerms) -> Option<Answer> {
        let pairs = u32::try_from(log_ratios.len()).ok()?;
        if !self.looks.contains(&pairs) {
            return None;
        }
        let centre = centre(log_ratios)?;
        let (tolerance, trivial) = (terms.tolerance.ln_1p(), terms.trivial.ln_1p());
        let margin = centre.margin(self.alarm_share());
        let is_beyond = |sign: f64| {
            let change = sign * centre.estimate;
            change > tolerance && change - margin > trivial
        };
        Some(if is_beyond(1.0) {
            Answer::Alarm
        } else if is_beyond(-1.0) {
            Answer::Improved
        } else if centre.estimate + centre.margin(self.pass_share()) < tolerance {
            Answer::Pass
        } else {
            Answer::Undecided
        })
    }

    /// With few pairs it is the spread that errs, and not the estimate: taken as large as it is
    /// seldom seen, it tells what is found to a few percent of what simulated pairs tell.
    fn finds_a_doubling(&self, pairs: u32) -> bool {
        let seen = TYPICAL_SPREAD * spread_quantile(POWER, degrees_of_freedom(pairs));
        let margin = self.critical_value(pairs) * seen / f64::from(pairs).sqrt();
        margin + USUAL_TRIVIAL.ln_1p() < std::f64::consts::LN_2
    }
}

/// Whether fresh pairs confirm an alarm, where `alarmed` comparisons of the suite raised one: the
/// change exceeds the tolerance again, and they exclude that there is none.
#[must_use]
pub fn confirms(log_ratios: &[f64], alarmed: u32, terms: PairTerms) -> bool {
    let share = confirm_share(alarmed);
    centre(log_ratios).is_some_and(|centre| {
        centre.estimate > terms.tolerance.ln_1p() && centre.estimate - centre.margin(share) > 0.0
    })
}

fn confirm_share(alarmed: u32) -> f64 {
    CONFIRM_ERROR / f64::from(alarmed.max(1))
}

/// Where the figures of pairs lie: their mean, from 11 pairs without the largest and smallest fifth.
/// `None` below two pairs, or where a figure is not finite.
pub(super) fn centre(log_ratios: &[f64]) -> Option<Difference> {
    if !log_ratios.iter().all(|figure| figure.is_finite()) {
        return None;
    }
    let trimmed = trimmed_at_each_end(log_ratios.len());
    let sample = Sample::new(log_ratios.iter().copied())?;
    Difference::of_pairs(&TrimmedMean::of(&sample, trimmed))
}

/// Whether the mean of pairs is no higher than `limit`, however many of them up to a fifth are left out
/// at each end: how many that is changes with the number of pairs, and the mean with it.
pub(super) fn keeps(log_ratios: &[f64], limit: f64) -> bool {
    let Some(sample) = Sample::new(log_ratios.iter().copied()) else {
        return false;
    };
    let most = (sample.len() * TRIM_PERCENT).div_ceil(100);
    (0..=most).all(|each_end| TrimmedMean::of(&sample, each_end).value <= limit)
}

fn trimmed_at_each_end(pairs: usize) -> usize {
    if pairs < TRIM_FROM {
        0
    } else {
        trim_count(pairs, TRIM_PERCENT)
    }
}

fn degrees_of_freedom(pairs: u32) -> f64 {
    let trimmed = trimmed_at_each_end(usize::try_from(pairs).unwrap_or(usize::MAX));
    f64::from(pairs) - 2.0 * trimmed as f64 - 1.0
}
