//! A bad day, described: who calls what, what goes wrong when, and what is promised.
//!
//! [`mod@format`] is the YAML it is written in; what stands here has been checked and is ready to run.

use std::time::Duration;

use crossbridge_core::{FaultKind, GuardConfig, Instant, Quota};

use crate::distribution::Distribution;
use crate::expect::Expectation;

pub mod arrivals;
pub mod format;
mod resolve;

pub use arrivals::Arrivals;
pub use resolve::load;

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
    /// What goes wrong, in the order of the file.
    pub faults: Vec<Fault>,
    /// What is promised.
    pub expect: Vec<Expectation>,
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
    /// How long one takes.
    pub service_time: Distribution,
    /// What becomes of a waiting request whose caller has given up.
    pub abandoned: Abandoned,
    /// Whom it calls to serve a request, where it does.
    pub downstream: Option<Downstream>,
}

/// What becomes of a waiting request whose caller has given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// It is skipped when its turn comes.
    Drop,
    /// It is served all the same: what makes an overload outlive its cause.
    Serve,
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

/// One thing that goes wrong.
#[derive(Clone, Debug)]
pub struct Fault {
    /// When it begins.
    pub from: Instant,
    /// When it is over.
    pub until: Instant,
    /// The index of the node it is on.
    pub node: usize,
    /// What it does.
    pub kind: FaultEffect,
    /// Which of the requests it meets.
    pub which: Which,
}

/// What a fault does to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultEffect {
    /// The connection is refused: the request never leaves.
    Refuse,
    /// The request is swallowed: no answer, ever.
    Hang,
    /// Service takes longer: `factor` times as long, and `add` on top.
    Slow {
        /// 1.0 is as usual.
        factor: f64,
        /// On top, in nanoseconds.
        add: u64,
    },
    /// Service ends with an error.
    Error(ErrorAnswer),
    /// Above the quota, the request is answered at once with status 429.
    Throttle {
        /// What the server bears.
        quota: Quota,
        /// What it asks its clients to wait.
        retry_after: Option<Duration>,
    },
}

impl FaultEffect {
    /// The kind's name in the file.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Hang => "hang",
            Self::Slow { .. } => "slow",
            Self::Error(_) => "error",
            Self::Throttle { .. } => "throttle",
        }
    }
}

/// An error as the server words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorAnswer {
    /// Its code.
    pub code: ErrorCode,
    /// What it asks its clients to wait.
    pub retry_after: Option<Duration>,
}

/// The code of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// An HTTP status.
    Http(u16),
    /// A SQLSTATE and the kind of fault it stands for.
    Sqlstate(String, FaultKind),
}

/// Which of the requests a fault meets; all conditions hold at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Which {
    /// Each with this probability, 0 to 1.
    pub probability: f64,
    /// Only the first so many that arrive while it lasts.
    pub first: Option<u64>,
    /// Only every so-manieth that arrives while it lasts.
    pub every: Option<u64>,
}

impl Which {
    /// All of them.
    pub const ALL: Self = Self {
        probability: 1.0,
        first: None,
        every: None,
    };
}
