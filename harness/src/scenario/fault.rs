//! What goes wrong with nodes and with clients.

use std::time::Duration;

use crossbridge_core::{FaultKind, Instant, Quota};

/// One thing that goes wrong with a node.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Its place in the file and the round of its repetition, both from 0: what its draws come from.
    pub number: (u32, u32),
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
    /// How long it takes to reach its full strength, in nanoseconds.
    pub ramp: u64,
}

impl Fault {
    /// Whether it is there at `now`.
    #[must_use]
    pub fn is_over(&self, now: Instant) -> bool {
        self.from <= now && now < self.until
    }

    /// How much of it is there while it lasts: 0 at its begin, 1 once it has reached its full strength.
    #[must_use]
    pub fn strength(&self, now: Instant) -> f64 {
        let since = now.as_nanos().saturating_sub(self.from.as_nanos());
        if since >= self.ramp {
            return 1.0;
        }
        // Exact below 2^53 nanoseconds (104 days).
        #[expect(clippy::cast_precision_loss)]
        {
            since as f64 / self.ramp as f64
        }
    }
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
    /// The connection breaks as soon as the request is there: it is not served, and its caller
    /// cannot know.
    Reset,
    /// The request is served and the answer lost.
    DropAnswer,
    /// The request is served and the connection breaks in the middle of the answer.
    Partial,
    /// The request is served and the answer cannot be read.
    Corrupt,
    /// Only so many requests are served at once.
    Capacity(u32),
    /// Everything waiting or worked on is lost, connections are refused while it lasts, and the
    /// cache is empty afterwards.
    CrashRestart,
    /// No message comes through, neither way.
    Partition {
        /// Messages are held and come through in order at its end, instead of never.
        buffer: bool,
    },
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
            Self::Reset => "reset",
            Self::DropAnswer => "drop_answer",
            Self::Partial => "partial",
            Self::Corrupt => "corrupt",
            Self::Capacity(_) => "capacity",
            Self::CrashRestart => "crash_restart",
            Self::Partition { .. } => "partition",
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

/// One thing that goes wrong with every client of a group.
#[derive(Clone, Debug)]
pub struct ClientFault {
    /// When it begins.
    pub from: Instant,
    /// When it is over.
    pub until: Instant,
    /// The index of the group.
    pub group: usize,
    /// What it does.
    pub kind: ClientEffect,
}

/// What goes wrong with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientEffect {
    /// It makes so many calls more, evenly spread over the fault.
    Burst(u32),
    /// It stops at the begin, its calls with it, and starts again at the end.
    Restart {
        /// Its guard remembers what it knew.
        snapshot: bool,
    },
    /// Its clock is off by so many nanoseconds; afterwards it is set right again.
    ClockStep {
        /// By how much.
        by: u64,
        /// Behind instead of ahead.
        back: bool,
    },
    /// Its clock gains (or loses) so many millionths; afterwards it runs right and stays off.
    ClockDrift(i32),
    /// Its clock stands still; afterwards it jumps to where it would be.
    ClockFreeze,
}

impl ClientEffect {
    /// The kind's name in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Burst(_) => "burst",
            Self::Restart { .. } => "restart",
            Self::ClockStep { .. } => "clock_step",
            Self::ClockDrift(_) => "clock_drift",
            Self::ClockFreeze => "clock_freeze",
        }
    }
}
