//! Everything that goes wrong in a scenario, with nodes and with clients, as reports show it.

use crossbridge_core::Instant;

use super::story::{client_effect, effect};
use crate::scenario::Scenario;

/// One thing that goes wrong.
pub(super) struct Trouble<'s> {
    /// The node or the group of clients.
    pub(super) on: &'s str,
    /// When it begins.
    pub(super) from: Instant,
    /// When it is over.
    pub(super) until: Instant,
    /// Its name in the file.
    pub(super) kind: &'static str,
    /// What it does, in words.
    pub(super) effect: String,
}

/// In the order of the file: nodes first, clients after them.
pub(super) fn troubles(scenario: &Scenario) -> Vec<Trouble<'_>> {
    let nodes = scenario.faults.iter().map(|fault| Trouble {
        on: scenario.nodes.get(fault.node).map_or("?", |node| &node.name),
        from: fault.from,
        until: fault.until,
        kind: fault.kind.name(),
        effect: effect(fault),
    });
    let clients = scenario.client_faults.iter().map(|fault| Trouble {
        on: scenario.clients.get(fault.group).map_or("?", |group| &group.name),
        from: fault.from,
        until: fault.until,
        kind: fault.kind.name(),
        effect: client_effect(fault.kind),
    });
    nodes.chain(clients).collect()
}
