//! How much the retry budgets have left, second by second.

use std::time::Duration;

use crossbridge_core::Instant;

use super::{Actor, Group};
use crate::recorder::Reserve;
use crate::scenario::Scenario;

/// More readings than these of one run would take longer than they are worth.
const MOST_READINGS: usize = 50_000_000;
const SECOND: u64 = 1_000_000_000;

/// Reads all budgets at the end of every second of the run.
pub(super) struct Readings {
    reserve: Option<Reserve>,
    /// When they are read next; [`Instant::MAX`] where they are not.
    next: Instant,
    /// Whether the guards of this client group, or after them of this node, have a budget.
    budgets: Vec<bool>,
}

impl Readings {
    pub(super) fn new(scenario: &Scenario, actors: usize, seconds: usize) -> Self {
        let clients = scenario
            .clients
            .iter()
            .map(|group| (group.count, Some(&group.calls)));
        let nodes = scenario.nodes.iter().map(|node| (1, node.downstream.as_ref()));
        let (mut full, mut budgets) = (0, Vec::new());
        for (count, calls) in clients.chain(nodes) {
            let capacity = calls.map_or(0, |calls| calls.guard.budget.capacity);
            full += u64::from(capacity) * u64::from(count);
            budgets.push(capacity > 0);
        }
        let wanted = full > 0 && actors.saturating_mul(seconds) <= MOST_READINGS;
        Self {
            reserve: wanted.then(|| Reserve {
                left: Vec::with_capacity(seconds),
                full,
            }),
            next: if wanted {
                Instant::from_nanos(SECOND)
            } else {
                Instant::MAX
            },
            budgets,
        }
    }

    /// Whether a second has ended by `now`.
    #[inline]
    pub(super) fn are_due(&self, now: Instant) -> bool {
        now >= self.next
    }

    /// Reads the seconds that have ended by `now`, before anything else happens then. Each budget is
    /// asked by the clock of its client.
    #[cold]
    pub(super) fn read(&mut self, now: Instant, actors: &[Actor<'_, '_>], clients: &[Group<'_>]) {
        let Some(reserve) = &mut self.reserve else {
            return;
        };
        while now >= self.next {
            let tokens = |actor: &Actor<'_, '_>| {
                let group = actor.group();
                if !self.budgets.get(group).is_some_and(|has_one| *has_one) {
                    return 0;
                }
                let at = clients
                    .get(group)
                    .map_or(self.next, |group| group.clock.read(self.next));
                u64::from(actor.guard.budget_tokens(at))
            };
            reserve.left.push(actors.iter().map(tokens).sum());
            self.next = self.next.saturating_add(Duration::from_nanos(SECOND));
        }
    }

    /// What was read, when the run is over.
    pub(super) fn into_reserve(self) -> Option<Reserve> {
        self.reserve
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::scenario::load;
    use crate::world;

    #[test]
    fn tokens_are_spent_in_the_outage_and_earned_after_it() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/scenarios/postgres-blip.yml");
        let scenario = load(&path, None, &|_| None).unwrap();
        let outcome = world::run(&scenario, 7, None, &mut |_| {}).unwrap();
        let reserve = outcome.ledger.reserve.unwrap();
        assert_eq!(reserve.left.len(), 120);
        // Full until it begins, at its lowest in it, and full again at the end.
        assert!(reserve.left[..30].iter().all(|left| *left == reserve.full));
        let lowest = reserve.left.iter().min().unwrap();
        assert!(reserve.left[30..51].contains(lowest), "{lowest}");
        assert_eq!(reserve.left[119], reserve.full);
    }
}
