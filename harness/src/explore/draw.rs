//! Draws what goes wrong.

use std::time::Duration;

use crossbridge_core::draw::{SplitMix64, inclusive};
use crossbridge_core::time::nanos;
use crossbridge_core::{FaultKind, Quota};

use super::plan::{LONGEST_HINT, Plan, between_calls};
use super::schedule::{Effect, Schedule, Trouble};
use crate::scenario::format::FaultKindFile as Kind;
use crate::scenario::{ClientEffect, ClientGroup, ErrorAnswer, ErrorCode, FaultEffect, Scenario, Which};
use crate::stream::stream;

/// Every kind there is.
const KINDS: [Kind; 17] = [
    Kind::Refuse,
    Kind::Reset,
    Kind::Hang,
    Kind::Slow,
    Kind::Error,
    Kind::Throttle,
    Kind::DropAnswer,
    Kind::Partial,
    Kind::Corrupt,
    Kind::Capacity,
    Kind::CrashRestart,
    Kind::Partition,
    Kind::Burst,
    Kind::Restart,
    Kind::ClockStep,
    Kind::ClockDrift,
    Kind::ClockFreeze,
];

/// The most faults of a run.
const MOST_FAULTS: u64 = 6;
/// The shortest fault, in milliseconds.
const SHORTEST: u64 = 100;
/// A burst adds at most so many calls in all, and no more than its clients make in the storm anyway: it
/// is to disturb a run, not to be one.
const MOST_BURST: u64 = 10_000;
/// The most calls that one client adds.
const MOST_BURST_EACH: u64 = 200;

/// The run of this seed.
pub(super) fn draw(scenario: &Scenario, plan: &Plan, seed: u64) -> Schedule {
    let mut dice = Dice(stream(seed, "explore", 0, "schedule"));
    let mut kinds: Vec<Kind> = KINDS.into_iter().filter(|_| dice.coin()).collect();
    if kinds.is_empty() {
        kinds = KINDS.to_vec();
    }
    let count = dice.number(1, MOST_FAULTS);
    let mut faults: Vec<Trouble> = (0..count)
        .filter_map(|_| dice.trouble(scenario, plan, &kinds))
        .collect();
    faults.sort_by_key(|trouble| trouble.at);
    Schedule {
        seed,
        duration: plan.duration(),
        clients: scenario.clients.iter().map(|group| group.count).collect(),
        faults,
    }
}

struct Dice(SplitMix64);

impl Dice {
    fn number(&mut self, low: u64, high: u64) -> u64 {
        inclusive(low, high, &mut self.0)
    }

    fn small(&mut self, low: u32, high: u32) -> u32 {
        u32::try_from(self.number(low.into(), high.into())).unwrap_or(high)
    }

    fn coin(&mut self) -> bool {
        self.number(0, 1) == 1
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        let last = all.len().checked_sub(1)? as u64;
        let index = usize::try_from(self.number(0, last)).ok()?;
        all.get(index).cloned()
    }

    fn trouble(&mut self, scenario: &Scenario, plan: &Plan, kinds: &[Kind]) -> Option<Trouble> {
        let (lead, storm) = (millis(plan.lead), millis(plan.storm));
        let at = self.number(lead, lead + storm - SHORTEST);
        // Short ones are as likely as long ones, up to half of the storm.
        let doublings = u64::from((storm / 2 / SHORTEST).max(2).ilog2());
        let least = SHORTEST << self.number(0, doublings - 1);
        let lasts = self.number(least, 2 * least).min(lead + storm - at);
        let kind = self.one_of(kinds)?;
        if kind.is_on_clients() {
            let on = self.one_of(&(0..scenario.clients.len()).collect::<Vec<_>>())?;
            let group = scenario.clients.get(on)?;
            return Some(Trouble {
                at,
                lasts,
                name: group.name.clone(),
                on,
                effect: Effect::Client(self.client_effect(kind, most_burst(scenario, plan, group))?),
            });
        }
        let on = self.one_of(&(0..scenario.nodes.len()).collect::<Vec<_>>())?;
        let node = scenario.nodes.get(on)?;
        let effect = self.effect(kind, node.servers)?;
        let whole = matches!(kind, Kind::Capacity | Kind::CrashRestart | Kind::Partition);
        let which = if whole { Which::ALL } else { self.which() };
        Some(Trouble {
            at,
            lasts,
            name: node.name.clone(),
            on,
            effect: Effect::Node(effect, which),
        })
    }

    fn which(&mut self) -> Which {
        match self.number(0, 5) {
            0 => Which {
                probability: self.one_of(&[0.05, 0.1, 0.25, 0.5, 0.75, 0.95]).unwrap_or(0.5),
                ..Which::ALL
            },
            1 => Which {
                first: Some(self.number(1, 20)),
                ..Which::ALL
            },
            2 => Which {
                every: Some(self.number(2, 10)),
                ..Which::ALL
            },
            _ => Which::ALL,
        }
    }

    fn hint(&mut self) -> Option<Duration> {
        let longest = LONGEST_HINT.as_secs();
        self.coin().then(|| Duration::from_secs(self.number(1, longest)))
    }

    fn effect(&mut self, kind: Kind, servers: u32) -> Option<FaultEffect> {
        Some(match kind {
            Kind::Refuse => FaultEffect::Refuse,
            Kind::Reset => FaultEffect::Reset,
            Kind::Hang => FaultEffect::Hang,
            Kind::Slow => FaultEffect::Slow {
                factor: f64::from(self.small(1, 20)),
                add: self.one_of(&[0, 10, 100, 1_000, 5_000])? * 1_000_000,
            },
            Kind::Error => {
                let state = |state: &str| ErrorCode::Sqlstate(state.to_owned(), sqlstate(state));
                FaultEffect::Error(ErrorAnswer {
                    code: self.one_of(&[
                        ErrorCode::Http(400),
                        ErrorCode::Http(429),
                        ErrorCode::Http(500),
                        ErrorCode::Http(503),
                        state("40001"),
                        state("53300"),
                    ])?,
                    retry_after: self.hint(),
                })
            }
            Kind::Throttle => {
                let rate = self.one_of(&[1, 2, 5, 10, 20, 50, 100])?;
                let interval = Duration::from_nanos(1_000_000_000 / rate);
                let burst = self.small(1, 10);
                FaultEffect::Throttle {
                    quota: Quota::new(1, interval)
                        .and_then(|quota| quota.burst(burst))
                        .ok()?,
                    retry_after: self.hint(),
                }
            }
            Kind::DropAnswer => FaultEffect::DropAnswer,
            Kind::Partial => FaultEffect::Partial,
            Kind::Corrupt => FaultEffect::Corrupt,
            Kind::Capacity => FaultEffect::Capacity(self.small(0, servers.saturating_sub(1))),
            Kind::CrashRestart => FaultEffect::CrashRestart,
            Kind::Partition => FaultEffect::Partition { buffer: self.coin() },
            Kind::Burst | Kind::Restart | Kind::ClockStep | Kind::ClockDrift | Kind::ClockFreeze => {
                return None;
            }
        })
    }

    fn client_effect(&mut self, kind: Kind, most_burst: u32) -> Option<ClientEffect> {
        Some(match kind {
            Kind::Burst => ClientEffect::Burst(self.small(1, most_burst)),
            Kind::Restart => ClientEffect::Restart {
                snapshot: self.coin(),
            },
            Kind::ClockStep => ClientEffect::ClockStep {
                by: self.one_of(&[1, 50, 1_000, 30_000, 3_600_000])? * 1_000_000,
                back: self.coin(),
            },
            Kind::ClockDrift => ClientEffect::ClockDrift(
                self.one_of(&[-500_000, -100_000, -1_000, 1_000, 100_000, 1_000_000])?,
            ),
            Kind::ClockFreeze => ClientEffect::ClockFreeze,
            Kind::Refuse
            | Kind::Reset
            | Kind::Hang
            | Kind::Slow
            | Kind::Error
            | Kind::Throttle
            | Kind::DropAnswer
            | Kind::Partial
            | Kind::Corrupt
            | Kind::Capacity
            | Kind::CrashRestart
            | Kind::Partition => return None,
        })
    }
}

/// The most calls that each client of a group adds at once.
fn most_burst(scenario: &Scenario, plan: &Plan, group: &ClientGroup) -> u32 {
    let own = nanos(plan.storm) / nanos(between_calls(group, scenario.duration)).max(1);
    let most = own
        .min(MOST_BURST / u64::from(group.count.max(1)))
        .clamp(1, MOST_BURST_EACH);
    u32::try_from(most).unwrap_or(1)
}

fn sqlstate(state: &str) -> FaultKind {
    crossbridge_std::classify::sql::sqlstate(state)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
