//! Bytes as a configuration and a story: whatever they are, both are valid.
//!
//! ```text
//!   configuration                        operations
//!   each field from the next bytes   │   what │ which call │ how long or how it went │ what │ …
//! ```
//!
//! Each field takes the same number of bytes whatever the others say, and an operation is always
//! [`OP`] bytes. So changing a byte changes one thing, and inserting or copying a few bytes inserts or
//! copies an operation. Past the end everything is zero.

use core::time::Duration;

use crossbridge_core::breaker::{BreakerMode, WindowKind};
use crossbridge_core::health::MonitorConfig;
use crossbridge_core::retry::Failure;
use crossbridge_core::{
    BreakerConfig, BudgetConfig, BulkheadConfig, FaultKind, GuardConfig, Jitter, OnLimit, Outcome, PerMille,
    Quota, RetryPolicy,
};

use crate::guard::Op;

/// What a story needs.
pub(crate) struct Story {
    pub(crate) config: GuardConfig,
    pub(crate) seed: u64,
    pub(crate) start: u64,
    pub(crate) last: Outcome,
    pub(crate) ops: Vec<Op>,
}

/// Bytes of one operation.
const OP: usize = 8;

/// More only take longer.
const LONGEST: usize = 200;

impl Story {
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let mut bytes = Bytes(bytes);
        let config = config(&mut bytes);
        let seed = u64::from(bytes.word());
        let start = bytes.instant();
        let last = outcome(&mut bytes);
        let ops = bytes.0.chunks(OP).take(LONGEST).map(|op| operation(Bytes(op)));
        Self {
            config,
            seed,
            start,
            last,
            ops: ops.collect(),
        }
    }
}

fn operation(mut bytes: Bytes<'_>) -> Op {
    let (what, which) = (bytes.below(14), usize::from(bytes.byte()));
    match what {
        0..=2 => Op::Wait(bytes.up_to(2_000_000_000)),
        3 => Op::Jump(bytes.instant()),
        4..=6 => Op::Begin(bytes.maybe(|bytes| bytes.up_to(10_000_000_000)), which % 2 == 0),
        7..=9 => Op::Poll(which),
        10..=12 => Op::Outcome(which, outcome(&mut bytes)),
        _ => Op::Cancel(which),
    }
}

fn outcome(bytes: &mut Bytes<'_>) -> Outcome {
    let (what, kind) = (bytes.below(6), usize::from(bytes.byte()));
    let retry_after = bytes.maybe(|bytes| bytes.span(0, 100_000_000_000));
    match what {
        0 => Outcome::Success,
        1 => Outcome::Neutral,
        2 => Outcome::Lost,
        _ => Outcome::Failure(Failure {
            kind: FaultKind::ALL[kind % FaultKind::ALL.len()],
            retry_after,
        }),
    }
}

/// As the oracles' `any_config` has it, and the modes of the breaker too.
fn config(bytes: &mut Bytes<'_>) -> GuardConfig {
    let (limited, rate, burst) = (bytes.below(8) > 0, bytes.below(5) + 1, bytes.below(4) + 1);
    let quota = Quota::per_second(rate).and_then(|quota| quota.burst(burst));
    GuardConfig {
        quota: if limited {
            quota.expect("in its ranges")
        } else {
            Quota::UNLIMITED
        },
        on_limit: if bytes.flag() {
            OnLimit::Wait
        } else {
            OnLimit::Refuse
        },
        retry: retry(bytes),
        // Nothing is earned, so that the account can be checked at the end.
        budget: BudgetConfig {
            deposit_on_first_success: 0,
            ..BudgetConfig::AWS
        },
        breaker: breaker(bytes),
        bulkhead: BulkheadConfig {
            limit: bytes.below(3) + 1,
        },
        health: bytes.flag().then_some(MonitorConfig::DEFAULT),
        deadline: bytes.maybe(|bytes| bytes.span(1, 20_000_000_000)),
        attempt_timeout: bytes.maybe(|bytes| bytes.span(1, 5_000_000_000)),
        idempotent: bytes.flag(),
    }
}

fn retry(bytes: &mut Bytes<'_>) -> RetryPolicy {
    let longest = bytes.span(0, 5_000_000_000);
    RetryPolicy {
        attempts: bytes.below(4) + 1,
        base_delay: bytes.span(0, 5_000_000_000).min(longest),
        throttled_base_delay: bytes.span(0, 5_000_000_000).min(longest),
        factor_permille: 1_000 + u32::from(bytes.word()),
        max_delay: longest,
        jitter: match (bytes.below(5), bytes.per_mille()) {
            (0, _) => Jitter::None,
            (1, _) => Jitter::Full,
            (2, _) => Jitter::Equal,
            (3, _) => Jitter::Decorrelated,
            (_, share) => Jitter::Proportional(share),
        },
        min_attempt: bytes.span(0, 500_000_000),
        ..RetryPolicy::DEFAULT
    }
}

/// Small windows and short times, so that every state is reached often.
fn breaker(bytes: &mut Bytes<'_>) -> BreakerConfig {
    let span = |bytes: &mut Bytes<'_>| bytes.span(1, 1 << 26);
    let calls = u8::try_from(bytes.below(128) + 1).expect("128 at most");
    let (time, min_calls) = (10_000 + u64::from(bytes.word()), bytes.below(7) + 1);
    let window = if bytes.flag() {
        WindowKind::Time(Duration::from_micros(time))
    } else {
        WindowKind::Calls(calls)
    };
    let open_wait = span(bytes);
    let successes = 1 + u16::try_from(bytes.below(6)).expect("6 at most");
    BreakerConfig {
        mode: [BreakerMode::Auto, BreakerMode::MetricsOnly][usize::from(bytes.below(8) == 7)],
        window,
        min_calls: match window {
            WindowKind::Calls(size) => min_calls.min(u32::from(size)),
            WindowKind::Time(_) => min_calls,
        },
        failure_rate: bytes.maybe(Bytes::per_mille),
        slow_rate: bytes.maybe(Bytes::per_mille),
        slow_call: span(bytes),
        consecutive_failures: bytes.maybe(|bytes| bytes.below(4) + 1),
        open_wait,
        open_wait_max: open_wait + span(bytes),
        half_open_concurrent: u8::try_from(bytes.below(8) + 1).expect("8 at most"),
        half_open_calls: successes + u16::try_from(bytes.below(5)).expect("5 at most"),
        half_open_successes: successes,
        probe_timeout: span(bytes),
        half_open_timeout: span(bytes),
        hanging_calls: None,
        slow_start: bytes.maybe(span),
        ..BreakerConfig::DEFAULT
    }
}

/// What is left of the input.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let (&byte, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        byte
    }

    fn word(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    fn below(&mut self, bound: u8) -> u32 {
        u32::from(self.byte() % bound)
    }

    /// A per mille of at least one.
    fn per_mille(&mut self) -> PerMille {
        PerMille::new(self.word() % 1_000 + 1).expect("at most a thousand")
    }

    /// Of every size up to `high`: one byte says how many bits, two are the highest of them.
    fn up_to(&mut self, high: u64) -> u64 {
        let (bits, word) = (u32::from(self.byte() % 65), u64::from(self.word()) << 48);
        word.checked_shr(64 - bits).unwrap_or(0).min(high)
    }

    fn span(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_nanos(self.up_to(high).max(low))
    }

    /// Of the whole range, the two ends often.
    fn instant(&mut self) -> u64 {
        let (from_the_end, nanos) = (self.flag(), self.up_to(u64::MAX));
        if from_the_end { u64::MAX - nanos } else { nanos }
    }

    /// It takes its bytes also where it is not there.
    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let (there, value) = (self.flag(), value(self));
        there.then_some(value)
    }
}
