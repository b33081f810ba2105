//! Profiling events over HTTP, from hooks in any language.
//!
//! ```text
//!   POST /events ────────┐                  many connections share one sync
//!   POST /events/batch ──┴─ parse ─ limit of the run ─▶ Collector::keep ─▶ 202
//!                             │ 400       │ 429               │ 429 full, 503 broken
//! ```
//!
//! | request | answers |
//! |---|---|
//! | `POST /events` | 202 once the event is on disk |
//! | `POST /events/batch` | 202 once all of them are on disk |
//! | `GET /health` (or `HEAD`) | 200 while events are taken, with the health of the store |
//! | `GET /status` | 200 and what `crossbridge profile status --format json` says |
//!
//! | status | when | is anything kept |
//! |---|---|---|
//! | 202 | it is in the spool, and survives SIGKILL and a loss of power | all of it |
//! | 400 | a bad payload, with the place of the first fault; or no HTTP/1.1 | nothing |
//! | 401 | no token, or another one, where one is asked for | nothing |
//! | 404, 405, 415 | another path, another method, a body that is packed in another way than gzip | nothing |
//! | 408 | the request was not complete in time | nothing |
//! | 413 | a body, packed or not, or a batch, that is too large at any time | nothing |
//! | 429 | the spool is full, or the run is over its limit; `Retry-After` says when | nothing |
//! | 503 | too many connections or bytes at once, the spool cannot be used; `Retry-After` | nothing |
//!
//! # Rules
//! - A request is all or nothing, so whoever repeats one repeats all of it. With `event_id`s, or with an
//!   `Idempotency-Key`, a repeated request is stored once: see [`payload`].
//! - Events do not wait in memory. What a full spool refuses is nowhere.
//! - Connections, threads and the bytes of bodies are bounded ([`Settings`]), and a client that is slow
//!   loses its connection: a request has one deadline, however many bytes trickle in.
//! - On [`stop`](Server::stop) requests under way are answered, and no others.
//! - Bodies may be packed (`Content-Encoding: gzip`); the limits hold for what they are unpacked as well.
//! - A [`Token`] keeps strangers out, before their bodies are read. There is no TLS, so whoever can listen
//!   in sees it: listen on a loopback address, or behind something that has TLS.
//!
//! The server is made of the pieces that the [proxy](crate::proxy) has. Of the libraries for servers
//! without async, `tiny_http` 0.12 (and `rouille`, which is built on it) sets no timeout on what it
//! reads and no bound on connections.

use std::net::IpAddr;

use crossbridge_core::Clock;
use crossbridge_std::clock::{SystemClock, wall_clock};
use crossbridge_std::profiling::collector::{Collector, NotKept};
use crossbridge_std::profiling::payload::{self, BadPayload, Origin};
use serde_json::{Value, json};

mod answer;
mod connection;
mod server;
mod source_limit;
#[cfg(test)]
mod tests;
mod token;
mod unpack;

use answer::Answer;
pub use server::{Server, Settings};
pub use source_limit::{OPERATION, SourceLimits};
pub use token::Token;

use crate::http1::Head;

/// What the endpoint says about itself and the store, for `GET /health` and `GET /status`.
pub trait Reporter: Sync {
    /// How the store is.
    fn health(&self) -> Value;

    /// What is where.
    fn status(&self) -> Value;
}

/// Takes events for a collector. See the [module](self) for the rules.
pub struct Endpoint<'e> {
    collector: &'e Collector,
    limits: SourceLimits,
    reporter: &'e dyn Reporter,
    token: Option<Token>,
    clock: SystemClock,
    /// Different for each start, so that no two requests without a key get the same ids.
    nonce: u128,
}

impl std::fmt::Debug for Endpoint<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl<'e> Endpoint<'e> {
    /// An endpoint before this collector.
    #[must_use]
    pub fn new(collector: &'e Collector, limits: SourceLimits, reporter: &'e dyn Reporter) -> Self {
        let mut draws = crossbridge_std::entropy::generator();
        let mut draw = || u128::from(rand_core::Rng::next_u64(&mut draws));
        Self {
            collector,
            limits,
            reporter,
            token: None,
            clock: SystemClock::new(),
            nonce: draw() << 64 | draw(),
        }
    }

    /// The same, for clients that show this token; `GET /health` is for everybody.
    #[must_use]
    pub fn requiring(mut self, token: Option<Token>) -> Self {
        self.token = token;
        self
    }

    fn unauthorised(&self, head: &Head) -> Option<Answer> {
        self.token.as_ref()?.missing(head)
    }

    /// Answers one request: the `number`th since the start.
    fn answer(&self, head: &Head, body: &[u8], peer: Option<IpAddr>, number: u64) -> Answer {
        let path = path(&head.target);
        let (allowed, batch) = match path {
            "/events" => ("POST", false),
            "/events/batch" => ("POST", true),
            "/health" | "/status" => ("GET", false),
            _ => return Answer::error(404, "expected /events, /events/batch, /health or /status"),
        };
        let is_head = allowed == "GET" && head.method == "HEAD";
        if head.method != allowed && !is_head {
            return Answer::error(405, &format!("expected {allowed}")).with("Allow", allowed);
        }
        match path {
            "/health" => return Answer::new(200, &self.reporter.health()),
            "/status" => return Answer::new(200, &self.reporter.status()),
            _ => {}
        }
        if !head.content_encoding.is_empty() {
            return Answer::error(415, "expected a body in gzip, or not packed");
        }
        let key = if head.idempotency_key.is_empty() {
            format!("request {} {number}", self.nonce)
        } else {
            format!("key {} {}", path, head.idempotency_key)
        };
        let origin = Origin::new(&key, wall_clock().try_into().ok());
        let parsed = if batch {
            payload::batch(body, &origin)
        } else {
            payload::one(body, &origin).map(|event| vec![event])
        };
        let events = match parsed {
            Ok(events) => events,
            Err(bad) => return refused(&bad),
        };
        let taken = match self.limits.take(self.clock.now(), &events, peer) {
            Ok(taken) => taken,
            Err(over) => {
                self.limits.give_back(&over.taken, &self.clock);
                return over.answer();
            }
        };
        let (count, bytes) = (events.len(), body.len());
        match self.collector.keep(events) {
            Ok(kept) => {
                let object = json!({ "accepted": kept.events, "sampled_out": kept.sampled_out });
                Answer::new(202, &object)
            }
            Err(error) => {
                self.limits.give_back(&taken, &self.clock);
                if error.is_never(count, bytes) {
                    Answer::error(
                        413,
                        &format!("{count} events, more than the spool ever holds: {error}"),
                    )
                } else {
                    not_kept(&error)
                }
            }
        }
    }
}

/// What is asked for, without the query; a proxy may say the server's name before it.
fn path(target: &str) -> &str {
    let whole = target.split('?').next().unwrap_or_default();
    match whole.strip_prefix("http://") {
        Some(rest) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => whole,
    }
}

fn refused(bad: &BadPayload) -> Answer {
    Answer::new(
        400,
        &json!({
            "error": bad.to_string(),
            "accepted": 0,
            "event": bad.index,
            "line": bad.line,
            "column": bad.column,
        }),
    )
}

fn not_kept(error: &NotKept) -> Answer {
    let status = if error.is_full() { 429 } else { 503 };
    let mut text = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        text = format!("{text}: {source}");
    }
    Answer::error(status, &text).retry_after(UNTIL_ROOM)
}

/// What a client is asked to wait while there is no room: what a busy store takes for some thousand
/// batches, and a fraction of what one that is down takes to come back.
const UNTIL_ROOM: u64 = 5;
