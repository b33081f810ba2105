//! A limiter that threads share: time given, with a real clock, and two threads at once.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crossbridge_benches::{Ticks, empty_shared_limiter, shared_limiter_with_room};
use crossbridge_core::rate_limit::SharedRateLimiter;
use crossbridge_core::{Clock as _, ConfigError, Instant, Quota};
use crossbridge_std::clock::{FastClock, SystemClock};
use governor::clock::{Clock, FakeRelativeClock, QuantaClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as GovernorQuota, RateLimiter as Governor};

use crate::floors::{AtomicGcra, RawGcra, Steps, add_by_cas};
use crate::lab::{Contestant, Kind, Row, Target};
use crate::rate_limit::{at, granted};

pub(crate) fn rows() -> Result<Vec<Row>, ConfigError> {
    Ok(vec![
        admitted()?,
        refused()?,
        refused_with_instant()?,
        real_clock()?,
        two_threads()?,
        two_threads_refused()?,
    ])
}

/// Time for those who read a clock of their own: a microsecond later at each reading.
#[derive(Clone, Default)]
pub(crate) struct StepClock(Cell<u64>);

impl Clock for StepClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.set(self.0.get() + 1_000);
        self.0.get().into()
    }
}

impl ratelimit::Clock for StepClock {
    fn elapsed(&self) -> Duration {
        self.0.set(self.0.get() + 1_000);
        Duration::from_nanos(self.0.get())
    }
}

type Direct<C> = Governor<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// One permit an `interval`, `burst` at once.
fn governor<C: Clock>(interval: Duration, burst: u32, clock: C) -> Direct<C> {
    let quota = GovernorQuota::with_period(interval).expect("more than nothing");
    let burst = NonZeroU32::new(burst).expect("more than nothing");
    Direct::<C>::direct_with_clock(quota.allow_burst(burst), clock)
}

/// More than any run takes.
fn plenty() -> Result<SharedRateLimiter, ConfigError> {
    Ok(SharedRateLimiter::new(
        Quota::per_second(10_000_000)?.burst(u32::MAX)?,
    ))
}

fn admitted() -> Result<Row, ConfigError> {
    let (ours, mut ticks) = (shared_limiter_with_room()?, Ticks::default());
    let (atomic, mut steps) = (AtomicGcra::new(&RawGcra::ROOM), Steps::default());
    let theirs = governor(Duration::from_micros(1), 10, StepClock::default());
    let bucket = ratelimit::Builder::with_clock(1_000_000, StepClock::default())
        .max_tokens(1_000)
        .initial_available(1_000)
        .build()
        .expect("accepted");
    Ok(Row {
        id: "shared-admitted",
        what: "GCRA, shared, time given, admitted",
        target: Target::TimesPeer(1.0),
        contestants: vec![
            Contestant::new(Kind::Ours, "SharedRateLimiter::check", 1, move || {
                granted(ours.check(ticks.next(), 1))
            }),
            Contestant::new(Kind::Floor, "GCRA, atomic word", 1, move || {
                u64::from(atomic.check(steps.next()))
            }),
            Contestant::new(Kind::Peer, "governor", 1, move || {
                u64::from(theirs.check().is_ok())
            }),
            Contestant::new(Kind::Peer, "ratelimit", 1, move || {
                u64::from(bucket.try_wait().is_ok())
            }),
        ],
    })
}

fn empty_governor() -> Direct<FakeRelativeClock> {
    let theirs = governor(Duration::from_secs(2), 30, FakeRelativeClock::default());
    while theirs.check().is_ok() {}
    theirs
}

fn refused() -> Result<Row, ConfigError> {
    let (ours, theirs) = (empty_shared_limiter()?, empty_governor());
    let atomic = AtomicGcra::new(&RawGcra::EMPTY);
    Ok(Row {
        id: "shared-refused",
        what: "GCRA, shared, time given, refused",
        target: Target::TimesPeer(1.0),
        contestants: vec![
            Contestant::new(Kind::Ours, "SharedRateLimiter::check", 0, move || {
                granted(ours.check(Instant::ZERO, 1))
            }),
            Contestant::new(Kind::Floor, "GCRA, atomic word", 0, move || {
                u64::from(atomic.check(0))
            }),
            Contestant::new(Kind::Peer, "governor", 0, move || {
                u64::from(theirs.check().is_ok())
            }),
        ],
    })
}

fn refused_with_instant() -> Result<Row, ConfigError> {
    let (ours, theirs) = (empty_shared_limiter()?, empty_governor());
    Ok(Row {
        id: "shared-refused-until",
        what: "the same, and the instant from which it is granted",
        target: Target::None,
        contestants: vec![
            Contestant::new(Kind::Ours, "SharedRateLimiter::check", 2_000_000_000, move || {
                at(ours.check(Instant::ZERO, 1))
            }),
            Contestant::new(Kind::Peer, "governor", 2_000_000_000, move || {
                theirs
                    .check()
                    .map_or_else(|not| not.earliest_possible().as_u64(), |()| 0)
            }),
        ],
    })
}

/// The kernel's clock as of its last tick: some milliseconds old, and far cheaper to read.
fn coarse_now() -> Instant {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    let whole = u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000;
    Instant::from_nanos(whole + u64::try_from(now.tv_nsec).unwrap_or(0))
}

fn real_clock() -> Result<Row, ConfigError> {
    let (ours, clock) = (plenty()?, FastClock::new());
    let (with_std, std_clock, bare) = (plenty()?, SystemClock::new(), SystemClock::new());
    let (fast, coarse) = (FastClock::new(), plenty()?);
    let quanta = governor(Duration::from_nanos(100), u32::MAX, QuantaClock::default());
    let bucket = ratelimit::Ratelimiter::builder(10_000_000)
        .max_tokens(1 << 40)
        .initial_available(1 << 40)
        .build()
        .expect("accepted");
    let leaky = leaky_bucket::RateLimiter::builder()
        .max(1 << 40)
        .initial(1 << 40)
        .refill(10_000)
        .interval(Duration::from_millis(1))
        .fair(false)
        .build();
    Ok(Row {
        id: "shared-real-clock",
        what: "GCRA, shared, real clock, admitted",
        target: Target::TimesPeer(0.9),
        contestants: vec![
            Contestant::new(Kind::Ours, "SharedRateLimiter::check, FastClock", 1, move || {
                granted(ours.check(clock.now(), 1))
            }),
            Contestant::new(Kind::Context, "ours, SystemClock", 1, move || {
                granted(with_std.check(std_clock.now(), 1))
            }),
            Contestant::new(Kind::Context, "ours, coarse clock of the kernel", 1, move || {
                granted(coarse.check(coarse_now(), 1))
            }),
            Contestant::new(Kind::Floor, "FastClock alone", 1, move || {
                u64::from(fast.now() > Instant::ZERO)
            }),
            Contestant::new(Kind::Context, "SystemClock alone", 1, move || {
                u64::from(bare.now() > Instant::ZERO)
            }),
            Contestant::new(Kind::Peer, "governor, quanta", 1, move || {
                u64::from(quanta.check().is_ok())
            }),
            Contestant::new(Kind::Peer, "ratelimit, std clock", 1, move || {
                u64::from(bucket.try_wait().is_ok())
            }),
            // It reads its clock only when the bucket is empty, which this one never is.
            Contestant::new(Kind::Context, "leaky-bucket, unfair, never empty", 1, move || {
                u64::from(leaky.try_acquire(1))
            }),
        ],
    })
}

fn two_threads() -> Result<Row, ConfigError> {
    let ours = plenty()?;
    let theirs = governor(Duration::from_nanos(1), u32::MAX, FakeRelativeClock::default());
    let quanta = governor(Duration::from_nanos(100), u32::MAX, QuantaClock::default());
    let atomic = AtomicGcra::new(&RawGcra {
        tat: 0,
        interval: 1,
        tolerance: u64::MAX >> 1,
    });
    let (counter, looped) = (AtomicU64::new(0), AtomicU64::new(0));
    Ok(Row {
        id: "shared-two-threads",
        what: "one limiter, two threads, time given, per permit of both",
        target: Target::TimesPeer(1.0 / 1.3),
        contestants: vec![
            Contestant::duo(Kind::Ours, "SharedRateLimiter::check", 1, move || {
                granted(ours.check(Instant::ZERO, 1))
            }),
            Contestant::duo(Kind::Floor, "GCRA, atomic word", 1, move || {
                u64::from(atomic.check(0))
            }),
            Contestant::duo(Kind::Peer, "governor", 1, move || {
                u64::from(theirs.check().is_ok())
            }),
            Contestant::duo(Kind::Context, "governor, quanta", 1, move || {
                u64::from(quanta.check().is_ok())
            }),
            Contestant::duo(Kind::Context, "CAS loop", 1, move || add_by_cas(&looped)),
            Contestant::duo(Kind::Context, "fetch_add", 1, move || {
                u64::from(counter.fetch_add(1, Relaxed) < u64::MAX)
            }),
        ],
    })
}

fn two_threads_refused() -> Result<Row, ConfigError> {
    let (ours, theirs) = (empty_shared_limiter()?, empty_governor());
    let atomic = AtomicGcra::new(&RawGcra::EMPTY);
    Ok(Row {
        id: "shared-two-threads-refused",
        what: "the same, refused",
        target: Target::TimesPeer(1.0),
        contestants: vec![
            Contestant::duo(Kind::Ours, "SharedRateLimiter::check", 0, move || {
                granted(ours.check(Instant::ZERO, 1))
            }),
            Contestant::duo(Kind::Floor, "GCRA, atomic word", 0, move || {
                u64::from(atomic.check(0))
            }),
            Contestant::duo(Kind::Peer, "governor", 0, move || {
                u64::from(theirs.check().is_ok())
            }),
        ],
    })
}
