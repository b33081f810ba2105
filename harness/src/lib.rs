//! Replays a bad day in virtual time, against the very policies production reads.
//!
//! A [scenario] says who calls what, what goes wrong when and what is promised. The
//! [world] runs it: clients whose calls go through the same guards as in production, and
//! dependencies with servers, queues and faults. Everything that happens is counted and traced, and
//! the [result](result::ReplayResult) judges the promises. The same scenario and seed give the same
//! trace on every machine.
//!
//! ```text
//!   scenario.yml ─▶ scenario ─▶ world ─▶ recorder ─▶ result ─▶ report
//!   crossbridge.yml ──┘          │ queue, guards       │
//!                                └─ the only clock     └─ trace.jsonl, trace_sha256
//! ```
//!
//! Around the replay: [explore] looks for faults that break a promise, [compare] holds the policies of
//! several files side by side, [record] makes scenarios of production logs, and [tune] searches the
//! parameters that would have done better.
//!
//! Beside the replay stands the [proxy]: the same faults on real connections, by the real clock; and
//! [live]: the same scenario on real servers behind it, beside what was predicted. The [endpoint] takes
//! profiling events from the platform as they happen.

pub mod compare;
pub mod distribution;
pub mod endpoint;
pub mod expect;
pub mod explore;
mod http1;
pub mod invariants;
pub mod live;
pub mod proxy;
pub mod queue;
pub mod record;
pub mod recorder;
pub mod report;
pub mod result;
pub mod scenario;
pub mod stream;
pub mod tally;
pub mod trace;
pub mod tune;
pub mod uses;
pub mod world;

/// The examples of the README compile and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
