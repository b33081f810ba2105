//! A monitor's state as the words that a sequence lock keeps.

use super::state::Epoch;
use crate::health::MonitorState;
use crate::health::flapping::Flapping;
use crate::health::state::Phase;
use crate::time::{Instant, LastSeen};

pub(super) const WORDS: usize = 5;
/// The word that the health follows from.
pub(super) const EVIDENCE: usize = 0;

/// ```text
///   0   history 32 │ results 8 │ counter 8 │ phase 2, flapping, slow, steady
///   1   last seen
///   2   stale at
///   3   probe at
///   4   probes 32 │ epoch 2
/// ```
pub(super) const fn encode(state: &MonitorState, epoch: Epoch) -> [u64; WORDS] {
    let phase = match state.phase {
        Phase::Due => 0,
        Phase::Running => 1,
        Phase::Idle => 2,
    };
    let flags = phase
        | (state.flapping.flapping as u64) << 2
        | (state.last_was_slow as u64) << 3
        | (state.steady as u64) << 4;
    [
        state.flapping.history as u64
            | (state.flapping.results as u64) << 32
            | (state.counter as u64) << 40
            | flags << 48,
        state.last_seen.last().as_nanos(),
        state.stale_at.as_nanos(),
        state.probe_at.as_nanos(),
        state.probes as u64 | epoch.0 << 32,
    ]
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "fields are cut out of words")]
pub(super) const fn decode(words: &[u64; WORDS]) -> (MonitorState, Epoch) {
    let &[evidence, last_seen, stale_at, probe_at, probes] = words;
    let flags = evidence >> 48;
    let state = MonitorState {
        last_seen: LastSeen::at(Instant::from_nanos(last_seen)),
        stale_at: Instant::from_nanos(stale_at),
        probe_at: Instant::from_nanos(probe_at),
        flapping: Flapping {
            history: evidence as u32,
            results: (evidence >> 32) as u8,
            flapping: flags & 0b100 != 0,
        },
        probes: probes as u32,
        counter: (evidence >> 40) as u8,
        phase: match flags & 0b11 {
            0 => Phase::Due,
            1 => Phase::Running,
            _ => Phase::Idle,
        },
        last_was_slow: flags & 0b1000 != 0,
        steady: flags & 0b1_0000 != 0,
    };
    (state, Epoch(probes >> 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_its_place_in_the_words() {
        let mut state = MonitorState {
            last_seen: LastSeen::at(Instant::from_nanos(1)),
            stale_at: Instant::MAX,
            probe_at: Instant::from_nanos(u64::MAX - 3),
            flapping: Flapping {
                history: 0x1F_0F0F,
                results: 21,
                flapping: true,
            },
            probes: u32::MAX,
            counter: 199,
            phase: Phase::Idle,
            last_was_slow: false,
            steady: true,
        };
        for phase in [Phase::Due, Phase::Running, Phase::Idle] {
            for epoch in 0..4 {
                state.phase = phase;
                state.last_was_slow = !state.last_was_slow;
                state.steady = !state.last_was_slow;
                state.flapping.flapping = epoch % 2 == 0;
                assert_eq!(decode(&encode(&state, Epoch(epoch))), (state, Epoch(epoch)));
            }
        }
    }
}
