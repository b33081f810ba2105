//! The YAML a scenario is written in.
//!
//! ```yaml
//! scenario: postgres-blip
//! about: PostgreSQL refuses connections for 20 s while 40 workers save profiling events.
//! seed: 7
//! duration: 120s
//! config: ../config/platform.yml        # the file production reads; or `policies:`, the same keys as `runtime:`
//! dependencies:
//!   postgres: { servers: 20, queue: 200, service_time: { lognormal: { median: 4ms, p99: 30ms } } }
//! clients:
//!   workers: { count: 40, path: profiling_storage, calls: postgres, arrivals: { poisson: 5/s }, deadline: 2s }
//! faults:
//!   - { at: 30s, for: 20s, on: postgres, kind: refuse }
//! expect:
//!   - amplification <= 1.5
//!   - goodput(60s..120s) >= 0.99
//! ```
//!
//! | key | values |
//! |---|---|
//! | `service_time`, `latency` | `{ constant: 5ms }`, `{ uniform: { from: 1ms, to: 9ms } }`, `{ exponential: 20ms }` (its mean), `{ lognormal: { median: 4ms, p99: 30ms } }`, `{ normal: { mean: 10ms, sd: 2ms } }` (without its sign), `{ pareto: { min: 1ms, shape: 1.5 } }`, `{ trace: spans.txt }` (drawn from it at random) |
//! | `arrivals`, of each client | `{ every: 200ms }`, `{ poisson: 5/s }`, `{ closed: { think: 100ms } }`, `{ burst: { size: 10, at: 5s, every: 60s } }` (once where `every` is left out), `{ trace: instants.txt }` (the clients take turns) |
//! | `queue` | how many requests may wait, or `unbounded` (the default) |
//! | `discipline` | which of them is next: `fifo` (the default) or `lifo` |
//! | `abandoned` | `serve` (the default) or `drop` a waiting request whose caller gave up |
//! | `shed` | which requests are turned away, as with status 503, when their turn comes: `none` (the default), `expired` (the attempt has timed out) or `{ cannot_finish_within: 150ms }` (less time is left) |
//! | `latency` | how long each message is under way, there and back; none by default |
//! | `contention` | `none` (the default) or `occ`: of two requests worked on at the same time only the first to end succeeds, the other fails as with SQLSTATE 40001 |
//! | `live` | what a dependency really is, for `replay --live`: `postgres`, `redis` or `http` |
//! | `cold` | `{ factor: 5, requests: 1000 }`: after a restart the first request takes five times as long, the thousandth as long as usual |
//!
//! # Faults
//!
//! `at` says when, `for` how long (to the end of the run by default), `on` whom. `repeat: { every: 60s,
//! times: 5 }` has it again each minute, five times in all (without `times`: to the end). `ramp: 10s` lets
//! it grow to its full strength: `factor` and `add`, `servers`, and the share of requests it meets.
//!
//! | `kind`, on a dependency or service | |
//! |---|---|
//! | `refuse` | connections are refused |
//! | `reset` | the connection breaks as soon as the request is there |
//! | `hang` | no answer ever comes |
//! | `slow` | service takes `factor` times as long, and `add` on top |
//! | `error` | it ends with `code`, and with `retry_after` where that is given; a `code` of three digits is an HTTP status, one of five characters a SQLSTATE |
//! | `throttle` | above `rate` and `burst` (1), status 429 with `retry_after` |
//! | `drop_answer` | served, and the answer is lost |
//! | `partial`, `corrupt` | served, and the answer is cut short, or cannot be read |
//! | `capacity` | only `servers` requests are served at once, 0 or more |
//! | `crash_restart` | what waits or is worked on is lost, connections are refused for so long, and `cold` applies afterwards |
//! | `partition` | no message comes through, either way; `buffer: true` holds them and delivers them in order at its end |
//!
//! Which requests: `probability: 0.3`, `first: 2`, `every: 10`; for all kinds but `capacity`,
//! `crash_restart` and `partition`, which are about the node as a whole.
//!
//! | `kind`, on a group of clients | |
//! |---|---|
//! | `burst` | each makes `calls` more, at once or spread over `for` |
//! | `restart` | each loses its calls and starts again, at once or after `for`; its guard begins anew or, with `snapshot: true`, with what it knew |
//! | `clock_step` | its clock is `forward: 30s` or `back: 30s` off while it lasts |
//! | `clock_drift` | its clock runs `factor` times as fast |
//! | `clock_freeze` | its clock stands still, and jumps to the right time at the end |
//!
//! A guard sees its client's clock; timers, as in real systems, measure spans and do not notice a step.
//!
//! # Files
//!
//! A `trace` is a text with a time a line (`4ms`, `1.5s`, or a number of seconds); empty lines and
//! what follows a `#` do not count. Its path is relative to the scenario.
//!
//! # Grids
//!
//! A list `[100/s, 280/s]` or a range `{ from: 100/s, to: 300/s, steps: 5 }` in the place of any single
//! value makes a scenario of each combination: see [`grid`](super::grid).
//!
//! # Services
//!
//! `services:` are dependencies that have a `path` and `calls` of their own, so that layers of
//! retries, queues and timeouts compose. They have the keys of a dependency but `contention`.

mod arrivals;
mod fault;
mod named;
mod node;
mod queue;
mod span;

use crossbridge_std::config::{Seconds, schema};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;

pub use arrivals::{ArrivalsFile, BurstFile, ClosedFile};
pub use fault::{CodeFile, FaultFile, FaultKindFile, RepeatFile};
pub use named::Named;
pub use node::{
    AbandonedFile, ColdFile, ContentionFile, DependencyFile, DisciplineFile, LiveFile, ServiceFile, ShedFile,
};
pub use queue::QueueFile;
pub use span::{LognormalFile, NormalFile, ParetoFile, SpanFile, UniformFile};

/// The whole file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Scenario")]
pub struct ScenarioFile {
    /// A name in a few words.
    pub scenario: String,
    /// What it is about, in a sentence.
    pub about: Option<String>,
    /// Where every draw comes from.
    #[serde(default = "one")]
    pub seed: u64,
    /// How long it runs, in virtual time: more than 0, at most 30 days.
    pub duration: Seconds,
    /// The configuration file the policies come from, relative to this file.
    pub config: Option<String>,
    /// The policies themselves; read by the configuration's own reader.
    #[schemars(with = "Option<schema::Policies>")]
    pub policies: Option<IgnoredAny>,
    /// Everything that is called and calls nothing.
    pub dependencies: Named<DependencyFile>,
    /// Everything that is called and calls something.
    #[serde(default)]
    pub services: Named<ServiceFile>,
    /// Everybody who makes calls.
    pub clients: Named<ClientFile>,
    /// What goes wrong.
    #[serde(default)]
    pub faults: Vec<FaultFile>,
    /// What is promised, such as `goodput(60s..120s) >= 0.99`.
    #[serde(default)]
    pub expect: Vec<String>,
}

/// Somebody who makes calls.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Client")]
pub struct ClientFile {
    /// How many of them, at least 1.
    #[serde(default = "one_client")]
    pub count: u32,
    /// The call path whose policies they keep.
    pub path: String,
    /// Whom they call.
    pub calls: String,
    /// When each of them calls.
    pub arrivals: ArrivalsFile,
    /// How long a call may take, where that is less than the path allows.
    pub deadline: Option<Seconds>,
    /// Whether a call may be done twice, instead of what the path says.
    pub idempotent: Option<bool>,
    /// Who they are to the rate limit: picks the override of that name.
    pub subject: Option<String>,
}

const fn one() -> u64 {
    1
}

const fn one_client() -> u32 {
    1
}
