//! One direction of a connection: bytes through a chain of toxics.
//!
//! ```text
//!   push ──▶ entry ──▶ [stage] ──▶ [stage] ──▶ out      each holds what is not due yet
//! ```
//!
//! A link decides when which bytes go on, and how the stream ends. It reads no clock and touches no
//! socket: time comes in as `now`, what is due comes out of [`Link::take`].
//!
//! - Order is kept: nothing overtakes.
//! - Due times are counted from the instant the bytes came, not from when somebody looked; late
//!   polling adds nothing up.
//! - What a toxic holds back when it is removed or changed goes on at once. A `timeout` that is
//!   removed closes the connection, whose stream has a hole (as toxiproxy does).
//! - A link holds at most [`LIMIT`] bytes and one read more; then [`Link::has_room`] says no, the
//!   sender is not read from, and feels it.
//!
//! ```
//! use crossbridge_core::Instant;
//! use crossbridge_core::draw::SplitMix64;
//! use crossbridge_harness::proxy::link::{Item, Link};
//! use crossbridge_harness::proxy::toxic::{Effect, Latency};
//!
//! let latency = Effect::Latency(Latency { latency: 10, jitter: 0 });
//! let mut link = Link::new();
//! link.adapt(Instant::ZERO, vec![(1, latency)], |_| SplitMix64::new(7));
//! link.push(Instant::ZERO, Item::Bytes(b"ping".to_vec()));
//!
//! let due = Instant::from_nanos(10_000_000);
//! assert_eq!(link.poll_at(), Some(due));
//! assert_eq!(link.take(due), Some(Item::Bytes(b"ping".to_vec())));
//! ```

use std::collections::VecDeque;

use crossbridge_core::Instant;
use crossbridge_core::draw::SplitMix64;

use super::stage::Stage;
use super::toxic::Effect;

/// What flows through a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Bytes, never none.
    Bytes(Vec<u8>),
    /// The sender has nothing more to say; the other direction goes on.
    Fin,
    /// The connection is closed, both ways, after what came before.
    Close,
    /// The connection is reset, both ways.
    Reset,
}

impl Item {
    /// How many bytes it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Fin | Self::Close | Self::Reset => 0,
        }
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The most bytes a link holds before its sender has to wait: one second of latency at 4 MB/s.
pub const LIMIT: usize = 4 << 20;

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Link {
    /// What comes from a slowed server, with the instants at which it would have come.
    entry: VecDeque<(Instant, Item)>,
    /// With the number of the toxic each of them plays.
    stages: Vec<(u64, Stage)>,
    out: VecDeque<Item>,
    /// After a `Fin`, a `Close` or a `Reset` nothing is taken in.
    ended: bool,
}

impl Link {
    /// A link without toxics.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on these toxics, by number, are on the link, in this order. One that was there keeps
    /// its state; one that is new starts with the generator it is given.
    pub fn adapt(
        &mut self,
        now: Instant,
        toxics: Vec<(u64, Effect)>,
        mut generator: impl FnMut(u64) -> SplitMix64,
    ) {
        self.settle(now);
        let mut freed = Vec::new();
        for (id, stage) in &mut self.stages {
            if toxics.iter().any(|(wanted, _)| wanted == id) {
                for item in freed.drain(..) {
                    stage.push(now, item);
                }
            } else {
                // What the later stage held is older than what an earlier one freed.
                let mut held = stage.dismantle();
                held.append(&mut freed);
                freed = held;
            }
        }
        let mut old = std::mem::take(&mut self.stages);
        for (id, effect) in toxics {
            let stage = match old.iter().position(|(known, _)| *known == id) {
                Some(at) => old.swap_remove(at).1,
                None => Stage::new(effect, now, generator(id)),
            };
            self.stages.push((id, stage));
        }
        self.out.extend(freed);
        self.settle(now);
    }

    /// Something came in at `now`.
    pub fn push(&mut self, now: Instant, item: Item) {
        self.push_later(now, now, item);
    }

    /// Something came in at `now` that counts as coming at `at`, and not before what came earlier.
    pub fn push_later(&mut self, now: Instant, at: Instant, item: Item) {
        if self.ended {
            return;
        }
        self.ended = !matches!(item, Item::Bytes(_));
        let at = self.entry.back().map_or(at, |(last, _)| at.max(*last));
        self.entry.push_back((at, item));
        self.settle(now);
    }

    /// What was to come later comes now.
    pub fn hurry(&mut self, now: Instant) {
        for (at, _) in &mut self.entry {
            *at = now;
        }
    }

    /// The next thing that is due.
    pub fn take(&mut self, now: Instant) -> Option<Item> {
        self.settle(now);
        self.out.pop_front()
    }

    /// Gives back what could not be used yet.
    pub fn put_back(&mut self, item: Item) {
        self.out.push_front(item);
    }

    /// Whether something is due, as of the last call with a `now`.
    #[must_use]
    pub fn is_due(&self) -> bool {
        !self.out.is_empty()
    }

    /// When [`take`](Self::take) is next worth a call, beyond what is due already.
    #[must_use]
    pub fn poll_at(&self) -> Option<Instant> {
        let entry = self.entry.front().map(|(at, _)| *at);
        let stages = self.stages.iter().filter_map(|(_, stage)| stage.poll_at());
        stages.chain(entry).min()
    }

    /// Whether the sender may go on.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.ended && self.held() < LIMIT
    }

    /// Whether the sender has said its last word.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.ended
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn held(&self) -> usize {
        self.entry.iter().map(|(_, item)| item.len()).sum::<usize>()
            + self.stages.iter().map(|(_, stage)| stage.held()).sum::<usize>()
            + self.out.iter().map(Item::len).sum::<usize>()
    }

    /// Everything that is due by `now` moves on, through every stage.
    fn settle(&mut self, now: Instant) {
        while let Some((at, item)) = self.entry.pop_front_if(|(at, _)| *at <= now) {
            self.hand_on(0, at, item);
        }
        for at in 0..self.stages.len() {
            while let Some((due, item)) = self.stages.get_mut(at).and_then(|(_, stage)| stage.pop(now)) {
                self.hand_on(at + 1, due, item);
            }
        }
    }

    fn hand_on(&mut self, stage: usize, at: Instant, item: Item) {
        match self.stages.get_mut(stage) {
            Some((_, stage)) => stage.push(at, item),
            None => self.out.push_back(item),
        }
    }
}

#[cfg(test)]
mod tests;
