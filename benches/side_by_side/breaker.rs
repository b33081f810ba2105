//! One call through a closed circuit: asked, and told that it went well.

use std::time::Duration;

use crossbridge_benches::{Ticks, closed_breaker, open_breaker};
use crossbridge_core::breaker::Settled;
use crossbridge_core::{ConfigError, Instant};
use failsafe::CircuitBreaker as _;
use failsafe::{backoff, failure_policy};
use recloser::Recloser;
use reliakit_circuit::{CircuitBreaker, RollingBreaker};

use crate::floors::{RawBreaker, Steps};
use crate::lab::{Contestant, Kind, Row, Target};

pub(crate) fn rows() -> Result<Vec<Row>, ConfigError> {
    Ok(vec![closed()?, open()?])
}

fn closed() -> Result<Row, ConfigError> {
    let (mut ours, mut ticks) = (closed_breaker()?, Ticks::default());
    let mut raw = RawBreaker::default();
    let (mut in_a_row, mut steps) = (CircuitBreaker::new(5, 5_000_000_000), Steps::default());
    let (mut rolling, mut rolling_steps) = (RollingBreaker::<100>::new(50, 5_000_000_000), Steps::default());
    let ring = Recloser::default();
    let over_time = failsafe::Config::new().build();
    let waits = backoff::exponential(Duration::from_secs(5), Duration::from_secs(60));
    let consecutive = failsafe::Config::new()
        .failure_policy(failure_policy::consecutive_failures(5, waits))
        .build();
    Ok(Row {
        id: "breaker-closed",
        what: "breaker closed, exclusive, admitted and settled",
        target: Target::Nanos(3.0),
        contestants: vec![
            Contestant::new(Kind::Ours, "Breaker, last 100 calls", 1, move || {
                let now = ticks.next();
                ours.admit(now).map_or(0, |permit| {
                    ours.settle(now, permit, Settled::Success);
                    1
                })
            }),
            Contestant::new(Kind::Floor, "a window in a word", 1, move || {
                u64::from(raw.call(false))
            }),
            Contestant::new(Kind::Peer, "reliakit-circuit, in a row", 1, move || {
                let admitted = in_a_row.allow(steps.next());
                in_a_row.on_success();
                u64::from(admitted)
            }),
            Contestant::new(Kind::Peer, "reliakit-circuit, last 100 calls", 1, move || {
                let admitted = rolling.allow(rolling_steps.next());
                rolling.on_success();
                u64::from(admitted)
            }),
            Contestant::new(Kind::Peer, "recloser, last 100 calls", 1, move || {
                ring.call(|| Ok::<_, ()>(1)).unwrap_or(0)
            }),
            Contestant::new(Kind::Peer, "failsafe, in a row", 1, move || {
                consecutive.call(|| Ok::<_, ()>(1)).unwrap_or(0)
            }),
            Contestant::new(Kind::Peer, "failsafe, success rate", 1, move || {
                over_time.call(|| Ok::<_, ()>(1)).unwrap_or(0)
            }),
        ],
    })
}

fn open() -> Result<Row, ConfigError> {
    let mut ours = open_breaker()?;
    let mut theirs = CircuitBreaker::new(1, 5_000_000_000);
    theirs.on_failure(1);
    Ok(Row {
        id: "breaker-open",
        what: "breaker open, refused",
        target: Target::None,
        contestants: vec![
            Contestant::new(Kind::Ours, "Breaker", 0, move || {
                u64::from(ours.admit(Instant::ZERO).is_ok())
            }),
            Contestant::new(Kind::Peer, "reliakit-circuit", 0, move || {
                u64::from(theirs.allow(2))
            }),
        ],
    })
}
