//! The simulator against results known in closed form.

use std::time::Duration;

use crossbridge_core::{BreakerConfig, GuardConfig, Instant, Jitter, Quota, RetryPolicy};
use crossbridge_harness::distribution::Distribution;
use crossbridge_harness::result::ReplayResult;
use crossbridge_harness::scenario::{
    Abandoned, Arrivals, ClientGroup, Contention, Discipline, Downstream, ErrorAnswer, ErrorCode, Fault,
    FaultEffect, Node, Scenario, Shed, Which,
};
use crossbridge_harness::world;

const MS: u64 = 1_000_000;

/// One group of clients against one dependency, without policies but a number of attempts.
fn scenario(seconds: u64, count: u32, per_second: f64, attempts: u32, node: Node) -> Scenario {
    let retry = RetryPolicy {
        attempts,
        base_delay: Duration::from_millis(10),
        throttled_base_delay: Duration::from_millis(10),
        max_delay: Duration::from_millis(50),
        jitter: Jitter::Full,
        ..RetryPolicy::STANDARD
    };
    let guard = GuardConfig {
        retry,
        breaker: BreakerConfig::DISABLED,
        idempotent: true,
        ..GuardConfig::DEFAULT
    };
    let calls = Downstream {
        path: "p".into(),
        guard,
        retryable_codes: vec![503],
        node: 0,
    };
    Scenario {
        name: "law".into(),
        about: None,
        seed: 1,
        duration: Duration::from_secs(seconds),
        nodes: vec![node],
        clients: vec![ClientGroup {
            name: "c".into(),
            count,
            arrivals: Arrivals::Poisson(1e9 / per_second),
            calls,
        }],
        faults: Vec::new(),
        client_faults: Vec::new(),
        expect: Vec::new(),
        over_seeds: Vec::new(),
    }
}

fn node(servers: u32, service_time: Distribution) -> Node {
    Node {
        name: "db".into(),
        servers,
        queue: None,
        discipline: Discipline::Fifo,
        service_time,
        latency: None,
        abandoned: Abandoned::Serve,
        shed: Shed::None,
        contention: Contention::None,
        cold: None,
        downstream: None,
        live: None,
    }
}

fn errors(scenario: &Scenario, node: usize, probability: f64) -> Fault {
    Fault {
        number: (0, 0),
        from: Instant::ZERO,
        until: Instant::ZERO.saturating_add(scenario.duration),
        node,
        kind: FaultEffect::Error(ErrorAnswer {
            code: ErrorCode::Http(503),
            retry_after: None,
        }),
        which: Which {
            probability,
            ..Which::ALL
        },
        ramp: 0,
    }
}

fn run(scenario: &Scenario) -> ReplayResult {
    let outcome = world::run(scenario, scenario.seed, None, &mut |_| {}).expect("the scenario runs");
    ReplayResult::new(scenario, scenario.seed, &outcome)
}

fn as_f64(count: u64) -> f64 {
    f64::from(u32::try_from(count).expect("a small count"))
}

/// A call fails n times in a row with probability p^n: it takes (1-p^n)/(1-p) attempts.
#[test]
fn expected_attempts_and_goodput() {
    for (p, n) in [(0.1, 2), (0.3, 3), (0.5, 5), (0.9, 4)] {
        let mut law = scenario(100, 20, 10.0, n, node(1_000, Distribution::Constant(MS)));
        law.faults = vec![errors(&law, 0, p)];
        let result = run(&law);
        let lost = f64::powi(p, i32::try_from(n).expect("small"));
        let attempts = (1.0 - lost) / (1.0 - p);
        let found = result.amplification.expect("calls were made");
        assert!(
            (found - attempts).abs() < 0.02 * attempts,
            "p {p}, n {n}: {found} for {attempts}"
        );
        let ended = as_f64(result.calls.succeeded + result.calls.failed);
        let (goodput, wanted) = (as_f64(result.calls.succeeded) / ended, 1.0 - lost);
        let deviation = (wanted * (1.0 - wanted) / ended).sqrt();
        assert!(
            (goodput - wanted).abs() < 4.0 * deviation + 0.002,
            "p {p}, n {n}: {goodput} for {wanted}"
        );
    }
}

/// Where each layer retries what the one below gave up on, k attempts in d layers are k^d; by
/// default only one layer retries.
#[test]
fn layers_of_retries_multiply_only_when_asked_to() {
    for (k, d) in [(2_u32, 2_u32), (3, 3)] {
        for (retry_exhausted, wanted) in [(true, k.pow(d)), (false, k)] {
            let mut law = scenario(20, 5, 10.0, k, node(1_000, Distribution::Constant(MS)));
            law.clients[0].calls.guard.retry.retry_exhausted = retry_exhausted;
            let calls = law.clients[0].calls.clone();
            for layer in 1..d {
                // Layer 1 calls the database, each further one the layer before.
                let below = usize::try_from(layer).expect("small") - 1;
                let downstream = Downstream {
                    node: below,
                    ..calls.clone()
                };
                let service = node(1_000, Distribution::Constant(MS));
                law.nodes.push(Node {
                    name: format!("s{layer}"),
                    downstream: Some(downstream),
                    ..service
                });
            }
            law.clients[0].calls.node = law.nodes.len() - 1;
            law.faults = vec![errors(&law, 0, 1.0)];
            let result = run(&law);
            let received = as_f64(result.dependencies["db"].received);
            let ratio = received / as_f64(result.calls.failed);
            assert!(
                (ratio - f64::from(wanted)).abs() < 0.02 * f64::from(wanted),
                "{k}^{d}: {ratio} for {wanted}"
            );
        }
    }
}

/// Erlang C.
#[test]
fn mean_time_in_an_mmc_queue() {
    for (lambda, mean_ms, servers) in [(40.0, 20.0, 1), (80.0, 10.0, 1), (360.0, 10.0, 4)] {
        let law = scenario(
            2_000,
            1,
            lambda,
            1,
            node(servers, Distribution::Exponential(mean_ms * 1e6)),
        );
        let found = run(&law).latency_ms.expect("calls succeeded").mean;
        let (a, c) = (lambda * mean_ms / 1e3, f64::from(servers));
        let factorial = |n: u32| (1..=n).map(f64::from).product::<f64>();
        let all_busy = a.powf(c) / (factorial(servers) * (1.0 - a / c));
        let some_free: f64 = (0..servers).map(|i| a.powf(f64::from(i)) / factorial(i)).sum();
        let wait = all_busy / (some_free + all_busy) / (c * 1e3 / mean_ms - lambda) * 1e3;
        let wanted = wait + mean_ms;
        assert!(
            (found - wanted).abs() < 0.06 * wanted,
            "M/M/{servers}: {found} for {wanted}"
        );
    }
}

/// A client never gets more than the bucket and what refills, and nearly all of it.
#[test]
fn a_rate_limit_admits_its_quota_and_no_more() {
    for (capacity, window, offered, seconds) in [(30, 60, 50.0, 120), (10, 1, 100.0, 60), (7, 60, 5.0, 600)] {
        let mut law = scenario(seconds, 1, offered, 1, node(1_000, Distribution::Constant(MS)));
        law.clients[0].calls.guard.quota =
            Quota::new(capacity, Duration::from_secs(window)).expect("a quota");
        let admitted = run(&law).attempts.first;
        let bound = u64::from(capacity) + seconds * u64::from(capacity) / window;
        assert!(
            (bound - 1..=bound).contains(&admitted),
            "{capacity}/{window}s: {admitted} of {bound}"
        );
    }
}

#[test]
fn accounting_holds_and_the_seed_decides_everything() {
    let mut law = scenario(60, 20, 10.0, 3, node(5, Distribution::Exponential(30e6)));
    law.nodes[0].queue = Some(20);
    law.clients[0].calls.guard.deadline = Some(Duration::from_millis(400));
    law.clients[0].calls.guard.breaker = BreakerConfig::DEFAULT;
    let at = |seconds| Instant::ZERO.saturating_add(Duration::from_secs(seconds));
    law.faults = vec![
        Fault {
            number: (0, 0),
            ramp: 0,
            from: at(10),
            until: at(20),
            node: 0,
            kind: FaultEffect::Refuse,
            which: Which::ALL,
        },
        Fault {
            number: (1, 0),
            ramp: 0,
            from: at(25),
            until: at(35),
            node: 0,
            kind: FaultEffect::Hang,
            which: Which::ALL,
        },
    ];
    let (one, two) = (run(&law), run(&law));
    assert_eq!(one.trace_sha256, two.trace_sha256);
    assert_eq!(serde_json::to_string(&one).ok(), serde_json::to_string(&two).ok());
    law.seed = 2;
    assert_ne!(run(&law).trace_sha256, one.trace_sha256);

    let (calls, refused) = (one.calls, one.calls.refused);
    let all_refused =
        refused.rate_limit + refused.breaker + refused.bulkhead + refused.budget + refused.deadline;
    assert_eq!(
        calls.offered,
        calls.succeeded + calls.failed + all_refused + calls.in_flight
    );
    assert!(
        refused.breaker > 0 && refused.deadline > 0,
        "the run met no breaker or no deadline: {refused:?}"
    );
    assert_eq!(one.series.offered.iter().sum::<u64>(), calls.offered);
    assert_eq!(one.series.succeeded.iter().sum::<u64>(), calls.succeeded);
    assert_eq!(one.series.attempts.iter().sum::<u64>(), one.attempts.total);
}
