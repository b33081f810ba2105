//! The faults of a scenario: which request meets which of them.

use std::time::Duration;

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::rate_limit::Answer;
use crossbridge_core::retry::Failure;
use crossbridge_core::{FaultKind, Instant, RateLimiter};

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
    /// It is swallowed.
    Hung,
    /// Too many: answered at once.
    Throttled { retry_after: Option<Duration> },
    /// It will be served, and end with the error of this fault.
    Error(usize),
}

/// All faults of a run, each with a stream and counters of its own.
pub(super) struct Weather {
    fronts: Vec<Front>,
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
    pub(super) fn new(scenario: &Scenario, seed: u64) -> Self {
        let fronts = scenario.faults.iter().zip(0_u32..).map(|(fault, index)| Front {
            fault: fault.clone(),
            rng: stream(seed, "fault", index, fault.kind.name()),
            seen: 0,
            limiter: match fault.kind {
                FaultEffect::Throttle { quota, .. } => Some(RateLimiter::new(quota)),
                FaultEffect::Refuse
                | FaultEffect::Hang
                | FaultEffect::Slow { .. }
                | FaultEffect::Error(_) => None,
            },
        });
        Self {
            fronts: fronts.collect(),
        }
    }

    /// What a request that arrives at `node` meets: the first fault, in the order of the file, that
    /// stops it, or the first error it will end with.
    pub(super) fn meet(&mut self, now: Instant, node: usize) -> Meeting {
        let mut error = None;
        for (index, front) in self.fronts.iter_mut().enumerate() {
            if !front.is_over(now, node)
                || matches!(front.fault.kind, FaultEffect::Slow { .. })
                || !front.hits()
            {
                continue;
            }
            match &front.fault.kind {
                FaultEffect::Refuse => return Meeting::Refused,
                FaultEffect::Hang => return Meeting::Hung,
                FaultEffect::Throttle { retry_after, .. } => {
                    let granted = front
                        .limiter
                        .as_mut()
                        .is_none_or(|l| l.check(now, 1) == Answer::Granted);
                    if !granted {
                        return Meeting::Throttled {
                            retry_after: *retry_after,
                        };
                    }
                }
                FaultEffect::Error(_) => error = error.or(Some(index)),
                FaultEffect::Slow { .. } => {}
            }
        }
        error.map_or(Meeting::Clear, Meeting::Error)
    }

    /// How long service that begins at `now` takes instead of `usual` nanoseconds.
    pub(super) fn stretch(&mut self, now: Instant, node: usize, usual: u64) -> u64 {
        let mut span = usual;
        for front in &mut self.fronts {
            if let FaultEffect::Slow { factor, add } = front.fault.kind
                && front.is_over(now, node)
                && front.hits()
            {
                span = scale(span, factor).saturating_add(add);
            }
        }
        span
    }

    /// The error of a fault, as a caller with these retryable codes understands it.
    pub(super) fn error(&self, fault: usize, retryable_codes: &[u16]) -> Failure {
        let Some(FaultEffect::Error(answer)) = self.fronts.get(fault).map(|front| &front.fault.kind) else {
            return Failure {
                kind: FaultKind::Permanent,
                retry_after: None,
            };
        };
        let retry_after = answer.retry_after;
        let kind = match &answer.code {
            ErrorCode::Sqlstate(_, kind) => *kind,
            ErrorCode::Http(status) => http::status_kind(*status, retryable_codes, retry_after.is_some())
                .unwrap_or(FaultKind::Permanent),
        };
        Failure { kind, retry_after }
    }
}

impl Front {
    /// Whether it stands over the node.
    fn is_over(&self, now: Instant, node: usize) -> bool {
        self.fault.node == node && self.fault.from <= now && now < self.fault.until
    }

    /// Whether it hits the request that comes by. One draw where chance is asked for.
    fn hits(&mut self) -> bool {
        self.seen += 1;
        let which = self.fault.which;
        let counted = which.first.is_none_or(|first| self.seen <= first)
            && which.every.is_none_or(|every| self.seen.is_multiple_of(every));
        counted && (which.probability >= 1.0 || chance(&mut self.rng, which.probability))
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
