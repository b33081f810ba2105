//! The control: the same scenario and seed on a day on which nothing goes wrong.
//!
//! Every actor and purpose draws from a stream of its own, so both runs have the same arrivals and
//! service times: what differs between them comes from the faults and from nothing else.

use crate::scenario::Scenario;

/// The scenario with nothing going wrong; `None` where nothing does anyway.
#[must_use]
pub fn without_faults(scenario: &Scenario) -> Option<Scenario> {
    scenario.trouble()?;
    let mut control = scenario.clone();
    control.faults.clear();
    control.client_faults.clear();
    Some(control)
}
