//! One call through a circuit.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use crossbridge_benches::{Ticks, closed_breaker, open_breaker};
use crossbridge_core::Instant;
use crossbridge_core::breaker::Settled;

fn breaker(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("breaker");
    let mut breaker = closed_breaker().expect("accepted");
    let mut ticks = Ticks::default();
    group.bench_function("closed_admit_settle", |bench| {
        bench.iter(|| {
            let now = ticks.next();
            if let Ok(permit) = breaker.admit(black_box(now)) {
                breaker.settle(now, permit, black_box(Settled::Success));
            }
        });
    });

    let mut breaker = open_breaker().expect("accepted");
    group.bench_function("open_refused", |bench| {
        bench.iter(|| breaker.admit(black_box(Instant::ZERO)));
    });
    group.finish();
}

criterion_group!(benches, breaker);
criterion_main!(benches);
