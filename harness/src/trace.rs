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
pub struct Record {
    /// When.
    pub at: Instant,
    /// The number of the actor: clients first, in the order of the file, then services.
    pub actor: u32,
    /// The number of the call within the run.
    pub call: u64,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// A client has a call to make.
    Offered,
    /// The guard decided or learnt something.
    Guard(Event),
}

/// Where records go: into the hash, and into a file where one is wanted.
pub struct Trace<'w> {
    hash: Sha256,
    pending: Vec<u8>,
    /// Names of the actors, for the file.
    actors: Vec<String>,
    file: Option<&'w mut dyn Write>,
    /// The first error of the file: told at the end, for nobody can stop in the middle.
    failed: Option<io::Error>,
}

const RECORD_BYTES: usize = 40;
/// Hashing in large pieces is what SHA-256 is fast at.
const PENDING_BYTES: usize = 1_600 * RECORD_BYTES;

impl<'w> Trace<'w> {
    /// An empty trace, also written to `file` as JSON lines.
    pub fn new(actors: Vec<String>, file: Option<&'w mut dyn Write>) -> Self {
        let pending = Vec::with_capacity(PENDING_BYTES);
        Self {
            hash: Sha256::new(),
            pending,
            actors,
            file,
            failed: None,
        }
    }

    /// Adds a record.
    pub fn push(&mut self, record: &Record) {
        self.pending.extend_from_slice(&encode(record));
        if self.pending.len() >= PENDING_BYTES {
            self.hash.update(&self.pending);
            self.pending.clear();
        }
        if let Some(file) = &mut self.file
            && self.failed.is_none()
        {
            let index = usize::try_from(record.actor).unwrap_or(usize::MAX);
            let actor = self.actors.get(index).map_or("?", String::as_str);
            self.failed = writeln!(file, "{}", to_json(record, actor)).err();
        }
    }

    /// The hash of everything, in hexadecimal.
    ///
    /// # Errors
    /// The first error the file had.
    pub fn finish(mut self) -> io::Result<String> {
        self.hash.update(&self.pending);
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

fn encode(record: &Record) -> [u8; RECORD_BYTES] {
    let fields = fields(record.what);
    let mut bytes = [0; RECORD_BYTES];
    bytes[0..8].copy_from_slice(&record.at.as_nanos().to_le_bytes());
    bytes[8..16].copy_from_slice(&record.call.to_le_bytes());
    bytes[16..24].copy_from_slice(&fields.detail.to_le_bytes());
    bytes[24..28].copy_from_slice(&record.actor.to_le_bytes());
    bytes[28..32].copy_from_slice(&fields.number.to_le_bytes());
    bytes[32..35].copy_from_slice(&[fields.kind, fields.a, fields.b]);
    bytes
}

fn fields(what: What) -> Fields {
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
    let (kind, a, b, number, detail) = match event {
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
fn to_json(record: &Record, actor: &str) -> String {
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
    let tail = match event {
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
