//! What must hold in every run, whatever goes wrong in it.
//!
//! ```text
//!   world ─▶ recorder ─┬─▶ trace, ledger
//!                      └─▶ invariants ─▶ a book for each guard ─▶ violations
//! ```
//!
//! The books are kept from the events alone, in the plainest way there is: they know the policies and
//! nothing of the machines that keep them. What they doubt is a bug of ours, not of a policy.
//!
//! | rule | what it says |
//! |---|---|
//! | `accounting` | every call ends once; its attempts are numbered and never overlap; the totals agree |
//! | `quota` | in no window more attempts than the quota admits in it |
//! | `bulkhead` | never more attempts in flight than the bulkhead holds |
//! | `open_circuit` | an open circuit admits nothing |
//! | `probes` | a half-open circuit admits no more probes than it may, at once and in all |
//! | `half_open` | it closes only after enough of its own probes succeeded |
//! | `deadline` | no attempt starts at or after the deadline of its call |
//! | `delay` | no retry waits longer than the cap, or than a server's hint may make it |
//! | `budget` | no retry is paid for with tokens that are not there |
//! | `same_trace` | the same scenario and seed give the same trace; only who runs it twice can tell |
//!
//! Time is that of each guard's own clock, and one that steps back has let no time pass, as in
//! [`crossbridge_core::time`].
//!
//! They are checked by `explore`, and by a replay whose scenario promises something about
//! `invariants.violations`. Other replays do not pay for them.

mod calls;
mod circuit;
mod elapsed;
mod guard;
mod tokens;

#[cfg(test)]
mod tests;

use crossbridge_core::{Event, Instant};
use serde::Serialize;

use crate::recorder::Ledger;
use crate::scenario::{ClientEffect, FaultEffect, Scenario};
use guard::GuardBook;

/// A rule that must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Calls and attempts are counted exactly.
    Accounting,
    /// Never above the quota in any window.
    Quota,
    /// Never more in flight than the bulkhead holds.
    Bulkhead,
    /// Nothing through an open circuit.
    OpenCircuit,
    /// Never more probes than allowed.
    Probes,
    /// Only its own probes close a half-open circuit.
    HalfOpen,
    /// No attempt at or after the deadline.
    Deadline,
    /// No delay beyond the cap.
    Delay,
    /// The budget is never overdrawn.
    Budget,
    /// The same seed gives the same trace.
    SameTrace,
}

impl Rule {
    /// Its name in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accounting => "accounting",
            Self::Quota => "quota",
            Self::Bulkhead => "bulkhead",
            Self::OpenCircuit => "open_circuit",
            Self::Probes => "probes",
            Self::HalfOpen => "half_open",
            Self::Deadline => "deadline",
            Self::Delay => "delay",
            Self::Budget => "budget",
            Self::SameTrace => "same_trace",
        }
    }
}

/// A rule that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// When, in nanoseconds of the run.
    pub at_ns: u64,
    /// Whose guard; the run as a whole where it is nobody's.
    pub actor: String,
    /// The call, by its number in the trace; 0 where it is none's.
    pub call: u64,
    /// What was seen, and what is allowed.
    pub found: String,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// How often a rule did not hold.
    pub violations: u64,
    /// The first of them, at most [`MOST_TOLD`].
    pub first: Vec<Violation>,
}

/// So many violations are told; the others are counted.
pub const MOST_TOLD: usize = 20;

/// Something that happened, with the times a book needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'e> {
    /// By the world's clock.
    pub(crate) at: Instant,
    /// By the guard's own.
    pub(crate) local: Instant,
    pub(crate) actor: u32,
    pub(crate) call: u64,
    pub(crate) event: &'e Event,
}

/// The observer of a whole run.
#[derive(Debug)]
pub(crate) struct Invariants {
    books: Vec<Actor>,
    /// How many of the books are clients': the rest are services'.
    clients: usize,
    offered: u64,
    findings: Findings,
}

#[derive(Debug)]
struct Actor {
    name: String,
    book: GuardBook,
    /// When its guard begins anew, the next one last.
    restarts: Vec<Instant>,
}

/// What a book found wrong with an event.
type Doubts = Vec<(Rule, String)>;

impl Invariants {
    /// For a run of this scenario, actors in the order of the world: clients, then services.
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut books = Vec::new();
        for (group, spec) in scenario.clients.iter().enumerate() {
            let forgets = ClientEffect::Restart { snapshot: false };
            let faults = scenario.client_faults.iter();
            let ours = faults.filter(|fault| fault.group == group && fault.kind == forgets);
            let restarts = backwards(ours.map(|fault| fault.from));
            books.extend((0..spec.count).map(|index| Actor {
                name: format!("{}/{index}", spec.name),
                book: GuardBook::new(&spec.calls.guard),
                restarts: restarts.clone(),
            }));
        }
        let clients = books.len();
        for (index, node) in scenario.nodes.iter().enumerate() {
            let Some(downstream) = &node.downstream else {
                continue;
            };
            let crashes = scenario.faults.iter().filter(|fault| fault.node == index);
            let crashes = crashes.filter(|fault| fault.kind == FaultEffect::CrashRestart);
            books.push(Actor {
                name: node.name.clone(),
                book: GuardBook::new(&downstream.guard),
                restarts: backwards(crashes.map(|fault| fault.from)),
            });
        }
        Self {
            books,
            clients,
            offered: 0,
            findings: Findings::default(),
        }
    }

    pub(crate) const fn on_offered(&mut self) {
        self.offered += 1;
    }

    pub(crate) fn on_event(&mut self, seen: &Seen<'_>) {
        let Some(actor) = usize::try_from(seen.actor)
            .ok()
            .and_then(|index| self.books.get_mut(index))
        else {
            return;
        };
        while actor.restarts.last().is_some_and(|&at| at <= seen.at) {
            actor.restarts.pop();
            actor.book.restart();
        }
        for (rule, found) in actor.book.on_event(seen) {
            self.findings.add(Violation {
                rule,
                at_ns: seen.at.as_nanos(),
                actor: actor.name.clone(),
                call: seen.call,
                found,
            });
        }
    }

    /// What was found, the totals of the run compared with the books.
    pub(crate) fn finish(mut self, ledger: &Ledger, end: Instant) -> Findings {
        let sum = |count: fn(&GuardBook) -> u64| {
            let clients = self.books.iter().take(self.clients);
            clients.map(|actor| count(&actor.book)).sum::<u64>()
        };
        let total = &ledger.total;
        let refused = total.refused;
        let ended = [
            total.succeeded,
            total.failed,
            refused.rate_limit,
            refused.breaker,
            refused.bulkhead,
            refused.budget,
            refused.deadline,
        ];
        let pairs = [
            ("calls offered", total.offered, self.offered),
            ("calls succeeded", total.succeeded, sum(GuardBook::succeeded)),
            ("calls ended", ended.iter().sum(), sum(GuardBook::ended)),
            ("calls in flight", total.in_flight(), sum(GuardBook::under_way)),
            ("attempts", total.attempts, sum(GuardBook::attempts)),
        ];
        for (what, counted, booked) in pairs.into_iter().filter(|(_, a, b)| a != b) {
            self.findings.add(Violation {
                rule: Rule::Accounting,
                at_ns: end.as_nanos(),
                actor: "the run".to_owned(),
                call: 0,
                found: format!("{what}: {counted} in the result, {booked} by the events"),
            });
        }
        self.findings
    }
}

impl Findings {
    pub(crate) fn add(&mut self, violation: Violation) {
        self.violations += 1;
        if self.first.len() < MOST_TOLD {
            self.first.push(violation);
        }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = Instant::from_nanos(self.at_ns);
        write!(f, "{} at {at}, {}", self.rule.name(), self.actor)?;
        if self.call > 0 {
            write!(f, ", call {}", self.call)?;
        }
        write!(f, ": {}", self.found)
    }
}

/// The last one first.
fn backwards(instants: impl Iterator<Item = Instant>) -> Vec<Instant> {
    let mut instants: Vec<Instant> = instants.collect();
    instants.sort_unstable();
    instants.reverse();
    instants
}
