//! One result, and one verdict over many targets.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use crossbridge_benches::{Ticks, monitor};
use crossbridge_core::health::ProbeResult;
use crossbridge_core::health::summary::{Criticality, summarize};

fn health(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("health");
    let mut watched = monitor().expect("accepted");
    let mut ticks = Ticks::default();
    group.bench_function("observe", |bench| {
        bench.iter(|| watched.observe(ticks.next(), black_box(ProbeResult::Pass)));
    });

    let targets = [(Criticality::Critical, watched.health()); 16];
    group.bench_function("summary_of_16", |bench| {
        bench.iter(|| summarize(black_box(targets)));
    });
    group.finish();
}

criterion_group!(benches, health);
criterion_main!(benches);
