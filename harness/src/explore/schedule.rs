//! What goes wrong in an explored run, and how it is written.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::plan::instant;
use crate::scenario::{ClientEffect, ClientFault, ErrorCode, Fault, FaultEffect, Scenario, Which};

/// A run: its faults, its length, its clients.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Schedule {
    /// Where every draw of the run comes from.
    pub seed: u64,
    /// How long it is.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub duration: Duration,
    /// Clients of each group, in the order of the scenario.
    pub clients: Vec<u32>,
    /// What goes wrong, as in the file.
    pub faults: Vec<Trouble>,
}

/// One thing that goes wrong, in whole milliseconds, so that a file says exactly the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    /// When it begins.
    pub at: u64,
    /// How long it lasts.
    pub lasts: u64,
    /// The name of what it is on.
    pub name: String,
    /// The index of the node or the group it is on.
    pub on: usize,
    /// What it is.
    pub effect: Effect,
}

/// What goes wrong with somebody.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// With a node, and which requests it meets.
    Node(FaultEffect, Which),
    /// With clients.
    Client(ClientEffect),
}

impl Schedule {
    /// The scenario with these faults and clients; it promises nothing.
    #[must_use]
    pub fn scenario(&self, base: &Scenario) -> Scenario {
        let mut scenario = base.clone();
        scenario.seed = self.seed;
        scenario.duration = self.duration;
        scenario.expect.clear();
        scenario.over_seeds.clear();
        (scenario.faults, scenario.client_faults) = (Vec::new(), Vec::new());
        for (group, &count) in scenario.clients.iter_mut().zip(&self.clients) {
            group.count = count;
        }
        for (number, trouble) in (0_u32..).zip(&self.faults) {
            let (from, until) = (instant(trouble.at), instant(trouble.at + trouble.lasts));
            match &trouble.effect {
                Effect::Node(kind, which) => scenario.faults.push(Fault {
                    number: (number, 0),
                    from,
                    until,
                    node: trouble.on,
                    kind: kind.clone(),
                    which: *which,
                    ramp: 0,
                }),
                Effect::Client(kind) => scenario.client_faults.push(ClientFault {
                    from,
                    until,
                    group: trouble.on,
                    kind: *kind,
                }),
            }
        }
        scenario
    }
}

/// As a line of the file: `{ at: 5s, for: 250ms, on: postgres, kind: refuse }`.
impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, lasts) = (span(self.at), span(self.lasts));
        // A name in quotes is any name there is; JSON's quotes are YAML's.
        let name = serde_json::Value::from(self.name.as_str());
        let kind = match &self.effect {
            Effect::Node(kind, _) => kind.name(),
            Effect::Client(kind) => kind.name(),
        };
        write!(f, "{{ at: {at}, for: {lasts}, on: {name}, kind: {kind}")?;
        match &self.effect {
            Effect::Node(kind, which) => {
                write_effect(f, kind)?;
                if which.probability < 1.0 {
                    write!(f, ", probability: {}", which.probability)?;
                }
                if let Some(first) = which.first {
                    write!(f, ", first: {first}")?;
                }
                if let Some(every) = which.every {
                    write!(f, ", every: {every}")?;
                }
            }
            Effect::Client(kind) => write_client_effect(f, *kind)?,
        }
        f.write_str(" }")
    }
}

fn write_effect(f: &mut fmt::Formatter<'_>, kind: &FaultEffect) -> fmt::Result {
    let retry_after = match kind {
        FaultEffect::Slow { factor, add } => {
            write!(f, ", factor: {factor}, add: {}", span(add / 1_000_000))?;
            None
        }
        FaultEffect::Error(answer) => {
            match &answer.code {
                ErrorCode::Http(status) => write!(f, ", code: {status}")?,
                ErrorCode::Sqlstate(state, _) => write!(f, ", code: \"{state}\"")?,
            }
            answer.retry_after
        }
        FaultEffect::Throttle { quota, retry_after } => {
            // Only rates that are whole numbers a second are drawn.
            let rate = 1_000_000_000 / quota.emission_interval().as_nanos().max(1);
            write!(f, ", rate: {rate}/s, burst: {}", quota.capacity())?;
            *retry_after
        }
        FaultEffect::Capacity(servers) => {
            write!(f, ", servers: {servers}")?;
            None
        }
        FaultEffect::Partition { buffer } => {
            write!(f, ", buffer: {buffer}")?;
            None
        }
        FaultEffect::Refuse
        | FaultEffect::Hang
        | FaultEffect::Reset
        | FaultEffect::DropAnswer
        | FaultEffect::Partial
        | FaultEffect::Corrupt
        | FaultEffect::CrashRestart => None,
    };
    match retry_after {
        Some(asked) => write!(f, ", retry_after: {}s", asked.as_secs()),
        None => Ok(()),
    }
}

fn write_client_effect(f: &mut fmt::Formatter<'_>, kind: ClientEffect) -> fmt::Result {
    match kind {
        ClientEffect::Burst(calls) => write!(f, ", calls: {calls}"),
        ClientEffect::Restart { snapshot } => write!(f, ", snapshot: {snapshot}"),
        ClientEffect::ClockStep { by, back } => {
            let way = if back { "back" } else { "forward" };
            write!(f, ", {way}: {}", span(by / 1_000_000))
        }
        ClientEffect::ClockDrift(millionths) => {
            write!(f, ", factor: {}", 1.0 + f64::from(millionths) / 1e6)
        }
        ClientEffect::ClockFreeze => Ok(()),
    }
}

impl Serialize for Trouble {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// In seconds where it is whole ones.
pub(super) fn span(millis: u64) -> String {
    if millis.is_multiple_of(1_000) {
        format!("{}s", millis / 1_000)
    } else {
        format!("{millis}ms")
    }
}

fn seconds<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(span.as_secs_f64())
}
