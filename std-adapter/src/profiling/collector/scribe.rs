//! The thread that brings events from memory to the spool, as its [plan](ScribePlan) says.

use std::time::Duration;

use crossbridge_core::Clock as _;

use super::plan::ScribePlan;
use super::shared::Shared;
use crate::profiling::spool::{SpoolError, chain};

/// Runs until the collector is closed, and what it has taken until then is in the spool or cannot be.
pub(super) fn run(shared: &Shared, at_risk: Duration) {
    let mut plan = ScribePlan::new(at_risk, shared.clock.now());
    while let Some(asked) = shared.next(|signals, now| plan.next(signals, shared.queue.level(), now)) {
        let written = write(shared);
        plan.on_ended(written.is_ok());
        shared.signal(|signals| {
            // What the disk has, whoever looks for it finds: said after it is there.
            signals.idle = false;
            match written {
                Ok(()) => signals.on_done(asked),
                Err(error) => signals.on_failed(asked, chain(&error)),
            }
        });
    }
}

/// Brings everything that is in memory now to the spool. Between two commits others may have the desk.
fn write(shared: &Shared) -> Result<(), SpoolError> {
    // What an earlier write has left over, then what has come since.
    while shared.desk().write_part(&shared.queue)? {}
    shared.desk().take(&shared.queue);
    while shared.desk().write_part(&shared.queue)? {
        shared.signal(|signals| signals.idle = false);
    }
    Ok(())
}
