//! Every interleaving of a few threads on the shared forms, tried one after another.
//!
//! ```text
//!   RUSTFLAGS="--cfg loom" cargo test --release -p crossbridge-core --test loom
//! ```
//!
//! A model is a handful of calls on two or three threads. `loom` runs it once for each order in which
//! their atomic accesses can happen, and for each value that a load may see, so that a promise that
//! holds here does not depend on luck or on the processor. Models are small for that reason:
//! capacities of one or two permits show what capacities of thousands would.
//!
//! The processor's atomics are replaced in `core/src/sync/atomic.rs`. A form is looked at once before
//! it is shared, which makes its words.

#![cfg(loom)]

mod breaker;
mod budget;
mod bulkhead;
mod guard;
mod keyed;
mod monitor;
mod rate_limit;
mod sequenced;
mod sync;
mod tiers;

use core::fmt::Debug;

use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;

/// Tries every interleaving in which at most two threads are cut short, where all of them would take
/// minutes: faults that need more are rare (Musuvathi and Qadeer, 2007).
fn few_preemptions(model: impl Fn() + Send + Sync + 'static) {
    preemptions(2, model);
}

/// The same for so many threads that are cut short.
fn preemptions(most: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(most);
    // Setting up a table counts as well.
    builder.max_branches = 100_000;
    builder.check(model);
}

/// Runs `each` on `N` threads, which share `what`; says what they said.
fn together<const N: usize, S, T>(what: &Arc<S>, each: impl Fn(&S, usize) -> T + Clone + 'static) -> [T; N]
where
    S: Send + Sync + 'static,
    T: Debug + 'static,
{
    let threads = core::array::from_fn::<_, N, _>(|which| {
        let (what, each) = (Arc::clone(what), each.clone());
        thread::spawn(move || each(&what, which))
    });
    threads.map(|thread| thread.join().expect("no thread panics"))
}
