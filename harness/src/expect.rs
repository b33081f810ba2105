//! What a scenario promises, as small expressions over its result.
//!
//! ```text
//! expectation = sum ("<=" | ">=" | "<" | ">" | "==" | "!=") sum
//! sum         = product (("+" | "-") product)*
//! product     = factor (("*" | "/") factor)*
//! factor      = "-" factor | number [unit] | name ["(" from ".." to ")"] | "(" sum ")"
//! unit        = "%" | "ns" | "us" | "ms" | "s" | "m" | "h"
//! ```
//!
//! A name is the dotted path of a number in the JSON result: `amplification`, `calls.failed`,
//! `dependencies.postgres.received`, `clients.workers.goodput`. `recovery_time` is
//! `recovery_seconds`. Names may hold hyphens, so a difference needs spaces around its minus.
//!
//! `offered`, `succeeded`, `attempts`, `goodput` and `amplification` take a window of whole
//! seconds of the run: `goodput(60s..120s)`. A call belongs to the second in which it was offered,
//! whenever it ended.
//!
//! | promise | is about |
//! |---|---|
//! | `recovery_lasts >= 30s` | from the second in which the goodput is back at its level until the first one in which it is below it again, or the end of the run |
//! | `relapses == 0` | how often it fell below its level after it was back |
//! | `goodput >= 0.9 * control.goodput` | the same seed without the faults; the calls, attempts and latencies of `control` have names, and its windows are those of the run |
//! | `seeds.recovered >= 95%` | the share of the seeds that had recovered within the time the faults lasted; `seeds.slow` and `seeds.never` are the others |
//! | `seeds.recovery_time.p90 <= 10s` | a quantile over the seeds (`min`, `p10`, `median`, `p90`, `max`) of the recovery time, `seeds.goodput` or `seeds.amplification` |
//!
//! Promises about `seeds` are judged where several seeds are run (`--seeds N`), once for all of them,
//! and reported as not judged otherwise. Other names in them are those of the first seed.
//!
//! Times are compared in the unit of the name: `latency_ms.p99 <= 250ms` and `<= 250` are the
//! same, and so are `recovery_time <= 5s` and `<= 5`. A value that is not there (nothing ever
//! recovered) fulfils nothing but `!=`.

mod parse;

use std::fmt;

/// One promise.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    text: String,
    left: Expr,
    comparison: Comparison,
    right: Expr,
}

/// Why a text is not a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectError {
    /// Where in the text, in characters from 0.
    pub at: usize,
    /// What was found.
    pub found: String,
    /// What would have been right.
    pub expected: String,
    /// The nearest name there is.
    pub nearest: Option<String>,
}

/// A number in the result, over the whole run or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Its dotted path.
    pub path: String,
    /// Seconds of the run, from (inclusive) and to (exclusive).
    pub window: Option<(u64, u64)>,
}

/// Whether a promise was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The promise.
    pub text: String,
    /// The value of its left side; `None` when there is none.
    pub observed: Option<f64>,
    /// Whether it holds.
    pub held: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Expr {
    Number(f64),
    Name(Name),
    Negative(Box<Expr>),
    Binary(Box<Expr>, Operator, Box<Expr>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    AtMost,
    AtLeast,
    Less,
    More,
    Equal,
    Different,
}

/// Which numbers a scenario's result has.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    /// Dotted paths.
    pub names: Vec<String>,
    /// Those of them that may be asked about a part of the run.
    pub windowed: Vec<String>,
    /// The length of the run in whole seconds.
    pub seconds: u64,
}

impl Expectation {
    /// Reads a promise and checks its names and windows.
    ///
    /// # Errors
    /// Where it goes wrong, what stands there, and what would be right.
    pub fn parse(text: &str, vocabulary: &Vocabulary) -> Result<Self, ExpectError> {
        parse::expectation(text, vocabulary)
    }

    /// The promise as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether one of its names begins with this.
    #[must_use]
    pub fn mentions(&self, prefix: &str) -> bool {
        self.left.mentions(prefix) || self.right.mentions(prefix)
    }

    /// Whether it holds, by the numbers `value` finds.
    pub fn judge(&self, value: impl Fn(&Name) -> Option<f64>) -> Finding {
        let (left, right) = (self.left.evaluate(&value), self.right.evaluate(&value));
        let held = match (left, right) {
            (Some(left), Some(right)) => self.comparison.holds(left, right),
            (_, _) => self.comparison == Comparison::Different && left.is_some() != right.is_some(),
        };
        Finding {
            text: self.text.clone(),
            observed: left,
            held,
        }
    }
}

impl Expr {
    fn mentions(&self, prefix: &str) -> bool {
        match self {
            Self::Number(_) => false,
            Self::Name(name) => name.path.starts_with(prefix),
            Self::Negative(inner) => inner.mentions(prefix),
            Self::Binary(left, _, right) => left.mentions(prefix) || right.mentions(prefix),
        }
    }

    fn evaluate(&self, value: &impl Fn(&Name) -> Option<f64>) -> Option<f64> {
        let number = match self {
            Self::Number(number) => *number,
            Self::Name(name) => value(name)?,
            Self::Negative(inner) => -inner.evaluate(value)?,
            Self::Binary(left, operator, right) => {
                let (left, right) = (left.evaluate(value)?, right.evaluate(value)?);
                match operator {
                    Operator::Add => left + right,
                    Operator::Subtract => left - right,
                    Operator::Multiply => left * right,
                    Operator::Divide => left / right,
                }
            }
        };
        number.is_finite().then_some(number)
    }
}

impl Comparison {
    /// Equality is within a billionth: these are ratios of counts.
    fn holds(self, left: f64, right: f64) -> bool {
        let equal = (left - right).abs() <= 1e-9 * left.abs().max(right.abs()).max(1.0);
        match self {
            Self::AtMost => left < right || equal,
            Self::AtLeast => left > right || equal,
            Self::Less => left < right && !equal,
            Self::More => left > right && !equal,
            Self::Equal => equal,
            Self::Different => !equal,
        }
    }
}

impl fmt::Display for ExpectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "at character {}: found {}, expected {}",
            self.at + 1,
            self.found,
            self.expected
        )
    }
}

impl std::error::Error for ExpectError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vocabulary {
        let names = [
            "amplification",
            "goodput",
            "calls.failed",
            "latency_ms.p99",
            "recovery_seconds",
            "clients.user-a.goodput",
        ];
        Vocabulary {
            names: names.map(String::from).to_vec(),
            windowed: vec!["goodput".into(), "clients.user-a.goodput".into()],
            seconds: 120,
        }
    }

    fn values(name: &Name) -> Option<f64> {
        match (name.path.as_str(), name.window) {
            ("amplification", None) => Some(1.25),
            ("goodput", Some((60, 120))) => Some(1.0),
            ("goodput", None) => Some(0.9),
            ("clients.user-a.goodput", None) => Some(0.5),
            ("calls.failed", None) => Some(10.0),
            ("latency_ms.p99", None) => Some(250.0),
            _ => None,
        }
    }

    fn held(text: &str) -> bool {
        Expectation::parse(text, &vocabulary())
            .expect(text)
            .judge(values)
            .held
    }

    #[test]
    fn comparisons_arithmetic_units_and_windows() {
        for text in [
            "amplification <= 1.25",
            "amplification < 2",
            "goodput(60s..120s) >= 0.99",
            "goodput(1m..2m) == 100%",
            "calls.failed + 5 * 2 == 20",
            "-(calls.failed) / 5 < -1",
            "latency_ms.p99 <= 250ms",
            "latency_ms.p99 <= 250",
            "0.25s >= latency_ms.p99",
            "clients.user-a.goodput == goodput - 0.4",
        ] {
            assert!(held(text), "{text}");
        }
        for text in ["amplification > 1.25", "goodput >= 99%", "calls.failed != 10"] {
            assert!(!held(text), "{text}");
        }
    }

    #[test]
    fn what_is_not_there_fulfils_nothing_but_different() {
        assert!(!held("recovery_time <= 5s"));
        assert!(!held("recovery_time > 5s"));
        assert!(held("recovery_time != 5s"));
        assert!(!held("calls.failed / 0 > 1"));
    }

    #[test]
    fn mistakes_name_their_place() {
        let mistakes: Vec<String> = [
            "amplificatoin <= 2",
            "amplification",
            "amplification <=",
            "amplification <= 2 3",
            "amplification <= 2 parsecs",
            "amplification <= (2",
            "calls.failed(1s..2s) < 1",
            "goodput(60s..121s) > 0",
            "goodput(1.5s..3s) > 0",
            "goodput(9s..3s) > 0",
            "latency_ms.p99 < recovery_time",
            "",
            "goodput ≥ 1",
        ]
        .iter()
        .map(|text| match Expectation::parse(text, &vocabulary()) {
            Ok(_) => format!("{text:?}: accepted"),
            Err(error) => format!(
                "{text:?}: {error}{}",
                error
                    .nearest
                    .as_ref()
                    .map(|n| format!(" ({n}?)"))
                    .unwrap_or_default()
            ),
        })
        .collect();
        insta::assert_snapshot!(mistakes.join("\n"));
    }
}
