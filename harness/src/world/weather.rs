//! The faults of a scenario: which request meets which of them.

use std::ops::ControlFlow;
use std::time::Duration;

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::rate_limit::Answer;
use crossbridge_core::retry::Failure;
use crossbridge_core::{FaultKind, Instant, RateLimiter};

use super::slab::at;
use crate::scenario::{ErrorCode, Fault, FaultEffect, Scenario};
use crate::stream::stream;
use crossbridge_std::classify::http;

/// What a request meets on its way into a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meeting {
    /// Nothing.
    Clear,
    /// The connection is refused.
    Refused,
    /// The connection breaks.
    Reset,
    /// It is swallowed.
    Hung,
    /// Too many: answered at once.
    Throttled { retry_after: Option<Duration> },
    /// It will be served, and this fault is about its answer.
    Marked(u32),
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoilt {
    /// Its caller hears of a failure.
    Failure(Failure),
    /// Its caller hears nothing.
    Lost,
}

/// All faults of a run, each with a stream and counters of its own.
pub(crate) struct Weather {
    fronts: Vec<Front>,
    /// Those over each node since the last edge, by their index.
    over: Vec<Vec<u32>>,
    /// When faults begin and end, in order, and how many of these are past.
    edges: Vec<Instant>,
    past: usize,
    /// There is nothing over any node until then.
    calm_until: Instant,
}

struct Front {
    fault: Fault,
    rng: SplitMix64,
    /// Requests that came by while it lasted.
    seen: u64,
    /// What a throttling server bears.
    limiter: Option<RateLimiter>,
}

impl Weather {
    pub(crate) fn new(scenario: &Scenario, seed: u64) -> Self {
        let fronts = scenario.faults.iter().map(Front::new(seed));
        let edges = scenario.faults.iter().flat_map(|fault| [fault.from, fault.until]);
        let mut edges: Vec<Instant> = edges.collect();
        edges.sort_unstable();
        Self {
            calm_until: edges.first().copied().unwrap_or(Instant::MAX),
            fronts: fronts.collect(),
            over: vec![Vec::new(); scenario.nodes.len()],
            edges,
            past: 0,
        }
    }

    /// Brings `over` up to date.
    fn look(&mut self, now: Instant) {
        if self.edges.get(self.past).is_none_or(|&edge| now < edge) {
            return;
        }
        while self.edges.get(self.past).is_some_and(|&edge| edge <= now) {
            self.past += 1;
        }
        self.over.iter_mut().for_each(Vec::clear);
        for (front, index) in self.fronts.iter().zip(0_u32..) {
            if front.fault.is_over(now)
                && let Some(over) = self.over.get_mut(front.fault.node)
            {
                over.push(index);
            }
        }
        let calm = self.over.iter().all(Vec::is_empty);
        let next = self.edges.get(self.past).copied().unwrap_or(Instant::MAX);
        self.calm_until = if calm { next } else { Instant::ZERO };
    }

    /// Tells `each` the faults over `node`, in the order of the file, until it has an answer.
    #[inline]
    fn ask<T>(
        &mut self,
        now: Instant,
        node: usize,
        mut each: impl FnMut(u32, &mut Front) -> ControlFlow<T>,
    ) -> Option<T> {
        // Nearly always: one comparison and no more.
        if now < self.calm_until {
            return None;
        }
        self.look(now);
        for &index in self.over.get(node)? {
            if let Some(front) = self.fronts.get_mut(at(index))
                && let ControlFlow::Break(answer) = each(index, front)
            {
                return Some(answer);
            }
        }
        None
    }

    /// What a request that arrives at `node` meets: the first fault, in the order of the file, that
    /// stops it, or the first that is about its answer.
    pub(super) fn meet(&mut self, now: Instant, node: usize) -> Meeting {
        let mut marked = None;
        let stopped = self.ask(now, node, |index, front| {
            if !front.is_about_requests() || !front.hits(now) {
                return ControlFlow::Continue(());
            }
            match &front.fault.kind {
                FaultEffect::Refuse | FaultEffect::CrashRestart => {
                    return ControlFlow::Break(Meeting::Refused);
                }
                FaultEffect::Reset => return ControlFlow::Break(Meeting::Reset),
                FaultEffect::Hang => return ControlFlow::Break(Meeting::Hung),
                FaultEffect::Throttle { retry_after, .. } => {
                    let granted = front
                        .limiter
                        .as_mut()
                        .is_none_or(|l| l.check(now, 1) == Answer::Granted);
                    if !granted {
                        return ControlFlow::Break(Meeting::Throttled {
                            retry_after: *retry_after,
                        });
                    }
                }
                FaultEffect::Error(_)
                | FaultEffect::DropAnswer
                | FaultEffect::Partial
                | FaultEffect::Corrupt => {
                    marked = marked.or(Some(index));
                }
                FaultEffect::Slow { .. } | FaultEffect::Capacity(_) | FaultEffect::Partition { .. } => {}
            }
            ControlFlow::Continue(())
        });
        stopped.unwrap_or_else(|| marked.map_or(Meeting::Clear, Meeting::Marked))
    }

    /// How long service that begins at `now` takes instead of `usual` nanoseconds.
    pub(crate) fn stretch(&mut self, now: Instant, node: usize, usual: u64) -> u64 {
        let mut span = usual;
        self.ask(now, node, |_, front| {
            if let FaultEffect::Slow { factor, add } = front.fault.kind
                && front.hits(now)
            {
                let strength = front.fault.strength(now);
                if strength < 1.0 {
                    span = scale(span, 1.0 + (factor - 1.0) * strength);
                    span = span.saturating_add(scale(add, strength));
                } else {
                    span = scale(span, factor).saturating_add(add);
                }
            }
            ControlFlow::<()>::Continue(())
        });
        span
    }

    /// How many requests `node` serves at once instead of `usual`.
    pub(super) fn servers(&mut self, now: Instant, node: usize, usual: u32) -> u32 {
        let mut servers = usual;
        self.ask(now, node, |_, front| {
            if let FaultEffect::Capacity(left) = front.fault.kind {
                let change = (f64::from(left) - f64::from(usual)) * front.fault.strength(now);
                // Between the two, which are both in range.
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                {
                    servers = libm::round(f64::from(usual) + change) as u32;
                }
            }
            ControlFlow::<()>::Continue(())
        });
        servers
    }

    /// Whether `node` is cut off, and if so whether messages are held.
    pub(super) fn partition(&mut self, now: Instant, node: usize) -> Option<bool> {
        let mut cut = None;
        self.ask(now, node, |_, front| {
            if let FaultEffect::Partition { buffer } = front.fault.kind {
                cut = Some(cut.unwrap_or(true) && buffer);
            }
            ControlFlow::<()>::Continue(())
        });
        cut
    }

    /// Whether this fault keeps a service from doing its part.
    pub(super) fn is_error(&self, fault: u32) -> bool {
        matches!(self.kind(fault), Some(FaultEffect::Error(_)))
    }

    fn kind(&self, fault: u32) -> Option<&FaultEffect> {
        self.fronts.get(at(fault)).map(|front| &front.fault.kind)
    }

    /// What a caller with these retryable codes hears of a request that met this fault.
    pub(super) fn spoil(&self, fault: u32, retryable_codes: &[u16]) -> Spoilt {
        let failure = |kind, retry_after| Spoilt::Failure(Failure { kind, retry_after });
        match self.kind(fault) {
            Some(FaultEffect::Error(answer)) => {
                let retry_after = answer.retry_after;
                let kind = match &answer.code {
                    ErrorCode::Sqlstate(_, kind) => *kind,
                    ErrorCode::Http(status) => {
                        http::status_kind(*status, retryable_codes, retry_after.is_some())
                            .unwrap_or(FaultKind::Permanent)
                    }
                };
                failure(kind, retry_after)
            }
            Some(FaultEffect::DropAnswer) => Spoilt::Lost,
            // It was done, and the caller cannot know: the same as no answer, only sooner.
            _ => failure(FaultKind::Unknown, None),
        }
    }
}

impl Front {
    /// From a fault to its front, with the streams of this seed.
    fn new(seed: u64) -> impl Fn(&Fault) -> Self {
        move |fault| {
            let ((number, round), name) = (fault.number, fault.kind.name());
            let purpose = if round == 0 {
                name.to_owned()
            } else {
                format!("{name}#{round}")
            };
            Self {
                fault: fault.clone(),
                rng: stream(seed, "fault", number, &purpose),
                seen: 0,
                limiter: match fault.kind {
                    FaultEffect::Throttle { quota, .. } => Some(RateLimiter::new(quota)),
                    FaultEffect::Refuse
                    | FaultEffect::Hang
                    | FaultEffect::Slow { .. }
                    | FaultEffect::Error(_)
                    | FaultEffect::Reset
                    | FaultEffect::DropAnswer
                    | FaultEffect::Partial
                    | FaultEffect::Corrupt
                    | FaultEffect::Capacity(_)
                    | FaultEffect::CrashRestart
                    | FaultEffect::Partition { .. } => None,
                },
            }
        }
    }

    /// Whether it stops requests or spoils their answers.
    const fn is_about_requests(&self) -> bool {
        !matches!(
            self.fault.kind,
            FaultEffect::Slow { .. } | FaultEffect::Capacity(_) | FaultEffect::Partition { .. }
        )
    }

    /// Whether it hits the request that comes by. One draw where chance is asked for.
    fn hits(&mut self, now: Instant) -> bool {
        self.seen += 1;
        let which = self.fault.which;
        let counted = which.first.is_none_or(|first| self.seen <= first)
            && which.every.is_none_or(|every| self.seen.is_multiple_of(every));
        // A slowdown grows by itself; of everything else more and more requests meet it.
        let probability = if matches!(self.fault.kind, FaultEffect::Slow { .. }) {
            which.probability
        } else {
            which.probability * self.fault.strength(now)
        };
        counted && (probability >= 1.0 || chance(&mut self.rng, probability))
    }
}

/// True with this probability; exact to 2^-53.
#[expect(clippy::cast_precision_loss)]
fn chance(rng: &mut SplitMix64, probability: f64) -> bool {
    ((rng.next() >> 11) as f64) < probability * 9_007_199_254_740_992.0
}

/// `span * factor`, to the nearest nanosecond; what is beyond `u64` saturates.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]
fn scale(span: u64, factor: f64) -> u64 {
    libm::round(span as f64 * factor) as u64
}
