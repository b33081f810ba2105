//! One run, and whether everything held in it.

use std::fmt;

use crossbridge_core::{BreakerConfig, GuardConfig, RetryPolicy};
use serde::Serialize;

use super::draw;
use super::plan::{Plan, UNBOUNDED};
use super::schedule::Schedule;
use crate::invariants::{Rule, Violation};
use crate::scenario::Scenario;
use crate::world::{self, Outcome, RunError};

/// Which rule does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// One of the invariants.
    Invariant(Rule),
    /// Goodput is back within its bound.
    Recovery,
}

/// What was found wrong with a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failure {
    /// Which rule.
    #[serde(skip)]
    pub flaw: Flaw,
    /// The first violation of an invariant.
    pub violation: Option<Violation>,
    /// The goodput that did not come back.
    pub shortfall: Option<Shortfall>,
}

/// Goodput that did not come back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Shortfall {
    /// First second that is judged.
    pub from: u64,
    /// The second after the last.
    pub to: u64,
    /// The goodput of these seconds.
    pub goodput: f64,
    /// What it should be at least.
    pub demanded: f64,
}

/// How a run is judged.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Judged {
    /// Everything held.
    Held,
    /// A rule did not.
    Broken(Failure),
    /// Goodput did not come back in time, and would not have with one attempt a call and no other
    /// policy either: what the faults left behind outlasts the bound.
    Excused,
}

/// Runs schedules of one scenario.
#[derive(Debug)]
pub(super) struct Trials<'s> {
    base: &'s Scenario,
    plan: Plan,
}

/// Goodput comes back to this share of what it is without faults.
const SHARE: f64 = 0.9;

impl Flaw {
    /// Its name in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invariant(rule) => rule.name(),
            Self::Recovery => "recovery",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.violation, &self.shortfall) {
            (Some(violation), _) => violation.fmt(f),
            (None, Some(short)) => write!(
                f,
                "recovery: goodput {:.3} from {}s to {}s, at least {} is demanded",
                short.goodput, short.from, short.to, short.demanded
            ),
            (None, None) => f.write_str(self.flaw.name()),
        }
    }
}

impl<'s> Trials<'s> {
    pub(super) const fn new(base: &'s Scenario, plan: Plan) -> Self {
        Self { base, plan }
    }

    pub(super) const fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn draw(&self, seed: u64) -> Schedule {
        draw::draw(self.base, &self.plan, seed)
    }

    /// By the first rule that does not hold, invariants first.
    pub(super) fn try_all(&self, schedule: &Schedule) -> Result<Judged, RunError> {
        let scenario = schedule.scenario(self.base);
        let outcome = world::run_checked(&scenario, schedule.seed)?;
        if let Some(failure) = broken(&outcome, None) {
            return Ok(Judged::Broken(failure));
        }
        if let Some(failure) = another_trace(&scenario, &outcome)? {
            return Ok(Judged::Broken(failure));
        }
        self.recovery(schedule, &outcome)
    }

    /// Whether this rule does not hold.
    pub(super) fn try_one(&self, schedule: &Schedule, flaw: Flaw) -> Result<Option<Failure>, RunError> {
        let scenario = schedule.scenario(self.base);
        let outcome = world::run_checked(&scenario, schedule.seed)?;
        match flaw {
            Flaw::Invariant(Rule::SameTrace) => another_trace(&scenario, &outcome),
            Flaw::Invariant(rule) => Ok(broken(&outcome, Some(rule))),
            Flaw::Recovery => Ok(match self.recovery(schedule, &outcome)? {
                Judged::Broken(failure) => Some(failure),
                Judged::Held | Judged::Excused => None,
            }),
        }
    }

    fn recovery(&self, schedule: &Schedule, outcome: &Outcome) -> Result<Judged, RunError> {
        let (from, to) = self.plan.window();
        // Nobody called: there is nothing to come back.
        let Some(goodput) = goodput(outcome, (from, to)).filter(|&goodput| goodput < SHARE) else {
            return Ok(Judged::Held);
        };
        let demanded = self.demanded(schedule, |scenario| scenario)?;
        if is_back(goodput, demanded) {
            return Ok(Judged::Held);
        }
        let bare = world::run(
            &bare(schedule.scenario(self.base)),
            schedule.seed,
            None,
            &mut |_| {},
        )?;
        if let Some(bare) = self::goodput(&bare, (from, to))
            && !is_back(bare, self.demanded(schedule, self::bare)?)
        {
            return Ok(Judged::Excused);
        }
        Ok(Judged::Broken(Failure {
            flaw: Flaw::Recovery,
            violation: None,
            shortfall: Some(Shortfall {
                from,
                to,
                goodput,
                demanded,
            }),
        }))
    }

    /// The share of the goodput without faults that has to come back.
    fn demanded(&self, schedule: &Schedule, change: fn(Scenario) -> Scenario) -> Result<f64, RunError> {
        let mut calm = schedule.clone();
        calm.faults.clear();
        let calm = world::run(
            &change(calm.scenario(self.base)),
            schedule.seed,
            None,
            &mut |_| {},
        )?;
        let level = goodput(&calm, self.plan.window()).unwrap_or(0.0);
        // To three decimals, downwards, as it is written into a file.
        Ok(libm::floor(SHARE * level * 1e3) / 1e3)
    }
}

/// Equal is within a billionth, as in promises.
fn is_back(goodput: f64, demanded: f64) -> bool {
    demanded - goodput <= 1e-9
}

/// The same with one attempt a call, no other policy, and nobody who waits for ever.
fn bare(mut scenario: Scenario) -> Scenario {
    for downstream in scenario.downstreams_mut() {
        let GuardConfig {
            deadline,
            attempt_timeout,
            idempotent,
            ..
        } = downstream.guard;
        downstream.guard = GuardConfig {
            retry: RetryPolicy::NEVER,
            breaker: BreakerConfig::DISABLED,
            deadline,
            attempt_timeout: Some(attempt_timeout.unwrap_or(UNBOUNDED)),
            idempotent,
            ..GuardConfig::DEFAULT
        };
    }
    scenario
}

/// The first violation of this rule, or of any.
fn broken(outcome: &Outcome, rule: Option<Rule>) -> Option<Failure> {
    let mut first = outcome.invariants.iter().flat_map(|found| &found.first);
    let violation = first.find(|violation| rule.is_none_or(|rule| violation.rule == rule))?;
    Some(of(violation.clone()))
}

fn another_trace(scenario: &Scenario, outcome: &Outcome) -> Result<Option<Failure>, RunError> {
    let again = world::run(scenario, scenario.seed, None, &mut |_| {})?;
    let (one, other) = (&outcome.trace_sha256, &again.trace_sha256);
    let violation = || Violation {
        rule: Rule::SameTrace,
        at_ns: 0,
        actor: "the run".to_owned(),
        call: 0,
        found: format!("trace {one}, and {other} the second time"),
    };
    Ok((one != other).then(|| of(violation())))
}

const fn of(violation: Violation) -> Failure {
    Failure {
        flaw: Flaw::Invariant(violation.rule),
        violation: Some(violation),
        shortfall: None,
    }
}

/// Of the calls offered in these seconds the share that succeeded.
#[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
fn goodput(outcome: &Outcome, (from, to): (u64, u64)) -> Option<f64> {
    let series = &outcome.ledger.total.series;
    let range = usize::try_from(from).ok()?..usize::try_from(to).ok()?;
    let offered: u64 = series.offered.get(range.clone())?.iter().sum();
    let succeeded: u64 = series.succeeded.get(range)?.iter().sum();
    (offered > 0).then(|| succeeded as f64 / offered as f64)
}
