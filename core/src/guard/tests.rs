//! What each step does to a call in each phase.

use core::time::Duration;
use std::cell::RefCell;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::draw::SplitMix64;
use crate::event::{Event, Observer};
use crate::rate_limit::Quota;
use crate::retry::{BudgetConfig, Jitter, RetryPolicy};
use crate::tests::{row, table};
use crate::time::Instant;

/// The names of the events, in their order.
#[derive(Default)]
struct Names(RefCell<Vec<String>>);

impl Observer for Names {
    fn on_event(&self, _: Instant, event: &Event) {
        self.0.borrow_mut().push(match *event {
            Event::AttemptStarted { number } => format!("attempt {number}"),
            Event::AttemptEnded {
                number,
                fault: Some(fault),
                ..
            } => format!("{number} {}", fault.name()),
            Event::AttemptEnded {
                number, fault: None, ..
            } => format!("{number} ended"),
            Event::RetryScheduled { number, .. } => format!("retry {number}"),
            Event::WaitingForLimit { .. } => "waiting".into(),
            Event::BreakerChanged { to, .. } => to.name().into(),
            Event::HealthChanged { to, .. } => to.name().into(),
            Event::CallEnded { .. } => "over".into(),
        });
    }
}

/// Three attempts, half a second and a second between them, two permits and two more a second.
fn config() -> GuardConfig {
    GuardConfig {
        quota: Quota::per_second(2).unwrap(),
        on_limit: OnLimit::Wait,
        retry: RetryPolicy::DEFAULT.jitter(Jitter::None),
        budget: BudgetConfig::AWS,
        deadline: Some(Duration::from_secs(10)),
        attempt_timeout: Some(Duration::from_secs(2)),
        ..GuardConfig::DEFAULT
    }
}

struct Setting<'n> {
    guard: Guard<&'n Names>,
    call: CallState,
    permit: Option<Permit>,
    now: Instant,
}

impl<'n> Setting<'n> {
    fn new(names: &'n Names) -> Self {
        let mut guard = Guard::with_observer(config(), names).unwrap();
        let now = Instant::from_nanos(7_200_000_000_000);
        let call = guard.begin_detached(now, None);
        Self {
            guard,
            call,
            permit: None,
            now,
        }
    }

    fn poll(&mut self) -> String {
        match self.call.poll(&mut self.guard, self.now, &mut SplitMix64::new(1)) {
            Step::Attempt(permit) => {
                let answer = format!("attempt {}", permit.number());
                self.permit = Some(permit);
                answer
            }
            Step::Wait { until: Instant::MAX } => "wait for outcome".into(),
            Step::Wait { until } => format!("wait {:?}", until.saturating_duration_since(self.now)),
            Step::Done(Verdict::Succeeded) => "succeeded".into(),
            Step::Done(Verdict::Cancelled) => "cancelled".into(),
            Step::Done(Verdict::Stopped { reason, .. }) => reason.name().into(),
        }
    }

    fn end(&mut self, outcome: Outcome) -> String {
        match self.permit.take() {
            Some(permit) => {
                self.call.on_outcome(&mut self.guard, self.now, permit, outcome);
                String::new()
            }
            None => "-".into(),
        }
    }

    /// Up to a phase: due, in flight, failed, due for a retry, waiting for a permit, retrying, and
    /// cancelled in flight.
    fn reach(mut self, phase: usize) -> Self {
        if phase == 4 {
            // Somebody else has taken the permits.
            self.guard.spend_permits(self.now, 2);
        }
        if phase >= 1 {
            let _ = self.poll();
        }
        if matches!(phase, 2 | 3 | 5) {
            let _ = self.end(Outcome::failed(FaultKind::Transient));
        }
        if matches!(phase, 3 | 5) {
            let _ = self.poll();
        }
        if phase == 5 {
            self.now = self.now.saturating_add(Duration::from_millis(500));
            let _ = self.poll();
        }
        if phase == 6 {
            self.call.cancel(&mut self.guard, self.now);
        }
        self
    }
}

const PHASES: [&str; 7] = [
    "due",
    "in flight",
    "failed",
    "due again",
    "no permit",
    "retry in flight",
    "cancelled in flight",
];

type Action = (&'static str, fn(&mut Setting<'_>) -> String);

const STEPS: [Action; 10] = [
    ("poll", |setting| setting.poll()),
    ("poll 1s later", |setting| {
        setting.now = setting.now.saturating_add(Duration::from_secs(1));
        setting.poll()
    }),
    ("poll 10s later", |setting| {
        setting.now = setting.now.saturating_add(Duration::from_secs(10));
        setting.poll()
    }),
    ("poll 1h earlier", |setting| {
        setting.now = setting.now.saturating_sub(Duration::from_secs(3_600));
        setting.poll()
    }),
    ("success", |setting| setting.end(Outcome::Success)),
    ("transient", |setting| {
        setting.end(Outcome::failed(FaultKind::Transient))
    }),
    ("permanent", |setting| {
        setting.end(Outcome::failed(FaultKind::Permanent))
    }),
    ("neutral", |setting| setting.end(Outcome::Neutral)),
    ("lost", |setting| setting.end(Outcome::Lost)),
    ("cancel", |setting| {
        setting.call.cancel(&mut setting.guard, setting.now);
        String::new()
    }),
];

#[test]
fn phase_by_step() {
    let mut rows = vec![row([
        "phase",
        "step",
        "answer",
        "events",
        "polled again",
        "permits, slots, tokens",
    ])];
    for (phase, name) in PHASES.into_iter().enumerate() {
        if phase > 0 {
            rows.push(Vec::new());
        }
        for (step, apply) in STEPS {
            let names = Names::default();
            let mut setting = Setting::new(&names).reach(phase);
            names.0.borrow_mut().clear();
            let answer = apply(&mut setting);
            if answer == "-" {
                // Without an attempt there is no outcome.
                continue;
            }
            let events = names.0.take().join(", ");
            let again = setting.poll();
            let (guard, now) = (&setting.guard, setting.now);
            let left = format!(
                "{} {} {}",
                guard.remaining(now),
                guard.in_flight(),
                guard.budget_tokens(now)
            );
            rows.push(row([name, step, &answer, &events, &again, &left]));
        }
    }
    insta::assert_snapshot!(table(&rows));
}

/// When the circuit of a guard lets the next attempt through, each of three times it opens.
fn waits(mut guard: Guard<(), &Policies>) -> Vec<Instant> {
    let (mut now, mut rng) = (Instant::from_nanos(1), SplitMix64::new(1));
    let mut ends = |guard: &mut Guard<(), &Policies>, now, outcome| {
        let mut call = guard.begin(now, None);
        loop {
            match call.poll(now, &mut rng) {
                Step::Attempt(permit) => call.on_outcome(now, permit, outcome),
                Step::Wait { .. } => panic!("nothing waits"),
                Step::Done(verdict) => return verdict,
            }
        }
    };
    let mut waits = vec![];
    for _ in 0..3 {
        let _ = ends(&mut guard, now, Outcome::failed(FaultKind::Unknown));
        let Verdict::Stopped {
            reason: StopReason::Breaker {
                retry_at: Some(retry_at),
            },
            ..
        } = ends(&mut guard, now, Outcome::Success)
        else {
            panic!("the circuit is open");
        };
        waits.push(retry_at);
        now = retry_at;
        while guard.breaker_state() != crate::breaker::BreakerState::Closed {
            let _ = ends(&mut guard, now, Outcome::Success);
        }
    }
    waits
}

#[test]
fn a_seed_of_its_own_is_added_to_that_of_the_policies() {
    let policies = |jitter_seed| {
        let breaker = crate::BreakerConfig {
            consecutive_failures: Some(1),
            jitter_seed,
            ..crate::BreakerConfig::DEFAULT
        };
        let retry = RetryPolicy::DEFAULT.attempts(1);
        Policies::new(GuardConfig {
            breaker,
            retry,
            ..GuardConfig::DEFAULT
        })
        .unwrap()
    };
    let [five, nine] = [5, 9].map(policies);
    let own = waits(Guard::under(&five, ()).with_jitter_seed(4));
    assert_eq!(own, waits(Guard::under(&nine, ())));
    let without = waits(Guard::under(&five, ()));
    assert!(own.iter().zip(&without).all(|(own, without)| own != without));
}
