//! `circuit_breakers:` when to stop asking, and how to come back.
//!
//! ```yaml
//! circuit_breakers:
//!   storage: { window: 30s, min_calls: 10, failure_rate: 0.5, open_wait: 5s }
//!   runner: { failure_rate: off, consecutive_failures: 3, open_wait: 10s }
//!   search: { hanging_calls: 20, slow_call: 2s, slow_start: 30s }
//! ```
//!
//! What is left out is the core's default, fitted to what is there: `min_calls` shrinks to a smaller
//! `window`, `open_wait_max` grows to a longer `open_wait`, and the numbers of half-open probes
//! follow each other. `hanging_calls` and `slow_start` are off unless they are said.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crossbridge_core::breaker::{BreakerMode, WindowKind};
use crossbridge_core::{BreakerConfig, PerMille};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, Unexpected, Visitor};

use super::error::Problem;
use super::key_path::KeyPath;
use super::refused::refused;
use super::scalar::{Seconds, Share, Whole, parse_span};
use super::schema::share;

/// When to stop asking, and how to come back.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "CircuitBreaker")]
pub(super) struct BreakerFile {
    /// Whether the breaker decides, or is overruled.
    #[schemars(extend("default" = "auto"))]
    mode: Option<ModeFile>,
    /// Over which calls the rates are taken: the last so many (1 to 128), or those of the last so long
    /// (10 ms to a day).
    #[schemars(extend("default" = 100, "examples" = [50, "30s"]))]
    window: Option<WindowFile>,
    /// No rate trips before the window holds this many calls; at most the window.
    #[schemars(extend("default" = BreakerConfig::DEFAULT.min_calls))]
    min_calls: Option<Whole<1, { u32::MAX }>>,
    /// Trips when this share of the window failed, or `off`.
    #[schemars(extend("default" = share(BreakerConfig::DEFAULT.failure_rate)))]
    failure_rate: Option<RateOrOff>,
    /// Trips when this share of the window was slow, or `off`.
    #[schemars(extend("default" = share(BreakerConfig::DEFAULT.slow_rate)))]
    slow_rate: Option<RateOrOff>,
    /// A call that takes at least this long is slow.
    #[schemars(extend("default" = Seconds(BreakerConfig::DEFAULT.slow_call)))]
    slow_call: Option<Seconds>,
    /// Trips after so many failures in a row, whatever the window holds. Off where it is left out.
    consecutive_failures: Option<Whole<1, { u32::MAX }>>,
    /// How long the first trip keeps the circuit open, before jitter.
    #[schemars(extend("default" = Seconds(BreakerConfig::DEFAULT.open_wait)))]
    open_wait: Option<Seconds>,
    /// The wait doubles with every trip in a row up to this; at most a day.
    #[schemars(extend("default" = Seconds(BreakerConfig::DEFAULT.open_wait_max)))]
    open_wait_max: Option<Seconds>,
    /// Probes under way at once while half open.
    #[schemars(extend("default" = BreakerConfig::DEFAULT.half_open_concurrent))]
    half_open_concurrent: Option<Whole<1, 8>>,
    /// Probes in all while half open, at least `half_open_successes`.
    #[schemars(extend("default" = BreakerConfig::DEFAULT.half_open_calls))]
    half_open_calls: Option<Whole<1, 65_535>>,
    /// Probes that must succeed for the circuit to close.
    #[schemars(extend("default" = BreakerConfig::DEFAULT.half_open_successes))]
    half_open_successes: Option<Whole<1, 65_535>>,
    /// A probe without a result for so long has failed.
    #[schemars(extend("default" = Seconds(BreakerConfig::DEFAULT.probe_timeout)))]
    probe_timeout: Option<Seconds>,
    /// Half open for so long without a decision has failed.
    #[schemars(extend("default" = Seconds(BreakerConfig::DEFAULT.half_open_timeout)))]
    half_open_timeout: Option<Seconds>,
    /// Trips when so many calls are under way for longer than `slow_call`. Off where it is left out.
    hanging_calls: Option<Whole<1, { u32::MAX }>>,
    /// For so long after closing a growing share of the calls is admitted; at most a day. Off where it
    /// is left out.
    slow_start: Option<Seconds>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum ModeFile {
    /// The breaker decides.
    Auto,
    /// Everything is refused.
    ForcedOpen,
    /// Everything is admitted and nothing is counted.
    Disabled,
    /// Everything is admitted; the states it would have are counted and reported.
    MetricsOnly,
}

/// The breaker the file describes, or the default where the core refuses that one.
pub(super) fn convert(file: &BreakerFile, path: &KeyPath, problems: &mut Vec<Problem>) -> BreakerConfig {
    let default = BreakerConfig::DEFAULT;
    let window = file.window.map_or(default.window, |window| window.0);
    let fitting = match window {
        WindowKind::Calls(calls) => default.min_calls.min(u32::from(calls)),
        WindowKind::Time(_) => default.min_calls,
    };
    let open_wait = file.open_wait.map_or(default.open_wait, Seconds::get);
    let calls = file.half_open_calls.map(narrow);
    let successes = file.half_open_successes.map(narrow);
    let config = BreakerConfig {
        mode: match file.mode {
            None | Some(ModeFile::Auto) => BreakerMode::Auto,
            Some(ModeFile::ForcedOpen) => BreakerMode::ForcedOpen,
            Some(ModeFile::Disabled) => BreakerMode::Disabled,
            Some(ModeFile::MetricsOnly) => BreakerMode::MetricsOnly,
        },
        window,
        min_calls: file.min_calls.map_or(fitting, Whole::get),
        failure_rate: file.failure_rate.map_or(default.failure_rate, |rate| rate.0),
        slow_rate: file.slow_rate.map_or(default.slow_rate, |rate| rate.0),
        slow_call: file.slow_call.map_or(default.slow_call, Seconds::get),
        consecutive_failures: file.consecutive_failures.map(Whole::get),
        open_wait,
        open_wait_max: file
            .open_wait_max
            .map_or(default.open_wait_max.max(open_wait), Seconds::get),
        half_open_concurrent: file
            .half_open_concurrent
            .map_or(default.half_open_concurrent, |most| {
                u8::try_from(most.get()).unwrap_or(u8::MAX)
            }),
        half_open_calls: calls.unwrap_or(default.half_open_calls.max(successes.unwrap_or(0))),
        half_open_successes: successes.unwrap_or(default.half_open_successes.min(calls.unwrap_or(u16::MAX))),
        probe_timeout: file.probe_timeout.map_or(default.probe_timeout, Seconds::get),
        half_open_timeout: file
            .half_open_timeout
            .map_or(default.half_open_timeout, Seconds::get),
        hanging_calls: file.hanging_calls.map(Whole::get),
        slow_start: file.slow_start.map(Seconds::get),
        jitter_seed: default.jitter_seed,
    };
    match config.check() {
        Ok(()) => config,
        Err(error) => {
            let is_span = match error.field {
                "window" => matches!(window, WindowKind::Time(_)),
                "min_calls" | "failure_rate" | "slow_rate" | "consecutive_failures" => false,
                "hanging_calls" | "half_open_concurrent" | "half_open_calls" | "half_open_successes" => false,
                _ => true,
            };
            let mut problem = refused(error, path.key(error.field), is_span);
            // What the core compares with another of its fields, with that field's value.
            let compared = match (error.field, config.window) {
                ("min_calls", WindowKind::Calls(calls)) => {
                    Some(format!("at most the window of {calls} calls"))
                }
                ("open_wait_max", _) if config.open_wait_max < config.open_wait => {
                    let least = Seconds(config.open_wait);
                    Some(format!("at least `open_wait`, which is {least}"))
                }
                ("half_open_calls", _) => {
                    let least = config.half_open_successes;
                    Some(format!("at least `half_open_successes`, which is {least}"))
                }
                _ => None,
            };
            if compared.is_some() {
                problem.expected = compared;
            }
            problems.push(problem);
            default
        }
    }
}

/// Bounded to 65 535 by its type.
fn narrow(number: Whole<1, 65_535>) -> u16 {
    u16::try_from(number.get()).unwrap_or(u16::MAX)
}

/// So many calls, or so long.
#[derive(Clone, Copy, Debug)]
struct WindowFile(WindowKind);

impl<'de> Deserialize<'de> for WindowFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WindowVisitor;

        impl Visitor<'_> for WindowVisitor {
            type Value = WindowFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of calls, 1 to 128, or a time, 10 ms to a day, like `30s`")
            }

            fn visit_u64<E: de::Error>(self, calls: u64) -> Result<WindowFile, E> {
                match u8::try_from(calls) {
                    Ok(calls @ 1..=128) => Ok(WindowFile(WindowKind::Calls(calls))),
                    _ => Err(E::invalid_value(Unexpected::Unsigned(calls), &self)),
                }
            }

            fn visit_i64<E: de::Error>(self, calls: i64) -> Result<WindowFile, E> {
                Err(E::invalid_value(Unexpected::Signed(calls), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<WindowFile, E> {
                const A_DAY: Duration = Duration::from_secs(86_400);
                match parse_span(text) {
                    Ok(span) if (Duration::from_millis(10)..=A_DAY).contains(&span) => {
                        Ok(WindowFile(WindowKind::Time(span)))
                    }
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }

        deserializer.deserialize_any(WindowVisitor)
    }
}

impl JsonSchema for WindowFile {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Window".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut time = Seconds::json_schema(generator);
        let text = time.pointer_mut("/anyOf/1").map(serde_json::Value::take);
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 128 }, text] })
    }
}

/// A share that trips the breaker, or `off`.
#[derive(Clone, Copy, Debug)]
struct RateOrOff(Option<PerMille>);

impl<'de> Deserialize<'de> for RateOrOff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RateVisitor;

        impl Visitor<'_> for RateVisitor {
            type Value = RateOrOff;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a share, 0.001 to 1, or `off`")
            }

            fn visit_f64<E: de::Error>(self, share: f64) -> Result<RateOrOff, E> {
                match Share::from_f64(share) {
                    Some(share) if share.per_mille().get() > 0 => Ok(RateOrOff(Some(share.per_mille()))),
                    _ => Err(E::invalid_value(Unexpected::Float(share), &self)),
                }
            }

            fn visit_u64<E: de::Error>(self, share: u64) -> Result<RateOrOff, E> {
                match share {
                    1 => Ok(RateOrOff(Some(PerMille::ALL))),
                    _ => Err(E::invalid_value(Unexpected::Unsigned(share), &self)),
                }
            }

            fn visit_i64<E: de::Error>(self, share: i64) -> Result<RateOrOff, E> {
                Err(E::invalid_value(Unexpected::Signed(share), &self))
            }

            fn visit_bool<E: de::Error>(self, on: bool) -> Result<RateOrOff, E> {
                match on {
                    false => Ok(RateOrOff(None)),
                    true => Err(E::invalid_value(Unexpected::Bool(on), &self)),
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RateOrOff, E> {
                match text {
                    "off" | "none" => Ok(RateOrOff(None)),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }

        deserializer.deserialize_any(RateVisitor)
    }
}

impl JsonSchema for RateOrOff {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "RateOrOff".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // To YAML 1.1, and so to some editors, a bare `off` is the truth value.
        json_schema!({
            "anyOf": [
                { "type": "number", "exclusiveMinimum": 0, "maximum": 1 },
                { "enum": ["off", "none", false] },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Document};

    fn parse(breaker: &str) -> Result<BreakerConfig, String> {
        let text = format!("runtime:\n  circuit_breakers:\n    it: {breaker}\n");
        let document = Document::parse("crossbridge.yml", &text).map_err(|error| error.render())?;
        match Config::from_document(&document, &|_: &str| None) {
            Ok(config) => Ok(config.breakers()["it"]),
            Err(error) => Err(error.render()),
        }
    }

    #[test]
    fn hanging_calls_and_a_slow_start_are_off_unless_they_are_said() {
        let off = parse("{ window: 50 }").unwrap();
        assert_eq!((off.hanging_calls, off.slow_start), (None, None));
        let on = parse("{ hanging_calls: 20, slow_call: 2s, slow_start: 30s }").unwrap();
        assert_eq!(on.hanging_calls, Some(20));
        assert_eq!(on.slow_start, Some(Duration::from_secs(30)));
    }

    #[test]
    fn what_the_core_refuses_is_refused_at_its_key() {
        for (breaker, key, expected) in [
            ("{ slow_start: 0s }", "slow_start", "more than 0"),
            ("{ slow_start: 25h }", "slow_start", "at most a day"),
            ("{ hanging_calls: 0 }", "hanging_calls", "1"),
            ("{ hanging_calls: 1, slow_call: 0.0005 }", "slow_call", "1 ms"),
        ] {
            let refused = parse(breaker).unwrap_err();
            let dotted = format!("runtime.circuit_breakers.it.{key}");
            assert!(
                refused.contains(&dotted) && refused.contains(expected),
                "{refused}"
            );
        }
    }
}
