//! The `faults:` of a scenario.

use std::borrow::Cow;
use std::fmt;

use crossbridge_std::config::{Rate, Seconds};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

/// Something that goes wrong. Which keys belong to which kind is checked when it is resolved.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Fault")]
pub struct FaultFile {
    /// When it begins, before the end of the run.
    pub at: Seconds,
    /// How long it lasts; until the end of the run where nothing is said.
    #[serde(rename = "for")]
    pub lasts: Option<Seconds>,
    /// The dependency, service or group of clients it happens to.
    pub on: String,
    /// What goes wrong.
    pub kind: FaultKindFile,
    /// `error`: HTTP status or SQLSTATE.
    pub code: Option<CodeFile>,
    /// `error`, `throttle`: what the server asks its clients to wait.
    pub retry_after: Option<Seconds>,
    /// `slow`: so many times as long. `clock_drift`: so many times as fast.
    pub factor: Option<f64>,
    /// `slow`: on top.
    pub add: Option<Seconds>,
    /// `throttle`: what the server bears.
    pub rate: Option<Rate>,
    /// `throttle`: how much of it at once.
    pub burst: Option<u32>,
    /// `capacity`: requests served at once.
    pub servers: Option<u32>,
    /// `partition`: messages are held.
    pub buffer: Option<bool>,
    /// `burst`: so many calls more.
    pub calls: Option<u32>,
    /// `restart`: the guard remembers.
    pub snapshot: Option<bool>,
    /// `clock_step`: ahead by so much.
    pub forward: Option<Seconds>,
    /// `clock_step`: behind by so much.
    pub back: Option<Seconds>,
    /// How long it takes to reach its full strength.
    pub ramp: Option<Seconds>,
    /// Again and again.
    pub repeat: Option<RepeatFile>,
    /// Only with this probability, 0 to 1.
    pub probability: Option<f64>,
    /// Only the first so many.
    pub first: Option<u64>,
    /// Only one in so many.
    pub every: Option<u64>,
}

/// Again and again.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Repeat")]
pub struct RepeatFile {
    /// From one begin to the next.
    pub every: Seconds,
    /// How often in all; to the end of the run where nothing is said.
    pub times: Option<u32>,
}

/// Kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "FaultKind")]
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
    /// Connections break.
    Reset,
    /// Answers are lost.
    DropAnswer,
    /// Answers are cut short.
    Partial,
    /// Answers cannot be read.
    Corrupt,
    /// Fewer servers.
    Capacity,
    /// A crash and a restart.
    CrashRestart,
    /// Messages do not come through.
    Partition,
    /// Clients: more calls.
    Burst,
    /// Clients: a restart.
    Restart,
    /// Clients: a clock that is off.
    ClockStep,
    /// Clients: a clock that gains or loses.
    ClockDrift,
    /// Clients: a clock that stands still.
    ClockFreeze,
}

impl FaultKindFile {
    /// Its name in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Hang => "hang",
            Self::Slow => "slow",
            Self::Error => "error",
            Self::Throttle => "throttle",
            Self::Reset => "reset",
            Self::DropAnswer => "drop_answer",
            Self::Partial => "partial",
            Self::Corrupt => "corrupt",
            Self::Capacity => "capacity",
            Self::CrashRestart => "crash_restart",
            Self::Partition => "partition",
            Self::Burst => "burst",
            Self::Restart => "restart",
            Self::ClockStep => "clock_step",
            Self::ClockDrift => "clock_drift",
            Self::ClockFreeze => "clock_freeze",
        }
    }

    /// Whether it happens to clients.
    #[must_use]
    pub const fn is_on_clients(self) -> bool {
        matches!(
            self,
            Self::Burst | Self::Restart | Self::ClockStep | Self::ClockDrift | Self::ClockFreeze
        )
    }
}

/// An HTTP status or a SQLSTATE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeFile(pub String);

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

impl JsonSchema for CodeFile {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Code".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "integer", "minimum": 100, "maximum": 99_999 },
                { "type": "string", "pattern": "^([1-5][0-9]{2}|[0-9A-Z]{5})$" },
            ],
            "examples": [503, "40P01"],
        })
    }
}
