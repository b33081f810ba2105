//! Exact under real threads.

use std::sync::Barrier;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::vec::Vec;

use super::*;
use crate::breaker::WindowKind;

const THREADS: usize = 4;
const FAILURE: Settled = Settled::Failure { retry_after: None };

const CONFIG: BreakerConfig = BreakerConfig {
    consecutive_failures: Some(1),
    half_open_concurrent: 3,
    half_open_calls: 5,
    half_open_successes: 4,
    ..BreakerConfig::DEFAULT
};

fn rules(config: BreakerConfig) -> BreakerRules {
    BreakerRules::new(config).unwrap()
}

fn rounds(many: usize) -> usize {
    if cfg!(miri) { 3 } else { many }
}

/// All at once.
fn together(work: impl Fn(usize) + Sync) {
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                start.wait();
                work(thread);
            });
        }
    });
}

fn quiet(_from: BreakerState, _to: BreakerState) {}

/// A circuit that has just opened, and until when.
fn opened(rules: &BreakerRules) -> (SharedCircuit, Instant) {
    let circuit = SharedCircuit::<1>::new(rules);
    let permit = circuit.admit(rules, Instant::ZERO, quiet).unwrap();
    circuit.settle(rules, Instant::ZERO, permit, FAILURE, quiet);
    let refused = circuit.admit(rules, Instant::ZERO, quiet).unwrap_err();
    (circuit, refused.retry_at.unwrap())
}

#[test]
fn threads_get_no_more_probes_than_there_are_at_once() {
    let rules = rules(CONFIG);
    for _ in 0..rounds(300) {
        let (circuit, until) = opened(&rules);
        let (admitted, told) = (AtomicUsize::new(0), AtomicUsize::new(0));
        together(|_| {
            for _ in 0..10 {
                let tell = |from, to| {
                    assert_eq!((from, to), (BreakerState::Open, BreakerState::HalfOpen));
                    told.fetch_add(1, Relaxed);
                };
                let probe = circuit.admit(&rules, until, tell);
                admitted.fetch_add(usize::from(probe.is_ok()), Relaxed);
            }
        });
        assert_eq!(admitted.into_inner(), 3);
        assert_eq!(told.into_inner(), 1, "one thread half opened it");
    }
}

#[test]
fn threads_make_no_more_probes_than_there_are_in_all() {
    let rules = rules(BreakerConfig {
        // Nothing is decided before the fifth.
        half_open_successes: 5,
        ..CONFIG
    });
    for _ in 0..rounds(300) {
        let (circuit, until) = opened(&rules);
        let (made, closed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        together(|_| {
            while circuit.state(&rules) != BreakerState::Closed {
                let Ok(probe) = circuit.admit(&rules, until, quiet) else {
                    thread::yield_now();
                    continue;
                };
                // One may be admitted by the circuit that has just closed.
                if probe.mark() != 0 {
                    made.fetch_add(1, Relaxed);
                }
                circuit.settle(&rules, until, probe, Settled::Success, |_, _| {
                    closed.fetch_add(1, Relaxed);
                });
            }
        });
        assert_eq!((made.into_inner(), closed.into_inner()), (5, 1));
    }
}

#[test]
fn one_generation_trips_once() {
    let rules = rules(CONFIG);
    for _ in 0..rounds(300) {
        let circuit = SharedCircuit::<0>::new(&rules);
        let permits: Vec<_> = (0..THREADS)
            .map(|_| circuit.admit(&rules, Instant::ZERO, quiet).unwrap())
            .map(|permit| std::sync::Mutex::new(Some(permit)))
            .collect();
        let trips = AtomicUsize::new(0);
        together(|thread| {
            let permit = permits[thread].lock().unwrap().take().unwrap();
            circuit.settle(&rules, Instant::ZERO, permit, FAILURE, |_, _| {
                trips.fetch_add(1, Relaxed);
            });
        });
        assert_eq!(trips.into_inner(), 1);
        let taken = circuit.snapshot(&rules, Instant::ZERO);
        assert_eq!((taken.generation, taken.level), (1, 1));
    }
}

/// Successes are counted beside the lock and failures under it: none is lost.
#[test]
fn every_result_is_counted_once() {
    let rules = rules(BreakerConfig {
        window: WindowKind::Time(Duration::from_secs(86_400)),
        failure_rate: None,
        consecutive_failures: None,
        ..CONFIG
    });
    let circuit = SharedCircuit::<1>::new(&rules);
    let each = if cfg!(miri) { 40 } else { 40_000_u32 };
    together(|_| {
        for call in 0..each {
            let now = Instant::from_nanos(u64::from(call));
            let permit = circuit.admit(&rules, now, quiet).unwrap();
            let settled = if call % 8 == 0 { FAILURE } else { Settled::Success };
            circuit.settle(&rules, now, permit, settled, quiet);
        }
    });
    let all = each * u32::try_from(THREADS).unwrap();
    let counts = circuit.counts(&rules);
    assert_eq!((counts.calls, counts.failed), (all, all / 8));
}

/// Whatever threads do, calls in flight are as many as were admitted and have not come back.
#[test]
fn calls_in_flight_are_counted_by_all_threads() {
    let rules = rules(BreakerConfig {
        hanging_calls: Some(3),
        slow_call: Duration::from_secs(7),
        ..CONFIG
    });
    for _ in 0..rounds(100) {
        let circuit = SharedCircuit::<1>::new(&rules);
        together(|thread| {
            for _ in 0..20 {
                let permit = circuit.admit(&rules, Instant::ZERO, quiet).unwrap();
                circuit.settle(&rules, Instant::ZERO, permit, Settled::Success, quiet);
            }
            // All threads but one leave a call behind.
            if thread > 0 {
                drop(circuit.admit(&rules, Instant::ZERO, quiet));
            }
        });
        let at = circuit.poll_at(&rules).expect("three are out");
        assert_eq!(at, Instant::from_nanos(8_000_000_000));
        circuit.handle_timeout(&rules, Instant::from_nanos(at.as_nanos() - 1), quiet);
        assert_eq!(circuit.state(&rules), BreakerState::Closed);
        circuit.handle_timeout(&rules, at, quiet);
        assert_eq!(circuit.state(&rules), BreakerState::Open);
    }
}
