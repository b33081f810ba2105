//! What each event does in each state.

use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::circuit::Phase;
use super::half_open::HalfOpen;
use super::*;
use crate::tests::{row, table};

/// Trips after three failures in a row, probes one at a time, three in all, of which two must do.
const CONFIG: BreakerConfig = BreakerConfig {
    consecutive_failures: Some(3),
    slow_rate: Some(crate::PerMille::ALL),
    slow_call: Duration::from_secs(1),
    ..BreakerConfig::DEFAULT
};

const FAILURE: Settled = Settled::Failure { retry_after: None };

/// A breaker in some state, the instant it is now, and a permit that it has given.
struct Setting {
    breaker: Breaker,
    now: Instant,
    permit: Option<Permit>,
}

fn closed(failures: u32) -> Setting {
    let mut breaker = Breaker::new(CONFIG).unwrap();
    let now = Instant::from_nanos(100_000_000_000);
    for _ in 0..failures {
        let permit = breaker.admit(now).unwrap();
        breaker.settle(now, permit, FAILURE);
    }
    let permit = breaker.admit(now).ok();
    Setting { breaker, now, permit }
}

/// Open, `late` of its wait over; the permit is from before.
fn open(late: bool) -> Setting {
    let mut setting = closed(2);
    let stale = setting.permit.take();
    let permit = setting.breaker.admit(setting.now).unwrap();
    setting.breaker.settle(setting.now, permit, FAILURE);
    if late {
        setting.now = setting.breaker.admit(setting.now).unwrap_err().retry_at.unwrap();
    }
    Setting {
        permit: stale,
        ..setting
    }
}

/// Half open with a probe in flight, after others that ended so.
fn half_open(ended: &[Settled]) -> Setting {
    let mut setting = open(true);
    for &settled in ended {
        let probe = setting.breaker.admit(setting.now).unwrap();
        setting.breaker.settle(setting.now, probe, settled);
    }
    setting.permit = setting.breaker.admit(setting.now).ok();
    setting
}

/// Half open, its one place taken by another probe than the permit, which is from before.
fn half_open_and_stale() -> Setting {
    let mut setting = open(true);
    let _probe = setting.breaker.admit(setting.now).unwrap();
    setting
}

/// Closed a second ago, after an outage, with three seconds of slow start to go; the first call is out.
fn slow_start() -> Setting {
    let mut setting = half_open(&[Settled::Success]);
    setting.breaker.rules.slow_start = 4_000_000_000;
    settle(&mut setting, 0, Settled::Success);
    setting.permit = setting.breaker.admit(setting.now).ok();
    setting.now = setting.now.saturating_add(Duration::from_secs(1));
    setting
}

/// Closed, where two calls that hang trip: one is out with the permit.
fn one_hangs() -> Setting {
    let mut breaker = Breaker::new(BreakerConfig {
        hanging_calls: Some(2),
        ..CONFIG
    })
    .unwrap();
    let now = Instant::from_nanos(100_000_000_000);
    let _hangs = breaker.admit(now).unwrap();
    let permit = breaker.admit(now).ok();
    Setting { breaker, now, permit }
}

type Start = (&'static str, fn() -> Setting);

fn states() -> [Start; 10] {
    [
        ("closed", || closed(0)),
        ("closed, 2 failures", || closed(2)),
        ("open", || open(false)),
        ("open, wait over", || open(true)),
        ("half open, probing", || half_open(&[])),
        ("half open, 1 good", || half_open(&[Settled::Success])),
        ("half open, 1 bad", || half_open(&[FAILURE])),
        ("half open, stale", half_open_and_stale),
        ("slow start", slow_start),
        ("2 calls in flight", one_hangs),
    ]
}

type Event = (&'static str, fn(&mut Setting) -> String);

const EVENTS: [Event; 9] = [
    ("admit", |setting| match setting.breaker.admit(setting.now) {
        Ok(_) if setting.breaker.state() == BreakerState::HalfOpen => "probe".into(),
        Ok(_) => "admitted".into(),
        Err(Refused {
            retry_at: Some(at), ..
        }) => {
            format!("refused for {:?}", at.saturating_duration_since(setting.now))
        }
        Err(Refused { retry_at: None, .. }) => "refused".into(),
    }),
    ("success", |setting| settle(setting, 0, Settled::Success)),
    ("slow success", |setting| settle(setting, 1, Settled::Success)),
    ("failure", |setting| settle(setting, 0, FAILURE)),
    ("failure, hint 30s", |setting| {
        settle(
            setting,
            0,
            Settled::Failure {
                retry_after: Some(Duration::from_secs(30)),
            },
        )
    }),
    ("neutral", |setting| settle(setting, 0, Settled::Neutral)),
    ("lost", |setting| settle(setting, 0, Settled::Lost)),
    ("probe deadline", |setting| wait(setting, CONFIG.probe_timeout)),
    ("state deadline", |setting| {
        wait(setting, CONFIG.half_open_timeout)
    }),
];

fn settle(setting: &mut Setting, after: u64, settled: Settled) -> String {
    setting.now = setting.now.saturating_add(Duration::from_secs(after));
    let permit = setting.permit.take().unwrap();
    setting.breaker.settle(setting.now, permit, settled);
    String::new()
}

fn wait(setting: &mut Setting, span: Duration) -> String {
    setting.now = setting.now.saturating_add(span);
    setting.breaker.handle_timeout(setting.now);
    String::new()
}

/// The state, with what distinguishes it from others of its kind.
fn describe(setting: &Setting) -> String {
    let mut circuit = setting.breaker.circuit.clone();
    match circuit.head.phase {
        phase @ (Phase::Closed | Phase::SlowStart) => {
            let closed = circuit.take_closed(&setting.breaker.rules);
            let Counts { calls, failed, slow } = closed.window.counts();
            let counts = format!(
                "{} in a row, of {calls} calls {failed} failed, {slow} slow",
                closed.in_a_row
            );
            match phase {
                Phase::SlowStart => format!("slow start: {counts}, credit {}", closed.credit),
                Phase::Closed | Phase::Open | Phase::HalfOpen => match setting.breaker.poll_at() {
                    None => format!("closed: {counts}"),
                    Some(at) => {
                        let left = at.saturating_duration_since(setting.now);
                        format!("closed: {counts}, trips in {left:?}")
                    }
                },
            }
        }
        Phase::Open => format!(
            "open for {:?}",
            circuit.until().saturating_duration_since(setting.now)
        ),
        Phase::HalfOpen => {
            let half_open = HalfOpen::load(&circuit.body);
            let (good, bad) = (half_open.succeeded, half_open.failed);
            let place = match setting.breaker.clone().admit(setting.now) {
                Ok(_) => "a place free",
                Err(_) => "no place",
            };
            format!("half open: {good} good, {bad} bad, {place}")
        }
    }
}

/// Everything but when it was last asked.
fn what_it_holds(breaker: &Breaker) -> impl PartialEq + use<> {
    let Circuit {
        head, body, annex, ..
    } = breaker.circuit.clone();
    (head, body, annex)
}

#[test]
fn state_by_event() {
    let mut rows = vec![row(["state", "event", "answer", "after"])];
    for (number, (state, make)) in states().into_iter().enumerate() {
        if number > 0 {
            rows.push(Vec::new());
        }
        for (event, apply) in EVENTS {
            let mut setting = make();
            let before = setting.breaker.clone();
            let answer = apply(&mut setting);
            let changed = what_it_holds(&setting.breaker) != what_it_holds(&before);
            let after = if changed {
                describe(&setting)
            } else {
                "the same".into()
            };
            rows.push(row([state, event, &answer, &after]));
        }
    }
    insta::assert_snapshot!(table(&rows));
}

/// The short way of the guard says what the long way says.
#[test]
fn has_room_is_would_admit_after_the_timeouts() {
    use crate::draw::SplitMix64;

    let modes = [
        BreakerMode::Auto,
        BreakerMode::ForcedOpen,
        BreakerMode::Disabled,
        BreakerMode::MetricsOnly,
    ];
    for mode in modes {
        let config = BreakerConfig {
            mode,
            consecutive_failures: Some(2),
            half_open_concurrent: 2,
            half_open_calls: 3,
            ..BreakerConfig::DEFAULT
        };
        let mut breaker = Breaker::new(config).unwrap();
        let mut rng = SplitMix64::new(11);
        let mut now = Instant::from_nanos(1 << 40);
        let mut permits = Vec::new();
        for _ in 0..if cfg!(miri) { 200 } else { 5_000 } {
            now = now.saturating_add(Duration::from_millis(rng.next() % 4_000));
            breaker.handle_timeout(now);
            let has_room = breaker.circuit.has_room(&breaker.rules, now);
            assert_eq!(has_room, breaker.would_admit(now), "{breaker:?}");
            permits.extend(breaker.admit(now).ok());
            if rng.next().is_multiple_of(2)
                && let Some(permit) = permits.pop()
            {
                let failed = rng.next().is_multiple_of(3);
                let settled = if failed {
                    Settled::Failure { retry_after: None }
                } else {
                    Settled::Success
                };
                breaker.settle(now, permit, settled);
            }
        }
    }
}

/// What the module's page says, where words are 64 bits.
#[cfg(target_pointer_width = "64")]
#[test]
fn circuits_are_as_small_as_they_say() {
    assert_eq!((size_of::<Circuit<0>>(), size_of::<Circuit>()), (64, 240));
    assert_eq!((size_of::<BreakerRules>(), size_of::<Permit>()), (112, 16));
}
