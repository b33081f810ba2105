//! Whether the replay met everything it is there for: equal outputs of a trace in which nothing
//! happens would prove little.

/// What has to occur in the printed lines, and how often at least.
const EXPECTED: [(&str, usize); 27] = [
    ("AttemptStarted", 1_000),
    ("RetryScheduled", 100),
    ("WaitingForLimit", 10),
    ("RateLimit {", 10),
    ("Bulkhead,", 10),
    ("reason: Breaker { retry_at: Some", 10),
    ("reason: Breaker { retry_at: None", 3),
    ("reason: Budget", 3),
    ("reason: Deadline", 3),
    ("HintTooLong", 3),
    ("GaveUp", 3),
    ("AttemptsExhausted", 10),
    ("NotIdempotent", 10),
    ("reason: Permanent", 3),
    ("reason: Overloaded", 3),
    ("verdict: Cancelled", 10),
    ("verdict: Succeeded", 100),
    ("fault: Some(NotSent)", 10),
    ("fault: Some(Throttled)", 10),
    ("from: Closed, to: Open", 5),
    ("from: Open, to: HalfOpen", 5),
    ("from: HalfOpen, to: Open", 3),
    ("from: HalfOpen, to: Closed", 3),
    ("to: Unhealthy", 3),
    ("to: Degraded", 3),
    ("to: Healthy", 3),
    ("to: Unknown", 1),
];

/// The table of how often each occurred, and whether that was often enough.
pub(crate) fn table(lines: &str) -> (String, bool) {
    let mut text = String::new();
    let mut enough = true;
    for (what, least) in EXPECTED {
        let found = lines
            .lines()
            .filter(|line| is_event(line) && line.contains(what))
            .count();
        enough &= found >= least;
        let mark = if found >= least { "" } else { "   too few" };
        text += &format!("{found:>7} {what}{mark}\n");
    }
    let back = steps_back(lines);
    enough &= back >= 50;
    text += &format!("{back:>7} steps back in time\n");
    (text, enough)
}

/// The whole state would count what did not happen.
fn is_event(line: &str) -> bool {
    !line.contains(" = ")
}

fn steps_back(lines: &str) -> usize {
    let instants: Vec<u64> = lines
        .lines()
        .filter_map(|line| line.split(' ').next()?.parse().ok())
        .collect();
    instants.windows(2).filter(|pair| pair[1] < pair[0]).count()
}
