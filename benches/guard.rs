//! One call that succeeds at once, through everything.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use crossbridge_benches::{Still, Ticks, one_call, whole_guard};
use crossbridge_core::FaultKind;
use crossbridge_core::draw::SplitMix64;

fn guard(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("guard");
    let mut rng = SplitMix64::new(7);
    let mut ticks = Ticks::default();
    let mut whole = whole_guard().expect("accepted");
    group.bench_function("call_by_hand", |bench| {
        bench.iter(|| one_call(&mut whole, ticks.next(), &mut rng));
    });

    // The clock stands still, so the bucket is refilled by hand: a new guard for each batch.
    let whole = whole_guard().expect("accepted");
    let mut sleeper = Still;
    group.bench_function("call", |bench| {
        let mut left = 0_u32;
        let mut guard = whole.clone();
        bench.iter(|| {
            if left == 0 {
                guard = whole.clone();
                left = 1_000_000;
            }
            left -= 1;
            guard.call(&Still, &mut sleeper, &mut rng, |attempt| {
                black_box(Ok::<_, FaultKind>(attempt.number()))
            })
        });
    });
    group.finish();
}

criterion_group!(benches, guard);
criterion_main!(benches);
