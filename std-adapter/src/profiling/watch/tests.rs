use std::sync::mpsc::{Receiver, Sender, channel};

use crossbridge_core::draw::SplitMix64;

use super::*;
use crate::profiling::store::{MemoryStore, Trouble};
use crate::profiling::{Event, EventType};

/// Longer than any test takes: nothing here waits for it.
const LONG: Duration = Duration::from_secs(3_600);

/// A store whose checks wait until they are told to fail or to pass.
struct Scripted(Receiver<bool>);

impl EventStore for Scripted {
    fn write(&mut self, _: &[Event], _: Option<Duration>) -> Result<Written, StoreError> {
        match self.0.recv() {
            Ok(true) => Ok(Written::default()),
            Ok(false) | Err(_) => Err(failure(FaultKind::Transient)),
        }
    }

    fn count(&mut self) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn get(&mut self, _: &str) -> Result<Option<Event>, StoreError> {
        Ok(None)
    }
}

fn failure(kind: FaultKind) -> StoreError {
    StoreError {
        doing: "write",
        place: None,
        kind,
        trouble: Trouble::Scripted,
    }
}

fn scripted() -> (Sender<bool>, Prober) {
    let (script, steps) = channel();
    let mut store = Some(Scripted(steps));
    let open = move |_| store.take().ok_or_else(|| failure(FaultKind::Permanent));
    (script, Prober::start(LONG, open).unwrap())
}

fn shared() -> Arc<Shared> {
    watched(true)
}

fn watched(watched: bool) -> Arc<Shared> {
    Arc::new(Shared {
        state: Mutex::new(State {
            monitor: Monitor::new(MonitorConfig::DEFAULT).unwrap(),
            since: Instant::ZERO,
            reason: None,
            stop: false,
        }),
        changed: Condvar::new(),
        clock: SystemClock::new(),
        watched,
    })
}

#[test]
fn a_store_that_hangs_is_given_up_and_asked_no_more_until_it_answers() {
    let (script, prober) = scripted();
    assert!(matches!(
        prober.check(Duration::ZERO),
        Err(NoAnswer::TimedOut(Duration::ZERO))
    ));
    assert!(matches!(prober.check(LONG), Err(NoAnswer::StillBusy)));
    script.send(false).unwrap();
    // It is free once the late answer is there.
    while prober.busy() {
        std::thread::yield_now();
    }
    script.send(true).unwrap();
    assert!(prober.check(LONG).is_ok());
    script.send(false).unwrap();
    assert!(matches!(prober.check(LONG), Err(NoAnswer::Failed(_))));
}

#[test]
fn real_writes_are_evidence_unless_the_events_are_at_fault() {
    let shared = shared();
    let witness = Witness(Arc::clone(&shared));
    let events = [Event::new("id", "run", "test", EventType::TestEnd)];
    let mut memory = MemoryStore::new();
    memory.fail_next([
        FaultKind::Permanent,
        FaultKind::Unknown,
        FaultKind::Transient,
        FaultKind::Transient,
    ]);
    let mut store = witness.witnessed(memory);
    let health = || shared.lock().monitor.health();
    store.write(&events, None).unwrap_err();
    assert_eq!(health(), Health::Unknown, "the event may be at fault");
    for _ in 0..3 {
        store.write(&events, None).unwrap_err();
    }
    assert_eq!(health(), Health::Unhealthy);
    assert!(
        shared
            .lock()
            .reason
            .as_deref()
            .unwrap()
            .contains("scripted failure")
    );
    store.write(&events, None).unwrap();
    store.write(&events, None).unwrap();
    store.write(&events, None).unwrap();
    store.write(&events, None).unwrap();
    assert_eq!(health(), Health::Healthy);
}

#[test]
fn what_is_not_watched_has_no_evidence() {
    let shared = watched(false);
    let mut store = Witness(Arc::clone(&shared)).witnessed(MemoryStore::new());
    let events = [Event::new("id", "run", "test", EventType::TestEnd)];
    store.write(&events, None).unwrap();
    assert_eq!(shared.lock().monitor.health(), Health::Unknown);
}

/// Twenty minutes of a store: it works, hangs, works slowly and works again.
#[test]
fn the_schedule_finds_what_a_store_does_in_virtual_time() {
    let config = MonitorConfig::DEFAULT;
    let second = Duration::from_secs(1);
    let at = |seconds: u64| Instant::ZERO.saturating_add(second * u32::try_from(seconds).unwrap());
    let shared = shared();
    let (mut state, mut rng) = (shared.lock(), SplitMix64::new(7));
    let (mut now, mut seen, mut probes) = (Instant::ZERO, vec![Health::Unknown], 0);
    while now < at(1_200) {
        match state.next(&config, now, &mut rng) {
            Next::Probe(probe) => {
                probes += 1;
                let (took, answer) = if (at(300)..at(600)).contains(&now) {
                    (config.timeout, Err(NoAnswer::TimedOut(config.timeout)))
                } else if (at(600)..at(900)).contains(&now) {
                    (config.timeout * 3 / 4, Ok(()))
                } else {
                    (Duration::from_millis(1), Ok(()))
                };
                let began = now;
                now = now.saturating_add(took);
                state.on_answer(&config, began, now, probe, answer);
            }
            Next::WaitUntil(until) => {
                assert!(until > now, "it waits until {until} at {now}");
                now = until;
            }
            Next::End => unreachable!("nobody has stopped it"),
        }
        let health = state.monitor.health();
        if seen.last() != Some(&health) {
            seen.push(health);
        }
    }
    let expected = [
        Health::Unknown,
        Health::Healthy,
        Health::Degraded,
        Health::Unhealthy,
        Health::Degraded,
        Health::Healthy,
    ];
    assert_eq!(seen, expected);
    // One at the beginning, and then by the interval, jitter and slow answers apart.
    let most = 1_200 / config.interval.as_secs() * 2 + 1;
    assert!((10..=most).contains(&probes), "{probes} probes");
    state.stop = true;
    assert!(matches!(state.next(&config, now, &mut rng), Next::End));
}
