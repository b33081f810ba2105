//! One run, and whether everything held in it.

use std::fmt;
use std::time::Duration;

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
    /// policy either: what the faults left behind outlasts the policies' waits.
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

    /// Whether goodput is back in the plan's own window, or else in the one that follows from when the
    /// reference is back.
    fn recovery(&self, schedule: &Schedule, outcome: &Outcome) -> Result<Judged, RunError> {
        if self.shortfall(schedule, outcome, self.plan.window())?.is_none() {
            return Ok(Judged::Held);
        }
        let Some(back_after) = self.reference(schedule)? else {
            return Ok(Judged::Excused);
        };
        let window = self.plan.late_window(back_after);
        let longer = self.long_enough(schedule.clone(), window.1);
        let outcome = run(&longer.scenario(self.base))?;
        let shortfall = self.shortfall(&longer, &outcome, window)?;
        Ok(shortfall.map_or(Judged::Held, |short| {
            Judged::Broken(Failure {
                flaw: Flaw::Recovery,
                violation: None,
                shortfall: Some(short),
            })
        }))
    }

    /// What the goodput of a run lacks in these seconds.
    pub(super) fn shortfall(
        &self,
        schedule: &Schedule,
        outcome: &Outcome,
        window: (u64, u64),
    ) -> Result<Option<Shortfall>, RunError> {
        // Nobody called: there is nothing to come back.
        let Some(goodput) = goodput(outcome, window).filter(|&goodput| goodput < SHARE) else {
            return Ok(None);
        };
        let calm = run(&calm(schedule).scenario(self.base))?;
        Ok(Shortfall::of(goodput, window, &calm))
    }

    /// How many seconds after the storm the reference, which has one attempt a call and no other
    /// policy, is back and stays so; `None` if it is not by the time the plan allows the policies.
    fn reference(&self, schedule: &Schedule) -> Result<Option<u64>, RunError> {
        let outcome = run(&bare(schedule.scenario(self.base)))?;
        let calm = run(&bare(calm(schedule).scenario(self.base)))?;
        let is_back = |after: &u64| {
            let window = self.plan.window_after(*after);
            goodput(&outcome, window).is_none_or(|goodput| Shortfall::of(goodput, window, &calm).is_none())
        };
        let most = self.plan.recovery.as_secs();
        Ok((0..=most).rev().take_while(is_back).last())
    }

    /// The same, with all that was judged in it.
    pub(super) fn whole(&self, schedule: Schedule, failure: &Failure) -> Schedule {
        match &failure.shortfall {
            Some(short) => self.long_enough(schedule, short.to),
            None => schedule,
        }
    }

    /// The same, long enough for the calls before this second to end.
    fn long_enough(&self, mut schedule: Schedule, second: u64) -> Schedule {
        let needed = Duration::from_secs(second).saturating_add(self.plan.tail);
        schedule.duration = schedule.duration.max(needed);
        schedule
    }
}

impl Shortfall {
    /// What this goodput lacks; `None` if it is the demanded share of what the same seconds have in a
    /// run without faults, or more.
    fn of(goodput: f64, (from, to): (u64, u64), calm: &Outcome) -> Option<Self> {
        let level = self::goodput(calm, (from, to)).unwrap_or(0.0);
        // To three decimals, downwards, as it is written into a file.
        let demanded = libm::floor(SHARE * level * 1e3) / 1e3;
        let short = Self {
            from,
            to,
            goodput,
            demanded,
        };
        // Equal is within a billionth, as in promises.
        (demanded - goodput > 1e-9).then_some(short)
    }
}

fn run(scenario: &Scenario) -> Result<Outcome, RunError> {
    world::run(scenario, scenario.seed, None, &mut |_| {})
}

/// The same without faults.
fn calm(schedule: &Schedule) -> Schedule {
    Schedule {
        faults: Vec::new(),
        ..schedule.clone()
    }
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
    let again = run(scenario)?;
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
