//! What the guards of a group have in common.

use crossbridge_core::guard::Policies;

use super::RunError;
use crate::scenario::{Downstream, Scenario};

/// From a client group, or a service, to the node it calls.
pub(super) struct Path<'r> {
    pub(super) policies: Policies,
    /// The status codes it tries again.
    pub(super) codes: &'r [u16],
    /// The node it calls.
    pub(super) node: u16,
}

/// Those of client groups first, after them those of nodes: `None` where these call nobody.
///
/// # Errors
/// The first policies that are refused.
pub(super) fn all(scenario: &Scenario) -> Result<Vec<Option<Path<'_>>>, RunError> {
    let clients = scenario.clients.iter().map(|group| Some(&group.calls));
    let services = scenario.nodes.iter().map(|node| node.downstream.as_ref());
    clients
        .chain(services)
        .map(|calls| calls.map(Path::new).transpose())
        .collect()
}

impl<'r> Path<'r> {
    fn new(calls: &'r Downstream) -> Result<Self, RunError> {
        let policies = Policies::new(calls.guard);
        Ok(Self {
            policies: policies.map_err(|refused| RunError::Policy(calls.path.clone(), refused))?,
            codes: &calls.retryable_codes,
            node: u16::try_from(calls.node).unwrap_or(u16::MAX),
        })
    }
}
