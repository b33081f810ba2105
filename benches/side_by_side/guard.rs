//! One call that succeeds at once, through everything.

use crossbridge_benches::{Ticks, one_call, unwatched_guard, whole_guard};
use crossbridge_core::ConfigError;
use crossbridge_core::draw::SplitMix64;

use crate::floors::{RawBreaker, RawGcra, RawGuard, Steps};
use crate::lab::{Contestant, Kind, Row, Target};

pub(crate) fn rows() -> Result<Vec<Row>, ConfigError> {
    let (mut ours, mut ticks, mut rng) = (unwatched_guard()?, Ticks::default(), SplitMix64::new(7));
    let (mut watched, mut its_ticks, mut its_rng) = (whole_guard()?, Ticks::default(), SplitMix64::new(7));
    let mut raw = RawGuard {
        limit: RawGcra::ROOM,
        breaker: RawBreaker::default(),
        in_flight: 0,
        tokens: 0,
        deadline: 10_000_000_000,
    };
    let mut steps = Steps::default();
    Ok(vec![Row {
        id: "guard",
        what: "whole guard, exclusive, time given, the call succeeds at once",
        target: Target::Nanos(12.0),
        contestants: vec![
            Contestant::new(
                Kind::Ours,
                "Guard, begun, attempted, settled, done",
                1,
                move || u64::from(one_call(&mut ours, ticks.next(), &mut rng)),
            ),
            Contestant::new(
                Kind::Context,
                "ours, watching the target's health",
                1,
                move || u64::from(one_call(&mut watched, its_ticks.next(), &mut its_rng)),
            ),
            Contestant::new(Kind::Floor, "the four decisions inline", 1, move || {
                u64::from(raw.call(steps.next()))
            }),
        ],
    }])
}
