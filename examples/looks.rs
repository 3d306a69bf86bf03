//! Prints the table of looks in `docs/decision.md`: what error each look of a side-by-side
//! comparison spends, its critical value, and the smallest change that is found by then.
//!
//! `cargo run --release --example looks [DRAWS]`; the document's table is of 20,000 draws.

use std::io::{self, Write};

use mcpgate::gate::sequence::{Answer, CONFIRMING_PAIRS, PairTerms, Sequence, confirms};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

const DEFAULT_DRAWS: usize = 20_000;
const COMPARISONS: [u32; 3] = [10, 40, 120];
const MOST_PAIRS: u32 = 15;
/// Standard deviations of a pair's logarithm.
const SPREADS: [f64; 3] = [0.05, 0.1, 0.2];
const POWER: f64 = 0.9;
const TERMS: PairTerms = PairTerms {
    tolerance: 0.2,
    trivial: 0.05,
};

/// Standard normal deviates, and where a change is looked for.
struct Draws {
    /// Of each draw, the pairs of the looks and then the fresh ones.
    pairs: Vec<Vec<f64>>,
}

impl Draws {
    fn new(count: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut uniform = move || (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        // Box and Muller 1958.
        let mut normal = move || {
            let (u, v) = (1.0 - uniform(), uniform());
            (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        };
        let of_one = (MOST_PAIRS + CONFIRMING_PAIRS) as usize;
        let mut one = || (0..of_one).map(|_| normal()).collect();
        Self {
            pairs: (0..count).map(|_| one()).collect(),
        }
    }

    /// Share of draws in which a change is found and confirmed by a look.
    fn found(&self, sequence: &Sequence, by: u32, spread: f64, ratio: f64) -> f64 {
        let found = self.pairs.iter().filter(|draw| {
            let figures: Vec<f64> = draw.iter().map(|z| ratio.ln() + spread * z).collect();
            let (looks, fresh) = figures.split_at(MOST_PAIRS as usize);
            let first = sequence
                .looks()
                .iter()
                .filter(|&&look| look <= by)
                .filter_map(|&look| sequence.judge(&looks[..look as usize], TERMS))
                .find(|answer| *answer != Answer::Undecided);
            first == Some(Answer::Alarm) && confirms(fresh, 1, TERMS)
        });
        found.count() as f64 / self.pairs.len() as f64
    }

    /// The smallest ratio that is found by a look with the asked power.
    fn smallest(&self, sequence: &Sequence, by: u32, spread: f64) -> f64 {
        let (mut low, mut high) = (1.0_f64, 20.0_f64);
        while high / low > 1.002 {
            let middle = (low * high).sqrt();
            if self.found(sequence, by, spread, middle) < POWER {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }
}

fn main() -> io::Result<()> {
    let count = std::env::args().nth(1).and_then(|n| n.parse().ok());
    let draws = Draws::new(count.unwrap_or(DEFAULT_DRAWS));
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "| comparisons | pairs | error of an alarm | critical value | error of a pass | {} |",
        SPREADS
            .map(|s| format!("found at {:.0} %", s * 100.0))
            .join(" | ")
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|")?;
    for comparisons in COMPARISONS {
        let sequence = Sequence::new(comparisons, MOST_PAIRS);
        for &look in sequence.looks() {
            let found =
                SPREADS.map(|spread| format!("{:.2} x", draws.smallest(&sequence, look, spread)));
            writeln!(
                out,
                "| {comparisons} | {look} | {:.3} % | {:.2} | {:.2} % | {} |",
                sequence.alarm_share() * 100.0,
                sequence.critical_value(look),
                sequence.pass_share() * 100.0,
                found.join(" | ")
            )?;
        }
    }
    writeln!(
        out,
        "\n| spread | unchanged: passes at the first look | by the last | alarms, confirmed | 1.1 x: alarms, confirmed | 1.3 x | 1.5 x | 2 x |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|")?;
    let sequence = Sequence::new(10, MOST_PAIRS);
    for spread in SPREADS {
        let passes = |by: u32| {
            let passed = draws.pairs.iter().filter(|draw| {
                let figures: Vec<f64> = draw.iter().map(|z| spread * z).collect();
                sequence
                    .looks()
                    .iter()
                    .filter(|&&look| look <= by)
                    .filter_map(|&look| sequence.judge(&figures[..look as usize], TERMS))
                    .find(|answer| *answer != Answer::Undecided)
                    .is_some_and(|answer| answer != Answer::Alarm)
            });
            100.0 * passed.count() as f64 / draws.pairs.len() as f64
        };
        let first = sequence.looks().first().copied().unwrap_or(MOST_PAIRS);
        let found = [1.0, 1.1, 1.3, 1.5, 2.0]
            .map(|ratio| draws.found(&sequence, MOST_PAIRS, spread, ratio))
            .map(|share| format!("{:.2} %", share * 100.0));
        writeln!(
            out,
            "| {:.0} % | {:.1} % | {:.1} % | {} |",
            spread * 100.0,
            passes(first),
            passes(MOST_PAIRS),
            found.join(" | ")
        )?;
    }
    Ok(())
}
