//! Delays that exceed their cap, grow into an overflow or outlast a deadline; budgets that do not
//! keep their ratio.

use core::time::Duration;

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::retry::{Backoff, Bounds, Decision, Failure, Retry, RetryBudget};
use crossbridge_core::{BudgetConfig, FaultKind, Instant, Jitter, PerMille, RetryPolicy, StopReason};

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
        let mut backoff = Backoff::new(&policy);
        let longest = (0..10_000)
            .map(|_| backoff.next_delay(&policy, false, &mut rng))
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
    policy.check().unwrap();
    let mut backoff = Backoff::new(&policy);
    let mut rng = SplitMix64::new(1);
    let delays: Vec<_> = (0..10_000)
        .map(|_| backoff.next_delay(&policy, false, &mut rng))
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
    Retry::new(policy).on_failure(
        at_secs(100),
        failure,
        policy,
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

/// tower rounds a ratio of 0.6 up to 1.0.
#[test]
fn budget_ratio_06_grants_06() {
    let mut budget = RetryBudget::new(BudgetConfig::ratio(PerMille::new(600).unwrap(), 0, 10)).unwrap();
    let mut retries = 0;
    for _ in 0..1_000 {
        budget.on_call(Instant::ZERO);
        retries += u32::from(budget.withdraw(Instant::ZERO, FaultKind::Transient).is_some());
    }
    assert!(
        (609..=610).contains(&retries),
        "{retries} retries for 1000 calls, and a burst of 10"
    );
}

/// tower grants the minimum of ten seconds at once, 100 retries at t = 0.
#[test]
fn budget_does_not_grant_ten_seconds_at_once() {
    let config = BudgetConfig::ratio(PerMille::new(200).unwrap(), 10, 1);
    let mut budget = RetryBudget::new(config).unwrap();
    let mut granted = |now| {
        (0..1_000)
            .filter(|_| budget.withdraw(now, FaultKind::Transient).is_some())
            .count()
    };
    assert_eq!(granted(Instant::ZERO), 1, "the burst");
    assert_eq!(granted(at_secs(10)), 1, "however long nobody asked");
    // Asked steadily, it is the rate it says.
    let a_second =
        (1..=100).map(|tenth| granted(at_secs(10).saturating_add(Duration::from_millis(10 * tenth))));
    assert_eq!(a_second.sum::<usize>(), 10);
}

/// The ratio bounds every retry, not only those in vain (Finagle); AWS pays successes back.
#[test]
fn a_ratio_is_not_refunded_by_success() {
    use crossbridge_core::retry::RetryBudget;
    use crossbridge_core::{BudgetConfig, FaultKind, Instant, PerMille};

    let tenth = PerMille::new(100).expect("a share");
    for (config, refunded) in [
        (BudgetConfig::ratio(tenth, 0, 5), false),
        (BudgetConfig::AWS, true),
    ] {
        let mut budget = RetryBudget::new(config).expect("a budget");
        let full = budget.tokens(Instant::ZERO);
        let receipt = budget
            .withdraw(Instant::ZERO, FaultKind::Transient)
            .expect("there is enough");
        budget.on_retry_success(receipt);
        assert_eq!(budget.tokens(Instant::ZERO) == full, refunded, "{config:?}");
    }
}
