//! The same work for many, on every core.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Threads worth starting.
pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Does the work for 0 to `count` and keeps what comes of it in that order, whichever thread did it:
/// the result does not depend on `threads`.
///
/// # Errors
/// That of the first in the order that fails.
pub(super) fn in_order<T: Send, E: Send>(
    count: usize,
    threads: usize,
    work: &(dyn Fn(usize) -> Result<T, E> + Sync),
) -> Result<Vec<T>, E> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::with_capacity(count));
    let thread = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return;
            }
            let done = work(index);
            if done.is_err() {
                // Those further on need not run; those before this one are under way.
                next.store(count, Ordering::Relaxed);
            }
            // A panic elsewhere leaves the list as good as it was.
            found
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((index, done));
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, count.max(1)) {
            scope.spawn(thread);
        }
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, done)| done).collect()
}
