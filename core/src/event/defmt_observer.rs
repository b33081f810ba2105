//! An observer that writes defmt frames.

use super::{Event, Observer};
use crate::time::Instant;

/// Writes every event as a defmt frame: problems at `warn`, the rest at `trace`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DefmtObserver;

impl Observer for DefmtObserver {
    fn on_event(&self, now: Instant, event: &Event) {
        match event {
            Event::RetryScheduled { .. } | Event::BreakerChanged { .. } | Event::HealthChanged { .. } => {
                defmt::warn!("{} {}", now, event);
            }
            Event::AttemptStarted { .. }
            | Event::AttemptEnded { .. }
            | Event::WaitingForLimit { .. }
            | Event::CallEnded { .. } => defmt::trace!("{} {}", now, event),
        }
    }
}
