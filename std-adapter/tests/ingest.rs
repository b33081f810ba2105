//! Reports into a store that fails in scripted ways, in virtual time.

#[path = "ingest/keep.rs"]
mod keep;

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::fmt::Write as _;
use std::io::{self, BufReader, Cursor, Read};
use std::time::Duration;

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::{
    Clock, Fault, FaultKind, Guard, GuardConfig, Instant, Jitter, RetryPolicy, Sleeper, StopReason,
};
use crossbridge_std::profiling::ingest::{BATCH_BYTES, Cause};
use crossbridge_std::profiling::store::Trouble;
use crossbridge_std::profiling::{
    Counts, Event, EventStore, Ingest, IngestError, MemoryStore, Notice, Options, Source, StoreError,
    Written, source,
};

/// Time that passes only by sleeping, which takes none.
#[derive(Debug, Default)]
struct VirtualTime(Cell<Instant>);

impl Clock for VirtualTime {
    fn now(&self) -> Instant {
        self.0.get()
    }
}

impl Sleeper for &VirtualTime {
    fn sleep(&mut self, span: Duration) {
        self.0.set(self.0.get().saturating_add(span));
    }
}

/// A store in memory with a script: faults by turn, events it never takes, an end of its life.
#[derive(Debug, Default)]
struct Moody {
    memory: MemoryStore,
    faults: VecDeque<Option<FaultKind>>,
    never: HashSet<String>,
    /// Writes it bears before nothing works any more, and how that looks.
    dies: Option<(usize, FaultKind)>,
    /// Sizes of the batches it was given, and the timeouts.
    writes: Vec<usize>,
    timeouts: Vec<Option<Duration>>,
}

impl Moody {
    fn fails(kind: FaultKind) -> StoreError {
        StoreError {
            doing: "write",
            place: None,
            kind,
            trouble: Trouble::Scripted,
        }
    }
}

impl EventStore for Moody {
    fn write(&mut self, batch: &[Event], timeout: Option<Duration>) -> Result<Written, StoreError> {
        self.writes.push(batch.len());
        self.timeouts.push(timeout);
        if let Some((life, kind)) = self.dies
            && self.writes.len() > life
        {
            return Err(Self::fails(kind));
        }
        let fault = self.faults.pop_front().flatten();
        if fault.is_some_and(|kind| kind != FaultKind::Unknown) {
            return Err(Self::fails(fault.unwrap_or(FaultKind::Transient)));
        }
        if batch.iter().any(|event| self.never.contains(&event.test_id)) {
            return Err(Self::fails(FaultKind::Permanent));
        }
        let written = self.memory.write(batch, timeout)?;
        // It is in, and nobody was told.
        fault.map_or(Ok(written), |kind| Err(Self::fails(kind)))
    }

    fn count(&mut self) -> Result<u64, StoreError> {
        self.memory.count()
    }

    fn get(&mut self, event_id: &str) -> Result<Option<Event>, StoreError> {
        self.memory.get(event_id)
    }
}

const CONFIG: GuardConfig = GuardConfig {
    retry: RetryPolicy::CONSERVATIVE.jitter(Jitter::None),
    deadline: Some(Duration::from_secs(60)),
    attempt_timeout: Some(Duration::from_secs(5)),
    idempotent: true,
    ..GuardConfig::DEFAULT
};

fn lines(count: u32) -> String {
    let mut out = String::new();
    for number in 0..count {
        writeln!(
            out,
            r#"{{"run_id":"r","test_id":"t{number}","event_type":"test_end"}}"#
        )
        .unwrap();
    }
    out
}

fn open(text: &str) -> Source<Cursor<&str>> {
    source::open(Cursor::new(text), Options::named("events.jsonl")).unwrap()
}

/// One run in batches of `size`: how it ended, how long that took, and the notices in words.
fn run(
    store: &mut Moody,
    config: GuardConfig,
    size: usize,
    text: &str,
) -> (Result<Counts, IngestError>, Duration, Vec<String>) {
    let time = VirtualTime::default();
    let mut guard = Guard::new(config).unwrap();
    let mut told = Vec::new();
    let done = Ingest::new(store, &mut guard).batch_events(size).run(
        &mut open(text),
        &time,
        &mut &time,
        &mut SplitMix64::new(7),
        |notice| {
            told.push(match notice {
                Notice::Rejected(rejected) => format!("rejected {}", rejected.at),
                Notice::Warning(warning) => format!("warning {}", warning.at),
                Notice::Refused(event, reason) => format!("refused {}: {reason}", event.test_id),
                Notice::Stored(counts) => format!("stored {}", counts.stored()),
                Notice::Spooled(counts) => format!("spooled {}", counts.spooled),
            });
        },
    );
    (done, time.now().saturating_duration_since(Instant::ZERO), told)
}

#[test]
fn batches_are_full_and_the_last_one_is_not_forgotten() {
    let mut store = Moody::default();
    let (done, took, told) = run(&mut store, CONFIG, 4, &lines(10));
    let counts = done.unwrap();
    assert_eq!(
        (counts.read, counts.new, counts.attempts, counts.retries),
        (10, 10, 3, 0)
    );
    assert_eq!(store.writes, [4, 4, 2]);
    assert_eq!(told, ["stored 4", "stored 8", "stored 10"]);
    assert_eq!(took, Duration::ZERO);
    assert_eq!(store.timeouts, [CONFIG.attempt_timeout; 3]);

    let (done, ..) = run(&mut store, CONFIG, 4, &lines(10));
    let counts = done.unwrap();
    assert_eq!((counts.new, counts.already_there, counts.unwritten()), (0, 10, 0));
}

#[test]
fn a_transient_fault_costs_time_and_nothing_else() {
    let mut store = Moody {
        faults: [None, Some(FaultKind::Transient), Some(FaultKind::NotSent)].into(),
        ..Moody::default()
    };
    let (done, took, _) = run(&mut store, CONFIG, 4, &lines(10));
    let counts = done.unwrap();
    assert_eq!((counts.new, counts.attempts, counts.retries), (10, 5, 2));
    assert_eq!(took, Duration::from_secs(2 + 6));
    assert_eq!(store.writes, [4, 4, 4, 4, 2]);
}

#[test]
fn a_throttled_store_is_given_its_rest() {
    let policy = RetryPolicy {
        throttled_base_delay: Duration::from_secs(20),
        ..CONFIG.retry
    };
    let mut store = Moody {
        faults: [Some(FaultKind::Throttled)].into(),
        ..Moody::default()
    };
    let (done, took, _) = run(
        &mut store,
        GuardConfig {
            retry: policy,
            ..CONFIG
        },
        100,
        &lines(10),
    );
    assert_eq!(done.unwrap().new, 10);
    assert_eq!(took, Duration::from_secs(20));
}

#[test]
fn a_write_that_was_not_answered_is_repeated_and_counted_once() {
    let mut store = Moody {
        faults: [Some(FaultKind::Unknown)].into(),
        ..Moody::default()
    };
    let (done, ..) = run(&mut store, CONFIG, 100, &lines(10));
    let counts = done.unwrap();
    // Whose they are is not to be told any more; that they are there is.
    assert_eq!((counts.new, counts.already_there), (0, 10));
    assert_eq!(store.count().unwrap(), 10);

    // Not declared idempotent, it is not repeated, and the error says what is not known.
    let mut store = Moody {
        faults: [None, Some(FaultKind::Unknown)].into(),
        ..Moody::default()
    };
    let config = GuardConfig {
        idempotent: false,
        ..CONFIG
    };
    let error = run(&mut store, config, 4, &lines(10)).0.unwrap_err();
    assert!(error.uncertain());
    assert_eq!(
        error.to_string(),
        "the store could not be used: of 8 events read, 4 are stored, of 4 it is not known"
    );
}

#[test]
fn an_event_that_is_never_taken_does_not_hold_up_the_others() {
    let never = ["t3", "t4", "t70"].map(str::to_owned).into();
    let mut store = Moody {
        never,
        ..Moody::default()
    };
    let (done, took, told) = run(&mut store, CONFIG, 64, &lines(100));
    let counts = done.unwrap();
    assert_eq!(
        (counts.read, counts.new, counts.refused, counts.retries),
        (100, 97, 3, 0)
    );
    let refused: Vec<_> = told.iter().filter(|line| line.starts_with("refused")).collect();
    let reason = "write event store: scripted failure (permanent)";
    assert_eq!(
        refused,
        [3, 4, 70]
            .map(|number| format!("refused t{number}: {reason}"))
            .iter()
            .collect::<Vec<_>>()
    );
    // In the order of the input, in spite of the halving.
    let numbers: Vec<u32> = store
        .memory
        .events()
        .iter()
        .map(|event| event.test_id[1..].parse().unwrap())
        .collect();
    assert!(numbers.is_sorted());
    assert_eq!(took, Duration::ZERO);
    assert!(store.writes.len() < 50, "{:?}", store.writes);
}

#[test]
fn a_store_that_takes_nothing_refuses_no_event() {
    let mut store = Moody {
        dies: Some((1, FaultKind::Permanent)),
        ..Moody::default()
    };
    let (done, took, told) = run(&mut store, CONFIG, 4, &lines(10));
    let error = done.unwrap_err();
    assert_eq!(error.kind(), FaultKind::Permanent);
    assert_eq!(
        (
            error.counts.stored(),
            error.counts.refused,
            error.counts.unwritten()
        ),
        (4, 0, 4)
    );
    assert_eq!(told, ["stored 4"]);
    assert_eq!(took, Duration::ZERO);

    // The same with a single event.
    let mut store = Moody {
        dies: Some((0, FaultKind::Permanent)),
        ..Moody::default()
    };
    let error = run(&mut store, CONFIG, 4, &lines(1)).0.unwrap_err();
    assert_eq!((error.counts.refused, error.counts.unwritten()), (0, 1));
}

#[test]
fn a_store_that_dies_while_a_batch_is_halved_refuses_nobody_else() {
    for life in 0..30 {
        let mut store = Moody {
            never: ["t3".to_owned()].into(),
            dies: Some((life, FaultKind::Permanent)),
            ..Moody::default()
        };
        let (done, _, told) = run(&mut store, CONFIG, 16, &lines(16));
        let refused: Vec<_> = told.iter().filter(|line| line.starts_with("refused")).collect();
        assert!(
            refused.iter().all(|line| line.starts_with("refused t3:")),
            "{life}: {refused:?}"
        );
        match done {
            Ok(counts) => assert_eq!((counts.new, counts.refused), (15, 1), "{life}"),
            Err(error) => assert_eq!(error.counts.stored(), store.count().unwrap(), "{life}"),
        }
    }
}

#[test]
fn what_a_dead_store_has_kept_is_told_exactly_and_a_second_run_adds_the_rest() {
    let mut store = Moody {
        dies: Some((2, FaultKind::Transient)),
        ..Moody::default()
    };
    let error = run(&mut store, CONFIG, 4, &lines(20)).0.unwrap_err();
    let Cause::Store(cause) = &*error.cause else {
        panic!("{error}")
    };
    assert_eq!((cause.attempts, cause.reason), (3, StopReason::AttemptsExhausted));
    assert_eq!(error.counts.stored(), store.count().unwrap());
    assert_eq!(
        error.to_string(),
        "the store could not be used: of 12 events read, 8 are stored, 4 are not"
    );
    store.dies = None;
    let counts = run(&mut store, CONFIG, 4, &lines(20)).0.unwrap();
    assert_eq!((counts.new, counts.already_there), (12, 8));
    assert_eq!(store.count().unwrap(), 20);
}

#[test]
fn lines_that_are_no_events_are_told_and_the_others_stored() {
    let text = "{\"test_id\":\"a\",\"event_type\":\"test_end\"}\n{\n\n{\"test_id\":\"b\",\"event_type\":\"test_edn\"}\n{\"test_id\":\"c\",\"event_type\":\"test_end\"}\n";
    let (done, _, told) = run(&mut Moody::default(), CONFIG, 4, text);
    let counts = done.unwrap();
    assert_eq!(
        (counts.read, counts.new, counts.rejected, counts.warnings),
        (2, 2, 2, 1)
    );
    assert_eq!(told, ["warning 1:1", "rejected 2:1", "rejected 4:39", "stored 2"]);
}

#[test]
fn of_an_input_that_breaks_off_the_whole_lines_before_are_stored() {
    /// Ends in an error.
    struct Breaks;
    impl Read for Breaks {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::ConnectionReset))
        }
    }
    let text = lines(10);
    let input = BufReader::new(text.as_bytes().chain(Breaks));
    let mut source = source::open(input, Options::named("pipe")).unwrap();
    let (mut store, time) = (MemoryStore::new(), VirtualTime::default());
    let mut guard = Guard::new(CONFIG).unwrap();
    let mut ingest = Ingest::new(&mut store, &mut guard);
    let error = ingest
        .run(&mut source, &time, &mut &time, &mut SplitMix64::new(7), |_| {})
        .unwrap_err();
    assert!(
        matches!(&*error.cause, Cause::Source(cause) if cause.to_string() == "pipe:11:1: cannot be read")
    );
    assert_eq!((error.counts.stored(), store.count().unwrap()), (10, 10));
}

#[test]
fn large_events_make_small_batches() {
    let filler = "x".repeat(BATCH_BYTES / 2);
    let mut text = String::new();
    for number in 0..4 {
        let head = format!(r#"{{"run_id":"r","test_id":"t{number}","event_type":"test_end""#);
        writeln!(text, r#"{head},"metadata":{{"log":"{filler}"}}}}"#).unwrap();
    }
    let mut store = Moody::default();
    assert_eq!(run(&mut store, CONFIG, 500, &text).0.unwrap().new, 4);
    assert_eq!(store.writes, [2, 2]);
}

/// Whatever the store does: the books balance, nothing is counted that is not there, and running
/// again until it works ends with every event once.
#[test]
fn in_any_weather_the_books_balance() {
    let text = lines(60);
    for seed in 0..200 {
        let rng = RefCell::new(SplitMix64::new(seed));
        let draw = |below: u64| rand_core::Rng::next_u64(&mut *rng.borrow_mut()) % below;
        let never: HashSet<_> = (0..draw(4)).map(|_| format!("t{}", draw(60))).collect();
        let faults = (0..40)
            .map(|_| match draw(10) {
                0 => Some(FaultKind::Transient),
                1 => Some(FaultKind::Unknown),
                2 => Some(FaultKind::Permanent),
                3 => Some(FaultKind::Throttled),
                4 => Some(FaultKind::Overloaded),
                _ => None,
            })
            .collect();
        let mut store = Moody {
            never,
            faults,
            ..Moody::default()
        };
        let size = 1 + usize::try_from(draw(30)).unwrap();
        let mut runs = 0;
        let counts = loop {
            runs += 1;
            assert!(runs < 50, "seed {seed}");
            let calm = store.faults.is_empty();
            match run(&mut store, CONFIG, size, &text).0 {
                Ok(counts) => {
                    assert_eq!(counts.unwritten(), 0, "seed {seed}");
                    // A permanent fault of a single event looks like a refusal, while it lasts.
                    if calm {
                        break counts;
                    }
                }
                Err(error) => {
                    let counts = error.counts;
                    assert!(counts.stored() <= store.count().unwrap(), "seed {seed}");
                    assert_eq!(
                        counts.stored() + counts.refused + counts.unwritten(),
                        counts.read,
                        "seed {seed}"
                    );
                }
            }
        };
        assert_eq!(
            counts.refused,
            u64::try_from(store.never.len()).unwrap(),
            "seed {seed}"
        );
        assert_eq!(
            counts.already_there + counts.new + counts.refused,
            60,
            "seed {seed}"
        );
        assert_eq!(store.count().unwrap(), 60 - counts.refused, "seed {seed}");
    }
}
