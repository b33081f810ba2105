//! One line of a log.

use std::fmt;

use crossbridge_core::FaultKind;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// What a line says, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The end of an attempt, or of a call.
    Event {
        /// The call path.
        path: String,
        /// When it ended, in microseconds since 1970.
        ended_us: i64,
        /// How long it took, in microseconds.
        took_us: u64,
        /// Of what.
        end: End,
    },
    /// Anything else that a log holds.
    Other,
}

/// What ended, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// An attempt, by this fault or without one.
    Attempt {
        /// 1 for the first of its call.
        number: u32,
        /// What it met.
        fault: Option<FaultKind>,
    },
    /// A call.
    Call {
        /// Whether it succeeded.
        succeeded: bool,
    },
}

/// Why a line cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine(pub String);

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The fields that matter. Other records may use the same names for something else, so that nothing
/// is taken for granted before the message is known.
#[derive(Debug, Deserialize)]
struct Fields {
    message: Option<Value>,
    path: Option<Value>,
    timestamp: Option<Value>,
    attempt: Option<Value>,
    took_us: Option<Value>,
    fault: Option<Value>,
}

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// It is no JSON object, or lacks what a record of its message has.
    pub fn read(line: &[u8]) -> Result<Self, BadLine> {
        if !line.starts_with(b"{") {
            return Err(BadLine("no JSON object".to_owned()));
        }
        let fields: Fields = serde_json::from_slice(line).map_err(|error| {
            // It says where, as if the line were a file of its own.
            let text = error.to_string();
            let reason = text.split(" at line ").next().unwrap_or_default();
            BadLine(format!("no JSON object: {reason}, character {}", error.column()))
        })?;
        let (Some(message), Some(Value::String(path))) = (text(fields.message.as_ref()), &fields.path) else {
            return Ok(Self::Other);
        };
        let end = match message {
            "attempt succeeded" => fields.attempt(None)?,
            "attempt failed" => fields.attempt(Some(fields.fault()?))?,
            "call succeeded" | "call succeeded after retries" => End::Call { succeeded: true },
            "call failed" | "call refused" | "call cancelled" => End::Call { succeeded: false },
            _ => return Ok(Self::Other),
        };
        let timestamp = text(fields.timestamp.as_ref()).ok_or_else(|| missing("timestamp", "a time"))?;
        let ended: Timestamp = timestamp.parse().map_err(|_| {
            BadLine(format!(
                "`timestamp` is `{timestamp}`, expected a time (RFC 3339)"
            ))
        })?;
        Ok(Self::Event {
            path: path.clone(),
            ended_us: ended.as_microsecond(),
            took_us: number(fields.took_us.as_ref(), "took_us")?,
            end,
        })
    }
}

impl Fields {
    fn attempt(&self, fault: Option<FaultKind>) -> Result<End, BadLine> {
        let number = number(self.attempt.as_ref(), "attempt")?;
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        Ok(End::Attempt { number, fault })
    }

    fn fault(&self) -> Result<FaultKind, BadLine> {
        let name = text(self.fault.as_ref()).ok_or_else(|| missing("fault", "a kind of fault"))?;
        let kinds = FaultKind::ALL;
        let found = kinds.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| {
            let known = kinds.map(FaultKind::name).join(", ");
            BadLine(format!("`fault` is `{name}`, expected one of {known}"))
        })
    }
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

fn number(value: Option<&Value>, key: &str) -> Result<u64, BadLine> {
    let number = value.and_then(Value::as_u64);
    number.ok_or_else(|| missing(key, "a whole number"))
}

fn missing(key: &str, expected: &str) -> BadLine {
    BadLine(format!(
        "`{key}` is missing or something else, expected {expected}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_for_what_they_are() {
        let read = |line: &str| Line::read(line.as_bytes());
        let head = r#""timestamp":"1970-01-01T00:00:01.5Z","path":"db""#;
        let event = |took_us, end| Line::Event {
            path: "db".to_owned(),
            ended_us: 1_500_000,
            took_us,
            end,
        };
        let attempt = |number, fault| End::Attempt { number, fault };
        for (rest, expected) in [
            (
                r#""message":"attempt succeeded","attempt":2,"took_us":7"#,
                event(7, attempt(2, None)),
            ),
            (
                r#""message":"attempt failed","attempt":1,"fault":"not_sent","took_us":0"#,
                event(0, attempt(1, Some(FaultKind::NotSent))),
            ),
            (
                r#""message":"call refused","attempts":0,"took_us":9,"reason":"breaker""#,
                event(9, End::Call { succeeded: false }),
            ),
            (
                r#""message":"call succeeded after retries","attempts":2,"took_us":9"#,
                event(9, End::Call { succeeded: true }),
            ),
            (r#""message":"breaker changed","from":"closed""#, Line::Other),
            // Somebody else's record that happens to have a field of that name.
            (r#""message":"disk full","took_us":"long""#, Line::Other),
        ] {
            assert_eq!(read(&format!("{{{head},{rest}}}")), Ok(expected), "{rest}");
        }
        assert_eq!(read(r#"{"message":"call failed"}"#), Ok(Line::Other)); // of no path
    }

    #[test]
    fn bad_lines_say_why() {
        let reasons: Vec<String> = [
            "call failed",
            "[1]",
            r#"{"message":"call fai"#,
            r#"{"message":"call failed","path":"db","took_us":1}"#,
            r#"{"message":"call failed","path":"db","took_us":1,"timestamp":"noon"}"#,
            r#"{"message":"call failed","path":"db","took_us":-1,"timestamp":"1970-01-01T00:00:00Z"}"#,
            r#"{"message":"attempt failed","path":"db","fault":"tired"}"#,
        ]
        .map(|line| Line::read(line.as_bytes()).unwrap_err().to_string())
        .into();
        insta::assert_snapshot!(reasons.join("\n"));
    }
}
