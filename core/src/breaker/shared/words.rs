//! A circuit's state as words, and back.

use core::sync::atomic::Ordering::Relaxed;

use crate::breaker::BreakerRules;
use crate::breaker::annex::Annex;
use crate::breaker::circuit::{Circuit, Head, Phase};
use crate::breaker::hanging::InFlight;
use crate::breaker::window::{BUCKETS, Counts};
use crate::sync::atomic::AtomicU64;
use crate::time::Instant;

/// When it was last seen, and its body.
pub(super) const WORDS: usize = 7;

pub(super) const fn pack<const ANNEX: usize>(circuit: &Circuit<ANNEX>) -> [u64; WORDS] {
    let [a, b, c, d, e, f] = circuit.body;
    [circuit.last_seen.last().as_nanos(), a, b, c, d, e, f]
}

impl Head {
    pub(super) const ONE_GOOD: u64 = 1 << 16;
    pub(super) const ALL_GOOD: u64 = 0xFFFF << 16;

    /// Whether the phase of this word is the quick one.
    #[inline]
    pub(super) fn is_quick(word: u64, rules: &BreakerRules) -> bool {
        rules.quick.is_some_and(|quick| word >> 8 & 0xFF == quick as u64)
    }

    #[inline]
    pub(super) const fn generation(word: u64) -> u32 {
        (word >> 32) as u32
    }

    #[inline]
    pub(super) const fn good(word: u64) -> u16 {
        (word >> 16 & 0xFFFF) as u16
    }

    #[inline]
    pub(super) const fn pack(self) -> u64 {
        (self.generation as u64) << 32
            | (self.good as u64) << 16
            | (self.phase as u64) << 8
            | self.level as u64
    }

    #[inline]
    pub(super) const fn unpack(word: u64) -> Self {
        Self {
            generation: Self::generation(word),
            good: Self::good(word),
            phase: match word >> 8 & 0xFF {
                0 => Phase::Closed,
                1 => Phase::SlowStart,
                2 => Phase::Open,
                _ => Phase::HalfOpen,
            },
            level: (word & 0xFF) as u8,
        }
    }
}

/// An [`Annex`] in words.
#[derive(Debug)]
pub(super) struct AnnexWords {
    buckets: [[AtomicU64; 2]; BUCKETS],
    in_flight: [AtomicU64; InFlight::WORDS],
}

impl AnnexWords {
    pub(super) const fn new() -> Self {
        Self {
            buckets: [const { [const { AtomicU64::new(0) }; 2] }; BUCKETS],
            in_flight: [const { AtomicU64::new(0) }; InFlight::WORDS],
        }
    }

    pub(super) fn load(&self) -> Annex {
        let mut annex = Annex::new(Instant::ZERO);
        for (bucket, [one, two]) in annex.buckets.iter_mut().zip(&self.buckets) {
            let word = one.load(Relaxed);
            *bucket = Counts {
                calls: (word & 0xFFFF_FFFF) as u32,
                failed: (word >> 32) as u32,
                slow: (two.load(Relaxed) & 0xFFFF_FFFF) as u32,
            };
        }
        let mut words = [0; InFlight::WORDS];
        for (copy, word) in words.iter_mut().zip(&self.in_flight) {
            *copy = word.load(Relaxed);
        }
        annex.in_flight = InFlight::from_words(words);
        annex
    }

    pub(super) fn store(&self, annex: &Annex) {
        for (bucket, [one, two]) in annex.buckets.iter().zip(&self.buckets) {
            one.store(u64::from(bucket.calls) | u64::from(bucket.failed) << 32, Relaxed);
            two.store(bucket.slow.into(), Relaxed);
        }
        for (word, new) in self.in_flight.iter().zip(annex.in_flight.to_words()) {
            word.store(new, Relaxed);
        }
    }
}
