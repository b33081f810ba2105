//! A bulkhead that lets callers wait in line, each for as long as its deadline allows.
//!
//! For short bursts over the limit: a caller that can spare 50 ms rather waits for a slot than
//! fails. It does not wait for what cannot come in time, and it leaves the line when it gives up.
//!
//! ```text
//!   enter ──▶ a slot free beyond those the line can claim? ──yes──▶ Now(Slot) ────────┐
//!               │ no                                                                  ▼
//!               ├─ line full, or deadline past ────────────▶ Refused           release(Slot)
//!               ├─ expected wait > rest of the deadline ───▶ Refused                  │
//!               └──▶ Waiting(Ticket)                                                  │
//!                      │                                                              │
//!        line   [ t1 ][ t2 ][ t3 ]   the first `limit - in flight` of them are ready ◀┘
//!                      │
//!                      ├─ poll: among the ready ones ──▶ Ready(Slot)
//!                      ├─ cancel ──────────────────────▶ gone at once
//!                      └─ deadline ────────────────────▶ Expired
//! ```
//!
//! # Rules
//! - First in, first out. Nobody overtakes: a newcomer gets a slot at once only if one is left when
//!   everybody in line has been served.
//! - A slot is taken in [`poll`](WaitingBulkhead::poll), never handed to somebody in advance. A
//!   waiter that is cancelled or expired has left the line, so that the next one is ready instead:
//!   no slot is swallowed. One that is dropped without [`cancel`](WaitingBulkhead::cancel) holds
//!   its place until its deadline, so give it one.
//! - Waiting is refused at once when it looks hopeless: the expected wait is `holds * d / limit`,
//!   `holds` the moving average (weight 1/8, RFC 6298) of how long slots are held and `d` the
//!   releases needed until it is the newcomer's turn. Before the first release nothing is known
//!   and nobody is refused for it. One slow call does not close the door: who finds a slot free
//!   gets it whatever the average says, and brings the average down again.
//! - A deadline is exclusive: ready one nanosecond before it, expired at it.
//! - The limit may move ([`limit`](super::limit)). When it shrinks, calls in flight keep their
//!   slots and nothing blocks: the next ones are admitted once enough have come back.
//! - A clock that steps back moves the deadlines in line with it, see [`time`](crate::time).
//!
//! # Driving it
//! It belongs to one owner; threads share it behind a lock of theirs, since who waits has to be
//! woken, and only the caller knows how. Who does not wait needs no lock: [`shared`](super::shared)
//! and [`adaptive`](super::adaptive).
//!
//! After each [`release`](WaitingBulkhead::release), [`cancel`](WaitingBulkhead::cancel) and
//! [`handle_timeout`](WaitingBulkhead::handle_timeout) the first
//! [`ready`](WaitingBulkhead::ready) waiters can poll with success; wake them. Call `handle_timeout`
//! at [`poll_at`](WaitingBulkhead::poll_at); early, late and repeated calls are harmless.
//!
//! | field | default | why |
//! |---|---|---|
//! | `N`, the longest line | chosen by the type | 2 to 4 times the limit; a longer line only waits longer |
//! | `limit` | none | see [`limit`](super::limit) |
//!
//! ```
//! use core::time::Duration;
//! use crossbridge_core::Instant;
//! use crossbridge_core::bulkhead::limit::LimitConfig;
//! use crossbridge_core::bulkhead::waiters::{Entered, Polled, Refusal, Released, WaitingBulkhead};
//!
//! let ms = |ms: u64| Instant::from_nanos(ms * 1_000_000);
//! let mut bulkhead: WaitingBulkhead<8> = WaitingBulkhead::new(LimitConfig::Fixed(1))?;
//! let Entered::Now(slot) = bulkhead.enter(ms(0), None) else { panic!("it is empty") };
//! let Entered::Waiting(ticket) = bulkhead.enter(ms(10), Some(ms(60))) else { panic!("it is taken") };
//! assert_eq!(bulkhead.poll_at(), Some(ms(60)));
//!
//! bulkhead.release(ms(40), slot, Released::Success { took: Duration::from_millis(40) });
//! let Polled::Ready(slot) = bulkhead.poll(ms(41), ticket) else { panic!("its turn") };
//!
//! // Slots are held for 40 ms: who has 20 ms left need not wait for one.
//! let hopeless = bulkhead.enter(ms(42), Some(ms(62)));
//! assert!(matches!(hopeless, Entered::Refused { reason: Refusal::WouldExpire, .. }));
//! bulkhead.release(ms(50), slot, Released::Neutral);
//! # Ok::<(), crossbridge_core::ConfigError>(())
//! ```
//!
//! Source: the line of `tokio::sync::Semaphore`, and what failsafe-lib/failsafe#393 got wrong: a
//! timed-out waiter kept its place, took the next permit and gave it to nobody, until none was left.

mod snapshot;

use core::time::Duration;

use heapless::Vec;

pub use self::snapshot::WaitingSnapshot;
use super::limit::{Limit, LimitConfig, Sample};
use crate::ConfigError;
use crate::time::{Instant, LastSeen, nanos};

/// What [`WaitingBulkhead::enter`] answers.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Entered {
    /// Send the call, then release the slot.
    Now(Slot),
    /// In line: poll with the ticket, or cancel it.
    Waiting(Ticket),
    /// Neither.
    Refused {
        /// Why.
        reason: Refusal,
        /// How long a newcomer would have to wait, as far as that is known.
        expected_wait: Duration,
    },
}

/// Why nobody may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Refusal {
    /// The deadline has passed already.
    Expired,
    /// The line is as long as it may be.
    LineFull,
    /// The wait is expected to outlast the deadline.
    WouldExpire,
}

impl Refusal {
    /// The name in logs, traces and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::LineFull => "line_full",
            Self::WouldExpire => "would_expire",
        }
    }
}

/// What [`WaitingBulkhead::poll`] answers.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Polled {
    /// Its turn: send the call, then release the slot.
    Ready(Slot),
    /// Still in line.
    Waiting(Ticket),
    /// The deadline passed, and it left the line.
    Expired,
}

/// How a call ended, for the limit to learn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Released {
    /// The dependency answered.
    Success {
        /// After this long.
        took: Duration,
    },
    /// It says nothing about the dependency: cancelled, or refused elsewhere.
    Neutral,
    /// It ran into a timeout, or the dependency refused it for overload.
    Dropped,
}

impl Released {
    /// What the limit learns from a call whose slot was held for so long.
    pub(super) const fn sample(self, in_flight: u32, held: Duration) -> Option<Sample> {
        let (took, dropped) = match self {
            Self::Success { took } => (took, false),
            Self::Dropped => (held, true),
            Self::Neutral => return None,
        };
        Some(Sample {
            in_flight,
            took,
            dropped,
        })
    }
}

/// A place in line. Not `Copy`: it is polled until it is answered, or cancelled.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ticket {
    number: u64,
}

/// The right to be in flight. Not `Copy`: it is given back once.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Slot {
    /// When it was taken, in time passed.
    since: u64,
    /// Calls in flight then, this one included.
    in_flight: u32,
}

/// A bulkhead with a line of at most `N` waiters. See the [module](self) for the rules.
#[derive(Clone, Debug)]
pub struct WaitingBulkhead<const N: usize> {
    limit: Limit,
    in_flight: u32,
    line: Vec<Waiter, N>,
    /// Numbers the tickets.
    tickets: u64,
    /// The moving average of how long slots are held, in nanoseconds.
    hold: Option<u64>,
    /// Nanoseconds that have passed, by a clock that never steps back.
    passed: u64,
    last_seen: LastSeen,
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    number: u64,
    deadline: Option<Instant>,
}

impl<const N: usize> WaitingBulkhead<N> {
    /// An empty bulkhead with nobody in line.
    ///
    /// # Errors
    /// See [`LimitConfig::check`].
    pub const fn new(limit: LimitConfig) -> Result<Self, ConfigError> {
        match Limit::new(limit) {
            Ok(limit) => Ok(Self::empty(limit)),
            Err(refused) => Err(refused),
        }
    }

    const fn empty(limit: Limit) -> Self {
        Self {
            limit,
            in_flight: 0,
            line: Vec::new(),
            tickets: 0,
            hold: None,
            passed: 0,
            last_seen: LastSeen::new(),
        }
    }

    /// Calls in flight.
    #[must_use]
    pub const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Calls that may be in flight just now.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit.get()
    }

    /// Callers in line.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.line.len()
    }

    /// How many of them, from the first, would get a slot if they polled now.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.free().min(self.line.len())
    }

    /// How long a newcomer would wait, by the holds seen so far; zero before the first.
    #[must_use]
    pub fn expected_wait(&self) -> Duration {
        let limit = u64::from(self.limit());
        let ahead = u64::try_from(self.line.len()).unwrap_or(u64::MAX);
        // Releases until it is the newcomer's turn.
        let needed = (u64::from(self.in_flight) + 1)
            .saturating_add(ahead)
            .saturating_sub(limit);
        let wait = (u128::from(self.hold.unwrap_or(0)) * u128::from(needed)).div_ceil(u128::from(limit));
        Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX))
    }

    /// Asks for a slot, to be waited for until `deadline`.
    pub fn enter(&mut self, now: Instant, deadline: Option<Instant>) -> Entered {
        self.handle_timeout(now);
        let expected_wait = self.expected_wait();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return Entered::Refused {
                reason: Refusal::Expired,
                expected_wait,
            };
        }
        if self.line.len() < self.free() {
            return Entered::Now(self.take());
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(now));
        if left.is_some_and(|left| expected_wait > left) {
            return Entered::Refused {
                reason: Refusal::WouldExpire,
                expected_wait,
            };
        }
        let number = self.tickets;
        if self.line.push(Waiter { number, deadline }).is_err() {
            return Entered::Refused {
                reason: Refusal::LineFull,
                expected_wait,
            };
        }
        self.tickets = number.wrapping_add(1);
        Entered::Waiting(Ticket { number })
    }

    /// Takes the slot, if it is the ticket's turn.
    pub fn poll(&mut self, now: Instant, ticket: Ticket) -> Polled {
        self.handle_timeout(now);
        match self.place(&ticket) {
            None => Polled::Expired,
            Some(place) if place < self.free() => {
                self.line.remove(place);
                Polled::Ready(self.take())
            }
            Some(_) => Polled::Waiting(ticket),
        }
    }

    /// Leaves the line. Everybody behind moves up.
    pub fn cancel(&mut self, ticket: Ticket) {
        if let Some(place) = self.place(&ticket) {
            self.line.remove(place);
        }
    }

    /// Gives a slot back, and lets the limit learn from the call.
    pub fn release(&mut self, now: Instant, slot: Slot, released: Released) {
        self.handle_timeout(now);
        self.in_flight = self.in_flight.saturating_sub(1);
        let held = self.passed.saturating_sub(slot.since);
        self.hold = Some(match self.hold {
            None => held,
            Some(hold) if held >= hold => hold + (held - hold) / 8,
            Some(hold) => hold - (hold - held) / 8,
        });
        if let Some(sample) = released.sample(slot.in_flight, Duration::from_nanos(held)) {
            self.limit.on_sample(sample);
        }
    }

    /// Starts over with another limit. Calls in flight keep their slots, waiters their places.
    ///
    /// # Errors
    /// See [`LimitConfig::check`]; the limit stays as it was.
    pub fn set_limit(&mut self, limit: LimitConfig) -> Result<(), ConfigError> {
        self.limit = Limit::new(limit)?;
        Ok(())
    }

    /// When [`handle_timeout`](Self::handle_timeout) is next worth calling: the first deadline.
    #[must_use]
    pub fn poll_at(&self) -> Option<Instant> {
        self.line.iter().filter_map(|waiter| waiter.deadline).min()
    }

    /// Lets those leave whose deadline has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.last_seen.last());
        self.passed = self.passed.saturating_add(nanos(elapsed));
        if let Some(step) = self.last_seen.observe(now) {
            for waiter in &mut self.line {
                waiter.deadline = waiter.deadline.map(|deadline| deadline.saturating_sub(step));
            }
        }
        self.line
            .retain(|waiter| waiter.deadline.is_none_or(|deadline| now < deadline));
    }

    /// Slots that nobody holds. None while more are in flight than a limit that has shrunk.
    fn free(&self) -> usize {
        let free = self.limit().saturating_sub(self.in_flight);
        usize::try_from(free).unwrap_or(usize::MAX)
    }

    fn place(&self, ticket: &Ticket) -> Option<usize> {
        self.line.iter().position(|waiter| waiter.number == ticket.number)
    }

    /// Only while a slot is free, so that the count stays within a `u32`.
    fn take(&mut self) -> Slot {
        self.in_flight += 1;
        Slot {
            since: self.passed,
            in_flight: self.in_flight,
        }
    }
}
