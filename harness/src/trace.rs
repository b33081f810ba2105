//! The run as data: every event in order, hashed, and written as JSON lines on request.
//!
//! `trace_sha256` is the SHA-256 of the records one after the other, 40 bytes each, little endian:
//!
//! ```text
//!   0 at_ns u64 | 8 call u64 | 16 detail u64 | 24 actor u32 | 28 number u32 | 32 kind u8 | 33 a u8 | 34 b u8 | 35 zeros
//! ```
//!
//! Two runs with the same hash made the same decisions in the same order at the same nanoseconds.

use std::io::{self, Write};

use crossbridge_core::breaker::BreakerState;
use crossbridge_core::health::Health;
use crossbridge_core::{Event, FaultKind, Instant, Verdict};
use sha2::{Digest, Sha256};

/// Something that happened to somebody in a call.
#[derive(Clone, Copy, Debug)]
struct Record<'e> {
    at: Instant,
    actor: u32,
    call: u64,
    what: What<'e>,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum What<'e> {
    /// A client has a call to make.
    Offered,
    /// The guard decided or learnt something.
    Guard(&'e Event),
}

/// Where records go: into the hash, and into a file where one is wanted.
pub struct Trace<'w> {
    hash: Sha256,
    /// Records that are not hashed yet: so many of these.
    pending: [[u8; RECORD_BYTES]; PENDING],
    filled: usize,
    /// Names of the actors, for the file.
    actors: Vec<String>,
    file: Option<&'w mut dyn Write>,
    /// The first error of the file: told at the end, for nobody can stop in the middle.
    failed: Option<io::Error>,
}

const RECORD_BYTES: usize = 40;
/// Hashed at once: whole blocks of SHA-256, which need not be copied to be completed.
const PENDING: usize = 64;

impl<'w> Trace<'w> {
    /// An empty trace, also written to `file` as JSON lines.
    pub fn new(actors: Vec<String>, file: Option<&'w mut dyn Write>) -> Self {
        Self {
            hash: Sha256::new(),
            pending: [[0; RECORD_BYTES]; PENDING],
            filled: 0,
            actors,
            file,
            failed: None,
        }
    }

    /// Adds what happened `at` to the actor of this number (clients first, in the order of the file, then
    /// services) in the call of this number.
    ///
    /// These come in registers: read back from a record just put together, in another
    /// width than they were written in, they cost a twelfth of a run.
    pub fn push(&mut self, at: Instant, actor: u32, call: u64, what: What<'_>) {
        if let Some(place) = self.pending.get_mut(self.filled) {
            encode(at, actor, call, what, place);
            self.filled += 1;
        }
        if self.filled == PENDING {
            self.flush();
        }
        if self.file.is_some() {
            self.write(&Record {
                at,
                actor,
                call,
                what,
            });
        }
    }

    #[cold]
    fn write(&mut self, record: &Record<'_>) {
        if let Some(file) = &mut self.file
            && self.failed.is_none()
        {
            let index = usize::try_from(record.actor).unwrap_or(usize::MAX);
            let actor = self.actors.get(index).map_or("?", String::as_str);
            self.failed = writeln!(file, "{}", to_json(record, actor)).err();
        }
    }

    fn flush(&mut self) {
        let filled = self.pending.get(..self.filled).unwrap_or_default();
        self.hash.update(filled.as_flattened());
        self.filled = 0;
    }

    /// The hash of everything, in hexadecimal.
    ///
    /// # Errors
    /// The first error the file had.
    pub fn finish(mut self) -> io::Result<String> {
        self.flush();
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        if let Some(file) = &mut self.file {
            file.flush()?;
        }
        Ok(self
            .hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }
}

impl std::fmt::Debug for Trace<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trace")
            .field("actors", &self.actors.len())
            .finish_non_exhaustive()
    }
}

/// The numbers of a record besides its time, actor and call.
struct Fields {
    kind: u8,
    a: u8,
    b: u8,
    number: u32,
    detail: u64,
}

/// To where it is hashed from.
#[inline]
fn encode(at: Instant, actor: u32, call: u64, what: What<'_>, bytes: &mut [u8; RECORD_BYTES]) {
    let fields = fields(what);
    bytes[0..8].copy_from_slice(&at.as_nanos().to_le_bytes());
    bytes[8..16].copy_from_slice(&call.to_le_bytes());
    bytes[16..24].copy_from_slice(&fields.detail.to_le_bytes());
    bytes[24..28].copy_from_slice(&actor.to_le_bytes());
    bytes[28..32].copy_from_slice(&fields.number.to_le_bytes());
    bytes[32..40].copy_from_slice(&[fields.kind, fields.a, fields.b, 0, 0, 0, 0, 0]);
}

#[inline]
fn fields(what: What<'_>) -> Fields {
    let event = match what {
        What::Offered => {
            return Fields {
                kind: 0,
                a: 0,
                b: 0,
                number: 0,
                detail: 0,
            };
        }
        What::Guard(event) => event,
    };
    let (kind, a, b, number, detail) = match *event {
        Event::AttemptStarted { number } => (1, 0, 0, number, 0),
        Event::AttemptEnded { number, fault, took } => (2, fault_code(fault), 0, number, nanos(took)),
        Event::RetryScheduled { number, at, fault } => (3, fault_code(Some(fault)), 0, number, at.as_nanos()),
        Event::WaitingForLimit { until } => (4, 0, 0, 0, until.as_nanos()),
        Event::BreakerChanged { from, to } => (5, breaker_code(from), breaker_code(to), 0, 0),
        Event::HealthChanged { from, to } => (6, health_code(from), health_code(to), 0, 0),
        Event::CallEnded {
            verdict,
            attempts,
            took,
        } => {
            let (reason, fault) = verdict_codes(verdict);
            (7, reason, fault, attempts, nanos(took))
        }
    };
    Fields {
        kind,
        a,
        b,
        number,
        detail,
    }
}

/// One JSON object: `at_ns`, `actor`, `call`, `event` and what belongs to the event.
fn to_json(record: &Record<'_>, actor: &str) -> String {
    let head = format!(
        "{{\"at_ns\":{},\"actor\":{},\"call\":{},\"event\":",
        record.at.as_nanos(),
        serde_json::Value::from(actor),
        record.call
    );
    let event = match record.what {
        What::Offered => return head + "\"offered\"}",
        What::Guard(event) => event,
    };
    let tail = match *event {
        Event::AttemptStarted { number } => format!("\"attempt_started\",\"attempt\":{number}}}"),
        Event::AttemptEnded { number, fault, took } => {
            let fault = fault.map_or("null".to_owned(), |fault| format!("\"{}\"", fault.name()));
            format!(
                "\"attempt_ended\",\"attempt\":{number},\"fault\":{fault},\"took_ns\":{}}}",
                nanos(took)
            )
        }
        Event::RetryScheduled { number, at, fault } => format!(
            "\"retry_scheduled\",\"attempt\":{number},\"due_ns\":{},\"fault\":\"{}\"}}",
            at.as_nanos(),
            fault.name()
        ),
        Event::WaitingForLimit { until } => {
            format!("\"waiting_for_limit\",\"until_ns\":{}}}", until.as_nanos())
        }
        Event::BreakerChanged { from, to } => {
            format!(
                "\"breaker_changed\",\"from\":\"{}\",\"to\":\"{}\"}}",
                from.name(),
                to.name()
            )
        }
        Event::HealthChanged { from, to } => {
            format!(
                "\"health_changed\",\"from\":\"{}\",\"to\":\"{}\"}}",
                from.name(),
                to.name()
            )
        }
        Event::CallEnded {
            verdict,
            attempts,
            took,
        } => {
            let verdict = match verdict {
                Verdict::Succeeded => "succeeded",
                Verdict::Cancelled => "cancelled",
                Verdict::Stopped { reason, .. } => reason.name(),
            };
            let took = nanos(took);
            format!("\"call_ended\",\"verdict\":\"{verdict}\",\"attempts\":{attempts},\"took_ns\":{took}}}")
        }
    };
    head + &tail
}

fn nanos(span: std::time::Duration) -> u64 {
    crossbridge_core::time::nanos(span)
}

// The codes are part of the hash: they are never renumbered, only added to.

const fn fault_code(fault: Option<FaultKind>) -> u8 {
    match fault {
        None => 0,
        Some(FaultKind::NotSent) => 1,
        Some(FaultKind::Transient) => 2,
        Some(FaultKind::Throttled) => 3,
        Some(FaultKind::Unknown) => 4,
        Some(FaultKind::Permanent) => 5,
        Some(FaultKind::Overloaded) => 6,
    }
}

const fn breaker_code(state: BreakerState) -> u8 {
    match state {
        BreakerState::Closed => 0,
        BreakerState::Open => 1,
        BreakerState::HalfOpen => 2,
    }
}

const fn health_code(health: Health) -> u8 {
    match health {
        Health::Unknown => 0,
        Health::Healthy => 1,
        Health::Degraded => 2,
        Health::Unhealthy => 3,
    }
}

const fn verdict_codes(verdict: Verdict) -> (u8, u8) {
    use crossbridge_core::StopReason as R;
    match verdict {
        Verdict::Succeeded => (0, 0),
        Verdict::Cancelled => (1, 0),
        Verdict::Stopped { reason, fault } => {
            let reason = match reason {
                R::AttemptsExhausted => 2,
                R::Permanent => 3,
                R::NotIdempotent => 4,
                R::Overloaded => 5,
                R::HintTooLong { .. } => 6,
                R::GaveUp => 7,
                R::Deadline => 8,
                R::Budget => 9,
                R::Breaker { .. } => 10,
                R::RateLimit { .. } => 11,
                R::Bulkhead => 12,
            };
            (reason, fault_code(fault))
        }
    }
}
