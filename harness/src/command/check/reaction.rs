//! An outage in words: what retries make of it, when it is noticed, and when calls go through again.

use std::time::Duration;

use crossbridge_std::config::{CallPath, Layers, Rate, Reaction, Seconds};

use super::table::Table;
use super::words::factor;

/// The rows of a path, with calls at this rate.
pub(super) fn add(table: &mut Table, path: &CallPath, rate: Rate) {
    table.row(["outage".to_owned(), outage(path)]);
    let reaction = path.reaction(rate.interval());
    for (title, text) in [
        ("detection", detection(&reaction)),
        ("recovery", recovery(&reaction)),
    ] {
        if let Some(text) = text {
            table.row([title.to_owned(), text]);
        }
    }
}

/// What a long outage costs the dependency.
fn outage(path: &CallPath) -> String {
    let amplification = path.amplification();
    let mut text = match amplification.in_outage_permille {
        1_000 => "every call once".to_owned(),
        permille => format!("{} attempts for each call", factor(permille)),
    };
    match amplification.retries_per_second {
        0 => {}
        1 => text.push_str(", and 1 retry a second"),
        retries => text.push_str(&format!(", and {retries} retries a second")),
    }
    if amplification.until_the_circuit_opens {
        text.push_str(", until the circuit opens");
    }
    text
}

/// When somebody notices that every call fails.
fn detection(reaction: &Reaction) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(breaker) = reaction.breaker {
        parts.push(
            match noticed(breaker.opens_on_errors, breaker.opens_without_answers) {
                Some(when) => format!("the circuit opens {when}"),
                None => "the circuit never opens at this rate".to_owned(),
            },
        );
    }
    if let Some(health) = reaction.health {
        let when = noticed(Some(health.down_on_errors), health.down_without_answers);
        parts.extend(when.map(|when| format!("the target is down {when}")));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn noticed(on_errors: Option<Duration>, without_answers: Option<Duration>) -> Option<String> {
    Some(match (on_errors.map(Seconds), without_answers.map(Seconds)) {
        (Some(errors), Some(silence)) => format!("after {errors} of errors, {silence} without answers"),
        (Some(errors), None) => format!("after {errors} of errors, never without answers"),
        (None, Some(silence)) => format!("after {silence} without answers, never on errors"),
        (None, None) => return None,
    })
}

/// When calls go through again.
fn recovery(reaction: &Reaction) -> Option<String> {
    let breaker = reaction.breaker?;
    // A circuit that never opens has nothing to recover from.
    breaker.opens_on_errors.or(breaker.opens_without_answers)?;
    let closes = Seconds(breaker.closes_within);
    let mut text = format!("the circuit closes within {closes}");
    if let Some(span) = breaker.slow_start {
        text.push_str(&format!(", all calls again {} later", Seconds(span)));
    }
    Some(text)
}

/// What retries upon retries come to.
pub(super) fn layers(layers: &Layers) -> String {
    let most = layers.attempts;
    let names: Vec<String> = layers
        .paths
        .iter()
        .map(|(name, attempts)| format!("{name} ({attempts})"))
        .collect();
    match names.as_slice() {
        [] => "no path".to_owned(),
        [only] => format!(
            "amplification: at most {most} attempts for a call, by {only}: what one layer gave up on, no other tries again"
        ),
        many => format!(
            "amplification: up to {most} attempts for a call, where {} call one another: retry_exhausted is on",
            many.join(", ")
        ),
    }
}
