//! Backoff and jitter under optimistic concurrency control, beside the numbers of the simulation
//! that made jitter popular: Brooker, *Exponential Backoff and Jitter*, AWS Architecture Blog 2015
//! (`aws-samples/aws-arch-backoff-simulator`).

#[path = "support/scenario.rs"]
mod scenario;

use std::fmt::Write as _;

use scenario::{as_f64, load, run, text, with};

const CURVES: [&str; 5] = ["none", "exponential", "equal", "full", "decorrelated"];

/// Mean and standard error.
#[derive(Clone, Copy, Debug)]
struct Estimate {
    mean: f64,
    error: f64,
}

impl Estimate {
    fn of(samples: &[f64]) -> Self {
        let count = as_f64(samples.len() as u64);
        let mean = samples.iter().sum::<f64>() / count;
        let square = |sample: &f64| (sample - mean).powi(2);
        let variance = samples.iter().map(square).sum::<f64>() / (count - 1.0);
        Self {
            mean,
            error: (variance / count).sqrt(),
        }
    }

    /// Surely less: by more than two standard errors of the difference.
    fn is_below(self, other: Self) -> bool {
        other.mean - self.mean > 2.0 * self.error.hypot(other.error)
    }
}

/// Writes that reached the row, and milliseconds until the last client was done, for seeds 1 to
/// `seeds`.
fn measure(curve: &str, clients: u32, seeds: u64) -> (Estimate, Estimate) {
    let text = text(&format!("contention/{curve}.yml"));
    let text = with(&text, "count: 100", &format!("count: {clients}"));
    let scenario = load(&with(&text, "duration: 300s", "duration: 1000s"));
    let results = (1..=seeds).map(|seed| {
        let result = run(&scenario, seed);
        assert_eq!(result.calls.succeeded, u64::from(clients), "{curve}, seed {seed}");
        let last = result.latency_ms.expect("they succeeded").max;
        (as_f64(result.dependencies["row"].served), last)
    });
    let (calls, times): (Vec<f64>, Vec<f64>) = results.unzip();
    (Estimate::of(&calls), Estimate::of(&times))
}

/// Means of many runs of the published simulator.
struct Published {
    clients: u32,
    /// How many seeds to compare with it.
    seeds: u64,
    /// Writes and milliseconds, in the order of `CURVES`.
    cells: [(f64, f64); 5],
}

const PUBLISHED: [Published; 2] = [
    Published {
        clients: 10,
        seeds: 200,
        cells: [
            (51.0, 381.0),
            (50.7, 3_429.0),
            (42.4, 731.0),
            (39.1, 466.0),
            (37.8, 435.0),
        ],
    },
    Published {
        clients: 100,
        seeds: 12,
        cells: [
            (2_423.0, 2_027.0),
            (1_856.0, 63_505.0),
            (812.0, 6_608.0),
            (796.0, 4_900.0),
            (1_002.0, 4_621.0),
        ],
    },
];

#[test]
fn the_published_table_within_its_standard_error() {
    let mut table = String::new();
    let mut off = Vec::new();
    for Published {
        clients,
        seeds,
        cells,
    } in PUBLISHED
    {
        for (curve, (calls, time)) in CURVES.into_iter().zip(cells) {
            let (found_calls, found_time) = measure(curve, clients, seeds);
            for (what, found, wanted, digit) in [
                ("writes", found_calls, calls, 0.05),
                ("ms", found_time, time, 0.5),
            ] {
                let errors = (found.mean - wanted) / found.error;
                let line = format!(
                    "N {clients}, {curve}: {:.1} {what} for {wanted}, {errors:+.1} standard errors, seeds 1 to {seeds}",
                    found.mean
                );
                let _ = writeln!(table, "{line}");
                // The published number is rounded.
                if (found.mean - wanted).abs() > 4.0 * found.error + digit {
                    off.push(line);
                }
            }
        }
    }
    assert!(off.is_empty(), "{off:#?} of\n{table}");
}

/// What the article draws as curves, at points far enough from where they cross.
#[test]
fn which_curve_is_below_which() {
    for (clients, seeds) in [(40, 24), (100, 10)] {
        let [none, exponential, equal, full, decorrelated] =
            CURVES.map(|curve| measure(curve, clients, seeds));
        let below = [
            ("exponential asks less than none", exponential.0, none.0),
            ("full asks less than exponential", full.0, exponential.0),
            ("full asks less than decorrelated", full.0, decorrelated.0),
            ("none ends before full", none.1, full.1),
            ("full ends before equal", full.1, equal.1),
            ("equal ends before exponential", equal.1, exponential.1),
        ];
        for (claim, less, more) in below {
            assert!(less.is_below(more), "N {clients}, {claim}: {less:?} and {more:?}");
        }
    }
}
