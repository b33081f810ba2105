//! The recorded inputs: `trace.txt`, one input a line.
//!
//! ```text
//!   +1250 2 throttled 300
//!   │     │ │         └─ milliseconds: the server's hint, or the deadline of a call that begins; 0 is none
//!   │     │ └─────────── what became of the slot's attempt, where it has one in flight
//!   │     └───────────── the slot: one of the calls under way at once
//!   └─────────────────── microseconds since the input before; negative where the clock stepped back
//! ```
//!
//! `cargo run -p crossbridge-firmware-host -- record` writes the file; what it draws and why stands
//! in `host/src/record.rs`.

use core::time::Duration;

use crossbridge_core::guard::Outcome;
use crossbridge_core::retry::Failure;
use crossbridge_core::{FaultKind, Instant};

/// The recorded text.
pub const TRACE: &str = include_str!("../trace.txt");

/// What happens to a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Its attempt in flight ends like this. The hint comes from the same line.
    Ended(Option<FaultKind>),
    /// Its attempt is cancelled before it said anything.
    Neutral,
    /// Its attempt is dropped without an answer.
    Lost,
    /// Its caller takes the call back.
    Cancel,
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    /// Microseconds since the one before.
    pub step_us: i64,
    /// Which of the calls under way.
    pub slot: usize,
    /// What happens to it.
    pub what: What,
    /// The number at the end.
    pub millis: u32,
}

impl Input {
    /// The input a line stands for; `None` where it is none.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let step_us = words.next()?.parse().ok()?;
        let slot = words.next()?.parse().ok()?;
        let what = match words.next()? {
            "ok" => What::Ended(None),
            "neutral" => What::Neutral,
            "lost" => What::Lost,
            "cancel" => What::Cancel,
            name => What::Ended(Some(FaultKind::ALL.into_iter().find(|kind| kind.name() == name)?)),
        };
        let millis = words.next()?.parse().ok()?;
        Some(Self {
            step_us,
            slot,
            what,
            millis,
        })
    }

    /// The number at the end, as a span.
    #[must_use]
    pub fn span(&self) -> Option<Duration> {
        (self.millis > 0).then(|| Duration::from_millis(u64::from(self.millis)))
    }

    /// The instant of this input, `now` being that of the one before.
    #[must_use]
    pub const fn after(&self, now: Instant) -> Instant {
        let step = Duration::from_micros(self.step_us.unsigned_abs());
        if self.step_us < 0 {
            now.saturating_sub(step)
        } else {
            now.saturating_add(step)
        }
    }

    /// What the guard is told about an attempt in flight.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.what {
            What::Ended(None) => Outcome::Success,
            What::Ended(Some(kind)) => Outcome::Failure(Failure {
                kind,
                retry_after: self.span(),
            }),
            What::Neutral => Outcome::Neutral,
            What::Lost | What::Cancel => Outcome::Lost,
        }
    }
}

/// Every recorded input. A line that is none ends in an error with its number: a trace that is
/// silently shorter would compare as equal.
pub fn inputs() -> impl Iterator<Item = Result<Input, usize>> {
    TRACE
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.starts_with('#'))
        .map(|(number, line)| Input::parse(line).ok_or(number + 1))
}
