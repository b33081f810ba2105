//! Which of the recent calls failed or were slow.
//!
//! Both forms slide: an old failure leaves when its call or its bucket does, so that ten thousand
//! good calls never outweigh the present.
//!
//! Good results need not be written at once: a circuit counts those since the last other one, and
//! [`Window::pass`] slides over them.

use core::num::NonZeroU64;
use core::time::Duration;

use super::BreakerRules;
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

impl Counts {
    pub(super) const NONE: Self = Self {
        calls: 0,
        failed: 0,
        slow: 0,
    };

    fn add(&mut self, more: Self) {
        self.calls = self.calls.saturating_add(more.calls);
        self.failed = self.failed.saturating_add(more.failed);
        self.slow = self.slow.saturating_add(more.slow);
    }

    fn take_off(&mut self, old: Self) {
        self.calls = self.calls.saturating_sub(old.calls);
        self.failed = self.failed.saturating_sub(old.failed);
        self.slow = self.slow.saturating_sub(old.slow);
    }
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

/// What a circuit keeps of a window: four words and two bytes. The buckets of a window of time are
/// in its annex.
pub(super) type Packed = ([u64; 4], u8, u8);

/// A window, unpacked for as long as it is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Window {
    Calls(CallWindow),
    Time(TimeWindow),
}

impl Window {
    pub(super) const fn new(rules: &BreakerRules, now: Instant) -> Self {
        match rules.bucket {
            None => Self::Calls(CallWindow {
                failed: 0,
                slow: 0,
                calls: 0,
                next: 0,
                size: rules.size,
            }),
            Some(width) => Self::Time(TimeWindow {
                started: now,
                total: Counts::NONE,
                current: 0,
                width,
            }),
        }
    }

    pub(super) const fn load(rules: &BreakerRules, packed: Packed) -> Self {
        let ([a, b, c, d], calls, next) = packed;
        match rules.bucket {
            None => Self::Calls(CallWindow {
                failed: bits([a, b]),
                slow: bits([c, d]),
                calls,
                next,
                size: rules.size,
            }),
            Some(width) => Self::Time(TimeWindow {
                started: Instant::from_nanos(a),
                total: Counts {
                    calls: (b & 0xFFFF_FFFF) as u32,
                    failed: (b >> 32) as u32,
                    slow: (c & 0xFFFF_FFFF) as u32,
                },
                current: next,
                width,
            }),
        }
    }

    pub(super) const fn store(&self) -> Packed {
        match self {
            Self::Calls(window) => {
                let ([a, b], [c, d]) = (words(window.failed), words(window.slow));
                ([a, b, c, d], window.calls, window.next)
            }
            Self::Time(window) => {
                let Counts { calls, failed, slow } = window.total;
                let words = [
                    window.started.as_nanos(),
                    calls as u64 | (failed as u64) << 32,
                    slow as u64,
                    0,
                ];
                (words, 0, window.current)
            }
        }
    }

    /// So many good results since the last change.
    pub(super) fn pass(&mut self, buckets: &mut [Counts], good: u16) {
        if good == 0 {
            return;
        }
        match self {
            Self::Calls(window) => window.pass(good),
            Self::Time(window) => {
                let good = Counts {
                    calls: good.into(),
                    ..Counts::NONE
                };
                window.add(buckets, good);
            }
        }
    }

    pub(super) fn record(&mut self, buckets: &mut [Counts], now: Instant, failed: bool, slow: bool) {
        match self {
            Self::Calls(window) => window.record(failed, slow),
            Self::Time(window) => {
                window.advance(buckets, now);
                let call = Counts {
                    calls: 1,
                    failed: failed.into(),
                    slow: slow.into(),
                };
                window.add(buckets, call);
            }
        }
    }

    pub(super) const fn counts(&self) -> Counts {
        match self {
            Self::Calls(window) => Counts {
                calls: window.calls as u32,
                failed: window.failed.count_ones(),
                slow: window.slow.count_ones(),
            },
            Self::Time(window) => window.total,
        }
    }

    pub(super) fn snapshot(mut self, buckets: &mut [Counts], now: Instant) -> WindowSnapshot {
        if let Self::Time(window) = &mut self {
            window.advance(buckets, now);
        }
        match self {
            Self::Calls(window) => WindowSnapshot::Calls {
                failed: words(window.failed),
                slow: words(window.slow),
                calls: window.calls,
                next: window.next,
            },
            Self::Time(window) => {
                let mut copy = [Counts::NONE; BUCKETS];
                for (copy, bucket) in copy.iter_mut().zip(buckets) {
                    *copy = *bucket;
                }
                WindowSnapshot::Time {
                    buckets: copy,
                    current: window.current,
                    filled_for: since(window.started, now),
                }
            }
        }
    }

    pub(super) fn restore(
        rules: &BreakerRules,
        from: &WindowSnapshot,
        buckets: &mut [Counts],
        now: Instant,
    ) -> Result<Self, RestoreError> {
        match (Self::new(rules, now), *from) {
            (
                Self::Calls(mut window),
                WindowSnapshot::Calls {
                    failed,
                    slow,
                    calls,
                    next,
                },
            ) => {
                let size = rules.size;
                RestoreError::unless(calls <= size, "calls", calls.into(), "at most the window")?;
                let place = next < size && (calls == size || next == calls);
                RestoreError::unless(place, "next", next.into(), "the place after the last call")?;
                let beyond = |words| bits(words) & !ones(calls) == 0;
                RestoreError::unless(beyond(failed), "failed", failed[1], "no bits beyond the calls")?;
                RestoreError::unless(beyond(slow), "slow", slow[1], "no bits beyond the calls")?;
                (window.failed, window.slow) = (bits(failed), bits(slow));
                (window.calls, window.next) = (calls, next);
                Ok(Self::Calls(window))
            }
            (
                Self::Time(mut window),
                WindowSnapshot::Time {
                    buckets: taken,
                    current,
                    filled_for,
                },
            ) => {
                let there = usize::from(current) < BUCKETS;
                RestoreError::unless(there, "current", current.into(), "below 10")?;
                for (bucket, taken) in buckets.iter_mut().zip(taken) {
                    let possible = taken.failed <= taken.calls && taken.slow <= taken.calls;
                    RestoreError::unless(
                        possible,
                        "buckets",
                        taken.calls.into(),
                        "no fewer calls than failures",
                    )?;
                    window.total.add(taken);
                    *bucket = taken;
                }
                window.started = now.saturating_sub(filled_for);
                window.current = current;
                Ok(Self::Time(window))
            }
            (Self::Calls(_), WindowSnapshot::Time { .. }) | (Self::Time(_), WindowSnapshot::Calls { .. }) => {
                RestoreError::unless(false, "window", 0, "a window of the configured kind")
                    .map(|()| Self::new(rules, now))
            }
        }
    }
}

/// The last `size` calls, a bit each; the oldest is overwritten first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CallWindow {
    failed: u128,
    slow: u128,
    calls: u8,
    next: u8,
    size: u8,
}

impl CallWindow {
    fn record(&mut self, failed: bool, slow: bool) {
        let place = 1 << (self.next & 127);
        self.failed = if failed {
            self.failed | place
        } else {
            self.failed & !place
        };
        self.slow = if slow {
            self.slow | place
        } else {
            self.slow & !place
        };
        self.calls = self.calls.saturating_add(1).min(self.size);
        self.next = if self.next.saturating_add(1) >= self.size {
            0
        } else {
            self.next + 1
        };
    }

    /// Clears the bits of so many calls, from the oldest on, around the end.
    fn pass(&mut self, good: u16) {
        let good = u8::try_from(good).unwrap_or(u8::MAX).min(self.size);
        let to_end = good.min(self.size.saturating_sub(self.next));
        let around = good - to_end;
        let kept = !(ones(to_end) << (self.next & 127)) & !ones(around);
        self.failed &= kept;
        self.slow &= kept;
        self.calls = self.calls.saturating_add(good).min(self.size);
        self.next = if self.next.saturating_add(to_end) >= self.size {
            around
        } else {
            self.next.saturating_add(to_end)
        };
        // A window that is good all round has no oldest call.
        if good == self.size {
            self.next = 0;
        }
    }
}

const fn bits([low, high]: [u64; 2]) -> u128 {
    low as u128 | (high as u128) << 64
}

const fn words(bits: u128) -> [u64; 2] {
    [(bits << 64 >> 64) as u64, (bits >> 64) as u64]
}

/// The lowest so many bits.
const fn ones(count: u8) -> u128 {
    match 1_u128.checked_shl(count as u32) {
        Some(limit) => limit - 1,
        None => u128::MAX,
    }
}

pub(super) const BUCKETS: usize = 10;

/// The calls of the last span, in ten buckets with a running total.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TimeWindow {
    /// When the current bucket began.
    started: Instant,
    total: Counts,
    current: u8,
    width: NonZeroU64,
}

impl TimeWindow {
    fn add(&mut self, buckets: &mut [Counts], more: Counts) {
        if let Some(bucket) = buckets.get_mut(usize::from(self.current)) {
            bucket.add(more);
        }
        self.total.add(more);
    }

    /// Leaves the buckets that are older than the span.
    fn advance(&mut self, buckets: &mut [Counts], now: Instant) {
        let elapsed = nanos(now.saturating_duration_since(self.started));
        let passed = elapsed / self.width;
        if passed == 0 {
            return;
        }
        for _ in 0..passed.min(BUCKETS as u64) {
            self.current = if usize::from(self.current) + 1 >= BUCKETS {
                0
            } else {
                self.current + 1
            };
            if let Some(bucket) = buckets.get_mut(usize::from(self.current)) {
                self.total.take_off(core::mem::take(bucket));
            }
        }
        self.started = now.saturating_sub(Duration::from_nanos(elapsed % self.width));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::{BreakerConfig, WindowKind};

    fn rules(window: WindowKind) -> BreakerRules {
        BreakerRules::new(BreakerConfig {
            window,
            min_calls: 1,
            ..BreakerConfig::DEFAULT
        })
        .unwrap()
    }

    fn counts(calls: u32, failed: u32, slow: u32) -> Counts {
        Counts { calls, failed, slow }
    }

    #[test]
    fn a_call_window_forgets_what_is_older_than_its_size() {
        let mut window = Window::new(&rules(WindowKind::Calls(3)), Instant::ZERO);
        for failed in [true, true, false, false] {
            window.record(&mut [], Instant::ZERO, failed, false);
        }
        assert_eq!(window.counts(), counts(3, 1, 0));
        window.record(&mut [], Instant::ZERO, false, true);
        assert_eq!(window.counts(), counts(3, 0, 1));
    }

    /// Every size, every place, every number of good results: as if they had been recorded.
    #[test]
    fn passing_over_good_results_is_recording_them() {
        let (sizes, step): (&[u8], _) = if cfg!(miri) {
            (&[3, 65], 40)
        } else {
            (&[1, 2, 3, 63, 64, 65, 127, 128], 1)
        };
        for &size in sizes {
            let rules = rules(WindowKind::Calls(size));
            for before in (0..=2 * u16::from(size)).step_by(step) {
                let mut window = Window::new(&rules, Instant::ZERO);
                for call in 0..before {
                    window.record(&mut [], Instant::ZERO, call % 3 == 0, call % 5 == 0);
                }
                let mut recorded = window.clone();
                for good in 0..=u16::from(size) + 1 {
                    let mut passed = window.clone();
                    passed.pass(&mut [], good);
                    assert_eq!(passed.counts(), recorded.counts());
                    if good < size.into() {
                        assert_eq!(passed, recorded, "{good} after {before} of {size}");
                    }
                    recorded.record(&mut [], Instant::ZERO, false, false);
                }
            }
        }
    }

    #[test]
    fn a_time_window_forgets_bucket_by_bucket() {
        let at = |ms: u64| Instant::from_nanos(ms * 1_000_000);
        let rules = rules(WindowKind::Time(Duration::from_secs(1)));
        let mut buckets = [Counts::NONE; BUCKETS];
        let mut window = Window::new(&rules, at(0));
        window.record(&mut buckets, at(0), true, false);
        window.record(&mut buckets, at(950), true, false);
        assert_eq!(window.counts().failed, 2);
        window.record(&mut buckets, at(1_000), false, false);
        assert_eq!(window.counts(), counts(2, 1, 0));
        window.record(&mut buckets, at(60_000), false, false);
        assert_eq!(window.counts(), counts(1, 0, 0));
    }
}
