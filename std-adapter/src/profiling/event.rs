//! The event model: what happened in a test, when, and for how long.
//!
//! # Numbers
//!
//! Times are `f64` behind the types [`Seconds`] and [`Millis`], which hold finite values from 0 to
//! 10¹² and nothing else. A value is kept as it was given: 250.125 ms stays 250.125, an explicit 0
//! stays 0, and nothing is cut to whole units. A wall clock in seconds has a resolution of a quarter
//! of a microsecond; a monotonic one is finer. "Not measured" is `None`, never 0.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde_json::Value;

#[cfg(feature = "sqlite")]
pub(in crate::profiling) mod heap;
mod json;
mod metadata;
mod number;
mod status;

pub(in crate::profiling) use metadata::Entry;
pub use metadata::{Iter as MetadataIter, Metadata};
pub use number::{BadNumber, Millis, Seconds};
pub use status::Status;

/// One thing that happened in a run.
///
/// ```
/// use crossbridge_std::profiling::{Event, EventType, Millis};
///
/// let mut event = Event::new("id-1", "run-1", "tests/test_cart.py::test_add", EventType::TestEnd);
/// event.duration_ms = Some(Millis::new(250.125)?);
/// assert_eq!(event.duration_ms.map(Millis::get), Some(250.125));
/// # Ok::<(), crossbridge_std::profiling::BadNumber>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What makes the event itself: a store keeps one event per id. See [`identity`](super::identity).
    pub event_id: String,
    /// The run it belongs to, usually a UUID; any text is kept as given.
    pub run_id: String,
    /// The test it belongs to: a node id, or `classname::name` for reports.
    pub test_id: String,
    /// What kind of event.
    pub event_type: EventType,
    /// What ran the test: `pytest`, `junit`, `selenium`, …
    pub framework: String,
    /// The step inside the test, where the event is about one.
    pub step_name: Option<String>,
    /// When it began, in seconds of the producer's clock (often a monotonic one).
    pub start_time: Option<Seconds>,
    /// When it ended, on the same clock; never before `start_time`.
    pub end_time: Option<Seconds>,
    /// How long it took; `None` when it was not measured.
    pub duration_ms: Option<Millis>,
    /// When it was recorded, by the wall clock of the producer; `None` when the source does not say.
    pub created_at: Option<Timestamp>,
    /// Everything else that was said about it. Values are nested at most as deep as `serde_json` reads them,
    /// 128 levels with the metadata itself: a deeper one is a dead letter of the spool.
    pub metadata: Metadata,
}

impl Event {
    /// An event with the four things every event has; the rest is empty.
    #[must_use]
    pub fn new(
        event_id: impl Into<String>,
        run_id: impl Into<String>,
        test_id: impl Into<String>,
        event_type: EventType,
    ) -> Self {
        Self {
            event_id: event_id.into(),
            run_id: run_id.into(),
            test_id: test_id.into(),
            event_type,
            framework: UNKNOWN_FRAMEWORK.to_owned(),
            step_name: None,
            start_time: None,
            end_time: None,
            duration_ms: None,
            created_at: None,
            metadata: Metadata::new(),
        }
    }

    /// How the test ended, for a [`TestEnd`](EventType::TestEnd); `None` for every other event.
    ///
    /// Read from `metadata.status`; [`Status::Unknown`] when it is missing or not one we know.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        (self.event_type == EventType::TestEnd).then(|| {
            let text = self
                .metadata
                .get("status")
                .and_then(Value::as_str)
                .unwrap_or_default();
            Status::from_name(text)
        })
    }
}

/// RFC 3339 in UTC with nine decimals, so that the order of the texts is the order of the times.
#[must_use]
pub fn format_timestamp(at: Timestamp) -> String {
    format!("{at:.9}")
}

macro_rules! event_types {
    ($($variant:ident $name:literal $doc:literal;)*) => {
        /// The seventeen kinds of event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventType {
            $(#[doc = $doc] $variant,)*
        }

        impl EventType {
            /// Every kind, in the order of the reference.
            pub const ALL: [Self; 17] = [$(Self::$variant),*];

            /// The name in files and tables: `test_start`, `http_request`, …
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

event_types! {
    TestStart "test_start" "A test begins.";
    TestEnd "test_end" "A test ended; `metadata.status` says how.";
    StepStart "step_start" "A step of a test begins.";
    StepEnd "step_end" "A step of a test ended.";
    SetupStart "setup_start" "Setup begins.";
    SetupEnd "setup_end" "Setup ended.";
    TeardownStart "teardown_start" "Teardown begins.";
    TeardownEnd "teardown_end" "Teardown ended.";
    DriverCommand "driver_command" "A command to a browser or device driver.";
    ApiCall "api_call" "A call to an API through a client library.";
    HttpRequest "http_request" "An HTTP exchange.";
    WaitEvent "wait_event" "A wait for a condition.";
    RetryEvent "retry_event" "An attempt that was followed by another one.";
    PageLoad "page_load" "A page was loaded.";
    ElementInteraction "element_interaction" "A click, a key or a drag on an element.";
    ResourceUsage "resource_usage" "A sample of processor and memory use.";
    FrameworkOverhead "framework_overhead" "Time the framework spent on itself.";
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventType {
    type Err = UnknownEventType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownEventType {
                found: text.chars().take(MAX_QUOTED).collect(),
                nearest: Self::ALL
                    .into_iter()
                    .map(|kind| {
                        (
                            strsim::levenshtein(kind.as_str(), &text.chars().take(64).collect::<String>()),
                            kind,
                        )
                    })
                    .min()
                    .filter(|(distance, _)| *distance <= 3)
                    .map(|(_, kind)| kind),
            })
    }
}

/// A name that is none of the seventeen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownEventType {
    /// What was found, cut at 80 characters.
    pub found: String,
    /// The kind whose name is closest, where one is close.
    pub nearest: Option<EventType>,
}

impl fmt::Display for UnknownEventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown event type `{}`", self.found)?;
        match self.nearest {
            Some(kind) => write!(f, ", did you mean `{kind}`?"),
            None => f.write_str(", expected one of the 17 such as `test_end` or `http_request`"),
        }
    }
}

impl std::error::Error for UnknownEventType {}

/// The framework of an event whose source does not say.
pub(crate) const UNKNOWN_FRAMEWORK: &str = "unknown";
/// How much of an offending value a message repeats.
pub(crate) const MAX_QUOTED: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for kind in EventType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest() {
        let error = "test_edn".parse::<EventType>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown event type `test_edn`, did you mean `test_end`?"
        );
        let error = "banana".parse::<EventType>().unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("unknown event type `banana`, expected one of the 17")
        );
    }

    #[test]
    fn status_is_asked_of_test_ends_only() {
        let mut event = Event::new("i", "r", "t", EventType::TestEnd);
        assert_eq!(event.status(), Some(Status::Unknown));
        event.metadata.insert("status", "passed".into());
        assert_eq!(event.status(), Some(Status::Passed));
        event.event_type = EventType::StepEnd;
        assert_eq!(event.status(), None);
    }

    #[test]
    fn texts_of_timestamps_sort_like_the_times() {
        let whole: Timestamp = "2026-11-21T16:53:04Z".parse().unwrap();
        let later: Timestamp = "2026-11-21T16:53:04.02Z".parse().unwrap();
        assert!(format_timestamp(whole) < format_timestamp(later));
    }
}
