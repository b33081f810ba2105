use std::sync::mpsc::{Receiver, Sender, channel};

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
    Arc::new(Shared {
        state: Mutex::new(State {
            monitor: Monitor::new(MonitorConfig::DEFAULT).unwrap(),
            since: Instant::ZERO,
            reason: None,
            stop: false,
        }),
        changed: Condvar::new(),
        clock: SystemClock::new(),
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
