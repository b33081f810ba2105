//! What the stored events say: which tests and endpoints are slow, which tests are flaky, what failed.
//!
//! ```text
//!   EventReader ── rows, group by group ──▶ one answer per group ──▶ the worst first, so many of them
//! ```
//!
//! The arithmetic is here and not in the SQL of a store, so every store gives the same answer. What is
//! held in memory is the durations of one group, 8 bytes each, and one answer per test, endpoint or run.
//!
//! # Definitions
//! - **Duration** of a test: only where it was run. Many tools say 0 of a test that they skipped.
//! - **Percentile**: the nearest rank. The p-th percentile of n durations is the ⌈p·n/100⌉-th of them in
//!   ascending order: a duration that was measured, exact, never one in between. That is type 1 of
//!   Hyndman and Fan ("Sample Quantiles in Statistical Packages", 1996) and PostgreSQL's
//!   `percentile_disc`. The median is the 50th.
//! - **Coefficient of variation**: the sample standard deviation (divided by n - 1) over the mean.
//! - **Outlier**: a duration further than 1.5 interquartile ranges below the 25th or above the 75th
//!   percentile (Tukey, "Exploratory Data Analysis", 1977). Below [`FEW`] durations there are none.
//! - **Flip**: a run in which a test failed after one in which it passed, or the other way round, in the
//!   order of time. Runs in which it was skipped are not looked at.
//! - **Failed**: `failed`, `error` or `timeout`. A call failed with a status of 400 or above, or where
//!   its metadata says `failed`.
//!
//! ```
//! use crossbridge_std::profiling::query::{Scope, slow_tests};
//! use crossbridge_std::profiling::store::reader;
//! use crossbridge_std::profiling::{Event, EventStore, EventType, Millis, SqliteStore, StoreUrl};
//!
//! let directory = tempfile::tempdir()?;
//! let file = directory.path().join("events.db");
//! let mut batch = Vec::new();
//! for (id, millis) in [("a", 12.0), ("b", 250.125), ("c", 14.0)] {
//!     let mut event = Event::new(id, format!("run-{id}"), "test_cart", EventType::TestEnd);
//!     event.duration_ms = Some(Millis::new(millis)?);
//!     batch.push(event);
//! }
//! SqliteStore::open(&file, None)?.write(&batch, None)?;
//!
//! let mut reader = reader::open(&StoreUrl::Sqlite(file), std::time::Duration::from_secs(5))?;
//! let answer = slow_tests(reader.as_mut(), &Scope::default())?;
//! assert_eq!(answer.rows[0].test_id, "test_cart");
//! assert_eq!((answer.rows[0].time.median_ms, answer.rows[0].time.p90_ms), (Some(14.0), Some(250.125)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::cmp::Ordering;

use super::event::Status;
use super::store::reader::{Filter, TestEnd};

mod failed;
mod flaky;
mod slow;
mod statistics;

pub use failed::{FailingTest, Run, failures, runs};
pub use flaky::{FlakyTest, UNSTEADY, flaky};
pub use slow::{SlowEndpoint, SlowTest, slow_endpoints, slow_tests};
pub use statistics::{FEW, Times};

/// What is looked at, and how much of the answer is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Which events.
    pub filter: Filter,
    /// The most rows of an answer.
    pub limit: usize,
    /// The most durations in [`Times::recent`].
    pub recent: usize,
}

impl Default for Scope {
    /// Everything; 20 rows with the last 20 durations each.
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            limit: 20,
            recent: 20,
        }
    }
}

/// The worst of what was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<R> {
    /// The worst first, at most [`Scope::limit`].
    pub rows: Vec<R>,
    /// How many there are without the limit.
    pub of: usize,
}

impl<R> Answer<R> {
    /// The first rows in that order.
    fn of(mut rows: Vec<R>, limit: usize, order: impl FnMut(&R, &R) -> Ordering) -> Self {
        let of = rows.len();
        rows.sort_by(order);
        rows.truncate(limit);
        Self { rows, of }
    }
}

/// Rows that come group by group, each group made into an answer when it is complete.
struct Groups<K, G, R, F> {
    current: Option<(K, G)>,
    done: Vec<R>,
    finish: F,
}

impl<K: PartialEq, G: Default, R, F: FnMut(K, G) -> Option<R>> Groups<K, G, R, F> {
    /// `finish` makes a group into an answer, or leaves it out.
    const fn new(finish: F) -> Self {
        Self {
            current: None,
            done: Vec::new(),
            finish,
        }
    }

    /// The group the next row belongs to.
    fn group(&mut self, key: K) -> &mut G {
        if self.current.as_ref().is_some_and(|(of, _)| *of != key) {
            self.close();
        }
        &mut self.current.get_or_insert_with(|| (key, G::default())).1
    }

    fn close(&mut self) {
        if let Some((key, group)) = self.current.take() {
            self.done.extend((self.finish)(key, group));
        }
    }

    /// Every answer, in the order of the groups.
    fn end(mut self) -> Vec<R> {
        self.close();
        self.done
    }
}

/// Whether the test failed in that run; `None` where it was not run or nobody knows.
const fn failed(status: Status) -> Option<bool> {
    match status {
        Status::Passed | Status::Xfailed | Status::Xpassed => Some(false),
        Status::Failed | Status::Error | Status::Timeout => Some(true),
        Status::Skipped | Status::Unknown => None,
    }
}

/// How long a test took, where it was run and measured.
fn took(end: &TestEnd) -> Option<f64> {
    end.duration_ms.filter(|_| end.status != Status::Skipped)
}

/// The larger one first; what is not known comes last.
fn descending(one: Option<f64>, other: Option<f64>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => other.total_cmp(&one),
        (one, other) => other.is_some().cmp(&one.is_some()),
    }
}

#[cfg(test)]
mod tests;
