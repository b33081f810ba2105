//! Tests that do not do the same every time.

use super::{Answer, Groups, Scope, Times, descending, failed, took};
use crate::profiling::store::StoreError;
use crate::profiling::store::reader::{self, EventReader};

/// A test that passes and fails, or takes longer and shorter.
#[derive(Clone, Debug, PartialEq)]
pub struct FlakyTest {
    /// Which test.
    pub test_id: String,
    /// In how many runs it passed or failed.
    pub runs: u64,
    /// In how many of them it failed.
    pub failed: u64,
    /// How often it failed after it had passed, or the other way round.
    pub flips: u64,
    /// In how many runs it needed more than one attempt, or its report calls it flaky.
    pub retried: u64,
    /// How long it took.
    pub time: Times,
}

/// The tests that flip, then those that were retried, then those with unsteady durations.
///
/// A test is in the answer when it flipped, was retried, or has at least [`FEW`](super::FEW)
/// durations with a coefficient of variation of [`UNSTEADY`] or more. The order is that of flips and
/// retries together, then of the coefficient of variation.
///
/// # Errors
///
/// [`StoreError`] of the reader.
pub fn flaky(reader: &mut dyn EventReader, scope: &Scope) -> Result<Answer<FlakyTest>, StoreError> {
    let mut groups = Groups::new(|test_id, group: Group| group.end(test_id, scope));
    reader.tests(&scope.filter, reader::Groups::Tests, &mut |end| {
        let took = took(&end);
        let group = groups.group(end.test_id);
        group.retried += u64::from(end.retried);
        group.durations.extend(took);
        if let Some(failed) = failed(end.status) {
            group.runs += 1;
            group.failed += u64::from(failed);
            group.flips += u64::from(group.last.is_some_and(|last| last != failed));
            group.last = Some(failed);
        }
    })?;
    Ok(Answer::of(groups.end(), scope.limit, |one, other| {
        let unsure = |test: &FlakyTest| test.flips + test.retried;
        unsure(other)
            .cmp(&unsure(one))
            .then_with(|| descending(one.time.variation, other.time.variation))
            .then_with(|| one.test_id.cmp(&other.test_id))
    }))
}

#[derive(Debug, Default)]
struct Group {
    runs: u64,
    failed: u64,
    flips: u64,
    retried: u64,
    /// Whether it failed the last time.
    last: Option<bool>,
    durations: Vec<f64>,
}

impl Group {
    fn end(self, test_id: String, scope: &Scope) -> Option<FlakyTest> {
        let time = Times::of(self.durations, scope.recent);
        let enough = usize::try_from(time.measured).is_ok_and(|measured| measured >= super::FEW);
        let unsteady = enough && time.variation.is_some_and(|variation| variation >= UNSTEADY);
        (self.flips > 0 || self.retried > 0 || unsteady).then_some(FlakyTest {
            test_id,
            runs: self.runs,
            failed: self.failed,
            flips: self.flips,
            retried: self.retried,
            time,
        })
    }
}

/// The coefficient of variation from which durations are called unsteady: the deviation is half the mean.
pub const UNSTEADY: f64 = 0.5;
