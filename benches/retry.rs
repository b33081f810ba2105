//! What a retry costs when there is nothing to retry, and when there is.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use crossbridge_benches::{Still, Ticks, budget, policy, retrying_guard};
use crossbridge_core::FaultKind;
use crossbridge_core::draw::SplitMix64;
use crossbridge_core::retry::{Backoff, Bounds, Decision, Failure, Retry, RetryRules};

/// What the call stands for: cheap, and not to be optimised away.
fn work(input: u64) -> Result<u64, FaultKind> {
    black_box(Ok(input + 1))
}

fn retry(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("retry");
    let rules = RetryRules::new(policy()).expect("accepted");
    let mut rng = SplitMix64::new(7);
    let mut backoff = Backoff::new(&rules);
    group.bench_function("jittered_delay", |bench| {
        bench.iter(|| backoff.next_delay(black_box(&rules), false, &mut rng));
    });

    let mut paid = budget().expect("accepted");
    let mut ticks = Ticks::default();
    let failure = Failure {
        kind: FaultKind::Transient,
        retry_after: None,
    };
    group.bench_function("decision", |bench| {
        bench.iter(|| {
            let mut retry = Retry::new(black_box(&rules));
            let decision = retry.on_failure(
                ticks.next(),
                failure,
                &rules,
                Bounds::default(),
                &mut paid,
                &mut rng,
            );
            // Given back, so that the next one is not refused for want of tokens.
            if let Decision::RetryAt(at, Some(receipt)) = decision {
                paid.refund(receipt);
                black_box(at);
            }
        });
    });

    let mut paid = budget().expect("accepted");
    group.bench_function("budget_withdraw_refund", |bench| {
        bench.iter(|| {
            let receipt = paid.withdraw(ticks.next(), black_box(FaultKind::Transient));
            receipt.into_iter().for_each(|receipt| paid.refund(receipt));
        });
    });

    group.bench_function("raw_closure", |bench| bench.iter(|| work(black_box(1))));

    group.bench_function("retry_alone_success_at_once", |bench| {
        let mut sleeper = Still;
        bench.iter(|| rules.call(&Still, &mut sleeper, &mut rng, |_| work(black_box(1))));
    });

    let mut guard = retrying_guard().expect("accepted");
    let mut sleeper = Still;
    group.bench_function("success_at_once", |bench| {
        bench.iter(|| guard.call(&Still, &mut sleeper, &mut rng, |_| work(black_box(1))));
    });
    group.finish();
}

criterion_group!(benches, retry);
criterion_main!(benches);
