//! What who lost a race for a word does before trying again.
//!
//! Trying again at once takes the word's cache line away from the winner, who then waits for it as
//! well. While the loser pauses the winner goes on alone: two threads on one limiter get through
//! twice as many compare-and-swaps as without, as many as by adding to a plain counter.
//!
//! Source: Anderson, *The Performance of Spin Lock Alternatives* (1990).

use super::atomic::spin_loop;

/// Leaves the word to whoever won.
#[cold]
pub(crate) fn back_off() {
    for _ in 0..PAUSES {
        spin_loop();
    }
}

/// Long enough for some thirty compare-and-swaps by the others, half a microsecond or so. Longer
/// pauses gain little and wait longer. In a model one says that the others have to go on.
const PAUSES: u32 = if cfg!(loom) { 1 } else { 16 };
