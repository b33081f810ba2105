//! A bad day, described: who calls what, what goes wrong when, and what is promised.
//!
//! [`mod@format`] is the YAML it is written in, [`limits`] says how much of it is too much; what stands
//! here has been checked and is ready to run.

use std::time::Duration;

use crossbridge_core::{GuardConfig, Instant};

use crate::distribution::Distribution;
use crate::expect::Expectation;

pub mod arrivals;
pub mod fault;
pub mod format;
pub mod grid;
pub mod limits;
mod resolve;

pub use arrivals::Arrivals;
pub use fault::{ClientEffect, ClientFault, ErrorAnswer, ErrorCode, Fault, FaultEffect, Which};
pub use grid::{Grid, load};
pub use resolve::{resolve, trace_times};

/// A scenario that is ready to run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What it is about, in a sentence.
    pub about: Option<String>,
    /// Where every draw of the run comes from, unless the command says otherwise.
    pub seed: u64,
    /// How long it runs, in virtual time.
    pub duration: Duration,
    /// Everything that serves requests.
    pub nodes: Vec<Node>,
    /// Everybody who makes calls of their own.
    pub clients: Vec<ClientGroup>,
    /// What goes wrong with nodes, in the order of the file.
    pub faults: Vec<Fault>,
    /// What goes wrong with clients, in the order of the file.
    pub client_faults: Vec<ClientFault>,
    /// What is promised of each run.
    pub expect: Vec<Expectation>,
    /// What is promised of many seeds together.
    pub over_seeds: Vec<Expectation>,
}

impl Scenario {
    /// Whether it promises something about the [invariants](crate::invariants) of the run.
    #[must_use]
    pub fn is_about_invariants(&self) -> bool {
        self.is_about("invariants.")
    }

    /// Whether a promise has a name that begins with this.
    #[must_use]
    pub fn is_about(&self, prefix: &str) -> bool {
        let mut promises = self.expect.iter().chain(&self.over_seeds);
        promises.any(|promise| promise.mentions(prefix))
    }

    /// From the first fault's begin to the last one's end; `None` without faults.
    #[must_use]
    pub fn trouble_lasts(&self) -> Option<Duration> {
        let (from, until) = self.trouble()?;
        Some(until.saturating_duration_since(from))
    }

    /// What clients call, then what services call.
    pub(crate) fn downstreams_mut(&mut self) -> impl Iterator<Item = &mut Downstream> {
        let clients = self.clients.iter_mut().map(|group| &mut group.calls);
        let services = self.nodes.iter_mut().filter_map(|node| node.downstream.as_mut());
        clients.chain(services)
    }

    /// When the first fault begins and the last one is over; `None` without faults.
    #[must_use]
    pub fn trouble(&self) -> Option<(Instant, Instant)> {
        let nodes = self.faults.iter().map(|fault| (fault.from, fault.until));
        let clients = self.client_faults.iter().map(|fault| (fault.from, fault.until));
        nodes
            .chain(clients)
            .reduce(|(first, last), (from, until)| (first.min(from), last.max(until)))
    }
}

/// Something that serves requests: a database, an API, a service that calls others.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name in the file.
    pub name: String,
    /// Requests served at once.
    pub servers: u32,
    /// Requests that may wait; `None` is without bound.
    pub queue: Option<usize>,
    /// Which of the waiting requests is next.
    pub discipline: Discipline,
    /// How long one takes.
    pub service_time: Distribution,
    /// How long a message to or from it is under way; `None` is no time at all.
    pub latency: Option<Distribution>,
    /// What becomes of a waiting request whose caller has given up.
    pub abandoned: Abandoned,
    /// Which requests are turned away when their turn comes.
    pub shed: Shed,
    /// How requests get in each other's way, apart from waiting.
    pub contention: Contention,
    /// How it is slower after a restart.
    pub cold: Option<Cold>,
    /// Whom it calls to serve a request, where it does.
    pub downstream: Option<Downstream>,
    /// What it is when the scenario is replayed [on real servers](crate::live).
    pub live: Option<RealServer>,
}

/// What a dependency really is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RealServer {
    /// A PostgreSQL.
    Postgres,
    /// A Redis.
    Redis,
    /// An HTTP server of our own.
    Http,
}

impl RealServer {
    /// Its name in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Http => "http",
        }
    }
}

/// What becomes of a waiting request whose caller has given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// It is skipped when its turn comes.
    Drop,
    /// It is served all the same: what makes an overload outlive its cause.
    Serve,
}

/// Which of the waiting requests is next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Discipline {
    /// The one that has waited longest.
    #[default]
    Fifo,
    /// The one that came last: in an overload, the one whose caller is most likely still there.
    Lifo,
}

/// Which requests are turned away, as with status 503, when their turn comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shed {
    /// None.
    #[default]
    None,
    /// Those whose attempt has run out of time at the caller.
    Expired,
    /// Those with less time left than this, in nanoseconds.
    CannotFinishWithin(u64),
}

/// How requests get in each other's way, apart from waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Contention {
    /// Not at all.
    #[default]
    None,
    /// Optimistic concurrency control on one row: the version read when service begins must still
    /// be the current one when it ends, or the request fails as with SQLSTATE 40001.
    Optimistic,
}

/// An empty cache after a restart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cold {
    /// The first request takes so many times as long.
    pub factor: f64,
    /// From this request on service takes as long as usual; in between it gets steadily faster.
    pub requests: u32,
}

/// A guarded way from one actor to a node.
#[derive(Clone, Debug)]
pub struct Downstream {
    /// The call path of the configuration.
    pub path: String,
    /// Its policies.
    pub guard: GuardConfig,
    /// HTTP statuses that are worth a retry.
    pub retryable_codes: Vec<u16>,
    /// The index of the node that is called.
    pub node: usize,
}

/// A number of clients of one kind, each with a guard of its own.
#[derive(Clone, Debug)]
pub struct ClientGroup {
    /// Its name in the file.
    pub name: String,
    /// How many.
    pub count: u32,
    /// When each of them calls.
    pub arrivals: Arrivals,
    /// What they call, and under which policies.
    pub calls: Downstream,
}
