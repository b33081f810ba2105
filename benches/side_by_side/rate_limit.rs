//! A limiter with one owner, and time given.

use std::time::Duration;

use crossbridge_benches::{Ticks, empty_limiter, limiter_with_room};
use crossbridge_core::rate_limit::{Answer, RateLimiter};
use crossbridge_core::{ConfigError, Instant};
use gcra::{GcraError, GcraState, RateLimit};

use crate::floors::{AtomicGcra, RawGcra, Steps};
use crate::lab::{Contestant, Kind, Row, Target};

/// Whether it was granted, as a word.
pub(crate) fn granted(answer: Answer) -> u64 {
    u64::from(answer == Answer::Granted)
}

/// When it will be, in nanoseconds.
pub(crate) const fn at(answer: Answer) -> u64 {
    match answer {
        Answer::NotBefore(at) => at.as_nanos(),
        Answer::Granted | Answer::Never => 0,
    }
}

pub(crate) fn rows() -> Result<Vec<Row>, ConfigError> {
    Ok(vec![admitted()?, refused()?, refused_with_instant()?])
}

fn admitted() -> Result<Row, ConfigError> {
    let (mut ours, mut ticks) = (limiter_with_room()?, Ticks::default());
    let (mut raw, mut steps) = (RawGcra::ROOM, Steps::default());
    let (atomic, mut atomic_steps) = (AtomicGcra::new(&RawGcra::ROOM), Steps::default());
    let mut now = std_now();
    let (mut state, limit) = (GcraState::default(), per_microsecond());
    Ok(Row {
        id: "gcra-admitted",
        what: "GCRA, exclusive, time given, admitted",
        target: Target::TimesFloor(1.2),
        contestants: vec![
            Contestant::new(Kind::Ours, "RateLimiter::check", 1, move || {
                granted(ours.check(ticks.next(), 1))
            }),
            Contestant::new(Kind::Floor, "GCRA, one owner", 1, move || {
                u64::from(raw.check(steps.next()))
            }),
            Contestant::new(Kind::Context, "GCRA, atomic word", 1, move || {
                u64::from(atomic.check(atomic_steps.next()))
            }),
            Contestant::new(Kind::Peer, "gcra", 1, move || {
                now += Duration::from_micros(1);
                u64::from(state.check_and_modify_at(&limit, now, 1).is_ok())
            }),
        ],
    })
}

fn refused() -> Result<Row, ConfigError> {
    let mut ours = empty_limiter()?;
    let mut raw = RawGcra::EMPTY;
    let (mut state, limit, now) = empty_gcra();
    Ok(Row {
        id: "gcra-refused",
        what: "GCRA, exclusive, time given, refused",
        target: Target::TimesFloor(1.2),
        contestants: vec![
            Contestant::new(Kind::Ours, "RateLimiter::check", 0, move || {
                granted(ours.check(Instant::ZERO, 1))
            }),
            Contestant::new(Kind::Floor, "GCRA, one owner", 0, move || u64::from(raw.check(0))),
            Contestant::new(Kind::Peer, "gcra", 0, move || {
                u64::from(state.check_and_modify_at(&limit, now, 1).is_ok())
            }),
        ],
    })
}

fn refused_with_instant() -> Result<Row, ConfigError> {
    let mut ours: RateLimiter = empty_limiter()?;
    let mut raw = RawGcra::EMPTY;
    let (mut state, limit, now) = empty_gcra();
    Ok(Row {
        id: "gcra-refused-until",
        what: "the same, and the instant from which it is granted",
        target: Target::None,
        contestants: vec![
            Contestant::new(Kind::Ours, "RateLimiter::check", 2_000_000_000, move || {
                at(ours.check(Instant::ZERO, 1))
            }),
            Contestant::new(Kind::Floor, "GCRA, one owner", 2_000_000_000, move || {
                if raw.check(0) {
                    return 0;
                }
                raw.tat + raw.interval - raw.tolerance
            }),
            Contestant::new(Kind::Peer, "gcra", 1, move || {
                match state.check_and_modify_at(&limit, now, 1) {
                    Err(GcraError::DeniedUntil { next_allowed_at }) => u64::from(next_allowed_at > now),
                    Ok(()) | Err(GcraError::DeniedIndefinitely { .. }) => 0,
                }
            }),
        ],
    })
}

/// A permit a microsecond. The crate knows no burst apart from its period.
fn per_microsecond() -> RateLimit {
    RateLimit::new(10, Duration::from_micros(10))
}

fn empty_gcra() -> (GcraState, RateLimit, std::time::Instant) {
    let (limit, now) = (RateLimit::new(30, Duration::from_secs(60)), std_now());
    let mut state = GcraState::default();
    while state.check_and_modify_at(&limit, now, 1).is_ok() {}
    (state, limit, now)
}

/// The crate's time is the standard library's.
fn std_now() -> std::time::Instant {
    #[expect(clippy::disallowed_methods, reason = "there is no other way to make one")]
    std::time::Instant::now()
}
