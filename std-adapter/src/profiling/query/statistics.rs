//! Durations in numbers. The definitions are those of the [module above](super).

/// What a group of durations comes to; everything in milliseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Times {
    /// How many durations there are.
    pub measured: u64,
    /// The 50th percentile.
    pub median_ms: Option<f64>,
    /// The 90th percentile.
    pub p90_ms: Option<f64>,
    /// The longest.
    pub max_ms: Option<f64>,
    /// The coefficient of variation; from two durations on.
    pub variation: Option<f64>,
    /// How many of them are outliers.
    pub outliers: u64,
    /// The last durations, the oldest first.
    pub recent: Vec<f64>,
}

impl Times {
    /// Of durations in the order of time.
    pub(super) fn of(mut durations: Vec<f64>, recent: usize) -> Self {
        durations.retain(|duration| duration.is_finite());
        let last = durations[durations.len().saturating_sub(recent)..].to_vec();
        durations.sort_unstable_by(f64::total_cmp);
        Self {
            measured: u64::try_from(durations.len()).unwrap_or(u64::MAX),
            median_ms: percentile(&durations, 50),
            p90_ms: percentile(&durations, 90),
            max_ms: durations.last().copied(),
            variation: variation(&durations),
            outliers: outliers(&durations),
            recent: last,
        }
    }
}

/// The nearest rank of a sorted list.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// Standard deviation over mean, in two passes: no large sums of squares are subtracted.
fn variation(durations: &[f64]) -> Option<f64> {
    if durations.len() < 2 {
        return None;
    }
    let count = as_f64(durations.len());
    let mean = durations.iter().sum::<f64>() / count;
    let squares: f64 = durations.iter().map(|one| (one - mean) * (one - mean)).sum();
    (mean > 0.0).then(|| (squares / (count - 1.0)).sqrt() / mean)
}

/// How many lie outside Tukey's fences.
fn outliers(sorted: &[f64]) -> u64 {
    let (Some(low), Some(high)) = (percentile(sorted, 25), percentile(sorted, 75)) else {
        return 0;
    };
    if sorted.len() < FEW {
        return 0;
    }
    let reach = 1.5 * (high - low);
    let outside = |one: &&f64| **one < low - reach || **one > high + reach;
    u64::try_from(sorted.iter().filter(outside).count()).unwrap_or(u64::MAX)
}

/// Exact up to 2⁵³, which no memory holds.
#[expect(clippy::cast_precision_loss, reason = "a number of things in memory")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

/// Durations that it takes to speak of outliers and of unsteadiness.
pub const FEW: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_durations_that_were_measured() {
        // The example of the nearest-rank method on Wikipedia.
        let sorted = [15.0, 20.0, 35.0, 40.0, 50.0];
        let found = [5, 30, 40, 50, 100].map(|percent| percentile(&sorted, percent));
        assert_eq!(found, [15.0, 20.0, 20.0, 35.0, 50.0].map(Some));
        assert_eq!((percentile(&[], 50), percentile(&[7.0], 1)), (None, Some(7.0)));
    }

    #[test]
    fn a_definition_too_simple_to_be_wrong() {
        for length in 1_u16..40 {
            let sorted: Vec<f64> = (0..length).map(f64::from).collect();
            for percent in 1..=100 {
                // The smallest one that at least so many per cent do not exceed.
                let found = percentile(&sorted, percent).unwrap();
                let not_above = |limit: f64| sorted.iter().filter(|one| **one <= limit).count() * 100;
                assert!(not_above(found) >= percent * sorted.len());
                assert!(found == 0.0 || not_above(found - 1.0) < percent * sorted.len());
            }
        }
    }

    #[test]
    fn the_rest_by_hand() {
        let times = Times::of(vec![2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], 3);
        // Squares of the differences from 5: 32; over 7 and the mean.
        assert_eq!(times.variation, Some((32.0_f64 / 7.0).sqrt() / 5.0));
        assert_eq!(
            (times.measured, times.recent.as_slice()),
            (8, &[5.0, 7.0, 9.0][..])
        );
        // Quartiles 4 and 5, fences 2.5 and 6.5: 2, 7 and 9 are outside.
        assert_eq!(times.outliers, 3);
        assert_eq!(
            Times::of(vec![1.0, 1.0, 1.0, 99.0], 3).outliers,
            0,
            "too few to tell"
        );
        assert_eq!(Times::of(vec![0.0, 0.0], 3).variation, None, "no time at all");
        assert_eq!(Times::of(vec![f64::NAN], 3), Times::default());
    }
}
