//! Writers that are killed at every step of spool and ship: what was acknowledged is stored, once.
//!
//! Each test starts this program again as a writer, `writer` below, which records into a collector
//! and says on stdout what was acknowledged. It ends by SIGKILL from outside, or by aborting at a step
//! of its store. Then somebody else ships what it has left, and everything is looked for.
#![cfg(all(feature = "sqlite", feature = "postgres", feature = "servers"))]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::{Guard, GuardConfig, RetryPolicy};
use crossbridge_std::clock::SystemClock;
use crossbridge_std::entropy;
use crossbridge_std::profiling::collector::{Collector, Recorded};
use crossbridge_std::profiling::deliver::Patience;
use crossbridge_std::profiling::spool::drain;
use crossbridge_std::profiling::{
    CollectorSettings, Event, EventStore, EventType, Limits, SpoolPlace, StoreError, StoreUrl, Written,
};
use crossbridge_std::servers::postgres::Options;
use crossbridge_std::servers::{Postgres, Signal};
use crossbridge_std::sleeper::ThreadSleeper;

const POLICIES: GuardConfig = GuardConfig {
    retry: RetryPolicy::QUICK,
    idempotent: true,
    ..GuardConfig::DEFAULT
};

/// Longer than anything here takes on a loaded machine.
const LONG: Duration = Duration::from_secs(60);

/// Where a store aborts its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Never,
    /// Before the write of that number.
    Before(u32),
    /// After it: the store has the batch, and the spool does not know.
    After(u32),
}

impl Step {
    fn parse(text: &str) -> Self {
        match text.split_once(':') {
            Some(("before", number)) => Self::Before(number.parse().unwrap()),
            Some(("after", number)) => Self::After(number.parse().unwrap()),
            _ => Self::Never,
        }
    }
}

/// A store that ends its process as a power cut would.
struct Mortal<S> {
    store: S,
    step: Step,
    writes: u32,
}

impl<S: EventStore> EventStore for Mortal<S> {
    fn write(&mut self, batch: &[Event], timeout: Option<Duration>) -> Result<Written, StoreError> {
        self.writes += 1;
        if self.step == Step::Before(self.writes) {
            std::process::abort();
        }
        let written = self.store.write(batch, timeout);
        if self.step == Step::After(self.writes) {
            std::process::abort();
        }
        written
    }

    fn count(&mut self) -> Result<u64, StoreError> {
        self.store.count()
    }

    fn get(&mut self, event_id: &str) -> Result<Option<Event>, StoreError> {
        self.store.get(event_id)
    }
}

/// A store, and where its spool is.
#[derive(Clone, Debug)]
struct Target {
    state: PathBuf,
    url: StoreUrl,
}

impl Target {
    fn new(state: &Path, url: &str) -> Self {
        Self {
            state: state.to_owned(),
            url: url.parse().unwrap(),
        }
    }

    fn sqlite(state: &Path) -> Self {
        Self::new(state, &format!("sqlite:{}", state.join("events.db").display()))
    }

    /// In a schema of its own.
    fn postgres(state: &Path, server: &Postgres, name: &str) -> Self {
        let schema = name.replace(':', "_");
        Self::new(state, &format!("{}?schema={schema}", server.url("postgres")))
    }

    fn place(&self) -> SpoolPlace {
        SpoolPlace::new(&self.state, &self.url.key(), Limits::DEFAULT)
    }
}

/// The program that is killed: not a test, but started by them as one.
#[test]
#[ignore = "started by the other tests, with what it needs in its environment"]
fn writer() {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let state = PathBuf::from(variable("ZERO_LOSS_STATE"));
    if state.as_os_str().is_empty() {
        return;
    }
    let (name, step) = (
        variable("ZERO_LOSS_NAME"),
        Step::parse(&variable("ZERO_LOSS_STEP")),
    );
    let events: u32 = variable("ZERO_LOSS_EVENTS").parse().unwrap();
    let target = Target::new(&state, &variable("ZERO_LOSS_STORE"));
    let place = target.place();
    let collector = Collector::start(CollectorSettings::DEFAULT, place, POLICIES, move |timeout| {
        Ok(Mortal {
            store: target.url.open(timeout)?,
            step,
            writes: 0,
        })
    })
    .unwrap();
    let mut stdout = std::io::stdout();
    for number in 0..events {
        let id = format!("{name}-{number}");
        let event = Event::new(
            id.clone(),
            "run",
            format!("test {}", number / 3),
            EventType::StepEnd,
        );
        // Most are recorded in passing, and acknowledged by the next durable one.
        if number % 5 < 4 {
            assert_eq!(collector.record(event), Recorded::Accepted);
            continue;
        }
        collector.record_durable(event, LONG).unwrap();
        let acknowledged: String = (number - 4..=number)
            .map(|number| format!("ack {name}-{number}\n"))
            .collect();
        stdout.write_all(acknowledged.as_bytes()).unwrap();
        stdout.flush().unwrap();
    }
    let ended = collector.shutdown(LONG);
    assert!(ended.account.balance() && ended.left.is_empty(), "{ended:?}");
}

fn start(target: &Target, name: &str, step: &str, events: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "writer",
            "--ignored",
            "--nocapture",
            "--test-threads",
            "1",
        ])
        .env("ZERO_LOSS_STATE", &target.state)
        .env("ZERO_LOSS_STORE", target.url.to_string())
        .env("ZERO_LOSS_NAME", name)
        .env("ZERO_LOSS_STEP", step)
        .env("ZERO_LOSS_EVENTS", events.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The ids that a writer acknowledges before it ends; killed after so many of them.
fn acknowledged(mut child: Child, kill_after: usize) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    for line in stdout.lines() {
        let line = line.unwrap();
        // The test program writes lines of its own.
        if let Some(at) = line.find("ack ") {
            ids.insert(line[at + 4..].to_owned());
        }
        if ids.len() == kill_after {
            child.kill().unwrap();
        }
    }
    let _ = child.wait().unwrap();
    ids
}

/// Ships what is left, and looks for what was acknowledged.
fn recover(target: &Target, acknowledged: &BTreeSet<String>, what: &str) {
    let mut place = target.place();
    let mut store = target.url.open(None).unwrap();
    let mut guard = Guard::new(POLICIES).unwrap();
    let spool = place.open().unwrap();
    assert!(spool.set_aside().is_empty(), "{what}: {:?}", spool.set_aside());
    assert!(spool.counts().unwrap().balance(), "{what}");
    drain(
        spool,
        &mut store,
        &mut guard,
        &SystemClock::new(),
        &mut ThreadSleeper,
        &mut entropy::generator(),
        Patience::Policies,
        |_| {},
    )
    .unwrap();
    let counts = spool.counts().unwrap();
    assert!(counts.balance(), "{what}: {counts:?}");
    assert_eq!(
        (counts.spooled, counts.lost, counts.dead_letters),
        (0, 0, 0),
        "{what}"
    );
    for id in acknowledged {
        assert!(
            store.get(id).unwrap().is_some(),
            "{what}: {id} is acknowledged and gone"
        );
    }
    // Everything that was accepted is there, and nothing twice: the store keeps one per id.
    assert_eq!(store.count().unwrap(), counts.accepted, "{what}");
}

#[test]
fn a_writer_that_dies_at_a_step_of_its_store_loses_nothing() {
    let server = server();
    for step in ["before:1", "after:1", "before:2", "after:2", "after:5"] {
        let state = tempfile::tempdir().unwrap();
        for target in [
            Target::sqlite(state.path()),
            Target::postgres(state.path(), &server, step),
        ] {
            let ids = acknowledged(start(&target, "w", step, 4_000), usize::MAX);
            assert!(ids.len() < 4_000, "{step}: it was not killed");
            recover(&target, &ids, step);
        }
    }
}

#[test]
fn a_writer_that_is_killed_at_any_moment_loses_nothing() {
    let seed = 20_261_122;
    let server = server();
    let state = tempfile::tempdir().unwrap();
    for target in [
        Target::sqlite(state.path()),
        Target::postgres(state.path(), &server, "any"),
    ] {
        let mut rng = SplitMix64::new(seed);
        let mut all = BTreeSet::new();
        // One after the other on the same spool: what one leaves, the next one ships on.
        for life in 0..8 {
            let after = 5 + usize::try_from(rand_core::Rng::next_u64(&mut rng) % 300).unwrap();
            let child = start(&target, &format!("w{life}"), "", 4_000);
            all.extend(acknowledged(child, after));
        }
        assert!(all.len() < 8 * 4_000, "none was killed");
        recover(&target, &all, &format!("seed {seed}"));
    }
}

#[test]
fn several_processes_share_a_spool() {
    let server = server();
    let state = tempfile::tempdir().unwrap();
    for target in [
        Target::sqlite(state.path()),
        Target::postgres(state.path(), &server, "several"),
    ] {
        let children: Vec<_> = ["a", "b", "c"]
            .into_iter()
            .map(|name| start(&target, name, if name == "b" { "after:3" } else { "" }, 600))
            .collect();
        let readers: Vec<_> = children
            .into_iter()
            .map(|child| std::thread::spawn(move || acknowledged(child, usize::MAX)))
            .collect();
        let mut all = BTreeSet::new();
        for reader in readers {
            all.extend(reader.join().unwrap());
        }
        assert!(all.len() >= 1_200, "{}", all.len());
        recover(&target, &all, "three processes");
    }
}

/// The server dies under a collector, which goes on recording, and is back before it ends.
#[test]
fn a_collector_outlives_its_server() {
    let mut server = server();
    let state = tempfile::tempdir().unwrap();
    let target = Target::postgres(state.path(), &server, "outlived");
    let child = start(&target, "w", "", 1_500);
    let reader = std::thread::spawn(move || acknowledged(child, usize::MAX));
    let stored = "select count(*) > 0 from pg_class where relname = 'events'";
    while server.sql(stored).unwrap() != "t" {}
    server.kill(Signal::KILL).unwrap();
    server.restart().unwrap();
    server.kill(Signal::QUIT).unwrap();
    server.restart().unwrap();
    let all = reader.join().unwrap();
    assert_eq!(all.len(), 1_500);
    recover(&target, &all, "outlived");
}

fn server() -> Postgres {
    let options = Options {
        fsync: false,
        ..Options::default()
    };
    options.start().unwrap_or_else(|error| panic!("{error}"))
}
