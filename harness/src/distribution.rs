//! How long things take, and when they come: random spans in whole nanoseconds.
//!
//! Logarithms and square roots come from `libm` and not from the system, whose last bit differs
//! between machines, and every result is rounded to a nanosecond at once: the same seed gives the
//! same spans everywhere.

use std::sync::Arc;

use crossbridge_core::draw::{SplitMix64, inclusive};

/// A distribution of spans. All parameters are in nanoseconds.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Always the same.
    Constant(u64),
    /// Anything between the two, bounds included.
    Uniform(u64, u64),
    /// Memoryless, with this mean.
    Exponential(f64),
    /// The logarithm is normal: `exp(mu + sigma * N)`.
    Lognormal {
        /// Logarithm of the median in nanoseconds.
        mu: f64,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
    /// The distance of a normal variable from zero: `|mean + sd * N|`.
    Normal {
        /// Its mean, before the sign is dropped.
        mean: f64,
        /// Its standard deviation.
        sd: f64,
    },
    /// A power law: beyond `min` the share that exceeds `x` is `(min / x)^shape`.
    Pareto {
        /// The shortest.
        min: f64,
        /// The smaller, the heavier the tail; the mean is finite above 1.
        shape: f64,
    },
    /// Any of these, each as likely as the others. Never empty.
    Trace(Arc<[u64]>),
}

/// The 99th percentile of the standard normal distribution.
const Z99: f64 = 2.326_347_874_040_841;

impl Distribution {
    /// The lognormal distribution with this median and 99th percentile, `median <= p99`.
    #[must_use]
    pub fn lognormal(median: u64, p99: u64) -> Self {
        let mu = libm::log(to_f64(median));
        Self::Lognormal {
            mu,
            sigma: (libm::log(to_f64(p99)) - mu) / Z99,
        }
    }

    /// The next span in nanoseconds. At most two draws.
    pub fn sample(&self, rng: &mut SplitMix64) -> u64 {
        match *self {
            Self::Constant(span) => span,
            Self::Uniform(low, high) => inclusive(low, high, rng),
            Self::Exponential(mean) => round(-libm::log(open_unit(rng)) * mean),
            Self::Lognormal { mu, sigma } => {
                let (radius, cosine) = normal(rng);
                round(libm::exp(mu + sigma * radius * cosine))
            }
            Self::Normal { mean, sd } => {
                let (radius, cosine) = normal(rng);
                round((mean + sd * radius * cosine).abs())
            }
            // The inverse of the distribution function; u^(-1/shape) by way of the logarithm.
            Self::Pareto { min, shape } => round(min * libm::exp(-libm::log(open_unit(rng)) / shape)),
            Self::Trace(ref spans) => {
                let last = u64::try_from(spans.len()).unwrap_or(u64::MAX).saturating_sub(1);
                let drawn = usize::try_from(inclusive(0, last, rng)).unwrap_or(0);
                spans.get(drawn).copied().unwrap_or(0)
            }
        }
    }
}

/// A standard normal variable as two factors. Box and Muller, 1958: one of the pair is enough.
fn normal(rng: &mut SplitMix64) -> (f64, f64) {
    let radius = libm::sqrt(-2.0 * libm::log(open_unit(rng)));
    let angle = core::f64::consts::TAU * open_unit(rng);
    (radius, libm::cos(angle))
}

/// A uniform number in `(0, 1]`, from the upper 53 bits of one draw.
fn open_unit(rng: &mut SplitMix64) -> f64 {
    to_f64((rng.next() >> 11) + 1) / 9_007_199_254_740_992.0
}

/// A count as a floating point number; exact below 2^53 (104 days in nanoseconds).
#[expect(clippy::cast_precision_loss)]
const fn to_f64(count: u64) -> f64 {
    count as f64
}

/// To the nearest nanosecond; what is beyond `u64` saturates.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn round(span: f64) -> u64 {
    libm::round(span) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::stream;

    const MS: u64 = 1_000_000;

    fn quantiles(distribution: &Distribution) -> (u64, u64, u64) {
        let mut rng = stream(1, "test", 0, "quantiles");
        let mut drawn: Vec<u64> = (0..100_000).map(|_| distribution.sample(&mut rng)).collect();
        drawn.sort_unstable();
        let mean = drawn.iter().sum::<u64>() / 100_000;
        (mean, drawn[50_000], drawn[99_000])
    }

    fn near(found: u64, wanted: u64) -> bool {
        found.abs_diff(wanted) * 100 <= wanted * 3
    }

    #[test]
    fn an_exponential_has_its_mean_and_quantiles() {
        let (mean, median, p99) = quantiles(&Distribution::Exponential(20e6));
        assert!(near(mean, 20 * MS), "{mean}");
        assert!(near(median, 13_862_943), "{median}"); // 20 ms * ln 2
        assert!(near(p99, 92_103_403), "{p99}"); // 20 ms * ln 100
    }

    #[test]
    fn a_lognormal_has_the_median_and_p99_it_was_given() {
        let (_, median, p99) = quantiles(&Distribution::lognormal(4 * MS, 30 * MS));
        assert!(near(median, 4 * MS), "{median}");
        assert!(near(p99, 30 * MS), "{p99}");
    }

    #[test]
    fn a_normal_has_its_mean_and_spread() {
        let (mean, median, p99) = quantiles(&Distribution::Normal { mean: 20e6, sd: 3e6 });
        assert!(near(mean, 20 * MS) && near(median, 20 * MS), "{mean}, {median}");
        assert!(near(p99, 26_979_044), "{p99}"); // 20 ms + 2.326 * 3 ms
        let (mean, ..) = quantiles(&Distribution::Normal { mean: 0.0, sd: 10e6 });
        assert!(near(mean, 7_978_846), "{mean}"); // 10 ms * sqrt(2 / pi): the sign is dropped
    }

    #[test]
    fn a_pareto_has_its_tail() {
        let (mean, median, p99) = quantiles(&Distribution::Pareto { min: 2e6, shape: 3.0 });
        assert!(near(mean, 3 * MS), "{mean}"); // 2 ms * 3 / (3 - 1)
        assert!(near(median, 2_519_842), "{median}"); // 2 ms * 2^(1/3)
        assert!(near(p99, 9_283_178), "{p99}"); // 2 ms * 100^(1/3)
    }

    #[test]
    fn a_trace_gives_what_is_in_it_and_each_as_often() {
        let (mean, median, p99) = quantiles(&Distribution::Trace([MS, 2 * MS, 9 * MS].into()));
        assert!(near(mean, 4 * MS), "{mean}");
        assert_eq!((median, p99), (2 * MS, 9 * MS));
    }

    #[test]
    fn a_uniform_stays_within_its_bounds() {
        let mut rng = stream(1, "test", 0, "uniform");
        let distribution = Distribution::Uniform(3, 5);
        assert!((0..1_000).all(|_| (3..=5).contains(&distribution.sample(&mut rng))));
    }

    /// Pinned: a change here changes every recorded trace.
    #[test]
    fn the_first_draws_are_the_same_everywhere() {
        let mut rng = stream(7, "postgres", 0, "service");
        let drawn: Vec<u64> = (0..3)
            .map(|_| Distribution::lognormal(4 * MS, 30 * MS).sample(&mut rng))
            .collect();
        assert_eq!(drawn, [4_945_518, 8_352_012, 3_065_029]);
    }
}
