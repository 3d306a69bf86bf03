use proptest::prelude::*;

use super::*;
use crate::stats::interval::{proportion_lower_bound, proportion_upper_bound};

/// Flow of the Nile at Aswan, 1871 to 1970 (Cobb 1978): the dam of 1898 is its known change.
const NILE: [f64; 100] = [
    1120.0, 1160.0, 963.0, 1210.0, 1160.0, 1160.0, 813.0, 1230.0, 1370.0, 1140.0, 995.0, 935.0,
    1110.0, 994.0, 1020.0, 960.0, 1180.0, 799.0, 958.0, 1140.0, 1100.0, 1210.0, 1150.0, 1250.0,
    1260.0, 1220.0, 1030.0, 1100.0, 774.0, 840.0, 874.0, 694.0, 940.0, 833.0, 701.0, 916.0, 692.0,
    1020.0, 1050.0, 969.0, 831.0, 726.0, 456.0, 824.0, 702.0, 1120.0, 1100.0, 832.0, 764.0, 821.0,
    768.0, 845.0, 864.0, 862.0, 698.0, 845.0, 744.0, 796.0, 1040.0, 759.0, 781.0, 865.0, 845.0,
    944.0, 984.0, 897.0, 822.0, 1010.0, 771.0, 676.0, 649.0, 846.0, 812.0, 742.0, 801.0, 1040.0,
    860.0, 874.0, 848.0, 890.0, 744.0, 749.0, 838.0, 1050.0, 918.0, 986.0, 797.0, 923.0, 975.0,
    815.0, 1020.0, 906.0, 901.0, 1170.0, 912.0, 746.0, 919.0, 718.0, 714.0, 740.0,
];
const STEP: [f64; 14] = [
    10.0, 10.2, 9.9, 10.1, 10.0, 9.8, 10.1, 13.0, 13.2, 12.9, 13.1, 13.0, 12.8, 13.3,
];
const TWO_STEPS: [f64; 18] = [
    5.1, 4.9, 5.0, 5.2, 4.8, 5.0, 7.1, 6.9, 7.0, 7.2, 6.8, 7.0, 6.1, 5.9, 6.0, 6.2, 5.8, 6.0,
];
const OUTLIER: [f64; 12] = [
    3.0, 3.1, 2.9, 3.05, 2.95, 9.0, 3.0, 3.1, 2.9, 3.02, 2.98, 3.07,
];
const RAMP: [f64; 11] = [
    100.0, 103.0, 106.09, 109.273, 112.551, 115.927, 119.405, 122.987, 126.677, 130.477, 134.392,
];
const TIES: [f64; 11] = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0];

/// As Apache Otava has it, which bounds no stretch.
const UNBOUNDED: Options = Options {
    significance: 0.01,
    permutations: 4999,
    min_segment: 1,
    seed: 7,
};

/// Apache Otava 0.8.0: `PairDistanceCalculator(a).get_candidate_change_point(slice(0, len(a)))`,
/// and the indices and p-values of `ChangePointDetector(PermutationsSignificanceTester(0.01, 4999,
/// PairDistanceCalculator, 1), PairDistanceCalculator).get_change_points(a)`. Its p-values lack the 1
/// in the numerator and come from other permutations.
#[test]
fn agrees_with_apache_otava() {
    type Row = (&'static [f64], usize, f64, &'static [(usize, f64)]);
    let table: [Row; 6] = [
        (&NILE, 28, 4_916.590_807_675_146, &[(28, 0.0)]),
        (&STEP, 7, 19.9, &[(7, 0.000_8)]),
        (&TWO_STEPS, 6, 10.96, &[(6, 0.0), (12, 0.002)]),
        (&OUTLIER, 5, 9.916_666_666_666_666, &[]),
        (&RAMP, 6, 62.829_090_909_090_91, &[(6, 0.008_8)]),
        (&TIES, 6, 5.454_545_454_545_455, &[(6, 0.005)]),
    ];
    for (series, index, statistic, changes) in table {
        let (tau, most) = cut(series, 1).unwrap();
        assert_eq!(tau, index, "{series:?}");
        assert!((most - statistic).abs() < 1e-9 * statistic, "{most}");
        let found = change_points(series, &UNBOUNDED);
        let indices: Vec<usize> = found.iter().map(|change| change.index).collect();
        let theirs: Vec<usize> = changes.iter().map(|change| change.0).collect();
        assert_eq!(indices, theirs, "{series:?}");
        for (ours, theirs) in found.iter().zip(changes) {
            // Two Monte Carlo figures of 4,999 draws at p = 0.008 differ by 0.0018 (one sd).
            assert!((ours.p_value - theirs.1).abs() < 0.005, "{ours:?}");
        }
    }
}

/// The second change of `TWO_STEPS` has the statistic that Apache Otava 0.8.0 gives it.
#[test]
fn a_later_change_is_looked_for_within_its_stretch() {
    let found = change_points(&TWO_STEPS, &UNBOUNDED);
    assert!((found[1].statistic - 4.96).abs() < 1e-9, "{found:?}");
}

/// By its definition in the paper, term by term.
fn by_definition(values: &[f64], tau: usize, kappa: usize) -> f64 {
    let (x, y) = (&values[..tau], &values[tau..kappa]);
    let (n, m) = (x.len() as f64, y.len() as f64);
    let between: f64 = x
        .iter()
        .flat_map(|a| y.iter().map(move |b| (a - b).abs()))
        .sum();
    let within = |z: &[f64]| -> f64 {
        let count = z.len() as f64;
        let pairs = z
            .iter()
            .enumerate()
            .flat_map(|(i, a)| z[..i].iter().map(move |b| (a - b).abs()));
        let sum: f64 = pairs.sum();
        if count > 1.0 {
            2.0 * sum / (count * (count - 1.0))
        } else {
            0.0
        }
    };
    n * m / (n + m) * (2.0 * between / (n * m) - within(x) - within(y))
}

#[test]
fn what_cannot_have_a_change_has_none() {
    let options = Options::default();
    for series in [
        &[][..],
        &[1.0],
        &[1.0, 9.0],
        &[1.0, 1.0, 1.0, 9.0, 9.0],
        &[0.0; 40],
        &[7.5; 40],
        &[1.0, 2.0, f64::NAN, 2.0, 1.0, 1.0, 2.0],
        &[f64::INFINITY; 12],
        &[f64::MAX, f64::MIN, f64::MAX, f64::MIN, f64::MAX, f64::MIN],
        // Two outliers in a row are not yet a level.
        &OUTLIER,
        &[
            3.0, 3.1, 2.9, 3.0, 3.1, 2.9, 3.0, 3.1, 2.9, 3.0, 3.1, 9.0, 9.1,
        ],
    ] {
        assert_eq!(change_points(series, &options), [], "{series:?}");
    }
}

#[test]
fn a_change_of_level_is_found_though_its_values_are_huge_or_tiny() {
    for scale in [1e-300, 1e-9, 1.0, 1e9, 1e300] {
        let series: Vec<f64> = STEP.iter().map(|v| v * scale).collect();
        let found = change_points(&series, &Options::default());
        assert_eq!(
            found.iter().map(|c| c.index).collect::<Vec<_>>(),
            [7],
            "{scale}"
        );
    }
}

#[test]
fn of_a_long_series_the_newest_values_are_looked_at() {
    let mut series = vec![1.0; 500];
    series.extend(vec![2.0; 100]);
    let found = change_points(&series, &Options::default());
    assert_eq!(found.iter().map(|c| c.index).collect::<Vec<_>>(), [500]);
}

/// A standard normal draw (Box and Muller 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let mut uniform = || (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let (u, v) = (1.0 - uniform(), uniform());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

#[test]
fn noise_shows_changes_as_seldom_as_is_said() {
    let mut rng = ChaCha8Rng::seed_from_u64(20_261_129);
    let options = Options {
        significance: 0.05,
        permutations: 99,
        ..Options::default()
    };
    let draws = 400;
    let mut alarms = 0;
    for draw in 0..draws {
        // Also with wild values, where nothing is known about the shape.
        let series: Vec<f64> = (0..20)
            .map(|_| match draw % 2 {
                0 => normal(&mut rng),
                _ => normal(&mut rng) / normal(&mut rng),
            })
            .collect();
        let seed = draw;
        alarms += u64::from(!change_points(&series, &Options { seed, ..options }).is_empty());
    }
    // It must neither alarm more often nor be deaf.
    assert!(
        proportion_lower_bound(alarms, draws, 0.001) <= options.significance,
        "{alarms} of {draws}"
    );
    assert!(
        proportion_upper_bound(alarms, draws, 0.001) >= options.significance,
        "{alarms} of {draws}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_cut_is_the_largest_by_definition(
        values in prop::collection::vec(-10.0..10.0_f64, 2..24), min_segment in 1_usize..5,
    ) {
        let n = values.len();
        let all = (min_segment..n).flat_map(|tau| {
            (tau + min_segment..=n).map(move |kappa| (tau, kappa))
        });
        let is_best_near_by = |&(tau, kappa): &(usize, usize)| {
            let here = by_definition(&values, tau, kappa);
            let near = [tau - 1, tau + 1].into_iter().filter(|t| *t > 0 && *t < kappa);
            near.map(|tau| by_definition(&values, tau, kappa)).all(|other| here >= other)
        };
        let most = all
            .filter(is_best_near_by)
            .map(|(tau, kappa)| by_definition(&values, tau, kappa))
            .fold(f64::NEG_INFINITY, f64::max);
        match cut(&values, min_segment) {
            Some((tau, statistic)) => {
                prop_assert!((statistic - most).abs() < 1e-9, "{statistic} {most}");
                prop_assert!(tau >= min_segment && tau + min_segment <= n);
            }
            None => prop_assert!(n < 2 * min_segment || most == f64::NEG_INFINITY),
        }
    }

    #[test]
    fn changes_move_and_scale_with_the_series(
        values in prop::collection::vec(0_i32..1000, 6..30), step in 0_i32..3000, at in 0_usize..30,
        shift in -4096_i32..4096, turned in any::<bool>(),
    ) {
        // Whole numbers and powers of two, so that rounding cannot choose between equal cuts.
        let base: Vec<f64> = values
            .iter()
            .enumerate()
            .map(|(i, v)| f64::from(*v + if i >= at { step } else { 0 }))
            .collect();
        let factor = if turned { -4.0 } else { 4.0 };
        let moved: Vec<f64> = base.iter().map(|v| factor * (v + f64::from(shift))).collect();
        let options = Options { permutations: 199, ..Options::default() };
        let of = |series: &[f64]| {
            let found = change_points(series, &options);
            found.iter().map(|c| (c.index, c.p_value)).collect::<Vec<_>>()
        };
        prop_assert_eq!(of(&base), of(&moved));
    }

    #[test]
    fn changes_keep_their_distance(
        values in prop::collection::vec(-1e3..1e3_f64, 0..40), min_segment in 1_usize..6,
    ) {
        let options = Options { significance: 0.2, permutations: 49, min_segment, seed: 1 };
        let found = change_points(&values, &options);
        let mut last = 0;
        for change in &found {
            prop_assert!(change.index >= last + min_segment);
            prop_assert!(change.p_value > 0.0 && change.p_value <= 0.2 && change.statistic > 0.0);
            last = change.index;
        }
        prop_assert!(found.is_empty() || last + min_segment <= values.len());
    }
}
