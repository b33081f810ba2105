//! One call that succeeds at once, through everything.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crossbridge_benches::{Ticks, one_call, one_shared_call, shared_guard, unwatched_guard, whole_guard};
use crossbridge_core::ConfigError;
use crossbridge_core::draw::SplitMix64;

use crate::floors::{AtomicGcra, RawBreaker, RawGcra, RawGuard, Steps, add_by_cas};
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
    let (shared, mut shared_ticks, mut shared_rng) = (shared_guard()?, Ticks::default(), SplitMix64::new(7));
    let (mut shared_steps, limit) = (Steps::default(), AtomicGcra::new(&RawGcra::ROOM));
    let in_flight = AtomicU64::new(0);
    let exclusive = Row {
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
    };
    let shared = Row {
        id: "guard-shared",
        what: "whole guard, shared, time given, the call succeeds at once",
        target: Target::TimesFloor(1.2),
        contestants: vec![
            Contestant::new(
                Kind::Ours,
                "SharedGuard, begun, attempted, settled, done",
                1,
                move || u64::from(one_shared_call(&shared, shared_ticks.next(), &mut shared_rng)),
            ),
            Contestant::new(Kind::Floor, "its three read-modify-writes alone", 1, move || {
                let _ = add_by_cas(&in_flight);
                let granted = limit.check(shared_steps.next());
                let _ = in_flight.fetch_sub(1, Relaxed);
                u64::from(granted)
            }),
        ],
    };
    Ok(vec![exclusive, shared])
}
