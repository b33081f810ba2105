//! The faults of a scenario as toxics that come and go by the clock.
//!
//! | fault | toxic | on connections that stand already |
//! |---|---|---|
//! | `refuse` | `refuse` | `reset_peer`, at their next word |
//! | `hang` | `hang` | `timeout` without end, which closes them when it is over |
//! | `slow` | `slow` | as well; a `factor` below 1 cannot be |
//! | `error` with an HTTP status | `http_error` | as well |
//! | `error` with a SQLSTATE | `sql_error` at queries | as well, unless they are encrypted |
//! | `throttle` | `throttle` | as well |
//! | `reset` | `reset_peer` on the way up; `cut` behind a [greeting](Greeting) | as well |
//! | `drop_answer` | `timeout` without end | as well |
//! | `partial` | `cut` after the first byte, or the greeting's last and one more | as well |
//! | `crash_restart`, `partition` without a buffer | as `refuse`, as `hang` | as these |
//!
//! With `probability`, `first` or `every` a `refuse` or `hang` leaves connections alone that stand
//! already. A proxy stands before one dependency, and only the faults on this one are played.
//!
//! ```
//! use crossbridge_core::Instant;
//! use crossbridge_harness::proxy::script::{Act, Script};
//! use crossbridge_harness::proxy::toxic::{Direction, Effect, Empty, Toxic};
//!
//! let second = |n: u64| Instant::from_nanos(n * 1_000_000_000);
//! let refuse = Toxic::new("refuse", Direction::Downstream, Effect::Refuse(Empty {}));
//! let script = Script::new(vec![Act { from: second(30), until: second(50), toxic: refuse.clone() }]);
//!
//! assert_eq!(script.step(None, second(0)), (vec![], vec![]));
//! assert_eq!(script.next_change(second(0)), Some(second(30)));
//! assert_eq!(script.step(Some(second(0)), second(30)), (vec![], vec![&refuse]));
//! assert_eq!(script.step(Some(second(30)), second(50)), (vec![&refuse], vec![]));
//! assert_eq!(script.next_change(second(50)), None);
//! ```

use std::time::Duration;

use crossbridge_core::time::nanos;
use crossbridge_core::{Instant, Quota};

use super::toxic::{
    Bytes, Direction, Effect, Empty, HttpError, Slow, SqlError, SqlPlace, Throttle, Timeout, Toxic,
};
use crate::scenario::{ErrorCode, Fault, FaultEffect, Scenario, Which};

/// Toxics that come and go.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    acts: Vec<Act>,
}

/// One toxic's time.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// When it comes, since the start.
    pub from: Instant,
    /// When it goes.
    pub until: Instant,
    /// What it is.
    pub toxic: Toxic,
}

/// What a protocol says on a new connection before the first request, in bytes each way. Faults of
/// requests and answers come after it. Nothing where the protocol has none, or where nobody knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Greeting {
    /// By the client.
    pub sent: u64,
    /// By the server.
    pub received: u64,
}

/// Why a scenario cannot be a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unplayable {
    /// There is no such dependency; these there are.
    Unknown(Vec<String>),
    /// It has faults on these, and a proxy stands before one.
    Ambiguous(Vec<String>),
    /// The fault of this number, from 0, cannot be, and why.
    Fault(u32, String),
}

impl Script {
    /// A script of these acts.
    #[must_use]
    pub const fn new(acts: Vec<Act>) -> Self {
        Self { acts }
    }

    /// The faults on one dependency, or on the only one that has any.
    ///
    /// # Errors
    /// The dependency is not there or not clear, or a fault cannot be played on the wire.
    pub fn of(scenario: &Scenario, on: Option<&str>) -> Result<Self, Unplayable> {
        Self::after(Greeting::default(), scenario, on)
    }

    /// The same for connections that begin with this greeting: `reset` and `partial` leave it alone.
    ///
    /// # Errors
    /// As for [`of`](Self::of).
    pub fn after(greeting: Greeting, scenario: &Scenario, on: Option<&str>) -> Result<Self, Unplayable> {
        let names = || scenario.nodes.iter().map(|node| node.name.clone());
        let node = if let Some(on) = on {
            let found = scenario.nodes.iter().position(|node| node.name == on);
            Some(found.ok_or_else(|| Unplayable::Unknown(names().collect()))?)
        } else {
            let mut struck: Vec<usize> = scenario.faults.iter().map(|fault| fault.node).collect();
            struck.sort_unstable();
            struck.dedup();
            if struck.len() > 1 {
                let of = |&index: &usize| names().nth(index);
                return Err(Unplayable::Ambiguous(struck.iter().filter_map(of).collect()));
            }
            struck.first().copied()
        };
        let mut acts = Vec::new();
        for fault in &scenario.faults {
            if Some(fault.node) != node {
                continue;
            }
            for toxic in toxics(fault, greeting)? {
                acts.push(Act {
                    from: fault.from,
                    until: fault.until,
                    toxic,
                });
            }
        }
        Ok(Self { acts })
    }

    /// What goes and what comes between the last step, if there was one, and `now`.
    #[must_use]
    pub fn step(&self, before: Option<Instant>, now: Instant) -> (Vec<&Toxic>, Vec<&Toxic>) {
        let (mut go, mut come) = (Vec::new(), Vec::new());
        for act in &self.acts {
            let is_on = |at: Instant| act.from <= at && at < act.until;
            match (before.is_some_and(is_on), is_on(now)) {
                (true, false) => go.push(&act.toxic),
                (false, true) => come.push(&act.toxic),
                (true, true) | (false, false) => {}
            }
        }
        (go, come)
    }

    /// When the next one comes or goes after `now`.
    #[must_use]
    pub fn next_change(&self, now: Instant) -> Option<Instant> {
        let bounds = self.acts.iter().flat_map(|act| [act.from, act.until]);
        bounds.filter(|&at| at > now).min()
    }

    /// Whether an error of PostgreSQL is among them.
    #[must_use]
    pub fn has_sql_errors(&self) -> bool {
        let is_sql = |act: &Act| matches!(act.toxic.effect, Effect::SqlError(_));
        self.acts.iter().any(is_sql)
    }
}

fn toxics(fault: &Fault, greeting: Greeting) -> Result<Vec<Toxic>, Unplayable> {
    let (index, round) = fault.number;
    let seconds = |span: Duration| span.as_secs() + u64::from(span.subsec_nanos() > 0);
    let cannot = |why: &str| Err(Unplayable::Fault(index, why.to_owned()));
    let (reset, silence) = (
        Effect::ResetPeer(Timeout { timeout: 0 }),
        Effect::Timeout(Timeout { timeout: 0 }),
    );
    if fault.ramp > 0 {
        return cannot("a ramp cannot be played on the wire");
    }
    let mut stream = Direction::Downstream;
    let (effect, standing) = match &fault.kind {
        FaultEffect::Refuse | FaultEffect::CrashRestart => (Effect::Refuse(Empty {}), Some(reset)),
        FaultEffect::Hang | FaultEffect::Partition { buffer: false } => {
            (Effect::Hang(Empty {}), Some(silence))
        }
        FaultEffect::Partition { buffer: true } => {
            return cannot("what a partition holds back cannot be played on the wire");
        }
        FaultEffect::Reset => {
            stream = Direction::Upstream;
            match greeting.sent {
                0 => (reset, None),
                sent => (Effect::Cut(Bytes { bytes: sent + 1 }), None),
            }
        }
        FaultEffect::DropAnswer => (silence, None),
        // Some of the answer has to get through, or it is a reset.
        FaultEffect::Partial => {
            let bytes = greeting.received + 1;
            (Effect::Cut(Bytes { bytes }), None)
        }
        FaultEffect::Corrupt => return cannot("answers are not corrupted on the wire"),
        FaultEffect::Capacity(_) => {
            return cannot("how many a server serves at once is not decided on the wire");
        }
        FaultEffect::Slow { factor, add } => {
            let slow = Slow {
                factor: *factor,
                add: add.div_ceil(1_000_000),
            };
            (Effect::Slow(slow), None)
        }
        FaultEffect::Error(answer) => match &answer.code {
            ErrorCode::Http(status) => {
                let error = HttpError {
                    status: *status,
                    retry_after: answer.retry_after.map(seconds),
                    body: None,
                };
                (Effect::HttpError(error), None)
            }
            ErrorCode::Sqlstate(sqlstate, _) => {
                let error = SqlError {
                    sqlstate: sqlstate.clone(),
                    message: None,
                    at: SqlPlace::Query,
                };
                (Effect::SqlError(error), None)
            }
        },
        FaultEffect::Throttle { quota, retry_after } => {
            let throttle = throttle(*quota, retry_after.map(seconds));
            (Effect::Throttle(throttle), None)
        }
    };
    let named = |suffix: &str, stream, effect| {
        let mut toxic = Toxic::new(fault.kind.name(), stream, effect);
        toxic.name = match round {
            0 => format!("script_{index}_{}{suffix}", fault.kind.name()),
            round => format!("script_{index}_{round}_{}{suffix}", fault.kind.name()),
        };
        toxic
    };
    let Which {
        probability,
        first,
        every,
    } = fault.which;
    let mut main = named("", stream, effect);
    (main.toxicity, main.first, main.every) = (probability, first, every);
    main.check().map_err(|why| Unplayable::Fault(index, why))?;
    let standing = standing.filter(|_| main.meets_all());
    let also = standing.map(|effect| named("_standing", Direction::Upstream, effect));
    Ok([Some(main), also].into_iter().flatten().collect())
}

/// The quota in the words of a toxic: never more than it grants.
fn throttle(quota: Quota, retry_after: Option<u64>) -> Throttle {
    Throttle {
        rate: 1,
        per: nanos(quota.emission_interval()).div_ceil(1_000).max(1),
        burst: quota.capacity(),
        retry_after,
    }
}

#[cfg(test)]
mod tests;
