//! What the names in promises stand for.

use serde_json::Value;

use super::ReplayResult;
use super::counts::{as_f64, ratio};
use crate::expect::Name;
use crate::tally::Series;

impl ReplayResult {
    /// The value of a name; `numbers` is the result as JSON.
    pub(super) fn value(&self, numbers: &Value, name: &Name) -> Option<f64> {
        if let Some((from, to)) = name.window {
            return self.within(&name.path, from, to);
        }
        match name.path.as_str() {
            "seeds.recovered" => self.share_of_seeds(|outcomes| outcomes.recovered),
            "seeds.slow" => self.share_of_seeds(|outcomes| outcomes.slow),
            "seeds.never" => self.share_of_seeds(|outcomes| outcomes.never),
            path => path.split('.').try_fold(numbers, |at, key| at.get(key))?.as_f64(),
        }
    }

    fn share_of_seeds(&self, of: fn(&super::Outcomes) -> usize) -> Option<f64> {
        let seeds = self.seeds.as_ref()?;
        let count = |runs: usize| u64::try_from(runs).ok();
        ratio(count(of(seeds.outcomes.as_ref()?))?, count(seeds.runs)?)
    }

    /// The value over some seconds of the run.
    fn within(&self, path: &str, from: u64, to: u64) -> Option<f64> {
        let (series, field): (Option<&Series>, &str) = if let Some(field) = path.strip_prefix("control.") {
            (Some(&self.control.as_ref()?.series), field)
        } else if let Some((client, field)) = path
            .strip_prefix("clients.")
            .and_then(|rest| rest.rsplit_once('.'))
        {
            (self.clients.get(client).map(|client| &client.series), field)
        } else {
            (None, path)
        };
        let of = |all: &[u64], own: fn(&Series) -> &Vec<u64>| {
            let buckets = series.map_or(all, |series| own(series));
            let range = usize::try_from(from).ok()?..usize::try_from(to).ok()?;
            Some(buckets.get(range)?.iter().sum::<u64>())
        };
        let offered = of(&self.series.offered, |series| &series.offered)?;
        let succeeded = of(&self.series.succeeded, |series| &series.succeeded)?;
        let attempts = of(&self.series.attempts, |series| &series.attempts)?;
        match field {
            "offered" => Some(as_f64(offered)),
            "succeeded" => Some(as_f64(succeeded)),
            "attempts" => Some(as_f64(attempts)),
            "goodput" => ratio(succeeded, offered),
            "amplification" => ratio(attempts, offered),
            _ => None,
        }
    }
}
