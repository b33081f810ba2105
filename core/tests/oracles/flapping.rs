//! Flap damping against Nagios's loop in floating point, and the monitor with it against the
//! monitor without.

use core::time::Duration;

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::health::flapping::{FlapConfig, Flapping, FlappingSnapshot};
use crossbridge_core::health::{Health, Monitor, MonitorConfig, MonitorSnapshot, ProbeResult, ProbeSnapshot};
use crossbridge_core::{Instant, PerMille};
use proptest::prelude::*;

use crate::{any_nanos, any_span, check, log_uniform, per_mille};

/// `check_for_service_flapping` in nagioscore's `base/flapping.c`, with a list for its ring.
#[derive(Default)]
struct Nagios {
    history: Vec<bool>,
    flapping: bool,
}

impl Nagios {
    fn curved_percent_change(&self) -> f64 {
        // As many as there are, aligned at the newest: those that are missing never changed.
        let missing = 21 - self.history.len();
        let mut curved_changes = 0.0;
        for x in 1..21_usize {
            let states = x
                .checked_sub(missing + 1)
                .map(|older| &self.history[older..=older + 1]);
            if let Some([last, current]) = states
                && last != current
            {
                curved_changes += (x as f64 - 1.0) * (1.25 - 0.75) / (21.0 - 2.0) + 0.75;
            }
        }
        curved_changes * 100.0 / 20.0
    }

    fn record(&mut self, config: FlapConfig, up: bool) {
        self.history.push(up);
        if self.history.len() > 21 {
            self.history.remove(0);
        }
        let (low, high) = (
            f64::from(config.stop.get()) / 10.0,
            f64::from(config.start.get()) / 10.0,
        );
        // Doubles miss the thresholds by less than a millionth.
        let percent = self.curved_percent_change();
        if percent >= high - 1e-6 {
            self.flapping = true;
        } else if percent <= low + 1e-6 {
            self.flapping = false;
        }
    }
}

fn thresholds() -> impl Strategy<Value = FlapConfig> + Clone {
    let custom = (per_mille(0, 999), per_mille(1, 1_000))
        .prop_filter("start above stop", |(stop, start)| start > stop)
        .prop_map(|(stop, start)| FlapConfig { start, stop });
    prop_oneof![Just(FlapConfig::DEFAULT), custom]
}

#[test]
fn the_share_of_change_is_that_of_nagios() {
    // Runs of the same result, so that long and short ones occur.
    let runs = prop::collection::vec((any::<bool>(), 1..12_usize), 1..30);
    check(500, (thresholds(), runs), |(config, runs)| {
        let (mut flapping, mut nagios) = (Flapping::new(), Nagios::default());
        for up in runs.into_iter().flat_map(|(up, run)| vec![up; run]) {
            // Taken out and put back between any two results.
            flapping = Flapping::restore(&flapping.snapshot()).unwrap();
            flapping = flapping.record(config, up);
            nagios.record(config, up);
            assert_eq!(flapping.is_flapping(), nagios.flapping);
            let expected = nagios.curved_percent_change() * 10.0;
            assert!((f64::from(flapping.share().get()) - (expected + 1e-6).floor()).abs() < 0.5);
        }
    });
}

#[test]
fn a_history_that_nobody_recorded_is_refused() {
    let taken = Flapping::new().record(FlapConfig::DEFAULT, true).snapshot();
    for (broken, reason) in [
        (
            FlappingSnapshot { version: 0, ..taken },
            "version is 0, expected 1",
        ),
        (
            FlappingSnapshot { results: 22, ..taken },
            "flap_results is 22, expected at most 21",
        ),
        (
            FlappingSnapshot {
                history: 0b11,
                ..taken
            },
            "flap_history is 3, expected no more bits than flap_results",
        ),
    ] {
        let refused = Flapping::restore(&broken).unwrap_err();
        assert_eq!(refused.to_string(), format!("snapshot: {reason}"));
    }
}

#[test]
fn a_change_with_every_result_is_all_of_it() {
    // All changes weigh as much as there is to weigh.
    let mut flapping = Flapping::new();
    for result in 0..1_000 {
        flapping = flapping.record(FlapConfig::DEFAULT, result % 2 == 0);
    }
    assert_eq!(flapping.share(), PerMille::ALL);
}

fn results() -> impl Strategy<Value = ProbeResult> + Clone {
    use ProbeResult::{Fail, Fatal, Inconclusive, Pass, SlowPass};
    prop::sample::select(vec![Pass, Pass, Pass, SlowPass, Fail, Fail, Fatal, Inconclusive])
}

#[test]
fn the_monitor_holds_at_degraded_and_is_otherwise_the_same() {
    let step = (
        results(),
        1..6_usize,
        prop_oneof![9 => 0..30_u64, 1 => Just(100_u64)],
    );
    let inputs = (
        1..=3_u8,
        1..=3_u8,
        thresholds(),
        prop::collection::vec(step, 1..60),
    );
    check(500, inputs, |(rise, fall, flapping, steps)| {
        let plain = MonitorConfig {
            rise,
            fall,
            flapping: None,
            ..MonitorConfig::DEFAULT
        };
        let damped = MonitorConfig {
            flapping: Some(flapping),
            ..plain
        };
        let (mut plain, mut damped) = (Monitor::new(plain).unwrap(), Monitor::new(damped).unwrap());
        let mut nagios = Nagios::default();
        let mut now = Instant::ZERO;
        for (result, times, wait) in steps {
            now = now.saturating_add(Duration::from_secs(wait));
            plain.handle_timeout(now);
            damped.handle_timeout(now);
            if plain.health() == Health::Unknown {
                nagios = Nagios::default();
            }
            for _ in 0..times {
                plain.observe(now, result);
                damped.observe(now, result);
                let up = matches!(plain.health(), Health::Healthy | Health::Degraded);
                let soft = result == ProbeResult::Fail && up;
                if result != ProbeResult::Inconclusive && !soft {
                    nagios.record(flapping, up);
                }
                let expected = if plain.health() != Health::Unknown && nagios.flapping {
                    Health::Degraded
                } else {
                    plain.health()
                };
                assert_eq!(damped.health(), expected);
                assert_eq!(damped.flapping().is_flapping(), nagios.flapping);
            }
        }
    });
}

fn observe(monitor: &mut Monitor, result: ProbeResult, times: usize) -> Health {
    for _ in 0..times {
        monitor.observe(Instant::ZERO, result);
    }
    monitor.health()
}

#[test]
fn while_flapping_the_state_holds_at_degraded() {
    use ProbeResult::{Fail, Pass};
    let mut monitor = Monitor::new(MonitorConfig::DEFAULT).unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(observe(&mut monitor, Pass, 2));
        seen.push(observe(&mut monitor, Fail, 3));
    }
    let (up, down) = (Health::Healthy, Health::Unhealthy);
    assert_eq!(seen, [up, down, up, down, up, down]);
    // The sixth crossing within twenty results.
    for _ in 0..5 {
        assert_eq!(observe(&mut monitor, Pass, 2), Health::Degraded);
        assert_eq!(observe(&mut monitor, Fail, 3), Health::Degraded);
    }
    // Twenty results of the same kind at most end it.
    assert_eq!(observe(&mut monitor, Pass, 20), Health::Healthy);
}

#[test]
fn an_outage_shows_after_twenty_results_even_while_flapping() {
    let mut monitor = Monitor::new(MonitorConfig::DEFAULT).unwrap();
    for _ in 0..20 {
        observe(&mut monitor, ProbeResult::Pass, 2);
        observe(&mut monitor, ProbeResult::Fatal, 1);
    }
    assert_eq!(monitor.health(), Health::Degraded);
    assert_eq!(observe(&mut monitor, ProbeResult::Fail, 20), Health::Unhealthy);
}

/// A failure now and then is no change, however often: only crossings count.
#[test]
fn stray_failures_never_flap() {
    let mut monitor = Monitor::new(MonitorConfig::DEFAULT).unwrap();
    for _ in 0..100 {
        observe(&mut monitor, ProbeResult::Pass, 2);
        assert_eq!(monitor.health(), Health::Healthy);
        observe(&mut monitor, ProbeResult::Fail, 2);
    }
}

#[test]
fn silence_forgets_the_flapping() {
    let mut monitor = Monitor::new(MonitorConfig::DEFAULT).unwrap();
    for _ in 0..10 {
        observe(&mut monitor, ProbeResult::Pass, 2);
        observe(&mut monitor, ProbeResult::Fatal, 1);
    }
    assert!(monitor.flapping().is_flapping());
    let later = Instant::from_nanos(90_000_000_000);
    monitor.observe(later, ProbeResult::Pass);
    assert_eq!(monitor.health(), Health::Healthy);
}

#[test]
fn thresholds_the_wrong_way_round_are_refused() {
    let config = MonitorConfig {
        flapping: Some(FlapConfig {
            start: PerMille::HALF,
            stop: PerMille::HALF,
        }),
        ..MonitorConfig::DEFAULT
    };
    assert_eq!(
        Monitor::new(config).unwrap_err().to_string(),
        "flapping.start is 500, expected more than flapping.stop"
    );
}

/// What a monitor does with probes and results after each span, relative to the clock.
fn drive(monitor: &mut Monitor, start: Instant, steps: &[(Duration, Option<ProbeResult>)]) -> Vec<String> {
    let mut now = start;
    let mut rng = SplitMix64::new(1);
    let told = steps.iter().map(|&(span, result)| {
        now = now.saturating_add(span);
        match result {
            Some(result) => monitor.observe(now, result),
            None => {
                if let Some(probe) = monitor.start_probe(now, &mut rng) {
                    // Every other one hangs.
                    if span.as_nanos() % 2 == 0 {
                        monitor.finish_probe(now, probe, ProbeResult::Pass);
                    }
                }
            }
        }
        let due = monitor.poll_at().map(|at| at.saturating_duration_since(now));
        format!("{:?} {due:?} {}", monitor.health(), monitor.flapping().share())
    });
    told.collect()
}

#[test]
fn a_restored_monitor_goes_on_as_if_nothing_had_happened() {
    const LATE: u64 = 1 << 50;
    let steps = || {
        let step = (
            any_span(0, 60_000_000_000),
            prop::option::weighted(0.7, results()),
        );
        prop::collection::vec(step, 1..60)
    };
    let inputs = (steps(), steps(), log_uniform(LATE, u64::MAX / 2));
    check(300, inputs, |(before, after, origin)| {
        let config = MonitorConfig::DEFAULT;
        let mut stayed = Monitor::new(config).unwrap();
        let start = Instant::from_nanos(LATE);
        drive(&mut stayed, start, &before);
        let now = start.saturating_add(before.iter().map(|(span, _)| *span).sum());
        let taken = stayed.snapshot(now);
        let moved = Instant::from_nanos(origin);
        let mut restored = Monitor::restore(config, &taken, moved).expect("its own snapshot");
        assert_eq!(restored.snapshot(moved), taken);
        assert_eq!(
            drive(&mut restored, moved, &after),
            drive(&mut stayed, now, &after)
        );
    });
}

#[test]
fn any_monitor_can_be_taken_out_and_put_back_at_any_time() {
    let ops = prop::collection::vec((any_nanos(), prop::option::of(results())), 1..30);
    let config = (any_span(1, u64::MAX), any_span(1, u64::MAX), thresholds());
    check(
        300,
        (config, ops, any_nanos()),
        |((interval, ttl, flapping), ops, moved)| {
            let config = MonitorConfig {
                interval,
                ttl,
                timeout: interval,
                flapping: Some(flapping),
                ..MonitorConfig::DEFAULT
            };
            let mut monitor = Monitor::new(config).unwrap();
            let mut rng = SplitMix64::new(1);
            for (now, result) in ops {
                let now = Instant::from_nanos(now);
                match result {
                    Some(result) => monitor.observe(now, result),
                    None => drop(monitor.start_probe(now, &mut rng)),
                }
                let taken = monitor.snapshot(now);
                let restored = Monitor::restore(config, &taken, Instant::from_nanos(moved));
                monitor.handle_timeout(now);
                assert_eq!(restored.expect("its own").health(), monitor.health());
            }
        },
    );
}

#[test]
fn a_snapshot_that_no_monitor_made_is_refused_with_the_reason() {
    let config = MonitorConfig::DEFAULT;
    let mut monitor = Monitor::new(config).unwrap();
    monitor.observe(Instant::ZERO, ProbeResult::Pass);
    let good = monitor.snapshot(Instant::ZERO);
    let refused = |bad: MonitorSnapshot| {
        let refused = Monitor::restore(config, &bad, Instant::ZERO).unwrap_err();
        refused.to_string()
    };
    let mut old = good;
    old.version = 0;
    assert_eq!(refused(old), "snapshot: version is 0, expected 1");
    let mut high = good;
    high.known.as_mut().unwrap().counter = 5;
    assert_eq!(
        refused(high),
        "snapshot: counter is 5, expected at most rise + fall - 1"
    );
    let mut fresh = good;
    fresh.known.as_mut().unwrap().left = Duration::from_secs(91);
    assert_eq!(
        refused(fresh),
        "snapshot: known.left is 91000000000, expected at most ttl"
    );
    let bits = MonitorSnapshot {
        flap_history: 2,
        ..good
    };
    assert_eq!(
        refused(bits),
        "snapshot: flap_history is 2, expected no more bits than flap_results"
    );
    let late = MonitorSnapshot {
        probe: ProbeSnapshot::Running {
            left: Duration::from_secs(11),
        },
        ..good
    };
    assert_eq!(
        refused(late),
        "snapshot: probe.left is 11000000000, expected at most timeout"
    );
}

/// At the thresholds, not only beyond them.
#[test]
fn it_stops_at_the_stop_itself() {
    let config = FlapConfig {
        start: PerMille::HALF,
        stop: PerMille::ZERO,
    };
    let mut flapping = Flapping::new();
    for result in 0..21 {
        flapping = flapping.record(config, result % 2 == 0);
    }
    for _ in 0..19 {
        flapping = flapping.record(config, true);
        assert!(flapping.is_flapping());
    }
    flapping = flapping.record(config, true);
    assert_eq!(flapping.share(), PerMille::ZERO);
    assert!(!flapping.is_flapping());
}
