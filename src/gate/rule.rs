//! The rule for one metric of one scenario: figures of rounds in, a [`Ruling`] out.
//!
//! The round is the unit. Figures are positive and larger is worse; the rule works on their
//! logarithms, so it sees ratios. See `docs/decision.md` for the derivation and its limits.

use super::sequence;
use crate::stats::{
    Sample,
    interval::{Difference, normal_quantile, student_t_quantile},
    location::{TrimmedMean, trim_count},
};

/// Rounds needed on each side: with fewer, the spread between rounds is a guess.
pub(super) const ROUNDS_NEEDED: usize = 3;
/// One-sided error of "not worse by the tolerance".
pub(super) const PASS_ALPHA: f64 = 0.05;
/// One-sided error of the fresh rounds that confirm an alarm.
pub(super) const CONFIRM_ALPHA: f64 = 0.01;
/// Where both sides scatter more than this between rounds (standard deviation of the logarithm), a
/// tolerance of 20 % cannot be resolved: with ten rounds against twenty the margin of a pass is
/// 0.73 of it, and must stay under ln 1.2 = 0.18.
const UNRESOLVABLE_SCATTER: f64 = 0.25;
/// The tolerance that [`UNRESOLVABLE_SCATTER`] belongs to. A wider one can be resolved at more
/// scatter; a narrower one does not end the gate sooner, or asking for more would give less.
const UNRESOLVABLE_AT: f64 = 0.2;
/// Pairs from which on their spread is known well enough to foresee what more of them would show.
const COARSE_FROM: usize = 8;
/// So many floors are a gross change of a figure that is near its floor.
const COARSE_FLOORS: f64 = 4.0;
/// Power for which the smallest detectable ratio is stated.
const POWER: f64 = 0.9;

/// Share trimmed at each end, in percent.
pub(super) const TRIM_PERCENT: usize = 20;
/// Rounds from which the mean is trimmed. At five rounds trimming leaves three, whose t quantile
/// is so large that 1.5 x was found in 37 % of simulated runs instead of 97 %.
const TRIM_FROM: usize = 8;

/// Weight, in jobs, of the stated spread between jobs against the observed one.
const PRIOR_JOBS: f64 = 4.0;
/// The spread between jobs is never taken to be smaller than this.
const LEAST_BETWEEN_JOBS: f64 = 0.01;

/// Logarithms beyond this are shown as this (a factor of 10^26).
const SHOWN_LIMIT: f64 = 60.0;

/// Figures of the rounds behind one comparison, grouped by job.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    /// All rounds of the base.
    pub(super) base: Vec<Vec<f64>>,
    /// Planned rounds of the candidate.
    pub(super) measure: Vec<Vec<f64>>,
    /// Fresh rounds of the candidate after an alarm.
    pub(super) confirm: Vec<Vec<f64>>,
    /// Where both sides were measured in turn: then these decide.
    pub(super) pairs: Option<Pairs>,
}

/// Pairs of rounds that have both figures.
#[derive(Debug, Clone, Default)]
pub(super) struct Pairs {
    pub(super) planned: Vec<Pair>,
    pub(super) fresh: Vec<Pair>,
}

/// A round of each side, measured one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    /// The base's figure.
    pub(super) base: f64,
    /// The logarithm of candidate / base.
    pub(super) log_ratio: f64,
}

fn log_ratios(pairs: &[Pair]) -> Vec<f64> {
    pairs.iter().map(|pair| pair.log_ratio).collect()
}

impl Evidence {
    pub(super) fn base_rounds(&self) -> usize {
        count(&self.base)
    }

    pub(super) fn candidate_rounds(&self) -> usize {
        count(&self.measure) + count(&self.confirm)
    }

    /// Whether no planned number of rounds could tell a change of `tolerance`: the rounds of
    /// *both* sides scatter too much. `false` below [`ROUNDS_NEEDED`] rounds in a job of each.
    pub(super) fn is_unresolvable(&self, tolerance: f64) -> bool {
        let most = UNRESOLVABLE_SCATTER * (tolerance.ln_1p() / UNRESOLVABLE_AT.ln_1p()).max(1.0);
        [&self.base, &self.all()]
            .into_iter()
            .all(|jobs| scatter(jobs).is_some_and(|scatter| scatter > most))
    }

    /// All rounds of the candidate.
    fn all(&self) -> Vec<Vec<f64>> {
        self.measure
            .iter()
            .enumerate()
            .map(|(i, planned)| {
                let fresh = self.confirm.get(i).map_or(&[][..], Vec::as_slice);
                [planned.as_slice(), fresh].concat()
            })
            .collect()
    }
}

/// Standard deviation of the logarithm between the rounds of a job, over all jobs with at least
/// [`ROUNDS_NEEDED`]. That jobs differ from each other is no scatter of rounds: a baseline of many
/// machines must not excuse a candidate's noise.
fn scatter(jobs: &[Vec<f64>]) -> Option<f64> {
    let (mut squares, mut rounds) = (0.0, 0.0);
    for logs in jobs.iter().filter_map(|job| logs([job])) {
        if logs.len() >= ROUNDS_NEEDED {
            let n = logs.len() as f64;
            squares += n * (centre(&logs).squared_error * n);
            rounds += n;
        }
    }
    (rounds > 0.0).then(|| (squares / rounds).sqrt())
}

fn count(jobs: &[Vec<f64>]) -> usize {
    jobs.iter().map(Vec::len).sum()
}

/// What is asked of the evidence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// The change that is too much, as a fraction: 0.2 = 20 % worse.
    pub(super) tolerance: f64,
    /// The change that the lower bound must exclude, as a fraction.
    pub(super) trivial: f64,
    /// Absolute change, in the figures' unit, below which nothing is a regression.
    pub(super) floor: f64,
    /// What jobs differ by that no round of theirs can show.
    pub(super) between_jobs: BetweenJobs,
    /// Whether "not worse by the tolerance" must hold for other jobs too, and not only for the
    /// rounds at hand: so on another machine class, where a small change may be the machine's.
    pub(super) pass_across_jobs: bool,
    /// One-sided error of an alarm.
    pub(super) alpha: f64,
    /// One-sided error of "not worse by the tolerance".
    pub(super) pass_alpha: f64,
    /// One-sided error of the fresh rounds that confirm an alarm.
    pub(super) confirm_alpha: f64,
    /// How pairs may pass that cannot tell the tolerance; `None` where there are none.
    pub(super) coarse: Option<Coarse>,
    /// What the machine alone may have added to the difference.
    pub(super) machine: ByMachine,
}

/// What jobs differ by that no round of theirs can show: standard deviations of the logarithm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum BetweenJobs {
    /// Stated for one job.
    Stated(f64),
    /// Stated for one job, and learnt where the jobs at hand are enough.
    Learnt(f64),
    /// Of the difference of both sides, with its degrees of freedom.
    OfDifference { spread: f64, freedom: f64 },
}

/// What the machine alone may have added to the difference, each way: logarithms.
///
/// A server may be slower by anything between nothing (it waits for a network) and as much as a
/// fixed piece of work is (it computes) for the machine's sake alone. So it never corrects what is
/// seen, which would bring its own noise into every figure; it moves the bounds, each on its side.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct ByMachine {
    /// Towards worse; negative where the machine is known to have taken away.
    pub(super) worse_ln: f64,
    /// Towards better; likewise.
    pub(super) better_ln: f64,
}

impl ByMachine {
    /// By figures of which each may explain a change, and none is owed anything: 0 or more.
    pub(super) fn at_most(shifts_ln: [f64; 2]) -> Self {
        let most = |sign: f64| {
            shifts_ln
                .iter()
                .fold(0.0_f64, |most, ln| most.max(sign * ln))
        };
        Self {
            worse_ln: most(1.0),
            better_ln: most(-1.0),
        }
    }

    /// Towards worse (`sign` 1) or better (`sign` -1).
    fn towards(self, sign: f64) -> f64 {
        if sign > 0.0 {
            self.worse_ln
        } else {
            self.better_ln
        }
    }
}

/// When pairs that cannot tell the tolerance pass all the same, as not worse by more than this.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coarse {
    /// Pairs that are planned at most.
    pub(super) most_pairs: u32,
    /// The change that must be excluded, as a fraction.
    pub(super) limit: f64,
}

/// What the rule says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Call {
    /// Worse; `confirmed_by` fresh rounds, where there were any.
    Regressed { confirmed_by: Option<usize> },
    /// The mirror of `Regressed`.
    Improved,
    /// Not worse by the tolerance.
    Within,
    /// Not worse by the absolute floor.
    BelowFloor,
    /// No planned number of pairs tells the tolerance from nothing; they show no change beyond it, and
    /// exclude a gross one.
    Coarse,
    /// The planned rounds alarmed, the fresh ones did not agree; `still_worse` where all of them
    /// together alarm nevertheless.
    Unconfirmed { fresh: usize, still_worse: bool },
    /// Worse than the tolerance as estimated, but noise could explain it.
    WorseOrNoise,
    /// Worse than the tolerance for sure, but perhaps by less than the floor.
    WorseNearFloor,
    /// A change of the tolerance cannot be ruled out.
    TooNoisy,
    /// Fewer than [`ROUNDS_NEEDED`] rounds on a side.
    TooFew,
}

/// The answer with its figures, in the figures' unit and as ratios candidate / base.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ruling {
    pub(super) call: Call,
    pub(super) base: Option<f64>,
    pub(super) candidate: Option<f64>,
    pub(super) ratio: Option<f64>,
    /// Lower and upper bound of the ratio at the error of an alarm.
    pub(super) bounds: Option<(f64, f64)>,
    pub(super) smallest_detectable: Option<f64>,
    /// Whether more planned rounds could bring a pass or an alarm: see [`Weighed::could_pass`] and
    /// [`Weighed::could_alarm`].
    pub(super) more_could_decide: bool,
    /// Whether they could bring an alarm.
    pub(super) more_could_alarm: bool,
}

/// Centre of the logarithms of all figures, as the rule takes it; `None` without figures.
pub(super) fn centre_of(jobs: &[Vec<f64>]) -> Option<f64> {
    Some(centre(&logs(jobs)?).value)
}

/// Trimmed mean as the rule takes it.
pub(super) fn centre(logs: &Sample) -> TrimmedMean {
    let each_end = if logs.len() < TRIM_FROM {
        0
    } else {
        trim_count(logs.len(), TRIM_PERCENT)
    };
    TrimmedMean::of(logs, each_end)
}

/// Typical figure and its one-sided lower bound (`None` below two rounds); `None` without figures.
pub(super) fn typical(figures: &[f64], alpha: f64) -> Option<(f64, Option<f64>)> {
    let logs = Sample::new(figures.iter().map(|v| v.ln()))?;
    let centre = centre(&logs);
    let bound = (centre.kept >= 2).then(|| {
        let t = student_t_quantile(1.0 - alpha, (centre.kept - 1) as f64);
        (centre.value - t * centre.squared_error.sqrt()).exp()
    });
    Some((centre.value.exp(), bound))
}

fn logs<'a>(groups: impl IntoIterator<Item = &'a Vec<f64>>) -> Option<Sample> {
    Sample::new(groups.into_iter().flatten().map(|v| v.ln()))
}

/// Which rounds are weighed.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Planned,
    Fresh,
    All,
}

/// Two sides weighed against each other; logarithms throughout.
struct Weighed {
    base: TrimmedMean,
    candidate: TrimmedMean,
    difference: Difference,
    /// Standard deviation of the difference that jobs bring, which the rounds of one job cannot
    /// show.
    between_jobs: f64,
    /// Its degrees of freedom; infinite where it is taken as known.
    jobs_freedom: f64,
}

impl Weighed {
    fn new(base: &[Vec<f64>], candidate: &[Vec<f64>], terms: &Terms) -> Option<Self> {
        let (b, c) = (centre(&logs(base)?), centre(&logs(candidate)?));
        let shares = shares_squared(base) + shares_squared(candidate);
        let of_one = |spread: f64| (spread * shares.sqrt(), f64::INFINITY);
        let (between_jobs, jobs_freedom) = match terms.between_jobs {
            BetweenJobs::Stated(spread) => of_one(spread),
            BetweenJobs::Learnt(stated) => of_one(learnt_between_jobs(base, candidate, stated)),
            BetweenJobs::OfDifference { spread, freedom } => (spread, freedom),
        };
        Some(Self {
            base: b,
            candidate: c,
            difference: Difference::between(&b, &c)?,
            between_jobs,
            jobs_freedom,
        })
    }

    /// Of the pairs alone: what a machine or a job adds to both sides is not in them. Each side stands
    /// where its rounds of these very pairs put it: fresh ones may be of a slower minute.
    fn of_pairs(pairs: &[Pair]) -> Option<Self> {
        let base: Vec<f64> = pairs.iter().map(|pair| pair.base).collect();
        let candidate = pairs.iter().map(|pair| pair.base * pair.log_ratio.exp());
        let candidate: Vec<f64> = candidate.collect();
        Some(Self {
            base: centre(&logs(&[base])?),
            candidate: centre(&logs(&[candidate])?),
            difference: sequence::centre(&log_ratios(pairs))?,
            between_jobs: 0.0,
            jobs_freedom: f64::INFINITY,
        })
    }

    /// What a stage of the evidence says.
    fn of(evidence: &Evidence, stage: Stage, terms: &Terms) -> Option<Self> {
        let Some(pairs) = &evidence.pairs else {
            let candidate = match stage {
                Stage::Planned => evidence.measure.clone(),
                Stage::Fresh => evidence.confirm.clone(),
                Stage::All => evidence.all(),
            };
            return Self::new(&evidence.base, &candidate, terms);
        };
        match stage {
            Stage::Planned => Self::of_pairs(&pairs.planned),
            Stage::Fresh => Self::of_pairs(&pairs.fresh),
            Stage::All => Self::of_pairs(&[&pairs.planned[..], &pairs.fresh].concat()),
        }
    }

    /// The two sources of error are independent, so their margins add in squares.
    fn margin(&self, alpha: f64) -> f64 {
        self.difference
            .margin(alpha)
            .hypot(self.margin_of_jobs(alpha))
    }

    fn margin_of_jobs(&self, alpha: f64) -> f64 {
        student_t_quantile(1.0 - alpha, self.jobs_freedom) * self.between_jobs
    }

    /// Worse (`sign` 1) or better (`sign` -1) than `terms` allow, beyond noise and floor.
    fn exceeds(&self, terms: &Terms, sign: f64) -> bool {
        self.exceeds_relatively(terms, sign) && self.absolute_change() > terms.floor
    }

    /// Nothing is worse that is not seen to be worse by the tolerance, whatever the machine took away.
    fn exceeds_relatively(&self, terms: &Terms, sign: f64) -> bool {
        let seen = sign * self.difference.estimate;
        let estimate = seen - terms.machine.towards(sign);
        seen.min(estimate) > terms.tolerance.ln_1p()
            && estimate - self.margin(terms.alpha) > terms.trivial.ln_1p()
    }

    /// The weaker demand on fresh rounds: over the tolerance again, and surely not the other way.
    fn agrees(&self, terms: &Terms, sign: f64) -> bool {
        let seen = sign * self.difference.estimate;
        let estimate = seen - terms.machine.towards(sign);
        seen.min(estimate) > terms.tolerance.ln_1p() && estimate > self.margin(terms.confirm_alpha)
    }

    fn absolute_change(&self) -> f64 {
        (self.candidate.value.exp() - self.base.value.exp()).abs()
    }

    fn upper_bound(&self, terms: &Terms) -> f64 {
        let margin = if terms.pass_across_jobs {
            self.margin(terms.pass_alpha)
        } else {
            self.difference.margin(terms.pass_alpha)
        };
        self.difference.estimate + margin + terms.machine.towards(-1.0)
    }

    /// Whether the planned pairs are not enough for the tolerance, and these exclude a gross change.
    ///
    /// Before the last look, the spread so far says how wide the margin of a pass will be then: where
    /// it leaves no room for any estimate but a better one, more pairs would be measured for nothing.
    fn passes_coarsely(&self, terms: &Terms, planned: &Self, of: &Pairs) -> bool {
        let Some(coarse) = terms.coarse else {
            return false;
        };
        let pairs = of.planned.len();
        let most = f64::from(coarse.most_pairs);
        let is_over = pairs as f64 >= most;
        let shrinks_to = (pairs as f64 / most).sqrt();
        let is_hopeless = pairs >= COARSE_FROM
            && planned.difference.margin(terms.pass_alpha) * shrinks_to > terms.tolerance.ln_1p();
        let shown = log_ratios(&[&of.planned[..], &of.fresh].concat());
        let seems_within = sequence::keeps(&shown, terms.tolerance.ln_1p())
            || self.absolute_change() <= terms.floor;
        let excludes_gross = self.upper_bound(terms) < coarse.limit.max(terms.tolerance).ln_1p()
            || self.upper_absolute_change(terms) < COARSE_FLOORS * terms.floor;
        (is_over || is_hopeless) && seems_within && excludes_gross
    }

    /// Upper bound of the absolute change, in the figures' unit.
    fn upper_absolute_change(&self, terms: &Terms) -> f64 {
        self.base.value.exp() * self.upper_bound(terms).exp_m1()
    }

    /// Whether any number of rounds could bring a pass: they settle the estimate within its present
    /// margin, and leave what jobs bring.
    fn could_pass(&self, terms: &Terms) -> bool {
        let low = self.difference.estimate - self.difference.margin(terms.pass_alpha);
        let least_upper = if terms.pass_across_jobs {
            low + self.margin_of_jobs(terms.pass_alpha)
        } else {
            low
        } + terms.machine.towards(-1.0);
        least_upper < terms.tolerance.ln_1p()
            || self.base.value.exp() * least_upper.exp_m1() < terms.floor
    }

    /// The same of an alarm.
    fn could_alarm(&self, terms: &Terms) -> bool {
        let high = self.difference.estimate + self.difference.margin(terms.pass_alpha);
        let high_here = high - terms.machine.towards(1.0);
        high.min(high_here) > terms.tolerance.ln_1p()
            && high_here - self.margin_of_jobs(terms.alpha) > terms.trivial.ln_1p()
            && self.base.value.exp() * high.exp_m1() > terms.floor
    }

    /// The true logarithm that would have been called worse with probability [`POWER`].
    ///
    /// The margin is an estimate too: its own variance, by the usual approximation of the
    /// noncentral t, counts where the margin is what decides.
    fn detectable(&self, terms: &Terms) -> f64 {
        let margin = self.margin(terms.alpha);
        let beyond_noise = terms.trivial.ln_1p() + margin + terms.machine.towards(1.0);
        let enough = (terms.tolerance.ln_1p() + terms.machine.towards(1.0).max(0.0))
            .max((terms.floor / self.base.value.exp()).ln_1p());
        let mut variance = self.difference.standard_error.powi(2) + self.between_jobs.powi(2);
        if beyond_noise > enough && margin > 0.0 {
            let of_rounds = self.difference.margin(terms.alpha).powi(2) / margin;
            variance += of_rounds.powi(2) / (2.0 * self.difference.degrees_of_freedom);
        }
        beyond_noise.max(enough) + normal_quantile(POWER) * variance.sqrt()
    }
}

/// Sum of the squared shares of rounds that each job gave: 1 for one job, 1/k for k equal ones.
pub(super) fn shares_squared(jobs: &[Vec<f64>]) -> f64 {
    let total = count(jobs) as f64;
    jobs.iter().map(|j| (j.len() as f64 / total).powi(2)).sum()
}

/// Standard deviation between jobs: the stated one, shrunk towards what three or more jobs of one
/// side show beyond the noise of their rounds.
fn learnt_between_jobs(base: &[Vec<f64>], candidate: &[Vec<f64>], stated: f64) -> f64 {
    let mut weight = PRIOR_JOBS;
    let mut squares = PRIOR_JOBS * stated.powi(2);
    for side in [base, candidate] {
        let centres: Vec<TrimmedMean> = side
            .iter()
            .filter(|job| job.len() >= ROUNDS_NEEDED)
            .filter_map(|job| logs([job]))
            .map(|s| centre(&s))
            .collect();
        if centres.len() < 3 {
            continue;
        }
        let own_noise = centres.iter().map(|c| c.squared_error).sum::<f64>() / centres.len() as f64;
        let freedom = (centres.len() - 1) as f64;
        let observed = Sample::new(centres.iter().map(|c| c.value))
            .map_or(0.0, |s| crate::stats::location::winsorized_variance(&s, 0));
        weight += freedom;
        squares += freedom * (observed - own_noise).max(0.0);
    }
    (squares / weight).sqrt().max(LEAST_BETWEEN_JOBS)
}

/// Judges `evidence` by `terms`.
pub(super) fn rule(evidence: &Evidence, terms: &Terms) -> Ruling {
    let all = evidence.all();
    let alone = |groups: &[Vec<f64>]| logs(groups).map(|s| centre(&s).value.exp());
    let mut ruling = Ruling {
        call: Call::TooFew,
        base: alone(&evidence.base),
        candidate: alone(&all),
        ratio: None,
        bounds: None,
        smallest_detectable: None,
        more_could_decide: evidence.base_rounds() >= ROUNDS_NEEDED,
        more_could_alarm: false,
    };
    let shown = Weighed::of(evidence, Stage::All, terms);
    if let Some(shown) = &shown {
        let (estimate, margin) = (shown.difference.estimate, shown.margin(terms.alpha));
        let exp = |v: f64| v.clamp(-SHOWN_LIMIT, SHOWN_LIMIT).exp();
        ruling.ratio = Some(exp(estimate));
        ruling.bounds = Some((
            // What the machine took away must not put the bounds beyond what is seen.
            exp((estimate - margin - terms.machine.towards(1.0)).min(estimate)),
            exp((estimate + margin + terms.machine.towards(-1.0)).max(estimate)),
        ));
        ruling.smallest_detectable = Some(exp(shown.detectable(terms)));
    }
    let planned = match &evidence.pairs {
        Some(pairs) => pairs.planned.len(),
        None => count(&evidence.measure).min(evidence.base_rounds()),
    };
    let enough = planned >= ROUNDS_NEEDED;
    let planned = Weighed::of(evidence, Stage::Planned, terms);
    if let (true, Some(shown), Some(planned)) = (enough, shown, planned) {
        ruling.call = call(evidence, terms, &planned, &shown);
        ruling.more_could_alarm = shown.could_alarm(terms);
        ruling.more_could_decide = ruling.more_could_alarm || shown.could_pass(terms);
    }
    ruling
}

fn call(evidence: &Evidence, terms: &Terms, planned: &Weighed, shown: &Weighed) -> Call {
    let fresh = match &evidence.pairs {
        Some(pairs) => pairs.fresh.len(),
        None => count(&evidence.confirm),
    };
    // `None` without fresh rounds; too few of them confirm nothing.
    let agreed = |sign: f64| {
        (fresh > 0).then(|| {
            fresh >= ROUNDS_NEEDED
                && Weighed::of(evidence, Stage::Fresh, terms).is_some_and(|w| w.agrees(terms, sign))
        })
    };
    if planned.exceeds(terms, 1.0) {
        return match agreed(1.0) {
            None => Call::Regressed { confirmed_by: None },
            Some(true) => Call::Regressed {
                confirmed_by: Some(fresh),
            },
            Some(false) => Call::Unconfirmed {
                fresh,
                still_worse: shown.exceeds(terms, 1.0),
            },
        };
    }
    if planned.exceeds(terms, -1.0) && agreed(-1.0) != Some(false) {
        return Call::Improved;
    }
    if shown.upper_bound(terms) < terms.tolerance.ln_1p() {
        Call::Within
    } else if shown.upper_absolute_change(terms) < terms.floor {
        Call::BelowFloor
    } else if shown.exceeds_relatively(terms, 1.0) && shown.absolute_change() <= terms.floor {
        Call::WorseNearFloor
    } else if let Some(pairs) = &evidence.pairs
        && shown.passes_coarsely(terms, planned, pairs)
    {
        Call::Coarse
    } else if shown.difference.estimate > terms.tolerance.ln_1p() {
        Call::WorseOrNoise
    } else {
        Call::TooNoisy
    }
}
