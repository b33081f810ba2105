//! Calls and retries under way: what the gate of Envoy looks at.

use super::Concurrency;

/// How many calls are under way, and how many retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct InFlight {
    calls: u32,
    retries: u32,
}

impl InFlight {
    pub(super) const NONE: Self = Self { calls: 0, retries: 0 };

    /// A call begins.
    pub(super) const fn begin(&mut self) {
        self.calls = self.calls.saturating_add(1);
    }

    /// A call ends. A retry whose receipt was lost ends with it at the latest.
    pub(super) fn end(&mut self) {
        self.calls = self.calls.saturating_sub(1);
        self.retries = self.retries.min(self.calls);
    }

    /// Whether one more retry is allowed.
    pub(super) const fn has_room(self, gate: Concurrency) -> bool {
        let share = self.calls as u64 * gate.share.get() as u64 / 1_000;
        let retries = self.retries as u64;
        retries < share || self.retries < gate.min
    }

    /// A retry is on its way.
    pub(super) const fn retry(&mut self) {
        self.retries = self.retries.saturating_add(1);
    }

    /// A retry's receipt came back.
    pub(super) const fn settle(&mut self) {
        self.retries = self.retries.saturating_sub(1);
    }
}

#[cfg(target_has_atomic = "64")]
impl InFlight {
    /// Both in one word, for the shared form.
    pub(super) const fn word(self) -> u64 {
        (self.calls as u64) << 32 | self.retries as u64
    }

    /// From [`word`](Self::word).
    // The halves of a word are what they are.
    #[expect(clippy::cast_possible_truncation)]
    pub(super) const fn from_word(word: u64) -> Self {
        Self {
            calls: (word >> 32) as u32,
            retries: word as u32,
        }
    }
}
