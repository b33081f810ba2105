//! One check of a limiter with one owner.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use crossbridge_benches::{Ticks, empty_limiter, limiter_with_room};
use crossbridge_core::Instant;

fn rate_limit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rate_limit");
    let mut limiter = limiter_with_room().expect("accepted");
    let mut ticks = Ticks::default();
    group.bench_function("admitted", |bench| {
        bench.iter(|| limiter.check(black_box(ticks.next()), black_box(1)));
    });

    let mut limiter = empty_limiter().expect("accepted");
    group.bench_function("refused", |bench| {
        bench.iter(|| limiter.check(black_box(Instant::ZERO), black_box(1)));
    });

    let limiter = empty_limiter().expect("accepted");
    group.bench_function("remaining", |bench| {
        bench.iter(|| limiter.remaining(black_box(Instant::ZERO)));
    });
    group.finish();
}

criterion_group!(benches, rate_limit);
criterion_main!(benches);
