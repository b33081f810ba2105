//! What happened when, as sentences.

use crossbridge_core::Instant;

use super::text::thousands;
use crate::recorder::Ledger;
use crate::result::ReplayResult;
use crate::scenario::{ClientEffect, ErrorCode, Fault, FaultEffect, Scenario, Which};
use crate::tally::{Change, Moment};

/// More lines than this are left to the trace.
const MAX_LINES: usize = 24;

/// A sentence of the story.
struct Line {
    at: Instant,
    text: String,
    /// The lightest go first when there are too many.
    weight: u64,
}

/// The story, a line each: the time and the sentence.
pub(super) fn story(scenario: &Scenario, ledger: &Ledger, result: &ReplayResult) -> Vec<(Instant, String)> {
    let mut lines: Vec<Line> = Vec::new();
    let turning_point = |at, text| Line {
        at,
        text,
        weight: u64::MAX,
    };
    for fault in &scenario.faults {
        let node = scenario
            .nodes
            .get(fault.node)
            .map_or("?", |node| node.name.as_str());
        lines.push(turning_point(fault.from, format!("{node} {}", effect(fault))));
        if fault.until.saturating_duration_since(Instant::ZERO) < scenario.duration {
            let text = format!("{node} is as before ({} over)", fault.kind.name());
            lines.push(turning_point(fault.until, text));
        }
    }
    for fault in &scenario.client_faults {
        let group = scenario
            .clients
            .get(fault.group)
            .map_or("?", |group| group.name.as_str());
        lines.push(turning_point(
            fault.from,
            format!("{group}: {}", client_effect(fault.kind)),
        ));
        if fault.from < fault.until
            && fault.until.saturating_duration_since(Instant::ZERO) < scenario.duration
        {
            let text = format!("{group}: {} over", fault.kind.name());
            lines.push(turning_point(fault.until, text));
        }
    }
    lines.extend(ledger.moments.iter().map(|moment| Line {
        at: moment.at,
        text: tell(scenario, moment),
        weight: moment.count,
    }));
    if let (Some(seconds), Some(last)) = (result.recovery_seconds, scenario.trouble().map(|(_, last)| last)) {
        let back = last.saturating_add(std::time::Duration::from_secs_f64(seconds));
        lines.push(turning_point(
            back,
            format!("goodput is back at its level, {seconds:.1} s after the last fault"),
        ));
    }
    let too_many = lines.len().saturating_sub(MAX_LINES);
    if too_many > 0 {
        lines.sort_by_key(|line| line.weight);
        lines.drain(..too_many);
    }
    // Stable: at the same time a fault stands before what follows from it.
    lines.sort_by_key(|line| line.at);
    let mut story: Vec<(Instant, String)> = lines.into_iter().map(|line| (line.at, line.text)).collect();
    if too_many > 0 {
        let end = Instant::ZERO.saturating_add(scenario.duration);
        story.push((
            end,
            format!("{too_many} smaller changes are left out (--trace has them all)"),
        ));
    }
    story
}

/// What a fault does to the node it is on.
pub(super) fn effect(fault: &Fault) -> String {
    let mut text = match &fault.kind {
        FaultEffect::Refuse => "refuses connections".to_owned(),
        FaultEffect::Hang => "stops answering".to_owned(),
        FaultEffect::Reset => "breaks connections".to_owned(),
        FaultEffect::DropAnswer => "works, and its answers are lost".to_owned(),
        FaultEffect::Partial => "works, and its answers are cut short".to_owned(),
        FaultEffect::Corrupt => "works, and its answers cannot be read".to_owned(),
        FaultEffect::Capacity(servers) => format!("serves no more than {servers} at a time"),
        FaultEffect::CrashRestart => "crashes".to_owned(),
        FaultEffect::Partition { buffer: true } => "is cut off; messages are held".to_owned(),
        FaultEffect::Partition { buffer: false } => "is cut off; messages are lost".to_owned(),
        FaultEffect::Slow { factor, add } => {
            let mut parts = Vec::new();
            if (*factor - 1.0).abs() > f64::EPSILON {
                parts.push(format!("{factor} times as long"));
            }
            if *add > 0 {
                parts.push(format!("{:?} on top", std::time::Duration::from_nanos(*add)));
            }
            format!("slows down: {}", parts.join(", "))
        }
        FaultEffect::Error(answer) => {
            let code = match &answer.code {
                ErrorCode::Http(status) => format!("status {status}"),
                ErrorCode::Sqlstate(code, _) => format!("SQLSTATE {code}"),
            };
            let hint = answer
                .retry_after
                .map(|hint| format!(" and Retry-After {hint:?}"));
            format!("answers with {code}{}", hint.unwrap_or_default())
        }
        FaultEffect::Throttle { quota, retry_after } => {
            let hint = retry_after
                .map(|hint| format!(" and Retry-After {hint:?}"))
                .unwrap_or_default();
            let (each, once) = (quota.emission_interval(), quota.capacity());
            format!("throttles: one request per {each:?}, {once} at once, above it status 429{hint}")
        }
    };
    let Which {
        probability,
        first,
        every,
    } = fault.which;
    if probability < 1.0 {
        text += &format!(", to {}% of requests", super::lanes::figure(probability * 100.0));
    }
    if let Some(first) = first {
        text += &format!(", to the first {first}");
    }
    if let Some(every) = every {
        text += &format!(", to one in {every}");
    }
    text
}

/// What a fault does to the clients it is on.
pub(super) fn client_effect(effect: ClientEffect) -> String {
    match effect {
        ClientEffect::Burst(calls) => format!("{calls} more calls of each"),
        ClientEffect::Restart { snapshot: true } => "all restart, from a snapshot".to_owned(),
        ClientEffect::Restart { snapshot: false } => "all restart and remember nothing".to_owned(),
        ClientEffect::ClockStep { by, back } => {
            let by = std::time::Duration::from_nanos(by);
            format!(
                "their clocks step {} by {by:?}",
                if back { "back" } else { "ahead" }
            )
        }
        ClientEffect::ClockDrift(millionths) => {
            let factor = 1.0 + f64::from(millionths) / 1e6;
            format!("their clocks run {factor} times as fast")
        }
        ClientEffect::ClockFreeze => "their clocks stand still".to_owned(),
    }
}

fn tell(scenario: &Scenario, moment: &Moment) -> String {
    let services = scenario.nodes.iter().map(|node| &node.name);
    let names: Vec<&String> = scenario
        .clients
        .iter()
        .map(|group| &group.name)
        .chain(services)
        .collect();
    let who = names.get(moment.group).map_or("?", |name| name.as_str());
    let many = moment.count != 1;
    let count = thousands(moment.count);
    let what = match moment.change {
        Change::Opened if many => format!("{count} circuits opened"),
        Change::Opened => "a circuit opened".to_owned(),
        Change::Closed if many => format!("{count} circuits closed"),
        Change::Closed => "a circuit closed".to_owned(),
        Change::WentDown if many => format!("{count} see it down"),
        Change::WentDown => "one sees it down".to_owned(),
        Change::CameUp if many => format!("{count} see it up again"),
        Change::CameUp => "one sees it up again".to_owned(),
        Change::Stopped(reason) => {
            let calls = if many { "calls end" } else { "call ends" };
            format!("{count} {calls}: {}", reason_words(reason))
        }
    };
    let until = if moment.last.saturating_duration_since(moment.at).as_millis() >= 100 {
        format!(
            ", until {:.1}s",
            moment.last.saturating_duration_since(Instant::ZERO).as_secs_f64()
        )
    } else {
        String::new()
    };
    format!("{who}: {what}{until}")
}

fn reason_words(reason: &str) -> &str {
    match reason {
        "attempts_exhausted" => "every attempt failed",
        "permanent" => "the error is permanent",
        "not_idempotent" => "no answer, and not safe to repeat",
        "overloaded" => "a layer below gave up",
        "hint_too_long" => "the server asked for too long a wait",
        "gave_up" => "time for retries is over",
        "deadline" => "no time left before the deadline",
        "budget" => "no budget for a retry",
        "breaker" => "the circuit is open",
        "rate_limit" => "above the rate limit",
        "bulkhead" => "every slot is taken",
        other => other,
    }
}
