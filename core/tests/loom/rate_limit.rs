//! Never above the quota, whoever asks when; what is given back is there again.

use core::time::Duration;

use crossbridge_core::rate_limit::{Answer, SharedRateLimiter};
use crossbridge_core::{Clock, Instant, Quota};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::{few_preemptions, together};

/// Nanoseconds between two permits.
const T: u64 = 1_000;

pub(crate) fn limiter(capacity: u32) -> SharedRateLimiter {
    let window = Duration::from_nanos(T * u64::from(capacity));
    let limiter = SharedRateLimiter::new(Quota::new(capacity, window).expect("a million a second"));
    assert_eq!(limiter.remaining(Instant::ZERO), capacity);
    limiter
}

const fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

/// Time that every reading moves on.
pub(crate) struct Ticking {
    now: AtomicU64,
    step: u64,
}

impl Ticking {
    pub(crate) fn new(now: u64, step: u64) -> Self {
        let now = AtomicU64::new(now);
        Self { now, step }
    }
}

impl Clock for Ticking {
    fn now(&self) -> Instant {
        at(self.now.fetch_add(self.step, SeqCst))
    }
}

/// No interval holds more than `B + floor(L / T)` of these.
fn assert_conforms(mut grants: Vec<u64>, capacity: u32) {
    grants.sort_unstable();
    let mut tat = 0;
    for now in &grants {
        tat = now.max(&tat) + T;
        assert!(tat - now <= u64::from(capacity) * T, "too many: {grants:?}");
    }
}

#[test]
fn as_many_are_granted_as_there_are() {
    few_preemptions(|| {
        let shared = Arc::new(limiter(2));
        let said = together::<3, _, _>(&shared, |shared, _| shared.check(at(0), 1));
        let granted = said.iter().filter(|&&answer| answer == Answer::Granted).count();
        assert_eq!(granted, 2);
        assert!(
            said.iter()
                .all(|&answer| answer == Answer::Granted || answer == Answer::NotBefore(at(T)))
        );
    });
}

/// Threads that disagree about the time, and one that is later than a whole bucket.
#[test]
fn never_above_the_quota() {
    for nows in [[0, 0], [0, 700], [0, 2 * T], [0, 5 * T], [3 * T, 3 * T + 1]] {
        loom::model(move || {
            let shared = Arc::new(limiter(2));
            let granted = together::<2, _, _>(&shared, move |shared, which| {
                let now = nows[which];
                (0..2)
                    .filter(|_| shared.check(at(now), 1) == Answer::Granted)
                    .count()
            });
            let grants = nows.iter().zip(granted);
            let grants = grants.flat_map(|(&now, granted)| core::iter::repeat_n(now, granted));
            assert_conforms(grants.collect(), 2);
        });
    }
}

#[test]
fn several_permits_at_once_are_not_above_the_quota_either() {
    loom::model(|| {
        let shared = Arc::new(limiter(3));
        let granted = together::<2, _, _>(&shared, |shared, which| {
            let n = [2, 1][which];
            let asked = (0..2).filter(|_| shared.check(at(0), n) == Answer::Granted);
            asked.count() * [2, 1][which]
        });
        assert!((2..=3).contains(&granted.iter().sum::<usize>()), "{granted:?}");
    });
}

/// At one instant a refund is exact, whatever is granted in between.
#[test]
fn a_refund_is_there_again() {
    loom::model(|| {
        let shared = Arc::new((limiter(2), Ticking::new(0, 0)));
        let used = together::<2, _, _>(&shared, |(limiter, clock), which| {
            let taken = limiter.take(clock.now(), 1);
            match (which, taken) {
                (0, Ok(receipt)) => {
                    limiter.refund(receipt, clock);
                    0
                }
                (_, taken) => u32::from(taken.is_ok()),
            }
        });
        assert_eq!(used, [0, 1], "there is one for each");
        assert_eq!(shared.0.remaining(at(0)), 1);
    });
}

/// Later on it is what has not refilled since, and nobody is let through for it.
#[test]
fn a_refund_while_time_runs_lets_nobody_through_above_the_quota() {
    for step in [100, T, 3 * T] {
        loom::model(move || {
            let shared = Arc::new((limiter(1), Ticking::new(0, step)));
            let used = together::<2, _, _>(&shared, |(limiter, clock), which| {
                let now = clock.now();
                match (which, limiter.take(now, 1)) {
                    (0, Ok(receipt)) => {
                        limiter.refund(receipt, clock);
                        None
                    }
                    (_, taken) => taken.ok().map(|_| now.as_nanos()),
                }
            });
            let mut grants: Vec<_> = used.into_iter().flatten().collect();
            let now = shared.1.now();
            if shared.0.check(now, 1) == Answer::Granted {
                grants.push(now.as_nanos());
            }
            assert_conforms(grants, 1);
        });
    }
}

/// A thread that read the clock and was held up is answered by what others were granted since.
#[test]
fn a_late_thread_moves_nothing_back() {
    let late = u64::try_from(SharedRateLimiter::LATE.as_nanos()).expect("a second");
    few_preemptions(move || {
        let shared = Arc::new(limiter(1));
        let grants = together::<3, _, _>(&shared, move |shared, which| {
            let now = [0, late, late][which];
            (shared.check(at(now), 1) == Answer::Granted).then_some(now)
        });
        assert_conforms(grants.into_iter().flatten().collect(), 1);
    });
}

/// The clock stepped back: however many notice, the bucket is empty once and not moved back twice.
#[test]
fn a_step_back_is_noticed_once() {
    let late = u64::try_from(SharedRateLimiter::LATE.as_nanos()).expect("a second");
    loom::model(move || {
        let limiter = limiter(2);
        assert_eq!(limiter.check(at(10 * late), 2), Answer::Granted);
        let said = together::<2, _, _>(&Arc::new(limiter), |shared, which| {
            shared.check(at([0, T][which]), 1)
        });
        // Whoever is first empties the bucket, and the other finds it a permit older or younger.
        let first = [Answer::NotBefore(at(T)), Answer::Granted];
        let second = [Answer::NotBefore(at(2 * T)); 2];
        assert!(said == first || said == second, "{said:?}");
    });
}

/// Whichever is first: a later permission does not undo a longer refusal.
#[test]
fn a_throttled_limiter_stays_as_empty_as_it_was() {
    loom::model(|| {
        let shared = Arc::new(limiter(2));
        let said = together::<2, _, _>(&shared, |shared, which| {
            if which == 0 {
                shared.on_throttled(at(0), at(T / 2));
                return None;
            }
            Some(shared.check(at(0), 2))
        });
        // Two were taken: the next is there after T. None: after the half that the server asked for.
        let next = if said[1] == Some(Answer::Granted) {
            T
        } else {
            T / 2
        };
        assert_eq!(shared.check(at(next - 1), 1), Answer::NotBefore(at(next)));
    });
}
