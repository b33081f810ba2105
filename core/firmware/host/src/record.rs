//! Draws the trace: a day of a dependency in phases, from one seed.
//!
//! | phase | what it brings about |
//! |---|---|
//! | calm | successes, now and then a blip; the limiter is the only one to refuse |
//! | flood | many calls in little time: limiter and bulkhead refuse, calls wait for permits |
//! | outage | nearly everything fails: retries, an empty budget, the circuit opens |
//! | recovery | half good, half bad, slowly: probes, half open, open for longer |
//! | throttling | the server asks for less, with hints of which some are unbearable |
//! | slow | successes that take too long, deadlines that pass |
//! | chaos | every word as likely as any other: cancellations, losses, late outcomes |
//!
//! One step in 61 goes back in time, by up to as much as the present phase has lasted or, rarely,
//! by minutes.

use std::fmt::{self, Write};

use crossbridge_core::draw::{SplitMix64, inclusive};
use crossbridge_firmware::drive::SLOTS;

struct Phase {
    name: &'static str,
    inputs: u32,
    /// Microseconds between two inputs, at most.
    step_us: u64,
    /// Words and their weights.
    words: &'static [(&'static str, u64)],
    /// One input in so many has a number at its end, of at most so many milliseconds.
    millis: (u64, u64),
}

const DAY: [Phase; 7] = [
    Phase {
        name: "calm",
        inputs: 300,
        step_us: 60_000,
        words: &[("ok", 95), ("transient", 3), ("permanent", 1), ("neutral", 1)],
        millis: (9, 2_000),
    },
    Phase {
        name: "flood",
        inputs: 250,
        step_us: 4_000,
        words: &[("ok", 90), ("not_sent", 6), ("cancel", 4)],
        millis: (5, 400),
    },
    Phase {
        name: "outage",
        inputs: 400,
        step_us: 90_000,
        words: &[
            ("transient", 60),
            ("unknown", 15),
            ("not_sent", 15),
            ("ok", 5),
            ("lost", 5),
        ],
        millis: (11, 900),
    },
    Phase {
        name: "recovery",
        inputs: 450,
        step_us: 250_000,
        words: &[
            ("ok", 60),
            ("transient", 25),
            ("neutral", 5),
            ("lost", 5),
            ("unknown", 5),
        ],
        millis: (13, 5_000),
    },
    Phase {
        name: "throttling",
        inputs: 250,
        step_us: 150_000,
        words: &[("throttled", 55), ("ok", 40), ("overloaded", 5)],
        millis: (2, 75_000),
    },
    Phase {
        name: "slow",
        inputs: 250,
        step_us: 1_500_000,
        words: &[("ok", 85), ("unknown", 15)],
        millis: (3, 4_000),
    },
    Phase {
        name: "chaos",
        inputs: 300,
        step_us: 80_000,
        words: &[
            ("ok", 1),
            ("not_sent", 1),
            ("transient", 1),
            ("throttled", 1),
            ("unknown", 1),
            ("permanent", 1),
            ("overloaded", 1),
            ("neutral", 1),
            ("lost", 1),
            ("cancel", 1),
        ],
        millis: (3, 3_000),
    },
];

/// How often the day is lived.
const DAYS: u32 = 2;

/// The text of `trace.txt`.
pub(crate) fn trace() -> Result<String, fmt::Error> {
    let mut rng = SplitMix64::new(0x000C_2055_B21D_6E00);
    let mut below = |end: u64| inclusive(0, end - 1, &mut rng);
    let mut text = String::from(
        "# Drawn by `cargo run -p crossbridge-firmware-host -- record`; the format stands in src/trace.rs.\n",
    );
    for day in 1..=DAYS {
        for phase in &DAY {
            writeln!(text, "# day {day}: {}", phase.name)?;
            for _ in 0..phase.inputs {
                let forward = below(phase.step_us);
                let (back, far) = (below(61) == 0, below(8) == 0);
                let reach = if far { 300_000_000 } else { phase.step_us * 20 };
                let backward = below(reach);
                let slot = below(SLOTS as u64);
                let word = pick(phase.words, &mut below);
                let (one_in, most) = phase.millis;
                let (numbered, millis) = (below(one_in) == 0, below(most) + 1);
                let (sign, step) = if back { ('-', backward) } else { ('+', forward) };
                let millis = if numbered { millis } else { 0 };
                writeln!(text, "{sign}{step} {slot} {word} {millis}")?;
            }
        }
    }
    Ok(text)
}

fn pick(words: &[(&'static str, u64)], below: &mut impl FnMut(u64) -> u64) -> &'static str {
    let mut drawn = below(words.iter().map(|(_, weight)| weight).sum());
    for &(word, weight) in words {
        if drawn < weight {
            return word;
        }
        drawn -= weight;
    }
    "ok"
}
