//! One connection: what comes from either side, what goes to the other, and when.
//!
//! ```text
//!            ┌────────────── tap ── upstream link ──▶
//!   client ──┤                │ answers              ├── server
//!            ◀── downstream link ◀────────── slow ───┘
//! ```
//!
//! A pure machine: it is told what was read and what time it is, and says what to write. The same
//! seed, number and input give the same output at the same instants. The I/O around it is in
//! `pump.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossbridge_core::Instant;
use crossbridge_core::draw::SplitMix64;
use crossbridge_core::time::nanos;

use super::link::{Item, Link};
use super::live::Live;
use super::tap::{Act, Judge, Tap};
use super::toxic::{Admission, Direction, Effect, HttpError, Slow, SqlError, SqlPlace};

/// What a connection is about: where its draws come from.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The seed of the run.
    pub seed: u64,
    /// The name of the proxy.
    pub proxy: String,
    /// The number of the connection within it, from 0.
    pub index: u64,
}

impl Identity {
    /// What becomes of it: the first `refuse` or `hang` that meets it decides.
    #[must_use]
    pub fn admission(&self, toxics: &[Arc<Live>]) -> Admission {
        let verdict = |live: &Arc<Live>| {
            let admission = live.toxic.effect.admission()?;
            self.meets(live).then_some(admission)
        };
        toxics.iter().find_map(verdict).unwrap_or(Admission::Serve)
    }

    fn meets(&self, live: &Live) -> bool {
        live.meets_connection(self.seed, &self.proxy, self.index)
    }

    fn generator(&self, live: &Live, purpose: &str) -> SplitMix64 {
        live.generator(self.seed, &self.proxy, self.index, purpose)
    }
}

/// The two sides of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who connected to us.
    Client,
    /// Whom we connected to.
    Server,
}

/// The machine of one connection.
#[derive(Debug)]
pub struct Connection {
    identity: Identity,
    upstream: Link,
    downstream: Link,
    tap: Tap,
    court: Court,
    /// Since when the client waits for an answer.
    asked_at: Option<Instant>,
    slow: Vec<Slow>,
}

impl Connection {
    /// A connection that begins at `now`; `declines_encryption` keeps PostgreSQL sessions readable.
    #[must_use]
    pub fn new(now: Instant, identity: Identity, toxics: &[Arc<Live>], declines_encryption: bool) -> Self {
        let mut connection = Self {
            identity,
            upstream: Link::new(),
            downstream: Link::new(),
            tap: Tap::new(),
            court: Court {
                now,
                toxics: Vec::new(),
                generators: BTreeMap::new(),
                declines_encryption,
            },
            asked_at: None,
            slow: Vec::new(),
        };
        connection.adapt(now, toxics, declines_encryption);
        connection
    }

    /// From now on these are the toxics of the proxy.
    pub fn adapt(&mut self, now: Instant, toxics: &[Arc<Live>], declines_encryption: bool) {
        let Self {
            identity,
            upstream,
            downstream,
            court,
            ..
        } = self;
        let met: Vec<&Arc<Live>> = toxics
            .iter()
            .filter(|live| !live.toxic.effect.meets_requests() && identity.meets(live))
            .collect();
        for (link, direction) in [
            (upstream, Direction::Upstream),
            (downstream, Direction::Downstream),
        ] {
            let here = met.iter().filter(|live| live.toxic.stream == direction);
            let effects = here.map(|live| (live.id, live.toxic.effect.clone())).collect();
            link.adapt(now, effects, |id| {
                let live = met.iter().find(|live| live.id == id);
                live.map_or_else(
                    || SplitMix64::new(id),
                    |live| identity.generator(live, direction.name()),
                )
            });
        }
        let mut slow = Vec::new();
        for live in &met {
            if let Effect::Slow(one) = live.toxic.effect {
                slow.push(one);
            }
        }
        if slow != self.slow {
            self.downstream.hurry(now);
            self.slow = slow;
        }
        court.declines_encryption = declines_encryption;
        court.toxics = toxics
            .iter()
            .filter(|live| {
                let effect = &live.toxic.effect;
                // At the startup it is the connection that is met.
                let at_startup = matches!(effect, Effect::SqlError(e) if e.at == SqlPlace::Startup);
                effect.meets_requests() || (at_startup && identity.meets(live))
            })
            .cloned()
            .collect();
        for live in &court.toxics {
            let fresh = || identity.generator(live, "requests");
            court.generators.entry(live.id).or_insert_with(fresh);
        }
        court
            .generators
            .retain(|id, _| toxics.iter().any(|live| live.id == *id));
    }

    /// One side said something.
    pub fn on_bytes(&mut self, now: Instant, from: Side, bytes: &[u8]) {
        match from {
            Side::Client => {
                self.court.now = now;
                for act in self.tap.on_client(bytes, &mut self.court) {
                    match act {
                        Act::Forward(bytes) => {
                            self.asked_at = Some(now);
                            self.upstream.push(now, Item::Bytes(bytes));
                        }
                        Act::Answer(bytes) => self.downstream.push(now, Item::Bytes(bytes)),
                        Act::Close => self.downstream.push(now, Item::Close),
                    }
                }
            }
            Side::Server => {
                if let Some(held) = self.tap.on_server(bytes) {
                    self.upstream.push(now, Item::Bytes(held));
                }
                let at = self.slowed(now);
                self.downstream.push_later(now, at, Item::Bytes(bytes.to_vec()));
            }
        }
    }

    /// One side has nothing more to say.
    pub fn on_end(&mut self, now: Instant, from: Side) {
        if from == Side::Client
            && let Some(held) = self.tap.on_client_end()
        {
            self.upstream.push(now, Item::Bytes(held));
        }
        self.link(from).push(now, Item::Fin);
    }

    /// One side is gone: reset, or closed while something was still written to it. False where it has
    /// said its last word before, so that the other side cannot hear of it in its turn.
    #[must_use]
    pub fn on_reset(&mut self, now: Instant, from: Side) -> bool {
        let link = self.link(from);
        let is_open = !link.has_ended();
        link.push(now, Item::Reset);
        is_open
    }

    /// What is due to be written to one side.
    pub fn take(&mut self, now: Instant, to: Side) -> Option<Item> {
        self.link(to.other()).take(now)
    }

    /// What could not be written.
    pub fn put_back(&mut self, to: Side, item: Item) {
        self.link(to.other()).put_back(item);
    }

    /// Whether something is due to be written to one side.
    #[must_use]
    pub fn is_due(&self, to: Side) -> bool {
        match to {
            Side::Client => self.downstream.is_due(),
            Side::Server => self.upstream.is_due(),
        }
    }

    /// Whether one side may say more.
    #[must_use]
    pub fn has_room(&self, from: Side) -> bool {
        match from {
            Side::Client => self.upstream.has_room(),
            Side::Server => self.downstream.has_room(),
        }
    }

    /// When [`take`](Self::take) next has more than it has now.
    #[must_use]
    pub fn poll_at(&self) -> Option<Instant> {
        let both = [self.upstream.poll_at(), self.downstream.poll_at()];
        both.into_iter().flatten().min()
    }

    fn link(&mut self, from: Side) -> &mut Link {
        match from {
            Side::Client => &mut self.upstream,
            Side::Server => &mut self.downstream,
        }
    }

    /// When an answer whose first byte came at `now` would have come from a slower server.
    fn slowed(&mut self, now: Instant) -> Instant {
        let Some(asked_at) = self.asked_at.take() else {
            return now;
        };
        let usual = nanos(now.saturating_duration_since(asked_at));
        let took = self.slow.iter().fold(usual, |span, slow| {
            scale(span, slow.factor).saturating_add(slow.add.saturating_mul(1_000_000))
        });
        now.saturating_add(Duration::from_nanos(took.saturating_sub(usual)))
    }
}

impl Side {
    /// The one across.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// Who decides about the requests of one connection.
#[derive(Debug)]
struct Court {
    now: Instant,
    /// The toxics that meet requests, and those at the startup that meet this connection.
    toxics: Vec<Arc<Live>>,
    generators: BTreeMap<u64, SplitMix64>,
    declines_encryption: bool,
}

impl Court {
    /// Whether a toxic meets the request that begins now.
    fn meets(now: Instant, generators: &mut BTreeMap<u64, SplitMix64>, live: &Live) -> bool {
        let rng = generators.get_mut(&live.id);
        rng.is_some_and(|rng| live.meets_request(now, rng))
    }
}

impl Judge for Court {
    fn http(&mut self) -> Option<HttpError> {
        for live in &self.toxics {
            let error = live.toxic.effect.http_answer();
            if error.is_some() && Self::meets(self.now, &mut self.generators, live) {
                return error;
            }
        }
        None
    }

    fn sql(&mut self, place: SqlPlace) -> Option<SqlError> {
        for live in &self.toxics {
            let Effect::SqlError(error) = &live.toxic.effect else {
                continue;
            };
            if error.at != place {
                continue;
            }
            // At the startup it is the connection that is met, and that has been decided.
            if place == SqlPlace::Startup || Self::meets(self.now, &mut self.generators, live) {
                return Some(error.clone());
            }
        }
        None
    }

    fn declines_encryption(&self) -> bool {
        self.declines_encryption
    }
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

#[cfg(test)]
mod tests;
