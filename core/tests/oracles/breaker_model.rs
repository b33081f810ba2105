//! A breaker on paper: every outcome in a list, every probe in another.
//!
//! Its time is the time that has passed, which a clock that steps back does not change.

use core::time::Duration;

use crossbridge_core::breaker::{BreakerConfig, BreakerState, Counts, Settled, WindowKind};

pub(crate) struct Model {
    config: BreakerConfig,
    pub(crate) state: State,
    pub(crate) generation: u32,
    level: u32,
    pub(crate) passed: u64,
    pub(crate) last_now: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Closed {
        since: u64,
        outcomes: Vec<Seen>,
        /// Of a slow start: what has been saved for the next call, in thousandths of one.
        credit: Option<u64>,
        /// When those admitted in this generation were, who have not reported.
        in_flight: Vec<u64>,
    },
    /// Until some instant between these two.
    Open {
        from: u64,
        to: u64,
    },
    HalfOpen {
        deadline: u64,
        probes: Vec<Probe>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    at: u64,
    failed: bool,
    slow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    InFlight {
        deadline: u64,
    },
    Ended {
        failed: bool,
    },
    /// It gave its place back.
    Neutral,
}

/// What the model remembers about a permit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given {
    generation: u32,
    /// By the clock, which is what the breaker goes by when it calls a call slow.
    at: u64,
    probe: Option<usize>,
    /// Model time.
    passed: u64,
}

impl Model {
    pub(crate) fn new(config: BreakerConfig, start: u64) -> Self {
        Self {
            config,
            state: State::Closed {
                since: 0,
                outcomes: Vec::new(),
                credit: None,
                in_flight: Vec::new(),
            },
            generation: 0,
            level: 0,
            passed: start,
            last_now: start,
        }
    }

    pub(crate) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Time passes, or not, and deadlines take effect.
    pub(crate) fn on_time(&mut self, now: u64) {
        self.passed += now.saturating_sub(self.last_now);
        self.last_now = now;
        let passed = self.passed;
        match &mut self.state {
            State::Open { .. } => {}
            State::Closed { since, credit, .. } => {
                let slow_start = self.config.slow_start.map_or(0, nanos);
                if passed - *since >= slow_start {
                    *credit = None;
                }
                if self
                    .config
                    .hanging_calls
                    .is_some_and(|limit| self.overdue() >= limit)
                {
                    self.open(None);
                }
            }
            State::HalfOpen { deadline, probes } => {
                let is_over = passed >= *deadline;
                for probe in &mut *probes {
                    if matches!(*probe, Probe::InFlight { deadline: own } if passed >= own.min(*deadline)) {
                        *probe = Probe::Ended { failed: true };
                    }
                }
                // Where nothing has failed nobody asked.
                if is_over && probes.contains(&Probe::Ended { failed: true }) {
                    self.open(None);
                } else {
                    self.conclude(None);
                }
            }
        }
    }

    /// How many have been in flight for eight slices of a seventh of `slow_call` each.
    fn overdue(&self) -> u32 {
        let State::Closed { since, in_flight, .. } = &self.state else {
            return 0;
        };
        let slice = |at: u64| (at - since) / nanos(self.config.slow_call).div_ceil(7);
        let overdue = in_flight
            .iter()
            .filter(|&&at| slice(at) + 8 <= slice(self.passed));
        u32::try_from(overdue.count()).unwrap()
    }

    /// Whether a call is admitted, and with what.
    pub(crate) fn admit(&mut self, now: u64) -> Option<Given> {
        self.on_time(now);
        if let State::Open { from, to } = self.state {
            if self.passed < from {
                return None;
            }
            assert_eq!(from, to, "the test has learnt by now when a probe is admitted");
            self.half_open();
        }
        if let State::HalfOpen { deadline, probes } = &self.state
            && self.passed >= *deadline
        {
            assert_eq!(in_flight(probes), 0);
            self.half_open();
        }
        let deadline = self.passed + nanos(self.config.probe_timeout);
        let probe = match &mut self.state {
            State::Closed {
                since,
                credit,
                in_flight,
                ..
            } => {
                if let Some(credit) = credit {
                    let slow_start = nanos(self.config.slow_start.unwrap());
                    *credit += ((self.passed - *since) * 1_000 / slow_start).max(100);
                    if *credit < 1_000 {
                        return None;
                    }
                    *credit -= 1_000;
                }
                in_flight.push(self.passed);
                None
            }
            State::HalfOpen { probes, .. } => {
                let (in_flight, used) = (in_flight(probes), used(probes));
                if in_flight >= usize::from(self.config.half_open_concurrent)
                    || used >= usize::from(self.config.half_open_calls)
                {
                    return None;
                }
                probes.push(Probe::InFlight { deadline });
                Some(probes.len() - 1)
            }
            State::Open { .. } => unreachable!("just left"),
        };
        Some(Given {
            generation: self.generation,
            at: now,
            probe,
            passed: self.passed,
        })
    }

    fn half_open(&mut self) {
        self.become_state(State::HalfOpen {
            deadline: self.passed + nanos(self.config.half_open_timeout),
            probes: Vec::new(),
        });
    }

    pub(crate) fn settle(&mut self, now: u64, given: Given, settled: Settled) {
        self.on_time(now);
        if given.generation != self.generation {
            return;
        }
        let slow = now.saturating_sub(given.at) >= nanos(self.config.slow_call);
        let slow_counts = slow && self.config.slow_rate.is_some();
        let hint = match settled {
            Settled::Failure { retry_after } => retry_after,
            Settled::Success | Settled::Neutral | Settled::Lost => None,
        };
        let failed = match settled {
            Settled::Success => Some(false),
            Settled::Failure { .. } => Some(true),
            Settled::Neutral => None,
            Settled::Lost => given.probe.map(|_| true),
        };
        let at = self.passed;
        match &mut self.state {
            State::Closed {
                outcomes, in_flight, ..
            } => {
                let mine = in_flight.iter().position(|&at| at == given.passed);
                in_flight.remove(mine.expect("it was admitted"));
                let Some(failed) = failed else { return };
                outcomes.push(Seen { at, failed, slow });
                if (failed || slow_counts) && self.trips() {
                    self.open(hint);
                }
            }
            State::HalfOpen { probes, .. } => {
                let probe = &mut probes[given
                    .probe
                    .expect("every permit of a half-open circuit is a probe")];
                if matches!(probe, Probe::InFlight { .. }) {
                    *probe = failed.map_or(Probe::Neutral, |failed| Probe::Ended {
                        failed: failed || slow_counts,
                    });
                }
                self.conclude(hint);
            }
            State::Open { .. } => {}
        }
    }

    /// What the window holds.
    pub(crate) fn counts(&self) -> Counts {
        let State::Closed { since, outcomes, .. } = &self.state else {
            return Counts::default();
        };
        let last = outcomes.last().map_or(0, |seen| seen.at);
        let inside: Vec<_> = match self.config.window {
            WindowKind::Calls(size) => outcomes.iter().rev().take(usize::from(size)).collect(),
            // Ten buckets from the instant of closing on; the last outcome is in the newest.
            WindowKind::Time(span) => {
                let bucket = |at: u64| (at - since) / (nanos(span) / 10);
                outcomes
                    .iter()
                    .filter(|seen| bucket(seen.at) + 10 > bucket(last))
                    .collect()
            }
        };
        let count = |which: fn(&Seen) -> bool| {
            u32::try_from(inside.iter().filter(|seen| which(seen)).count()).unwrap()
        };
        Counts {
            calls: count(|_| true),
            failed: count(|seen| seen.failed),
            slow: count(|seen| seen.slow),
        }
    }

    /// The next deadline, by the clock as it was last told.
    pub(crate) fn poll_at(&self) -> Option<u64> {
        let first = match &self.state {
            State::Open { .. } => None,
            State::HalfOpen { deadline, probes } => probes
                .iter()
                .filter_map(|probe| match probe {
                    Probe::InFlight { deadline: own } => Some(*own.min(deadline)),
                    Probe::Ended { failed: true } => Some(*deadline),
                    Probe::Ended { failed: false } | Probe::Neutral => None,
                })
                .min(),
            State::Closed { since, in_flight, .. } => {
                let limit = usize::try_from(self.config.hanging_calls?).unwrap();
                let width = nanos(self.config.slow_call).div_ceil(7);
                let mut falls_out: Vec<u64> = in_flight
                    .iter()
                    .map(|at| since + ((at - since) / width + 8) * width)
                    .collect();
                falls_out.sort_unstable();
                falls_out.get(limit - 1).copied()
            }
        };
        Some(first? - self.passed + self.last_now)
    }

    fn trips(&self) -> bool {
        let State::Closed { outcomes, .. } = &self.state else {
            return false;
        };
        let in_a_row = outcomes.iter().rev().take_while(|seen| seen.failed).count();
        let counts = self.counts();
        let reaches = |share: Option<crossbridge_core::PerMille>, part: u32| {
            share.is_some_and(|share| part * 1_000 >= counts.calls * u32::from(share.get()))
        };
        let enough = counts.calls >= self.config.min_calls;
        let streak = self
            .config
            .consecutive_failures
            .is_some_and(|limit| in_a_row >= usize::try_from(limit).unwrap());
        streak
            || (enough
                && (reaches(self.config.failure_rate, counts.failed)
                    || reaches(self.config.slow_rate, counts.slow)))
    }

    /// Closes or opens as soon as the probes to come cannot change it.
    fn conclude(&mut self, hint: Option<Duration>) {
        let State::HalfOpen { probes, .. } = &self.state else {
            return;
        };
        let ended = |bad: bool| {
            probes
                .iter()
                .filter(|probe| **probe == Probe::Ended { failed: bad })
                .count()
        };
        let successes = usize::from(self.config.half_open_successes);
        if ended(false) >= successes {
            self.become_state(State::Closed {
                since: self.passed,
                outcomes: Vec::new(),
                credit: self.config.slow_start.map(|_| 900),
                in_flight: Vec::new(),
            });
        } else if usize::from(self.config.half_open_calls) - ended(true) < successes {
            self.open(hint);
        }
    }

    fn open(&mut self, hint: Option<Duration>) {
        if let State::Closed { since, .. } = self.state {
            let healthy = (self.passed - since) / nanos(self.config.open_wait);
            self.level = self
                .level
                .saturating_sub(u32::try_from(healthy.min(1_000)).unwrap());
        }
        let max = u128::from(nanos(self.config.open_wait_max));
        let whole = (u128::from(nanos(self.config.open_wait)) << self.level.min(24)).min(max);
        if whole < max {
            self.level = (self.level + 1).min(24);
        }
        let whole = u64::try_from(whole).unwrap();
        let asked = hint.map_or(0, |hint| nanos(hint.min(self.config.open_wait_max)));
        self.become_state(State::Open {
            from: self.passed + asked.max(whole - whole / 2),
            to: self.passed + asked.max(whole),
        });
    }

    fn become_state(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }
}

pub(crate) fn in_flight(probes: &[Probe]) -> usize {
    probes
        .iter()
        .filter(|probe| matches!(probe, Probe::InFlight { .. }))
        .count()
}

pub(crate) fn used(probes: &[Probe]) -> usize {
    probes
        .iter()
        .filter(|probe| !matches!(probe, Probe::Neutral))
        .count()
}

pub(crate) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap()
}
