//! What the store cannot take goes to a spool, and the input goes on.

use crossbridge_std::profiling::ingest::{Keep, KeepError};

use super::*;

/// Keeps what it is given, or nothing any more.
#[derive(Debug, Default)]
struct Shelf {
    kept: Vec<Event>,
    buried: Vec<String>,
    room: Option<usize>,
}

impl Keep for Shelf {
    fn keep(&mut self, events: &[Event]) -> Result<u64, KeepError> {
        if self
            .room
            .is_some_and(|room| self.kept.len() + events.len() > room)
        {
            return Err("no room".into());
        }
        self.kept.extend_from_slice(events);
        Ok(0)
    }

    fn bury(&mut self, event: &Event, _reason: &StoreError) -> Result<(), KeepError> {
        self.buried.push(event.test_id.clone());
        Ok(())
    }
}

#[test]
fn what_the_store_cannot_take_is_kept_and_the_input_goes_on() {
    let (mut store, mut shelf, time) = (Moody::default(), Shelf::default(), VirtualTime::default());
    store.dies = Some((2, FaultKind::Transient));
    store.never = ["t1".to_owned()].into();
    let mut guard = Guard::new(CONFIG).unwrap();
    let mut ingest = Ingest::new(&mut store, &mut guard)
        .batch_events(4)
        .keeping_in(&mut shelf);
    let counts = ingest
        .run(
            &mut open(&lines(4_000)),
            &time,
            &mut &time,
            &mut SplitMix64::new(7),
            |_| {},
        )
        .unwrap();
    assert!(ingest.trouble().is_some());
    assert_eq!((counts.read, counts.unwritten()), (4_000, 0));
    assert_eq!(counts.stored() + counts.refused + counts.spooled, 4_000);
    // One call with all the patience of the policies, not a thousand; time does not pass meanwhile.
    let cycle = Duration::from_secs(2 + 6);
    assert_eq!(time.now(), Instant::ZERO.saturating_add(cycle));
    assert!(store.writes.len() <= 6, "{:?}", store.writes);
    assert_eq!(u64::try_from(shelf.kept.len()).unwrap(), counts.spooled);
}

#[test]
fn a_store_that_is_back_is_noticed_in_the_middle_of_the_input() {
    /// A clock that moves on by a tenth of a second whenever it is read.
    #[derive(Debug, Default)]
    struct Ticking(VirtualTime);
    impl Clock for Ticking {
        fn now(&self) -> Instant {
            (&self.0).sleep(Duration::from_millis(100));
            self.0.now()
        }
    }
    let (mut store, mut shelf, clock) = (Moody::default(), Shelf::default(), Ticking::default());
    // The first batch, the whole cycle of the second, and two attempts after that.
    store.faults = std::iter::once(None)
        .chain([Some(FaultKind::NotSent); 5])
        .collect();
    let mut guard = Guard::new(CONFIG).unwrap();
    let mut ingest = Ingest::new(&mut store, &mut guard)
        .batch_events(1)
        .keeping_in(&mut shelf);
    let mut sleeper = &clock.0;
    let counts = ingest
        .run(
            &mut open(&lines(400)),
            &clock,
            &mut sleeper,
            &mut SplitMix64::new(7),
            |_| {},
        )
        .unwrap();
    assert!(ingest.trouble().is_none());
    assert_eq!((counts.new + counts.spooled, counts.retries), (400, 2));
    // Rests of 1 s, then of ten times what the attempt took.
    assert!((100..200).contains(&counts.spooled), "{counts:?}");
    let kept: Vec<_> = shelf.kept.iter().map(|event| event.test_id.as_str()).collect();
    assert_eq!((kept.first(), kept.contains(&"t0")), (Some(&"t1"), false));
}

#[test]
fn refused_events_are_buried_and_a_shelf_without_room_ends_the_input() {
    let (mut store, mut shelf, time) = (Moody::default(), Shelf::default(), VirtualTime::default());
    store.never = ["t2".to_owned()].into();
    store.dies = Some((12, FaultKind::Transient));
    shelf.room = Some(8);
    let mut guard = Guard::new(CONFIG).unwrap();
    let mut ingest = Ingest::new(&mut store, &mut guard)
        .batch_events(4)
        .keeping_in(&mut shelf);
    let error = ingest
        .run(
            &mut open(&lines(100)),
            &time,
            &mut &time,
            &mut SplitMix64::new(7),
            |_| {},
        )
        .unwrap_err();
    let Cause::Spool {
        error: why,
        store: Some(_),
    } = &*error.cause
    else {
        panic!("{error}")
    };
    assert_eq!(why.to_string(), "no room");
    assert_eq!((error.counts.spooled, error.counts.unwritten()), (8, 4));
    assert_eq!(error.counts.read, error.counts.stored() + 1 + 8 + 4);
    let text = error.to_string();
    assert!(
        text.starts_with("neither the store nor the spool could be used: "),
        "{text}"
    );
    assert_eq!(shelf.buried, ["t2"]);
}
