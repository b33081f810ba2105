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

mod fault;
mod queue;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use crossbridge_std::config::{Rate, Seconds, schema};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};

pub use fault::{CodeFile, FaultFile, FaultKindFile, RepeatFile};
pub use queue::QueueFile;

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

/// Something that is called.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Dependency")]
pub struct DependencyFile {
    /// Requests served at once, at least 1.
    #[serde(default = "one_server")]
    pub servers: u32,
    /// Requests that may wait: a number, or `unbounded`.
    #[serde(default)]
    pub queue: QueueFile,
    /// Which of them is next.
    #[serde(default)]
    pub discipline: DisciplineFile,
    /// How long one takes.
    pub service_time: SpanFile,
    /// How long a message is under way, there and back; no time where it is left out.
    pub latency: Option<SpanFile>,
    /// What becomes of one nobody waits for.
    #[serde(default)]
    pub abandoned: AbandonedFile,
    /// Which are turned away when their turn comes.
    #[serde(default)]
    pub shed: ShedFile,
    /// How it is slower after a restart.
    pub cold: Option<ColdFile>,
    /// How requests get in each other's way.
    #[serde(default)]
    pub contention: ContentionFile,
    /// What it really is.
    pub live: Option<LiveFile>,
}

/// Something that is called and calls something to answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Service")]
pub struct ServiceFile {
    /// Requests served at once, at least 1.
    #[serde(default = "one_server")]
    pub servers: u32,
    /// Requests that may wait: a number, or `unbounded`.
    #[serde(default)]
    pub queue: QueueFile,
    /// Which of them is next.
    #[serde(default)]
    pub discipline: DisciplineFile,
    /// How long its own part takes.
    pub service_time: SpanFile,
    /// How long a message is under way, there and back; no time where it is left out.
    pub latency: Option<SpanFile>,
    /// What becomes of one nobody waits for.
    #[serde(default)]
    pub abandoned: AbandonedFile,
    /// Which are turned away when their turn comes.
    #[serde(default)]
    pub shed: ShedFile,
    /// How it is slower after a restart.
    pub cold: Option<ColdFile>,
    /// The call path whose policies it keeps.
    pub path: String,
    /// Whom it calls.
    pub calls: String,
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

/// What becomes of a request nobody waits for.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum AbandonedFile {
    /// It is served.
    #[default]
    Serve,
    /// It is skipped.
    Drop,
}

/// Which of the waiting requests is next.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum DisciplineFile {
    /// The oldest.
    #[default]
    Fifo,
    /// The newest.
    Lifo,
}

/// Which requests are turned away when their turn comes.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ShedFile {
    /// None.
    #[default]
    None,
    /// Those whose attempt has timed out.
    Expired,
    /// Those with less time left.
    CannotFinishWithin(Seconds),
}

/// How requests get in each other's way.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum ContentionFile {
    /// Not at all.
    #[default]
    None,
    /// Optimistic concurrency control.
    Occ,
}

/// What a dependency really is, where a scenario is replayed on real servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum LiveFile {
    /// A PostgreSQL.
    Postgres,
    /// A Redis.
    Redis,
    /// An HTTP server.
    Http,
}

/// After a restart.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Cold")]
pub struct ColdFile {
    /// The first takes so many times as long.
    pub factor: f64,
    /// After so many it is as usual.
    pub requests: u32,
}

/// How long something takes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Distribution")]
pub enum SpanFile {
    /// Always the same.
    Constant(Seconds),
    /// Anything in between.
    Uniform(UniformFile),
    /// Memoryless, with this mean.
    Exponential(Seconds),
    /// With this median and tail.
    Lognormal(LognormalFile),
    /// Around this mean.
    Normal(NormalFile),
    /// With a heavy tail.
    Pareto(ParetoFile),
    /// Drawn from this file.
    Trace(String),
}

/// Bounds.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Uniform")]
pub struct UniformFile {
    /// At least.
    pub from: Seconds,
    /// At most.
    pub to: Seconds,
}

/// Median and tail.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Lognormal")]
pub struct LognormalFile {
    /// Half of all are faster.
    pub median: Seconds,
    /// 99 of 100 are faster.
    pub p99: Seconds,
}

/// Mean and spread.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Normal")]
pub struct NormalFile {
    /// The mean.
    pub mean: Seconds,
    /// The standard deviation.
    pub sd: Seconds,
}

/// A power law.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Pareto")]
pub struct ParetoFile {
    /// The shortest.
    pub min: Seconds,
    /// The exponent of the tail.
    pub shape: f64,
}

/// When a client calls.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Arrivals")]
pub enum ArrivalsFile {
    /// At a steady pace.
    Every(Seconds),
    /// At random, with this mean rate.
    Poisson(Rate),
    /// One at a time.
    Closed(ClosedFile),
    /// Several at once.
    Burst(BurstFile),
    /// At the instants of this file.
    Trace(String),
}

/// Several calls at once.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Burst")]
pub struct BurstFile {
    /// How many.
    pub size: u32,
    /// When first.
    #[serde(default)]
    pub at: Seconds,
    /// How long until the next; there is none where nothing is said.
    pub every: Option<Seconds>,
}

/// One call at a time.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Closed")]
pub struct ClosedFile {
    /// Between the end of a call and the begin of the next.
    pub think: Seconds,
}

/// A mapping from names, in the order of the file.
#[derive(Debug)]
pub struct Named<T>(pub Vec<(String, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Named<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping from names")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Named::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Named(entries))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

impl ServiceFile {
    /// What it has in common with a dependency.
    #[must_use]
    pub fn serving(&self) -> DependencyFile {
        DependencyFile {
            servers: self.servers,
            queue: self.queue,
            discipline: self.discipline,
            service_time: self.service_time.clone(),
            latency: self.latency.clone(),
            abandoned: self.abandoned,
            shed: self.shed,
            cold: self.cold,
            contention: ContentionFile::None,
            live: None,
        }
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        BTreeMap::<String, T>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, T>::json_schema(generator)
    }
}

const fn one() -> u64 {
    1
}

const fn one_server() -> u32 {
    1
}

const fn one_client() -> u32 {
    1
}
