//! Delays that exceed their cap, grow into an overflow or outlast a deadline; loops that wake too
//! late, or never.

use core::time::Duration;

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::retry::{
    Backoff, Bounds, Concurrency, Decision, Failure, Retry, RetryBudget, RetryRules, SharedRetryBudget,
};
use crossbridge_core::testing::ManualClock;
use crossbridge_core::{
    BudgetConfig, Clock, FaultKind, Instant, Jitter, PerMille, RetryPolicy, Sleeper, StopReason,
};

use crate::at_secs;

/// backon exceeds its cap by up to 100 %, the Python reference by 50 %.
#[test]
fn jitter_never_exceeds_cap() {
    let jitters = [
        Jitter::None,
        Jitter::Full,
        Jitter::Equal,
        Jitter::Decorrelated,
        Jitter::Proportional(PerMille::HALF),
        Jitter::Proportional(PerMille::ALL),
    ];
    let mut rng = SplitMix64::new(1);
    for jitter in jitters {
        let policy = RetryPolicy::STANDARD.jitter(jitter);
        let rules = RetryRules::new(policy).unwrap();
        let mut backoff = Backoff::new(&rules);
        let longest = (0..10_000)
            .map(|_| backoff.next_delay(&rules, false, &mut rng))
            .max();
        assert!(longest <= Some(policy.max_delay), "{jitter:?}: {longest:?}");
    }
}

/// Polly#1866, tenacity#710: the power overflows before it is compared with the cap.
#[test]
fn growth_does_not_overflow_before_the_cap() {
    let policy = RetryPolicy {
        factor_permille: 100_000,
        max_delay: Duration::from_secs(86_400),
        ..RetryPolicy::DEFAULT.jitter(Jitter::None)
    };
    let rules = RetryRules::new(policy).unwrap();
    let mut backoff = Backoff::new(&rules);
    let mut rng = SplitMix64::new(1);
    let delays: Vec<_> = (0..10_000)
        .map(|_| backoff.next_delay(&rules, false, &mut rng))
        .collect();
    assert!(delays.is_sorted());
    assert_eq!(delays.last(), Some(&policy.max_delay));
}

fn decide(policy: &RetryPolicy, failure: Failure, deadline: Option<Instant>) -> Decision {
    let mut budget = RetryBudget::new(BudgetConfig::UNLIMITED).unwrap();
    let bounds = Bounds {
        deadline,
        idempotent: false,
    };
    let rules = RetryRules::new(*policy).unwrap();
    Retry::new(&rules).on_failure(
        at_secs(100),
        failure,
        &rules,
        bounds,
        &mut budget,
        &mut SplitMix64::new(1),
    )
}

#[test]
fn hint_beyond_bound_stops_with_what_was_asked() {
    let asked = Duration::from_secs(61);
    let failure = |asked| Failure {
        kind: FaultKind::Throttled,
        retry_after: Some(asked),
    };
    let policy = RetryPolicy::STANDARD;
    assert_eq!(
        decide(&policy, failure(asked), None),
        Decision::Stop(StopReason::HintTooLong { asked })
    );
    // As long as it bears, it waits for; never for much longer than it would have anyway.
    let policy = policy.jitter(Jitter::None);
    for (asked, wait) in [(0, 1), (1, 1), (3, 3), (6, 6), (60, 6)] {
        let decision = decide(&policy, failure(Duration::from_secs(asked)), None);
        let at = at_secs(100 + wait);
        assert!(
            matches!(&decision, Decision::RetryAt(due, _) if *due == at),
            "{asked} s: {decision:?}"
        );
    }
}

#[test]
fn nothing_sleeps_past_the_deadline() {
    let policy = RetryPolicy {
        min_attempt: Duration::from_millis(10),
        ..RetryPolicy::DEFAULT.jitter(Jitter::None)
    };
    let failure = Failure {
        kind: FaultKind::Transient,
        retry_after: None,
    };
    let due = at_secs(100).saturating_add(policy.base_delay);
    let enough = due.saturating_add(policy.min_attempt);
    assert!(matches!(decide(&policy, failure, Some(enough)), Decision::RetryAt(at, _) if at == due));
    let too_soon = Instant::from_nanos(enough.as_nanos() - 1);
    assert_eq!(
        decide(&policy, failure, Some(too_soon)),
        Decision::Stop(StopReason::Deadline)
    );
}

/// A sleeper that is as late as the clock says.
struct Late<'c>(&'c ManualClock, Duration);

impl Sleeper for Late<'_> {
    fn sleep(&mut self, span: Duration) {
        self.0.advance(span + self.1);
    }
}

/// A retry that was due in time and is made too late is not made, and what it cost comes back.
#[test]
fn a_late_sleep_outlasts_neither_deadline_nor_patience() {
    let second = Duration::from_secs(1);
    let policy = RetryPolicy::DEFAULT.jitter(Jitter::None);
    let patience = RetryPolicy {
        give_up_after: Some(second),
        ..policy
    };
    for (policy, deadline, late, reason) in [
        (policy, Some(at_secs(1)), 499, None),
        (policy, Some(at_secs(1)), 500, Some(StopReason::Deadline)),
        (patience, None, 500, None),
        (patience, None, 501, Some(StopReason::GaveUp)),
    ] {
        let rules = RetryRules::new(policy).unwrap();
        let mut budget = RetryBudget::new(BudgetConfig::AWS).unwrap();
        let clock = ManualClock::new();
        let bounds = Bounds {
            deadline,
            idempotent: false,
        };
        let answer = rules.within(bounds).paid_by(&mut budget).call(
            &clock,
            &mut Late(&clock, Duration::from_millis(late)),
            &mut SplitMix64::new(1),
            |attempt| match attempt.number() {
                1 => Err(FaultKind::Transient),
                _ => Ok(()),
            },
        );
        assert_eq!(
            answer.err().map(|error| (error.reason, error.attempts)),
            reason.map(|reason| (reason, 1))
        );
        // AWS: a retry that succeeds gets its cost back, too.
        assert_eq!(budget.tokens(clock.now()), 500);
    }
}

/// A loop that compares with an instant of before the step sleeps for as long as the step was.
#[test]
fn a_clock_that_steps_back_lengthens_no_wait() {
    struct SetBack<'c>(&'c ManualClock, bool);

    impl Sleeper for SetBack<'_> {
        fn sleep(&mut self, span: Duration) {
            self.0.advance(span);
            if !core::mem::replace(&mut self.1, true) {
                self.0.set(at_secs(10));
            }
        }
    }

    let rules = RetryRules::new(RetryPolicy::DEFAULT.jitter(Jitter::None)).unwrap();
    let clock = ManualClock::new();
    clock.set(at_secs(7_200));
    let bounds = Bounds {
        deadline: Some(at_secs(7_205)),
        idempotent: false,
    };
    let answer: Result<(), _> = rules.within(bounds).call(
        &clock,
        &mut SetBack(&clock, false),
        &mut SplitMix64::new(1),
        |_| Err(FaultKind::Transient),
    );
    let error = answer.unwrap_err();
    assert_eq!((error.reason, error.attempts), (StopReason::AttemptsExhausted, 3));
    // Half a second, which counts as not passed, again; and a second.
    assert_eq!(error.slept, Duration::from_secs(2));
}

/// A closure that panics between `on_call` and `on_end` would hold its place for ever, and that of
/// its retry.
#[test]
fn a_call_that_panics_is_over_for_its_budget() {
    let config = BudgetConfig {
        concurrency: Some(Concurrency {
            share: PerMille::ALL,
            min: 0,
        }),
        ..BudgetConfig::UNLIMITED
    };
    let rules = RetryRules::new(RetryPolicy::DEFAULT).unwrap();
    for fatal in [1, 2] {
        let budget = SharedRetryBudget::new(config).unwrap();
        let panicked = std::panic::catch_unwind(|| {
            let clock = ManualClock::new();
            let mut rng = SplitMix64::new(1);
            rules
                .paid_by(&budget)
                .call(&clock, &mut &clock, &mut rng, |attempt| {
                    assert!(attempt.number() < fatal, "the fatal attempt");
                    Err::<(), _>(FaultKind::Transient)
                })
        });
        assert!(panicked.is_err());
        let pays = || budget.withdraw(Instant::ZERO, FaultKind::Transient).is_some();
        assert!(!pays(), "no call is under way");
        budget.on_call(Instant::ZERO);
        assert!(pays(), "no retry is counted");
    }
}
