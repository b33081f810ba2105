//! `{ from: 100/s, to: 300/s, steps: 5 }`: values at equal distances.
//!
//! Worked out in decimals with three digits more than the ends have, so that the values are what a
//! person would write: `1s`, `1.5s`, `2s`.

use crossbridge_std::config::{KeyPath, Problem};
use serde_yaml_ng::{Mapping, Value};

use super::MOST_CELLS;

/// Digits before and after the point that an end may have.
const MOST_DIGITS: usize = 15;
/// Digits that values have beyond those of the ends.
const MORE_DIGITS: u32 = 3;

/// The values of a mapping that is a range; `None` where it is none.
pub(super) fn read(at: &KeyPath, mapping: &Mapping) -> Option<Result<Vec<Value>, Box<Problem>>> {
    let keys = ["from", "to", "steps"];
    let known = |key: &Value| key.as_str().is_some_and(|key| keys.contains(&key));
    let range = mapping.contains_key("steps") && mapping.len() > 1 && mapping.keys().all(known);
    range.then(|| values(at, mapping))
}

fn values(at: &KeyPath, mapping: &Mapping) -> Result<Vec<Value>, Box<Problem>> {
    let missing = |key: &str| {
        let problem = Problem::new(at.clone(), format!("a range without `{key}`"));
        Box::new(problem.expected("`from`, `to` and `steps`"))
    };
    let end = |key: &str| {
        let value = mapping.get(key).ok_or_else(|| missing(key))?;
        Quantity::read(value).ok_or_else(|| {
            let found = super::setting::shown(value);
            let expected = "a number, with a unit or without, such as 100/s";
            Box::new(Problem::invalid(at.key(key), found, expected))
        })
    };
    let (from, to) = (end("from")?, end("to")?);
    if from.unit != to.unit {
        let problem = Problem::new(at.key("to"), "a range with two units");
        let expected = format!("the unit of `from`: `{}`", from.unit);
        return Err(Box::new(
            problem.found(format!("`{}`", to.unit)).expected(expected),
        ));
    }
    let steps = mapping.get("steps").unwrap_or(&Value::Null);
    let count = steps.as_u64().and_then(|count| usize::try_from(count).ok());
    let Some(count) = count.filter(|count| (2..=MOST_CELLS).contains(count)) else {
        let expected = format!("how many values, 2 to {MOST_CELLS}");
        return Err(Box::new(Problem::invalid(
            at.key("steps"),
            super::setting::shown(steps),
            expected,
        )));
    };
    Ok(between(&from, &to, count))
}

/// A number and what stands behind it.
struct Quantity {
    /// In units of the last digit.
    number: i128,
    /// Digits after the point.
    digits: u32,
    unit: String,
}

impl Quantity {
    fn read(value: &Value) -> Option<Self> {
        let text = match value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.trim().to_owned(),
            Value::Null | Value::Bool(_) | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => {
                return None;
            }
        };
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(end)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = format!("{whole}{part}");
        let fits = !whole.is_empty() && digits.len() <= MOST_DIGITS;
        Some(Self {
            number: if fits { digits.parse().ok()? } else { return None },
            digits: u32::try_from(part.len()).ok()?,
            unit: unit.trim().to_owned(),
        })
    }

    fn scaled(&self, digits: u32) -> i128 {
        self.number * 10_i128.pow(digits - self.digits)
    }
}

fn between(from: &Quantity, to: &Quantity, count: usize) -> Vec<Value> {
    let digits = from.digits.max(to.digits) + MORE_DIGITS;
    let (first, last) = (from.scaled(digits), to.scaled(digits));
    (0..count)
        .map(|step| {
            let (step, steps) = (to_i128(step), to_i128(count - 1));
            // Ends are not negative, and so is what lies between them: this rounds to the nearest.
            let sum = first * (steps - step) + last * step;
            let number = decimal((sum * 2 + steps) / (steps * 2), digits);
            if from.unit.is_empty() {
                serde_yaml_ng::from_str(&number).unwrap_or(Value::String(number))
            } else {
                Value::String(number + &from.unit)
            }
        })
        .collect()
}

fn decimal(number: i128, digits: u32) -> String {
    let one = 10_i128.pow(digits);
    let text = format!(
        "{}.{:0width$}",
        number / one,
        number % one,
        width = digits as usize
    );
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn to_i128(count: usize) -> i128 {
    i128::try_from(count).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> String {
        let mapping: Mapping = serde_yaml_ng::from_str(text).expect("YAML");
        match read(&KeyPath::root().key("r"), &mapping) {
            None => "none".to_owned(),
            Some(Err(problem)) => problem.message,
            Some(Ok(values)) => values
                .iter()
                .map(super::super::setting::shown)
                .collect::<Vec<_>>()
                .join(" "),
        }
    }

    #[test]
    fn values_are_what_a_person_would_write() {
        for (text, values) in [
            (
                "{ from: 100/s, to: 300/s, steps: 5 }",
                "100/s 150/s 200/s 250/s 300/s",
            ),
            ("{ from: 2, to: 8, steps: 4 }", "2 4 6 8"),
            ("{ from: 1, to: 2, steps: 3 }", "1 1.5 2"),
            ("{ from: 0, to: 1, steps: 4 }", "0 0.333 0.667 1"),
            ("{ from: 0.02, to: 0.1, steps: 5 }", "0.02 0.04 0.06 0.08 0.1"),
            ("{ from: 10s, to: 0s, steps: 3 }", "10s 5s 0s"),
            ("{ from: 1ms, to: 1ms, steps: 2 }", "1ms 1ms"),
        ] {
            assert_eq!(range(text), values, "{text}");
        }
    }

    #[test]
    fn other_mappings_are_no_ranges_and_bad_ranges_are_refused() {
        for (text, told) in [
            ("{ from: 1ms, to: 9ms }", "none"),
            ("{ from: 1, to: 9, steps: 2, more: 1 }", "none"),
            ("{ steps: { servers: 1 } }", "none"),
            ("{ from: -1, to: 9, steps: 2 }", "invalid value for `from`"),
            (
                "{ from: 1, to: 9999999999999999, steps: 2 }",
                "invalid value for `to`",
            ),
            ("{ from: 1, to: [9], steps: 2 }", "invalid value for `to`"),
            ("{ from: 1, to: 9, steps: 1001 }", "invalid value for `steps`"),
            ("{ from: 1, to: 9, steps: 2.5 }", "invalid value for `steps`"),
            ("{ from: 1, to: 9s, steps: 2 }", "a range with two units"),
        ] {
            assert_eq!(range(text), told, "{text}");
        }
    }
}
