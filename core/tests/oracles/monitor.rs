//! The monitor against HAProxy's counter, read from its C, and a calendar.

use core::time::Duration;

use crossbridge_core::Instant;
use crossbridge_core::draw::SplitMix64;
use crossbridge_core::health::{Health, Monitor, MonitorConfig, Probe, ProbeResult};
use proptest::prelude::*;

use crate::{any_nanos, any_span, check, log_uniform, per_mille};

/// The counter of `set_server_check_status` in HAProxy's `src/check.c`, and what we add to it:
/// unknown, stale, slow and fatal.
struct Model {
    config: MonitorConfig,
    health: Option<u32>,
    slow: bool,
    stale_at: u64,
    /// Time that has passed, by a clock that never steps back.
    passed: u64,
    last_now: u64,
    running: Option<u64>,
    due: u64,
    /// The next probe is not drawn yet: it is due between these two.
    due_range: Option<(u64, u64)>,
}

impl Model {
    fn new(config: MonitorConfig, start: u64) -> Self {
        Self {
            config,
            health: None,
            slow: false,
            stale_at: u64::MAX,
            passed: start,
            last_now: start,
            running: None,
            due: 0,
            due_range: None,
        }
    }

    fn on_time(&mut self, now: u64) {
        self.passed += now.saturating_sub(self.last_now);
        self.last_now = now;
        if let Some(deadline) = self.running.filter(|&deadline| deadline <= self.passed) {
            self.forget(deadline);
            self.end_probe(deadline);
            self.count(deadline, ProbeResult::Fail);
        }
        self.forget(self.passed);
    }

    fn forget(&mut self, at: u64) {
        if self.health.is_some() && at >= self.stale_at {
            self.health = None;
        }
    }

    fn count(&mut self, at: u64, result: ProbeResult) {
        let (rise, fall) = (u32::from(self.config.rise), u32::from(self.config.fall));
        let top = rise + fall - 1;
        let health = match result {
            ProbeResult::Inconclusive => return,
            ProbeResult::Fatal => 0,
            // The first result decides by itself.
            ProbeResult::Pass | ProbeResult::SlowPass => self.health.map_or(top, |mut health| {
                if health < top {
                    health += 1;
                    if health >= rise {
                        health = top;
                    }
                }
                health
            }),
            ProbeResult::Fail => self.health.map_or(0, |mut health| {
                if health > 0 {
                    health -= 1;
                    if health < rise {
                        health = 0;
                    }
                }
                health
            }),
        };
        self.health = Some(health);
        self.slow = result == ProbeResult::SlowPass;
        self.stale_at = at + nanos(self.config.ttl);
    }

    fn end_probe(&mut self, at: u64) {
        self.running = None;
        self.due_range = Some((at, at));
    }

    /// The interval is taken from the state at the moment of asking.
    fn due_bounds(&self) -> Option<(u64, u64)> {
        let (since, _) = self.due_range?;
        let top = u32::from(self.config.rise) + u32::from(self.config.fall) - 1;
        let interval = nanos(match self.health {
            Some(health) if health == top => self.config.interval,
            Some(0) => self.config.down_interval,
            _ => self.config.transition_interval,
        });
        let spread = (interval * u64::from(self.config.jitter.get())).div_ceil(1_000);
        Some((since + interval - spread, since + interval + spread))
    }

    fn verdict(&self) -> Health {
        let top = u32::from(self.config.rise) + u32::from(self.config.fall) - 1;
        match self.health {
            None => Health::Unknown,
            Some(health) if health < u32::from(self.config.rise) => Health::Unhealthy,
            Some(health) if health < top || self.slow => Health::Degraded,
            Some(_) => Health::Healthy,
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap()
}

#[derive(Clone, Debug)]
enum Op {
    Wait(u64),
    StepBack(u64),
    Observe(ProbeResult),
    Start,
    Finish(usize, ProbeResult),
    Timeout,
}

fn any_result() -> impl Strategy<Value = ProbeResult> + Clone {
    use ProbeResult::{Fail, Fatal, Inconclusive, Pass, SlowPass};
    prop::sample::select(vec![
        Pass,
        Pass,
        Pass,
        SlowPass,
        Fail,
        Fail,
        Fail,
        Fatal,
        Inconclusive,
    ])
}

fn ops(long: u64) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        3 => (0..long).prop_map(Op::Wait),
        1 => (0..long).prop_map(Op::StepBack),
        6 => any_result().prop_map(Op::Observe),
        4 => Just(Op::Start),
        3 => (any::<usize>(), any_result()).prop_map(|(index, result)| Op::Finish(index, result)),
        1 => Just(Op::Timeout),
    ];
    prop::collection::vec(op, 1..80)
}

fn any_config(longest: u64) -> impl Strategy<Value = MonitorConfig> {
    let span = move || any_span(1, longest);
    let spans = (span(), span(), span(), span(), span());
    (1..=6_u8, 1..=6_u8, spans, per_mille(0, 500)).prop_map(
        |(rise, fall, (interval, transition_interval, down_interval, timeout, ttl), jitter)| MonitorConfig {
            rise,
            fall,
            interval,
            transition_interval,
            down_interval,
            timeout,
            ttl,
            jitter,
            flapping: None,
        },
    )
}

#[test]
fn counts_like_haproxy_and_probes_by_the_calendar() {
    // Far enough from the origin that no step back reaches it.
    const START: u64 = 1 << 40;
    check(
        500,
        (any_config(5_000), ops(4_000), any::<u64>()),
        |(config, ops, seed)| {
            let mut monitor = Monitor::new(config).unwrap();
            let mut model = Model::new(config, START);
            let mut rng = SplitMix64::new(seed);
            let mut now = START;
            let mut probes: Vec<(Probe, bool)> = Vec::new();
            monitor.handle_timeout(Instant::from_nanos(now));
            for op in ops {
                let before = model.running;
                match op {
                    Op::Wait(span) => now += span,
                    Op::StepBack(span) => now -= span,
                    Op::Observe(result) => {
                        monitor.observe(Instant::from_nanos(now), result);
                        model.on_time(now);
                        model.count(model.passed, result);
                    }
                    Op::Timeout => {
                        monitor.handle_timeout(Instant::from_nanos(now));
                        model.on_time(now);
                    }
                    Op::Start => {
                        model.on_time(now);
                        let bounds = model.due_bounds();
                        let started = monitor.start_probe(Instant::from_nanos(now), &mut rng);
                        if let Some((low, high)) = bounds
                            && let Some(due) = monitor.next_probe_at(&mut rng)
                        {
                            model.due_range = None;
                            // In the model's time, which has not stepped back.
                            model.due = due.as_nanos() + model.passed - now;
                            assert!(
                                low <= model.due && model.due <= high,
                                "{} not in {low}..={high}",
                                model.due
                            );
                        }
                        if let Some((low, _)) = bounds.filter(|_| started.is_some()) {
                            assert!(model.passed >= low, "started {} too early", low - model.passed);
                        } else if bounds.is_none() {
                            let due = model.running.is_none() && model.passed >= model.due;
                            assert_eq!(started.is_some(), due);
                        }
                        if let Some(probe) = started {
                            for (_, current) in &mut probes {
                                *current = false;
                            }
                            probes.push((probe, true));
                            model.due_range = None;
                            model.running = Some(model.passed + nanos(config.timeout));
                        }
                    }
                    Op::Finish(index, result) if !probes.is_empty() => {
                        let (probe, current) = probes.swap_remove(index % probes.len());
                        monitor.finish_probe(Instant::from_nanos(now), probe, result);
                        model.on_time(now);
                        if current && model.running.is_some() {
                            model.end_probe(model.passed);
                            model.count(model.passed, result);
                        }
                    }
                    Op::Finish(..) => {}
                }
                if before.is_some() && model.running.is_none() {
                    // A probe that ended, one way or another, is nobody's any more.
                    for (_, current) in &mut probes {
                        *current = false;
                    }
                }
                assert_eq!(monitor.health(), model.verdict(), "at {}", model.passed);
            }
        },
    );
}

/// Polled at every instant it names, or much later: the same health in the end.
#[test]
fn a_late_poll_ends_where_a_punctual_one_does() {
    let inputs = (
        any_config(1_000),
        prop::collection::vec(any_result(), 1..6),
        1..20_000_u64,
    );
    check(300, inputs, |(config, results, late)| {
        let mut monitor = Monitor::new(config).unwrap();
        let mut rng = SplitMix64::new(1);
        for result in results {
            monitor.observe(Instant::ZERO, result);
        }
        let Some(_hung) = monitor.start_probe(Instant::ZERO, &mut rng) else {
            panic!("the first probe is due at once");
        };
        let mut punctual = monitor.clone();
        while let Some(at) = punctual.poll_at().filter(|at| at.as_nanos() <= late) {
            punctual.handle_timeout(at);
        }
        monitor.handle_timeout(Instant::from_nanos(late));
        punctual.handle_timeout(Instant::from_nanos(late));
        assert_eq!(monitor.health(), punctual.health());
    });
}

#[test]
fn any_now_and_any_order_leave_a_health() {
    let ops = prop::collection::vec((any_nanos(), 0..4_u8, any_result()), 1..60);
    let config = any_config(u64::MAX);
    check(
        400,
        (config, ops, 1..=100_u8, 1..=100_u8, log_uniform(0, u64::MAX)),
        |(config, ops, rise, fall, seed)| {
            let mut monitor = Monitor::new(MonitorConfig { rise, fall, ..config }).unwrap();
            let mut rng = SplitMix64::new(seed);
            let mut running = None;
            for (now, what, result) in ops {
                let now = Instant::from_nanos(now);
                match what {
                    0 => monitor.observe(now, result),
                    1 => running = monitor.start_probe(now, &mut rng),
                    2 => running
                        .take()
                        .into_iter()
                        .for_each(|probe| monitor.finish_probe(now, probe, result)),
                    _ => monitor.handle_timeout(now),
                }
                let _ = (
                    monitor.poll_at(),
                    monitor.next_probe_at(&mut rng),
                    monitor.health(),
                );
            }
        },
    );
}
