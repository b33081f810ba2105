//! Which of the recent calls failed or were slow.
//!
//! Both forms slide: an old failure leaves when its call or its bucket does, so that ten thousand
//! good calls never outweigh the present.

use core::num::NonZeroU64;
use core::time::Duration;

use super::WindowKind;
use crate::snapshot::{RestoreError, since};
use crate::time::{Instant, nanos};

/// Counts over a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Counts {
    /// Calls in the window.
    pub calls: u32,
    /// Of these, failed.
    pub failed: u32,
    /// Of these, slow, whether they failed or not.
    pub slow: u32,
}

/// A window's content as a value: see [`crate::snapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum WindowSnapshot {
    /// The last calls, a bit each.
    Calls {
        /// Which of them failed.
        failed: [u64; 2],
        /// Which of them were slow.
        slow: [u64; 2],
        /// How many there are.
        calls: u8,
        /// The bit the next one takes.
        next: u8,
    },
    /// The calls of the last span, by bucket.
    Time {
        /// The buckets.
        buckets: [Counts; BUCKETS],
        /// The one that is being filled.
        current: u8,
        /// For how long.
        filled_for: Duration,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Window {
    Calls(CallWindow),
    Time(TimeWindow),
}

impl Window {
    pub(super) const fn new(kind: WindowKind, now: Instant) -> Self {
        match kind {
            WindowKind::Calls(size) => Self::Calls(CallWindow::new(size)),
            WindowKind::Time(span) => Self::Time(TimeWindow::new(span, now)),
        }
    }

    pub(super) fn record(&mut self, now: Instant, failed: bool, slow: bool) {
        match self {
            Self::Calls(window) => window.record(failed, slow),
            Self::Time(window) => window.record(now, failed, slow),
        }
    }

    pub(super) const fn counts(&self) -> Counts {
        match self {
            Self::Calls(window) => window.counts,
            Self::Time(window) => window.total,
        }
    }

    pub(super) fn snapshot(&mut self, now: Instant) -> WindowSnapshot {
        if let Self::Time(window) = self {
            window.advance(now);
        }
        match self {
            Self::Calls(window) => WindowSnapshot::Calls {
                failed: window.failed,
                slow: window.slow,
                // At most 128.
                calls: u8::try_from(window.counts.calls).unwrap_or(u8::MAX),
                next: window.next,
            },
            Self::Time(window) => WindowSnapshot::Time {
                buckets: window.buckets,
                current: window.current,
                filled_for: since(window.started, now),
            },
        }
    }

    pub(super) fn restore(
        kind: WindowKind,
        from: &WindowSnapshot,
        now: Instant,
    ) -> Result<Self, RestoreError> {
        match (kind, *from) {
            (
                WindowKind::Calls(size),
                WindowSnapshot::Calls {
                    failed,
                    slow,
                    calls,
                    next,
                },
            ) => {
                RestoreError::unless(calls <= size, "calls", calls.into(), "at most the window")?;
                let place = next < size && (calls == size || next == calls);
                RestoreError::unless(place, "next", next.into(), "the place after the last call")?;
                let unused =
                    |words: [u64; 2]| words.map(u64::count_ones) == used(words, calls).map(u64::count_ones);
                RestoreError::unless(unused(failed), "failed", failed[1], "no bits beyond the calls")?;
                RestoreError::unless(unused(slow), "slow", slow[1], "no bits beyond the calls")?;
                let ones = |words: [u64; 2]| words[0].count_ones() + words[1].count_ones();
                let counts = Counts {
                    calls: calls.into(),
                    failed: ones(failed),
                    slow: ones(slow),
                };
                Ok(Self::Calls(CallWindow {
                    failed,
                    slow,
                    counts,
                    size,
                    next,
                }))
            }
            (
                WindowKind::Time(span),
                WindowSnapshot::Time {
                    buckets,
                    current,
                    filled_for,
                },
            ) => {
                let there = usize::from(current) < BUCKETS;
                RestoreError::unless(there, "current", current.into(), "below 10")?;
                let mut window = TimeWindow::new(span, now.saturating_sub(filled_for));
                for bucket in &buckets {
                    let possible = bucket.failed <= bucket.calls && bucket.slow <= bucket.calls;
                    RestoreError::unless(
                        possible,
                        "buckets",
                        bucket.calls.into(),
                        "no fewer calls than failures",
                    )?;
                    window.total.calls = window.total.calls.saturating_add(bucket.calls);
                    window.total.failed = window.total.failed.saturating_add(bucket.failed);
                    window.total.slow = window.total.slow.saturating_add(bucket.slow);
                }
                Ok(Self::Time(TimeWindow {
                    buckets,
                    current,
                    ..window
                }))
            }
            (WindowKind::Calls(_), WindowSnapshot::Time { .. })
            | (WindowKind::Time(_), WindowSnapshot::Calls { .. }) => {
                RestoreError::unless(false, "window", 0, "a window of the configured kind")
                    .map(|()| Self::new(kind, now))
            }
        }
    }

    /// The clock stepped back.
    pub(super) const fn rebase(&mut self, step: Duration) {
        if let Self::Time(window) = self {
            window.started = window.started.saturating_sub(step);
        }
    }
}

/// The last `size` calls, a bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct CallWindow {
    failed: [u64; 2],
    slow: [u64; 2],
    counts: Counts,
    size: u8,
    next: u8,
}

impl CallWindow {
    const fn new(size: u8) -> Self {
        Self {
            failed: [0; 2],
            slow: [0; 2],
            counts: Counts {
                calls: 0,
                failed: 0,
                slow: 0,
            },
            size,
            next: 0,
        }
    }

    /// A call that neither failed nor was slow.
    #[inline]
    pub(super) fn record_good(&mut self) {
        if self.counts.failed | self.counts.slow != 0 {
            return self.record(false, false);
        }
        // Every bit is clear, and stays so.
        if self.counts.calls < u32::from(self.size) {
            self.counts.calls += 1;
        }
        self.next = if self.next + 1 >= self.size {
            0
        } else {
            self.next + 1
        };
    }

    fn record(&mut self, failed: bool, slow: bool) {
        if self.counts.calls < u32::from(self.size) {
            self.counts.calls += 1;
        }
        let next = self.next;
        replace(&mut self.failed, next, failed, &mut self.counts.failed);
        replace(&mut self.slow, next, slow, &mut self.counts.slow);
        self.next = if next + 1 >= self.size { 0 } else { next + 1 };
    }
}

/// The bits of the first so many calls.
const fn used(words: [u64; 2], calls: u8) -> [u64; 2] {
    const fn low(word: u64, bits: u32) -> u64 {
        match 1_u64.checked_shl(bits) {
            Some(limit) => word & (limit - 1),
            None => word,
        }
    }
    [
        low(words[0], calls as u32),
        if calls > 64 {
            low(words[1], calls as u32 - 64)
        } else {
            0
        },
    ]
}

/// Writes a bit over the oldest one and keeps the number of set bits.
fn replace(words: &mut [u64; 2], at: u8, bit: bool, ones: &mut u32) {
    let word = &mut words[usize::from(at >> 6) & 1];
    let mask = 1_u64 << (at & 63);
    *ones = *ones - u32::from(*word & mask != 0) + u32::from(bit);
    *word = if bit { *word | mask } else { *word & !mask };
}

const BUCKETS: usize = 10;

/// The calls of the last span, in ten buckets with a running total.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct TimeWindow {
    buckets: [Counts; BUCKETS],
    total: Counts,
    current: u8,
    /// When the current bucket began.
    started: Instant,
    /// Width of a bucket in nanoseconds, at least a millisecond. In its type, so that firmware links
    /// no panic for a division by zero.
    width: NonZeroU64,
}

impl TimeWindow {
    const fn new(span: Duration, now: Instant) -> Self {
        const EMPTY: Counts = Counts {
            calls: 0,
            failed: 0,
            slow: 0,
        };
        Self {
            buckets: [EMPTY; BUCKETS],
            total: EMPTY,
            current: 0,
            started: now,
            width: match NonZeroU64::new(nanos(span) / BUCKETS as u64) {
                Some(width) => width,
                // The configuration's check refuses so short a span.
                None => NonZeroU64::MIN,
            },
        }
    }

    fn record(&mut self, now: Instant, failed: bool, slow: bool) {
        self.advance(now);
        let bucket = &mut self.buckets[usize::from(self.current) % BUCKETS];
        for counts in [bucket, &mut self.total] {
            counts.calls = counts.calls.saturating_add(1);
            counts.failed = counts.failed.saturating_add(u32::from(failed));
            counts.slow = counts.slow.saturating_add(u32::from(slow));
        }
    }

    /// Leaves the buckets that are older than the span.
    fn advance(&mut self, now: Instant) {
        let elapsed = nanos(now.saturating_duration_since(self.started));
        let passed = elapsed / self.width;
        if passed == 0 {
            return;
        }
        for _ in 0..passed.min(BUCKETS as u64) {
            self.current = if usize::from(self.current) + 1 == BUCKETS {
                0
            } else {
                self.current + 1
            };
            let old = core::mem::take(&mut self.buckets[usize::from(self.current) % BUCKETS]);
            self.total.calls = self.total.calls.saturating_sub(old.calls);
            self.total.failed = self.total.failed.saturating_sub(old.failed);
            self.total.slow = self.total.slow.saturating_sub(old.slow);
        }
        self.started = now.saturating_sub(Duration::from_nanos(elapsed % self.width));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_window_forgets_what_is_older_than_its_size() {
        let mut window = Window::new(WindowKind::Calls(3), Instant::ZERO);
        for failed in [true, true, false, false] {
            window.record(Instant::ZERO, failed, false);
        }
        assert_eq!(
            window.counts(),
            Counts {
                calls: 3,
                failed: 1,
                slow: 0
            }
        );
        window.record(Instant::ZERO, false, true);
        assert_eq!(
            window.counts(),
            Counts {
                calls: 3,
                failed: 0,
                slow: 1
            }
        );
    }

    #[test]
    fn a_time_window_forgets_bucket_by_bucket() {
        let at = |ms: u64| Instant::from_nanos(ms * 1_000_000);
        let mut window = Window::new(WindowKind::Time(Duration::from_secs(1)), at(0));
        window.record(at(0), true, false);
        window.record(at(950), true, false);
        assert_eq!(window.counts().failed, 2);
        window.record(at(1_000), false, false);
        assert_eq!(
            window.counts(),
            Counts {
                calls: 2,
                failed: 1,
                slow: 0
            }
        );
        window.record(at(60_000), false, false);
        assert_eq!(
            window.counts(),
            Counts {
                calls: 1,
                failed: 0,
                slow: 0
            }
        );
    }
}
