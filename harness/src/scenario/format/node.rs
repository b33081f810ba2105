//! What is called: `dependencies:` and `services:`.

use crossbridge_std::config::Seconds;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{QueueFile, SpanFile};

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

const fn one_server() -> u32 {
    1
}
