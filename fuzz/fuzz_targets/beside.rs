//! The guard of many threads beside that of one owner: alone, both answer the same.

use core::time::Duration;

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::guard::{CallState, Permit, SharedGuard};
use crossbridge_core::{Guard, Instant, Step};

use crate::decode::Story;
use crate::guard::Op;

/// The same call in both.
struct Pair {
    owned: CallState,
    shared: CallState,
    permits: Option<(Permit, Permit)>,
}

/// Tells a story to both. A clock that steps back stays where it is: threads may be late, so that the
/// shared form takes a small step for none.
pub(crate) fn story(story: &Story) {
    let mut owned = Guard::new(story.config).expect("in its ranges");
    let shared = SharedGuard::new(story.config).expect("in its ranges");
    let mut rngs = [(); 2].map(|()| SplitMix64::new(story.seed));
    let (mut calls, mut now) = (Vec::<Pair>::new(), Instant::from_nanos(story.start));
    for op in &story.ops {
        let len = calls.len().max(1);
        match *op {
            Op::Wait(span) => now = now.saturating_add(Duration::from_nanos(span)),
            Op::Jump(to) => now = now.max(Instant::from_nanos(to)),
            Op::Begin(span, idempotent) => {
                let deadline = span.map(|span| now.saturating_add(Duration::from_nanos(span)));
                let mut pair = Pair {
                    owned: owned.begin_detached(now, deadline),
                    shared: shared.begin_detached(now, deadline),
                    permits: None,
                };
                pair.owned.set_idempotent(idempotent);
                pair.shared.set_idempotent(idempotent);
                calls.push(pair);
            }
            Op::Poll(which) => {
                if let Some(pair) = calls.get_mut(which % len) {
                    let [rng, its_rng] = &mut rngs;
                    let one = pair.owned.poll(&mut owned, now, rng);
                    let other = pair.shared.poll(&shared, now, its_rng);
                    assert_eq!(said(&one), said(&other));
                    if let (Step::Attempt(one), Step::Attempt(other)) = (one, other) {
                        pair.permits = Some((one, other));
                    }
                }
            }
            Op::Outcome(which, outcome) => {
                if let Some(pair) = calls.get_mut(which % len)
                    && let Some((one, other)) = pair.permits.take()
                {
                    pair.owned.on_outcome(&mut owned, now, one, outcome);
                    pair.shared.on_outcome(&shared, now, other, outcome);
                }
            }
            Op::Cancel(which) => {
                if let Some(pair) = calls.get_mut(which % len) {
                    pair.owned.cancel(&mut owned, now);
                    pair.shared.cancel(&shared, now);
                }
            }
        }
        assert_eq!(owned.in_flight(), shared.in_flight());
        assert_eq!(owned.snapshot(now), shared.snapshot(now));
    }
}

/// What a step says, apart from its permit.
fn said(step: &Step) -> String {
    match step {
        Step::Attempt(permit) => format!("attempt {} {:?}", permit.number(), permit.timeout()),
        Step::Wait { until } => format!("wait {until:?}"),
        Step::Done(verdict) => format!("done {verdict:?}"),
    }
}
