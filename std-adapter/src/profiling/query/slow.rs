//! The slowest tests and endpoints.

use super::{Answer, Groups, Scope, Times, descending, failed, took};
use crate::profiling::store::StoreError;
use crate::profiling::store::reader::{self, EventReader};

/// A test and how long it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct SlowTest {
    /// Which test.
    pub test_id: String,
    /// In how many runs it ended.
    pub runs: u64,
    /// In how many of them it failed.
    pub failed: u64,
    /// How long it took.
    pub time: Times,
}

/// The tests with the largest median; those that were never measured are left out.
///
/// # Errors
///
/// [`StoreError`] of the reader.
pub fn slow_tests(reader: &mut dyn EventReader, scope: &Scope) -> Result<Answer<SlowTest>, StoreError> {
    let mut groups = Groups::new(|test_id, group: Group| {
        let (runs, failed, time) = group.end(scope);
        (time.measured > 0).then_some(SlowTest {
            test_id,
            runs,
            failed,
            time,
        })
    });
    reader.tests(&scope.filter, reader::Groups::Tests, &mut |end| {
        let has_failed = failed(end.status) == Some(true);
        let took = took(&end);
        groups.group(end.test_id).add(has_failed, took);
    })?;
    Ok(Answer::of(groups.end(), scope.limit, |one, other| {
        descending(one.time.median_ms, other.time.median_ms).then_with(|| one.test_id.cmp(&other.test_id))
    }))
}

/// An endpoint and how long it takes to answer.
#[derive(Clone, Debug, PartialEq)]
pub struct SlowEndpoint {
    /// `GET`, `POST`, …; empty where it is not known.
    pub method: String,
    /// The path or URL; empty where it is not known.
    pub endpoint: String,
    /// How many calls there were.
    pub calls: u64,
    /// How many of them failed.
    pub errors: u64,
    /// How long they took.
    pub time: Times,
}

/// The endpoints with the largest median; those that were never measured are left out.
///
/// # Errors
///
/// [`StoreError`] of the reader.
pub fn slow_endpoints(
    reader: &mut dyn EventReader,
    scope: &Scope,
) -> Result<Answer<SlowEndpoint>, StoreError> {
    let mut groups = Groups::new(|(method, endpoint), group: Group| {
        let (calls, errors, time) = group.end(scope);
        (time.measured > 0).then_some(SlowEndpoint {
            method,
            endpoint,
            calls,
            errors,
            time,
        })
    });
    reader.calls(&scope.filter, &mut |call| {
        let group = groups.group((call.method, call.endpoint));
        group.add(call.failed, call.duration_ms);
    })?;
    Ok(Answer::of(groups.end(), scope.limit, |one, other| {
        descending(one.time.median_ms, other.time.median_ms)
            .then_with(|| (&one.endpoint, &one.method).cmp(&(&other.endpoint, &other.method)))
    }))
}

/// What has come of one test or endpoint.
#[derive(Debug, Default)]
struct Group {
    count: u64,
    failed: u64,
    durations: Vec<f64>,
}

impl Group {
    fn add(&mut self, failed: bool, duration: Option<f64>) {
        self.count += 1;
        self.failed += u64::from(failed);
        self.durations.extend(duration);
    }

    fn end(self, scope: &Scope) -> (u64, u64, Times) {
        (self.count, self.failed, Times::of(self.durations, scope.recent))
    }
}
