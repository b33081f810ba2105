//! One toxic on one link: what it lets through, and when.
//!
//! | toxic | bytes | the end of the stream |
//! |---|---|---|
//! | `latency` | `latency ± jitter` after they came | in order after them |
//! | `bandwidth` | one after the other, each as long as the rate takes, in pieces of 100 ms | in order |
//! | `slow_close` | at once | `delay` later |
//! | `timeout` | never | close at `timeout` after the toxic met the link |
//! | `reset_peer` | never | reset at `timeout` after the first byte or the end came |
//! | `slicer` | in slices, `delay` after each | in order |
//! | `limit_data`, `cut` | the first `bytes` of them | close, or reset, after the last of them |

use std::collections::VecDeque;
use std::time::Duration;

use crossbridge_core::Instant;
use crossbridge_core::draw::{SplitMix64, inclusive};

use super::link::Item;
use super::toxic::{Effect, Slicer, plus_millis};

/// One toxic on one link.
#[derive(Debug)]
pub(super) struct Stage {
    effect: Effect,
    rng: SplitMix64,
    /// When the toxic met the link.
    since: Instant,
    /// What came through, with the instants at which it goes on, which never decrease.
    queue: VecDeque<(Instant, Item)>,
    /// No later than this nothing goes on: the last instant in the queue, or the pause after it.
    busy_until: Instant,
    /// Bytes let through, where they are counted.
    passed: u64,
    held: usize,
    ended: bool,
}

impl Stage {
    pub(super) fn new(effect: Effect, now: Instant, rng: SplitMix64) -> Self {
        Self {
            effect,
            rng,
            since: now,
            queue: VecDeque::new(),
            busy_until: Instant::ZERO,
            passed: 0,
            held: 0,
            ended: false,
        }
    }

    /// Something came at `at`.
    pub(super) fn push(&mut self, at: Instant, item: Item) {
        if self.ended {
            return;
        }
        match self.effect {
            Effect::Latency(latency) => {
                let spread = inclusive(0, latency.jitter.saturating_mul(2), &mut self.rng);
                let delay = latency
                    .latency
                    .saturating_add(spread)
                    .saturating_sub(latency.jitter);
                self.emit(plus_millis(at, delay), item);
            }
            Effect::Bandwidth(bandwidth) => self.squeeze(at, bandwidth.rate, item),
            Effect::SlowClose(close) => {
                let ends = matches!(item, Item::Fin | Item::Close);
                let wait = if ends { close.delay } else { 0 };
                self.emit(plus_millis(at, wait), item);
            }
            // The end is set by the clock; a sender that hangs up, or is reset, is not held.
            Effect::Timeout(_) => match item {
                Item::Bytes(_) => {}
                Item::Fin | Item::Close | Item::Reset => self.emit(at, item),
            },
            Effect::ResetPeer(reset) => self.emit(plus_millis(at, reset.timeout), Item::Reset),
            Effect::Slicer(slicer) => match item {
                Item::Bytes(bytes) => self.slice(at, slicer, &bytes),
                Item::Fin | Item::Close | Item::Reset => self.emit(at, item),
            },
            Effect::LimitData(limit) => self.limit(at, limit.bytes, Item::Close, item),
            Effect::Cut(limit) => self.limit(at, limit.bytes, Item::Reset, item),
            Effect::Noop(_)
            | Effect::Refuse(_)
            | Effect::Hang(_)
            | Effect::Slow(_)
            | Effect::HttpError(_)
            | Effect::SqlError(_)
            | Effect::Throttle(_) => self.emit(at, item),
        }
    }

    /// What is due by `now`, with the instant it became due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Instant, Item)> {
        if let Some(at) = self.closes_at()
            && at <= now
        {
            self.emit(at, Item::Close);
        }
        let (at, item) = self.queue.pop_front_if(|(at, _)| *at <= now)?;
        self.held = self.held.saturating_sub(item.len());
        Some((at, item))
    }

    /// When [`pop`](Self::pop) next has something.
    pub(super) fn poll_at(&self) -> Option<Instant> {
        let first = self.queue.front().map(|(at, _)| *at);
        [first, self.closes_at()].into_iter().flatten().min()
    }

    /// How many bytes it holds.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Takes out what it holds: the toxic is gone.
    pub(super) fn dismantle(&mut self) -> Vec<Item> {
        self.held = 0;
        let mut items: Vec<Item> = self.queue.drain(..).map(|(_, item)| item).collect();
        if matches!(self.effect, Effect::Timeout(_)) && !self.ended {
            items.push(Item::Close);
        }
        items
    }

    /// When a `timeout` closes the connection.
    fn closes_at(&self) -> Option<Instant> {
        let Effect::Timeout(timeout) = self.effect else {
            return None;
        };
        (timeout.timeout > 0 && !self.ended).then(|| plus_millis(self.since, timeout.timeout))
    }

    fn emit(&mut self, at: Instant, item: Item) {
        let at = at.max(self.busy_until);
        self.busy_until = at;
        self.ended |= !matches!(item, Item::Bytes(_));
        self.held = self.held.saturating_add(item.len());
        self.queue.push_back((at, item));
    }

    /// Bytes leave when a line of `rate` thousand bytes a second has carried them.
    fn squeeze(&mut self, at: Instant, rate: u64, item: Item) {
        let Item::Bytes(bytes) = item else {
            self.emit(at, item);
            return;
        };
        if rate == 0 {
            self.emit(Instant::MAX, Item::Bytes(bytes));
            return;
        }
        // A thousand bytes a second are one byte a millisecond: 100 times the rate is 100 ms.
        let piece = usize::try_from(rate.saturating_mul(100)).unwrap_or(usize::MAX);
        let mut at = at.max(self.busy_until);
        for chunk in bytes.chunks(piece) {
            let nanos = (chunk.len() as u64).saturating_mul(1_000_000).div_ceil(rate);
            at = at.saturating_add(Duration::from_nanos(nanos));
            self.emit(at, Item::Bytes(chunk.to_vec()));
        }
    }

    fn slice(&mut self, at: Instant, slicer: Slicer, bytes: &[u8]) {
        let (low, high) = (
            slicer.average_size.saturating_sub(slicer.size_variation),
            slicer.average_size.saturating_add(slicer.size_variation),
        );
        let mut rest = bytes;
        while !rest.is_empty() {
            let size = usize::try_from(inclusive(low, high, &mut self.rng)).unwrap_or(usize::MAX);
            let (slice, after) = rest.split_at(size.clamp(1, rest.len()));
            self.emit(at, Item::Bytes(slice.to_vec()));
            self.busy_until = self
                .busy_until
                .saturating_add(Duration::from_micros(slicer.delay));
            rest = after;
        }
    }

    fn limit(&mut self, at: Instant, limit: u64, end: Item, item: Item) {
        let Item::Bytes(mut bytes) = item else {
            self.emit(at, item);
            return;
        };
        let left = limit.saturating_sub(self.passed);
        bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        self.passed = self.passed.saturating_add(bytes.len() as u64);
        if !bytes.is_empty() {
            self.emit(at, Item::Bytes(bytes));
        }
        if self.passed >= limit {
            self.emit(at, end);
        }
    }
}
