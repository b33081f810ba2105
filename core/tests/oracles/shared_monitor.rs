//! The shared monitor: alone it answers like the exclusive one, together no result is lost.

use core::time::Duration;
use std::sync::Barrier;
use std::thread;

use crossbridge_core::Instant;
use crossbridge_core::draw::SplitMix64;
use crossbridge_core::health::flapping::FlapConfig;
use crossbridge_core::health::{
    Health, HealthChange, Monitor, MonitorConfig, Probe, ProbeResult, SharedMonitor,
};
use proptest::prelude::*;

use crate::{any_span, check, per_mille};

const LATE: u64 = 1_000_000_000;

#[derive(Clone, Debug)]
enum Op {
    Wait(u64),
    StepBack(u64),
    /// The same result so often, a second apart.
    Observe(ProbeResult, u8),
    Start,
    Next,
    Finish(usize, ProbeResult),
    Timeout,
}

fn any_result() -> impl Strategy<Value = ProbeResult> + Clone {
    use ProbeResult::{Fail, Fatal, Inconclusive, Pass, SlowPass};
    prop::sample::select(vec![
        Pass,
        Pass,
        Pass,
        Pass,
        SlowPass,
        Fail,
        Fail,
        Fatal,
        Inconclusive,
    ])
}

/// Waits and steps back of so many nanoseconds.
fn ops(
    wait: core::ops::Range<u64>,
    step_back: core::ops::Range<u64>,
) -> impl Strategy<Value = Vec<Op>> + Clone {
    let times = prop_oneof![3 => 1..4_u8, 1 => 20..25_u8];
    let op = prop_oneof![
        4 => wait.prop_map(Op::Wait),
        1 => step_back.prop_map(Op::StepBack),
        6 => (any_result(), times).prop_map(|(result, times)| Op::Observe(result, times)),
        3 => Just(Op::Start),
        1 => Just(Op::Next),
        2 => (any::<usize>(), any_result()).prop_map(|(index, result)| Op::Finish(index, result)),
        1 => Just(Op::Timeout),
    ];
    prop::collection::vec(op, 1..60)
}

fn any_config() -> impl Strategy<Value = MonitorConfig> + Clone {
    let span = move || any_span(1, 60_000_000_000);
    let long = || (1..60_u64).prop_map(Duration::from_secs);
    let flapping = prop::option::of(Just(FlapConfig::DEFAULT));
    let spans = (span(), span(), span(), long(), long());
    (1..=4_u8, 1..=4_u8, spans, per_mille(0, 500), flapping).prop_map(
        |(rise, fall, (interval, transition_interval, down_interval, timeout, ttl), jitter, flapping)| {
            MonitorConfig {
                rise,
                fall,
                interval,
                transition_interval,
                down_interval,
                timeout,
                ttl,
                jitter,
                flapping,
            }
        },
    )
}

/// Near the origin, by the calendar, around the end of what a pass without a lock can be stored
/// for, and at the end of time.
fn any_start() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![
        0..200_000_000_000_u64,
        Just(1_800_000_000_000_000_000),
        (1_u64 << 62) - 60_000_000_000..1 << 62,
        u64::MAX - 100_000_000_000..u64::MAX,
    ]
}

/// The shared one at `now`, the exclusive one at `theirs`, and every answer compared.
struct Pair {
    shared: SharedMonitor,
    one: Monitor,
    rngs: [SplitMix64; 2],
    probes: Vec<(Probe, Probe)>,
}

impl Pair {
    fn new(config: MonitorConfig, seed: u64) -> Self {
        Self {
            shared: SharedMonitor::new(config).unwrap(),
            one: Monitor::new(config).unwrap(),
            rngs: [SplitMix64::new(seed), SplitMix64::new(seed)],
            probes: Vec::new(),
        }
    }

    fn run(&mut self, op: &Op, now: u64, theirs: u64) {
        let (now, theirs) = (Instant::from_nanos(now), Instant::from_nanos(theirs));
        let from = self.one.health();
        let [rng, other_rng] = &mut self.rngs;
        let mut change = None;
        match *op {
            Op::Wait(_) | Op::StepBack(_) => return,
            Op::Observe(result, _) => {
                change = self.shared.observe(now, result);
                self.one.observe(theirs, result);
            }
            Op::Start => {
                change = self.shared.handle_timeout(now);
                let mine = self.shared.start_probe(now, rng);
                let its = self.one.start_probe(theirs, other_rng);
                assert_eq!(mine, its);
                self.probes.extend(mine.zip(its));
            }
            Op::Next => assert_eq!(self.shared.next_probe_at(rng), self.one.next_probe_at(other_rng)),
            Op::Finish(index, result) if !self.probes.is_empty() => {
                let (mine, its) = self.probes.swap_remove(index % self.probes.len());
                change = self.shared.finish_probe(now, mine, result);
                self.one.finish_probe(theirs, its, result);
            }
            Op::Finish(..) => {}
            Op::Timeout => {
                change = self.shared.handle_timeout(now);
                self.one.handle_timeout(theirs);
            }
        }
        let to = self.one.health();
        assert_eq!(change, (from != to).then_some(HealthChange { from, to }));
        assert_eq!(self.shared.health(), to);
        assert_eq!(self.shared.flapping(), self.one.flapping());
        assert_eq!(self.shared.poll_at(), self.one.poll_at());
        assert_eq!(self.shared.snapshot(now), self.one.snapshot(theirs));
        assert_eq!(self.rngs[0], self.rngs[1], "as many draws");
    }
}

#[test]
fn alone_it_answers_like_the_exclusive_one() {
    let ops = ops(0..20_000_000_000, LATE + 1..90_000_000_000);
    let inputs = (any_config(), any_start(), ops, any::<u64>());
    check(600, inputs, |(config, start, ops, seed)| {
        let mut pair = Pair::new(config, seed);
        let mut now = start;
        pair.run(&Op::Timeout, now, now);
        for op in ops {
            match op {
                Op::Wait(span) => now = now.saturating_add(span),
                // Not so near the origin that less than the slack is left.
                Op::StepBack(span) if now > LATE => {
                    pair.run(&Op::Timeout, now, now);
                    now = now.saturating_sub(span);
                    let seen_by = [Op::Timeout, Op::Observe(ProbeResult::Pass, 1)];
                    pair.run(&seen_by[usize::from(span % 2 == 0)], now, now);
                }
                Op::Observe(_, times) => {
                    for _ in 1..times {
                        pair.run(&op, now, now);
                        now = now.saturating_add(LATE);
                    }
                }
                Op::StepBack(_) | Op::Start | Op::Next | Op::Finish(..) | Op::Timeout => {}
            }
            pair.run(&op, now, now);
        }
    });
}

/// Threads that are late by no more than the slack count as being on time.
#[test]
fn a_late_thread_reports_at_the_last_instant() {
    let ops = ops(0..20_000_000_000, 1..LATE + 1);
    check(400, (any_config(), ops, any::<u64>()), |(config, ops, seed)| {
        let mut pair = Pair::new(config, seed);
        let (mut last, mut late) = (5_000_000_000, 0);
        for op in ops {
            match op {
                Op::Wait(span) => last += span,
                // So late is whatever comes next.
                Op::StepBack(span) => {
                    late = span;
                    continue;
                }
                Op::Observe(_, times) => (0..times).for_each(|_| pair.run(&op, last, last)),
                Op::Start | Op::Next | Op::Finish(..) | Op::Timeout => {}
            }
            pair.run(&Op::Timeout, last, last);
            pair.run(&op, last - late, last);
            late = 0;
        }
    });
}

/// Four threads, each of them twenty-five failures: one short of enough, and one more.
#[test]
fn of_many_failures_at_once_none_is_lost() {
    let config = MonitorConfig {
        rise: 1,
        fall: 100,
        flapping: None,
        ..MonitorConfig::DEFAULT
    };
    for each in [24, 25] {
        let monitor = SharedMonitor::new(config).unwrap();
        monitor.observe(Instant::ZERO, ProbeResult::Pass);
        let told = together(|_| {
            let fail = |_| monitor.observe(Instant::ZERO, ProbeResult::Fail);
            (0..each).filter_map(fail).collect()
        });
        let (expected, changes) = if each == 24 {
            (Health::Degraded, 1)
        } else {
            (Health::Unhealthy, 2)
        };
        assert_eq!((monitor.health(), told.len()), (expected, changes));
    }
}

/// Each change is told once: from the first state to the last, every health is left as often as it
/// is reached, but for the ends.
#[test]
fn every_change_is_told_to_one_thread() {
    for (round, flapping) in (0..40).zip([None, Some(FlapConfig::DEFAULT)].into_iter().cycle()) {
        let monitor = SharedMonitor::new(MonitorConfig {
            flapping,
            ..MonitorConfig::DEFAULT
        })
        .unwrap();
        let told = together(|thread| {
            let mut rng = SplitMix64::new(round * 4 + thread);
            let mut changes = Vec::new();
            let (mut result, mut probes) = (ProbeResult::Pass, Vec::new());
            for turn in 0..500_u64 {
                let now = Instant::from_nanos(turn * 200_000_000);
                match rng.next() % 16 {
                    0 => result = ProbeResult::Fail,
                    1 => result = ProbeResult::SlowPass,
                    2..8 => result = ProbeResult::Pass,
                    8 => {
                        changes.extend(monitor.handle_timeout(now));
                        if let Some(probe) = monitor.start_probe(now, &mut rng) {
                            probes.push(probe);
                        }
                    }
                    9 => {
                        let finished = probes.pop();
                        changes.extend(finished.and_then(|probe| monitor.finish_probe(now, probe, result)));
                    }
                    _ => {}
                }
                changes.extend(monitor.observe(now, result));
            }
            changes
        });
        for health in [
            Health::Unknown,
            Health::Healthy,
            Health::Degraded,
            Health::Unhealthy,
        ] {
            let reached = told.iter().filter(|change| change.to == health).count();
            let left = told.iter().filter(|change| change.from == health).count();
            let (first, last) = (health == Health::Unknown, health == monitor.health());
            assert_eq!(
                reached + usize::from(first),
                left + usize::from(last),
                "{health:?}"
            );
        }
        assert!(told.len() > 10);
    }
}

/// Passes that nobody waits for, beside somebody who looks whether there were any.
#[test]
fn passes_of_many_threads_keep_it_from_going_stale() {
    let config = MonitorConfig {
        ttl: Duration::from_secs(4),
        ..MonitorConfig::DEFAULT
    };
    let monitor = SharedMonitor::new(config).unwrap();
    let at = |secs: u64| Instant::from_nanos(secs * LATE);
    // As many seconds as it takes for the damping to remember nothing else.
    for second in 0..30 {
        monitor.observe(at(second), ProbeResult::Pass);
    }
    let second = Barrier::new(4);
    let told = together(|thread| {
        let mut changes = Vec::new();
        for now in 30..2_000 {
            second.wait();
            let late = Instant::from_nanos(at(now).as_nanos() - thread * 1_000);
            changes.extend(monitor.observe(late, ProbeResult::Pass));
            if thread == 0 {
                changes.extend(monitor.handle_timeout(late));
            }
        }
        changes
    });
    assert_eq!(told, []);
    let before = |at: Instant| Instant::from_nanos(at.as_nanos() - 1);
    // Any one of the last four may be the one that counts.
    assert_eq!(monitor.handle_timeout(before(before(at(2_002)))), None);
    monitor.handle_timeout(at(2_003));
    assert_eq!(monitor.health(), Health::Unknown);
}

#[test]
fn of_many_threads_one_gets_the_probe() {
    for round in 0..200 {
        let monitor = SharedMonitor::new(MonitorConfig::DEFAULT).unwrap();
        let start = Barrier::new(4);
        let run = |now: u64| {
            let now = Instant::from_nanos(now * LATE);
            together(|thread| {
                let mut rng = SplitMix64::new(round + thread);
                start.wait();
                monitor.start_probe(now, &mut rng).into_iter().collect()
            })
        };
        let mut probes = run(0);
        assert_eq!(probes.len(), 1);
        monitor.finish_probe(Instant::ZERO, probes.remove(0), ProbeResult::Pass);
        // Scheduled by whoever asked first: later than any draw can be.
        assert_eq!((run(1).len(), run(40).len(), run(41).len()), (0, 1, 0));
    }
}

/// What four threads are told, each given its number.
fn together<T: Send>(run: impl Fn(u64) -> Vec<T> + Sync) -> Vec<T> {
    let run = &run;
    thread::scope(|scope| {
        let threads = [0, 1, 2, 3].map(|number| scope.spawn(move || run(number)));
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    })
}
