//! All tiers or none, and what a lost race took is given back.

use crossbridge_core::Instant;
use crossbridge_core::rate_limit::SharedRateLimiter;
use crossbridge_core::rate_limit::tiers::{self, Shared, Tier};
use loom::sync::Arc;

use crate::rate_limit::{Ticking, limiter};
use crate::together;

struct Limits {
    user: SharedRateLimiter,
    everybody: SharedRateLimiter,
    clock: Ticking,
}

impl Limits {
    fn new(user: u32, everybody: u32) -> Arc<Self> {
        Arc::new(Self {
            user: limiter(user),
            everybody: limiter(everybody),
            clock: Ticking::new(0, 0),
        })
    }

    fn ask(&self) -> bool {
        let mut user = Shared::new(&self.user, &self.clock);
        let mut everybody = Shared::new(&self.everybody, &self.clock);
        let limits: &mut [&mut dyn Tier] = &mut [&mut user, &mut everybody];
        tiers::check(Instant::ZERO, 1, limits).is_ok()
    }
}

#[test]
fn both_are_charged_or_neither() {
    loom::model(|| {
        let limits = Limits::new(2, 1);
        let granted = together::<2, _, _>(&limits, |limits, _| limits.ask());
        assert_eq!(granted.iter().filter(|&&granted| granted).count(), 1);
        assert_eq!(
            limits.user.remaining(Instant::ZERO),
            1,
            "the race that was lost cost nothing"
        );
        assert_eq!(limits.everybody.remaining(Instant::ZERO), 0);
    });
}

/// One asks both, the other only the second: it is that one whose permit may be gone in between.
#[test]
fn what_a_lost_race_took_is_given_back() {
    loom::model(|| {
        let limits = Limits::new(1, 1);
        let granted = together::<2, _, _>(&limits, |limits, which| {
            if which == 0 {
                return limits.ask();
            }
            limits.everybody.take(Instant::ZERO, 1).is_ok()
        });
        assert!(granted[0] != granted[1], "one permit for two");
        assert_eq!(limits.user.remaining(Instant::ZERO), u32::from(granted[1]));
        assert_eq!(limits.everybody.remaining(Instant::ZERO), 0);
    });
}
