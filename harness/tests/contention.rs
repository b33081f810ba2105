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

/// A line of the published table.
struct Published {
    clients: u32,
    curve: &'static str,
    writes: Estimate,
    ms: Estimate,
}

/// `fixtures/scenarios/contention/published.csv`.
fn published() -> Vec<Published> {
    let table = text("contention/published.csv");
    let lines = table.lines().filter(|line| !line.starts_with('#')).skip(1);
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let [clients, curve, writes, writes_error, ms, ms_error] = cells[..] else {
                panic!("six cells: {line}");
            };
            let number = |cell: &str| {
                cell.parse::<f64>()
                    .unwrap_or_else(|error| panic!("{error}: {line}"))
            };
            let estimate = |mean, error| Estimate {
                mean: number(mean),
                error: number(error),
            };
            Published {
                clients: clients.parse().expect("a count"),
                curve: CURVES
                    .into_iter()
                    .find(|name| *name == curve)
                    .expect("a curve of ours"),
                writes: estimate(writes, writes_error),
                ms: estimate(ms, ms_error),
            }
        })
        .collect()
}

/// Compares so many clients, each with so many seeds, with the table: no cell differs by more than four
/// standard errors of the difference.
fn compare(sizes: &[(u32, u64)]) {
    let mut table = String::new();
    let mut off = Vec::new();
    let mut cells = 0_u32;
    let (mut squares, published) = (0.0, published());
    for &(clients, seeds) in sizes {
        for cell in published.iter().filter(|cell| cell.clients == clients) {
            let (writes, ms) = measure(cell.curve, clients, seeds);
            for (what, found, wanted) in [("writes", writes, cell.writes), ("ms", ms, cell.ms)] {
                let errors = (found.mean - wanted.mean) / found.error.hypot(wanted.error);
                let line = format!(
                    "N {clients:>3}, {:<12} {:>8.1} {what:<6} for {:>8.1}, {errors:+.1} standard errors, seeds 1 to {seeds}",
                    cell.curve, found.mean, wanted.mean
                );
                let _ = writeln!(table, "{line}");
                cells += 1;
                squares += errors * errors;
                if errors.abs() > 4.0 {
                    off.push(line);
                }
            }
        }
    }
    assert_eq!(cells as usize, sizes.len() * CURVES.len() * 2, "{table}");
    assert!(off.is_empty(), "{off:#?} of\n{table}");
    // Nor do all of them together: the mean square of so many differences would be about one.
    let mean_square = squares / f64::from(cells);
    let spread = (2.0 / f64::from(cells)).sqrt();
    assert!(
        mean_square < 1.0 + 5.0 * spread,
        "mean square {mean_square:.2} of\n{table}"
    );
}

#[test]
fn the_published_table_within_its_standard_error() {
    compare(&[(10, 60), (20, 30), (50, 12), (100, 8)]);
}

/// Half a million calls with their retries: `./check --slow`.
#[test]
#[ignore = "minutes where the compiler does not optimise"]
fn the_whole_published_table_within_its_standard_error() {
    let sizes: Vec<(u32, u64)> = (1..=20).map(|tens| (10 * tens, 40)).collect();
    compare(&sizes);
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
