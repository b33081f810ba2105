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
//! | `service_time` | `{ constant: 5ms }`, `{ uniform: { from: 1ms, to: 9ms } }`, `{ exponential: 20ms }` (its mean), `{ lognormal: { median: 4ms, p99: 30ms } }` |
//! | `arrivals`, of each client | `{ every: 200ms }`, `{ poisson: 5/s }`, `{ closed: { think: 100ms } }` |
//! | `queue` | how many requests may wait, or `unbounded` (the default) |
//! | `abandoned` | `serve` (the default) or `drop` a waiting request whose caller gave up |
//! | fault `kind` | `refuse`; `hang`; `slow` with `factor` and `add`; `error` with `code` and `retry_after`; `throttle` with `rate`, `burst` (1) and `retry_after` |
//! | which requests | `probability: 0.3`, `first: 2`, `every: 10` |
//!
//! `services:` are dependencies that have a `path` and `calls` of their own, so that layers of
//! retries, queues and timeouts compose. A `code` of three digits is an HTTP status, one of five
//! characters a SQLSTATE.

use std::fmt;
use std::marker::PhantomData;

use crossbridge_std::config::{Rate, Seconds};
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// A name in a few words.
    pub scenario: String,
    /// What it is about, in a sentence.
    pub about: Option<String>,
    /// Where every draw comes from.
    #[serde(default = "one")]
    pub seed: u64,
    /// How long it runs.
    pub duration: Seconds,
    /// The configuration file the policies come from, relative to this file.
    pub config: Option<String>,
    /// The policies themselves; read by the configuration's own reader.
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
    /// What is promised.
    #[serde(default)]
    pub expect: Vec<String>,
}

/// Something that is called.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DependencyFile {
    /// Requests served at once.
    #[serde(default = "one_server")]
    pub servers: u32,
    /// Requests that may wait.
    #[serde(default)]
    pub queue: QueueFile,
    /// How long one takes.
    pub service_time: ServiceTimeFile,
    /// What becomes of one nobody waits for.
    #[serde(default)]
    pub abandoned: AbandonedFile,
}

/// Something that is called and calls something to answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceFile {
    /// Requests served at once.
    #[serde(default = "one_server")]
    pub servers: u32,
    /// Requests that may wait.
    #[serde(default)]
    pub queue: QueueFile,
    /// How long its own part takes.
    pub service_time: ServiceTimeFile,
    /// What becomes of one nobody waits for.
    #[serde(default)]
    pub abandoned: AbandonedFile,
    /// The call path whose policies it keeps.
    pub path: String,
    /// Whom it calls.
    pub calls: String,
}

/// Somebody who makes calls.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientFile {
    /// How many of them.
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

/// Requests that may wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueFile {
    /// As many as come.
    #[default]
    Unbounded,
    /// So many.
    Bounded(u32),
}

/// What becomes of a request nobody waits for.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AbandonedFile {
    /// It is served.
    #[default]
    Serve,
    /// It is skipped.
    Drop,
}

/// How long service takes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceTimeFile {
    /// Always the same.
    Constant(Seconds),
    /// Anything in between.
    Uniform(UniformFile),
    /// Memoryless, with this mean.
    Exponential(Seconds),
    /// With this median and tail.
    Lognormal(LognormalFile),
}

/// Bounds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UniformFile {
    /// At least.
    pub from: Seconds,
    /// At most.
    pub to: Seconds,
}

/// Median and tail.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LognormalFile {
    /// Half of all are faster.
    pub median: Seconds,
    /// 99 of 100 are faster.
    pub p99: Seconds,
}

/// When a client calls.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArrivalsFile {
    /// At a steady pace.
    Every(Seconds),
    /// At random, with this mean rate.
    Poisson(Rate),
    /// One at a time.
    Closed(ClosedFile),
}

/// One call at a time.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClosedFile {
    /// Between the end of a call and the begin of the next.
    pub think: Seconds,
}

/// Something that goes wrong. Which keys belong to which kind is checked when it is resolved.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultFile {
    /// When it begins.
    pub at: Seconds,
    /// How long it lasts; until the end of the run where nothing is said.
    #[serde(rename = "for")]
    pub lasts: Option<Seconds>,
    /// On what.
    pub on: String,
    /// What.
    pub kind: FaultKindFile,
    /// `error`: HTTP status or SQLSTATE.
    pub code: Option<CodeFile>,
    /// `error`, `throttle`: what the server asks its clients to wait.
    pub retry_after: Option<Seconds>,
    /// `slow`: so many times as long.
    pub factor: Option<f64>,
    /// `slow`: on top.
    pub add: Option<Seconds>,
    /// `throttle`: what the server bears.
    pub rate: Option<Rate>,
    /// `throttle`: how much of it at once.
    pub burst: Option<u32>,
    /// Only with this probability.
    pub probability: Option<f64>,
    /// Only the first so many.
    pub first: Option<u64>,
    /// Only one in so many.
    pub every: Option<u64>,
}

/// Kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultKindFile {
    /// Connections are refused.
    Refuse,
    /// No answer ever comes.
    Hang,
    /// Service takes longer.
    Slow,
    /// Service ends with an error.
    Error,
    /// More than so much is turned away.
    Throttle,
}

/// An HTTP status or a SQLSTATE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeFile(pub String);

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

impl<'de> Deserialize<'de> for QueueFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Queue;
        impl Visitor<'_> for Queue {
            type Value = QueueFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of requests, or `unbounded`")
            }

            fn visit_u64<E: de::Error>(self, count: u64) -> Result<QueueFile, E> {
                let count = u32::try_from(count);
                count
                    .map(QueueFile::Bounded)
                    .map_err(|_| E::custom("a queue holds at most 4294967295 requests"))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<QueueFile, E> {
                if text == "unbounded" {
                    return Ok(QueueFile::Unbounded);
                }
                Err(E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Queue)
    }
}

impl<'de> Deserialize<'de> for CodeFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Code;
        impl Visitor<'_> for Code {
            type Value = CodeFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an HTTP status (100 to 599) or a SQLSTATE (five characters)")
            }

            fn visit_u64<E: de::Error>(self, code: u64) -> Result<CodeFile, E> {
                self.visit_str(&code.to_string())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<CodeFile, E> {
                let status = text
                    .parse()
                    .is_ok_and(|status: u16| (100..=599).contains(&status));
                let letters = text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
                if status || (text.len() == 5 && letters) {
                    return Ok(CodeFile(text.to_owned()));
                }
                Err(E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Code)
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
