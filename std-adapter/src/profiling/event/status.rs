//! How a test ended.

use std::fmt;

/// How a test ended, as far as its source can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It passed, at last if not at once.
    Passed,
    /// It failed: an assertion, or a part of it.
    Failed,
    /// It could not be run properly: setup, teardown or its process broke.
    Error,
    /// It was not run.
    Skipped,
    /// It failed, as expected.
    Xfailed,
    /// It passed although it was expected to fail. JUnit XML of pytest does not tell it from
    /// [`Passed`](Self::Passed).
    Xpassed,
    /// It was stopped at its time limit.
    Timeout,
    /// The source does not say, or says something we do not know.
    Unknown,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 8] = [
        Self::Passed,
        Self::Failed,
        Self::Error,
        Self::Skipped,
        Self::Xfailed,
        Self::Xpassed,
        Self::Timeout,
        Self::Unknown,
    ];

    /// The name in `metadata.status` and in the view `tests`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::Skipped => "skipped",
            Self::Xfailed => "xfailed",
            Self::Xpassed => "xpassed",
            Self::Timeout => "timeout",
            Self::Unknown => "unknown",
        }
    }

    /// The status of that name; the short forms `xfail` and `xpass` are understood, anything else
    /// is [`Unknown`](Self::Unknown).
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "passed" => Self::Passed,
            "failed" => Self::Failed,
            "error" => Self::Error,
            "skipped" => Self::Skipped,
            "xfailed" | "xfail" => Self::Xfailed,
            "xpassed" | "xpass" => Self::Xpassed,
            "timeout" => Self::Timeout,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Status;

    #[test]
    fn names_read_back() {
        for status in Status::ALL {
            assert_eq!(Status::from_name(status.as_str()), status);
        }
        assert_eq!(Status::from_name("xfail"), Status::Xfailed);
        assert_eq!(Status::from_name("PASSED"), Status::Unknown);
    }
}
