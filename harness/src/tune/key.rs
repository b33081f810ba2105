//! What can be varied, by the names it has in the configuration.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crossbridge_core::breaker::BreakerMode;
use crossbridge_core::time::nanos;
use crossbridge_core::{BreakerConfig, BudgetConfig, GuardConfig, PerMille};
use crossbridge_std::config::error::{did_you_mean, one_of};
use crossbridge_std::config::{Seconds, parse_span};

/// A number of a path's policies. Its value is a `u64`: a count, thousandths, or nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Attempts, the first one included.
    MaxAttempts,
    /// The first delay.
    BaseDelay,
    /// The longest delay.
    MaxDelay,
    /// Retries per call.
    BudgetRatio,
    /// Retries a second besides.
    BudgetMinPerSecond,
    /// Retries at once.
    BudgetBurst,
    /// The share of failures that opens the circuit.
    FailureRate,
    /// Calls before a share means anything.
    MinCalls,
    /// Failures in a row that open it.
    ConsecutiveFailures,
    /// How long it stays open at first.
    OpenWait,
    /// How long at most.
    OpenWaitMax,
    /// Calls at once.
    BulkheadLimit,
    /// The whole call.
    Deadline,
    /// One attempt.
    AttemptTimeout,
}

/// A key and the values to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// The key.
    pub key: Key,
    /// The values, in its unit.
    pub values: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Count,
    Share,
    Span,
}

impl Key {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::MaxAttempts,
        Self::BaseDelay,
        Self::MaxDelay,
        Self::BudgetRatio,
        Self::BudgetMinPerSecond,
        Self::BudgetBurst,
        Self::FailureRate,
        Self::MinCalls,
        Self::ConsecutiveFailures,
        Self::OpenWait,
        Self::OpenWaitMax,
        Self::BulkheadLimit,
        Self::Deadline,
        Self::AttemptTimeout,
    ];

    /// Its name: the section's, and its own in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MaxAttempts => "retry.max_attempts",
            Self::BaseDelay => "retry.base_delay",
            Self::MaxDelay => "retry.max_delay",
            Self::BudgetRatio => "budget.ratio",
            Self::BudgetMinPerSecond => "budget.min_per_second",
            Self::BudgetBurst => "budget.burst",
            Self::FailureRate => "breaker.failure_rate",
            Self::MinCalls => "breaker.min_calls",
            Self::ConsecutiveFailures => "breaker.consecutive_failures",
            Self::OpenWait => "breaker.open_wait",
            Self::OpenWaitMax => "breaker.open_wait_max",
            Self::BulkheadLimit => "bulkhead.limit",
            Self::Deadline => "deadline",
            Self::AttemptTimeout => "attempt_timeout",
        }
    }

    const fn unit(self) -> Unit {
        match self {
            Self::MaxAttempts
            | Self::BudgetMinPerSecond
            | Self::BudgetBurst
            | Self::MinCalls
            | Self::ConsecutiveFailures
            | Self::BulkheadLimit => Unit::Count,
            Self::BudgetRatio | Self::FailureRate => Unit::Share,
            Self::BaseDelay
            | Self::MaxDelay
            | Self::OpenWait
            | Self::OpenWaitMax
            | Self::Deadline
            | Self::AttemptTimeout => Unit::Span,
        }
    }

    /// The section of the configuration it belongs to; the path itself for the two times.
    #[must_use]
    pub fn section(self) -> &'static str {
        self.name().split_once('.').map_or("", |(section, _)| section)
    }

    /// What is varied where nobody says: attempts and the first delay, and what the path has of a
    /// budget and a breaker.
    #[must_use]
    pub fn varied_by_default(guard: &GuardConfig) -> Vec<Axis> {
        let base = nanos(guard.retry.base_delay).max(1_000_000);
        let axis = |key, values: &[u64]| Axis {
            key,
            values: values.to_vec(),
        };
        let mut axes = vec![
            axis(Self::MaxAttempts, &[1, 2, 3, 5]),
            axis(Self::BaseDelay, &[base / 2, base, base.saturating_mul(4)]),
        ];
        if guard.budget.retry_cost > 0 {
            axes.push(axis(Self::BudgetRatio, &[50, 100, 200]));
        }
        if guard.breaker.mode == BreakerMode::Auto {
            if guard.breaker.failure_rate.is_some() {
                axes.push(axis(Self::FailureRate, &[300, 500, 700]));
            } else if guard.breaker.consecutive_failures.is_some() {
                axes.push(axis(Self::ConsecutiveFailures, &[3, 5, 10]));
            }
        }
        axes
    }

    /// What it is in these policies. What they go without counts as the value that comes nearest: no
    /// breaker rule as the share of all, no deadline as the longest.
    #[must_use]
    pub fn of(self, guard: &GuardConfig) -> u64 {
        let span = |span: Option<Duration>| span.map_or(nanos(Seconds::MAX), nanos);
        let breaker = &guard.breaker;
        match self {
            Self::MaxAttempts => u64::from(guard.retry.attempts),
            Self::BaseDelay => nanos(guard.retry.base_delay),
            Self::MaxDelay => nanos(guard.retry.max_delay),
            Self::BudgetRatio => u64::from(Ratio::of(&guard.budget).ratio.get()),
            Self::BudgetMinPerSecond => u64::from(Ratio::of(&guard.budget).min_per_second),
            Self::BudgetBurst => u64::from(Ratio::of(&guard.budget).burst),
            Self::FailureRate => breaker.failure_rate.map_or(1_000, |share| u64::from(share.get())),
            Self::MinCalls => u64::from(breaker.min_calls),
            Self::ConsecutiveFailures => u64::from(breaker.consecutive_failures.unwrap_or(u32::MAX)),
            Self::OpenWait => nanos(breaker.open_wait),
            Self::OpenWaitMax => nanos(breaker.open_wait_max),
            Self::BulkheadLimit => u64::from(guard.bulkhead.limit),
            Self::Deadline => span(guard.deadline),
            Self::AttemptTimeout => span(guard.attempt_timeout),
        }
    }

    /// Gives it this value. The value that it has already changes nothing, so that policies which go
    /// without a budget or a breaker keep doing so; any other brings one.
    pub fn set(self, guard: &mut GuardConfig, value: u64) {
        if self.of(guard) == value {
            return;
        }
        let count = u32::try_from(value).unwrap_or(u32::MAX);
        let span = Duration::from_nanos(value);
        let share = PerMille::new(u16::try_from(value).unwrap_or(1_000)).unwrap_or(PerMille::ALL);
        match self {
            Self::MaxAttempts => guard.retry.attempts = count,
            Self::BaseDelay => guard.retry.base_delay = span,
            Self::MaxDelay => guard.retry.max_delay = span,
            Self::BudgetRatio => Ratio::change(&mut guard.budget, |budget| budget.ratio = share),
            Self::BudgetMinPerSecond => {
                Ratio::change(&mut guard.budget, |budget| budget.min_per_second = count);
            }
            Self::BudgetBurst => Ratio::change(&mut guard.budget, |budget| budget.burst = count),
            Self::FailureRate => on(&mut guard.breaker).failure_rate = Some(share),
            Self::MinCalls => on(&mut guard.breaker).min_calls = count,
            Self::ConsecutiveFailures => on(&mut guard.breaker).consecutive_failures = Some(count),
            Self::OpenWait => on(&mut guard.breaker).open_wait = span,
            Self::OpenWaitMax => on(&mut guard.breaker).open_wait_max = span,
            Self::BulkheadLimit => guard.bulkhead.limit = count,
            Self::Deadline => guard.deadline = Some(span),
            Self::AttemptTimeout => guard.attempt_timeout = Some(span),
        }
    }

    /// Halfway between two values, times in whole milliseconds where both are longer than ten.
    #[must_use]
    pub fn between(self, one: u64, other: u64) -> u64 {
        let middle = one.midpoint(other);
        if self.unit() == Unit::Span && middle > 10_000_000 {
            return middle / 1_000_000 * 1_000_000;
        }
        middle
    }

    /// A value as the configuration writes it.
    #[must_use]
    pub fn show(self, value: u64) -> String {
        match self.unit() {
            Unit::Count if value == u64::from(u32::MAX) => "none".to_owned(),
            Unit::Count => value.to_string(),
            Unit::Share => thousandths(value),
            Unit::Span if value == nanos(Seconds::MAX) => "none".to_owned(),
            Unit::Span => Seconds(Duration::from_nanos(value)).to_string(),
        }
    }

    fn read(self, text: &str) -> Result<u64, String> {
        let text = text.trim();
        match self.unit() {
            Unit::Count => match text.parse::<u32>() {
                Ok(count) if count > 0 || self == Self::BudgetMinPerSecond => Ok(u64::from(count)),
                _ => Err("a whole number above 0".to_owned()),
            },
            Unit::Share => share(text).ok_or_else(|| "a share, 0 to 1, in thousandths".to_owned()),
            Unit::Span => {
                let bare = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
                let span = if bare {
                    parse_span(&format!("{text}s"))
                } else {
                    parse_span(text)
                };
                span.map(nanos).map_err(|expected| expected.to_string())
            }
        }
    }
}

/// A share or a factor with one decimal at least.
pub(super) fn thousandths(value: u64) -> String {
    let text = format!("{}.{:03}", value / 1_000, value % 1_000);
    let text = text.trim_end_matches('0');
    if text.ends_with('.') {
        format!("{text}0")
    } else {
        text.to_owned()
    }
}

/// Thousandths, exactly.
fn share(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let thousandths: u64 = format!("{fraction:0<3}").parse().ok()?;
    let share = whole.checked_mul(1_000)?.checked_add(thousandths)?;
    (share <= 1_000).then_some(share)
}

/// A breaker that decides, be it that there was none.
fn on(breaker: &mut BreakerConfig) -> &mut BreakerConfig {
    if breaker.mode == BreakerMode::Disabled {
        *breaker = BreakerConfig {
            mode: BreakerMode::Auto,
            ..*breaker
        };
    }
    breaker
}

/// A budget as the configuration writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ratio {
    pub(super) ratio: PerMille,
    pub(super) min_per_second: u32,
    pub(super) burst: u32,
}

impl Ratio {
    /// What a budget begins with that was made otherwise: as many retries as calls, which binds least.
    const LOOSE: Self = Self {
        ratio: PerMille::ALL,
        min_per_second: 1,
        burst: 10,
    };

    fn of(budget: &BudgetConfig) -> Self {
        Self::exactly(budget).unwrap_or(Self::LOOSE)
    }

    /// The ratio a budget was made of; `None` where it was made otherwise.
    pub(super) fn exactly(budget: &BudgetConfig) -> Option<Self> {
        let cost = budget.retry_cost;
        if cost == 0 {
            return None;
        }
        let ratio = match budget.deposit_per_call {
            0 => PerMille::ZERO,
            // The cost is a million through the share, rounded up, which no two shares have in common.
            _ => PerMille::new(u16::try_from(1_000_000_u32.div_ceil(cost)).ok()?).ok()?,
        };
        let found = Self {
            ratio,
            min_per_second: budget.deposit_per_second / cost,
            burst: budget.capacity / cost,
        };
        let same = BudgetConfig {
            concurrency: budget.concurrency,
            ..found.budget()
        };
        (same == *budget).then_some(found)
    }

    const fn budget(self) -> BudgetConfig {
        BudgetConfig::ratio(self.ratio, self.min_per_second, self.burst)
    }

    fn change(budget: &mut BudgetConfig, change: impl FnOnce(&mut Self)) {
        let mut ratio = Self::of(budget);
        change(&mut ratio);
        *budget = BudgetConfig {
            concurrency: budget.concurrency,
            ..ratio.budget()
        };
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Axis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, values) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}`, expected KEY=VALUE,VALUE"))?;
        let name = name.trim();
        let Some(key) = Key::ALL.into_iter().find(|key| key.name() == name) else {
            let names = Key::ALL.map(Key::name);
            let hint = did_you_mean(name, &names).map_or(String::new(), |hint| format!(": {hint}"));
            return Err(format!("unknown key `{name}`, expected {}{hint}", one_of(&names)));
        };
        let mut read = Vec::new();
        for value in values.split(',') {
            let known = key.read(value);
            read.push(known.map_err(|expected| format!("`{value}` for `{key}`, expected {expected}"))?);
        }
        Ok(Self { key, values: read })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_what_is_there_and_nothing_else_changes() {
        for key in Key::ALL {
            let value = match key.unit() {
                Unit::Count => 7,
                Unit::Share => 250,
                Unit::Span => 3_000_000_000,
            };
            let mut guard = GuardConfig::DEFAULT;
            key.set(&mut guard, value);
            assert_eq!(key.of(&guard), value, "{key}");
            for other in Key::ALL {
                if other != key {
                    assert_eq!(
                        other.of(&guard),
                        other.of(&GuardConfig::DEFAULT),
                        "{other} by {key}"
                    );
                }
            }
            let mut same = GuardConfig::DEFAULT;
            key.set(&mut same, key.of(&GuardConfig::DEFAULT));
            assert_eq!(same, GuardConfig::DEFAULT, "{key}");
        }
    }

    #[test]
    fn a_budget_gives_back_the_ratio_it_was_made_of() {
        for share in 0..=1_000 {
            let made = Ratio {
                ratio: PerMille::new(share).expect("a share"),
                min_per_second: 2,
                burst: 30,
            };
            assert_eq!(Ratio::exactly(&made.budget()), Some(made));
        }
        assert_eq!(Ratio::exactly(&BudgetConfig::AWS), None);
        assert_eq!(Ratio::exactly(&BudgetConfig::UNLIMITED), None);
    }

    #[test]
    fn values_are_read_and_shown_alike() {
        for text in [
            "retry.max_attempts=4",
            "retry.base_delay=250ms",
            "budget.ratio=0.25",
            "breaker.failure_rate=1.0",
            "deadline=2s",
        ] {
            let axis: Axis = text.parse().expect(text);
            let shown = axis.key.show(axis.values[0]);
            assert_eq!(format!("{}={shown}", axis.key), text);
        }
    }

    #[test]
    fn mistakes_name_what_is_right() {
        let mistakes = [
            "retry.max_attempts",
            "retry.max_attempt=3",
            "retry.max_attempts=0",
            "budget.ratio=1.5",
            "budget.ratio=0.0001",
            "retry.base_delay=soon",
            "breaker.open_wait=1s,",
        ]
        .map(|text| text.parse::<Axis>().unwrap_err());
        insta::assert_snapshot!(mistakes.join("\n"));
    }
}
