//! The thread that brings events from memory to the spool.

use std::time::Duration;

use super::shared::Shared;
use crate::profiling::spool::chain;

/// Runs until the collector is closed. Between two commits it waits for half of the time that an
/// event may be at risk, unless somebody waits for a sync or the queue is half full.
pub(super) fn run(shared: &Shared, at_risk: Duration) {
    let mut waited_for = 0;
    loop {
        let mut first = true;
        let found = shared.wait(at_risk / 2, |signals| {
            // The second look is after somebody has called: a full queue says no more than that.
            let called = !std::mem::take(&mut first) && !shared.queue.is_empty();
            (signals.asked > waited_for || signals.closing || called)
                .then_some((signals.asked, signals.closing))
        });
        let (asked, closing) = found.unwrap_or((waited_for, false));
        if asked == waited_for && !closing && shared.queue.is_empty() {
            continue;
        }
        waited_for = asked;
        let mut desk = shared.desk();
        let done = desk.hand_over(&shared.queue);
        // Said while nobody can look into the spool: whoever finds it empty later, finds it so.
        shared.signal(|signals| {
            signals.idle = false;
            match done {
                Ok(()) => signals.done = asked,
                Err(error) => {
                    signals.failed = asked;
                    signals.reason = Some(chain(&error));
                }
            }
        });
        drop(desk);
        if closing {
            return;
        }
    }
}
