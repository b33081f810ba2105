//! A process that is killed at the steps of spool and ship, with the store up and down.
//!
//! A step is a call of the system that leaves a trace: a write to a file, a sync, a message to the server.
//! `strace` counts those of one kind, and kills the program as it enters the one of a number. Each life
//! has a spool of its own, so its making is among the steps.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use crossbridge_core::draw::SplitMix64;
use crossbridge_harness::proxy::Proxy;
use rand_core::Rng as _;
use serde_json::Value;

use crate::delivery::{Delivery, quick, seed};

/// The calls that SQLite and the client of PostgreSQL make.
const STEPS: [&str; 6] = [
    "pwrite64",
    "fdatasync",
    "ftruncate",
    "unlink",
    "sendto",
    "recvfrom",
];

/// What a process is about.
const WORKS: [Work; 4] = [
    Work::new("ingest", false),
    Work::new("ingest", true),
    Work::new("drain", false),
    Work::new("drain", true),
];

/// Events of a life.
const EVENTS: u32 = 20;

/// One step in six, from another one on for each kind and work. `ZERO_LOSS_SEED` draws others.
#[test]
fn a_process_that_dies_at_some_steps() {
    let deaths = die(6);
    assert!(deaths > 15, "{deaths}");
}

/// By `./check --slow`.
#[test]
#[ignore = "takes half a minute"]
fn a_process_that_dies_at_any_step() {
    let deaths = die(1);
    assert!(deaths > 90, "{deaths}");
}

/// Every process that dies at a step of the stride; how many did.
fn die(stride: u32) -> u32 {
    let seed = seed(20_261_122);
    let mut rng = SplitMix64::new(seed);
    let mut lives = Lives::new();
    for work in WORKS {
        for (step, count) in lives.steps(work) {
            let first = u32::try_from(rng.next_u64() % u64::from(stride)).unwrap() + 1;
            for number in (first..=count).step_by(usize::try_from(stride).unwrap()) {
                lives.dies(work, step, number, seed);
            }
        }
        let what = format!("seed {seed}: {work:?}");
        lives.delivery.exactly_once(&what);
    }
    lives.deaths
}

#[derive(Clone, Copy, Debug)]
struct Work {
    /// What it is told to do: `drain` finds its events in the spool.
    command: &'static str,
    /// Whether the store is reached.
    store_up: bool,
}

impl Work {
    const fn new(command: &'static str, store_up: bool) -> Self {
        Self { command, store_up }
    }
}

/// One process after the other.
struct Lives {
    delivery: Delivery,
    proxy: Proxy,
    deaths: u32,
}

impl Lives {
    fn new() -> Self {
        let mut delivery = Delivery::with(quick());
        let upstream = delivery.server.address().to_string();
        let proxy = Proxy::start(1, "store", "127.0.0.1:0", &upstream, true).unwrap();
        delivery.through(&proxy);
        Self {
            delivery,
            proxy,
            deaths: 0,
        }
    }

    /// The store is reached from now on, or it is not.
    fn store(&self, up: bool) {
        let view = self.proxy.view();
        self.proxy.update(&view.listen, &view.upstream, up).unwrap();
    }

    /// How many steps of each kind a life has that nobody ends.
    fn steps(&mut self, work: Work) -> Vec<(&'static str, u32)> {
        let counts = self.delivery.place.path("counts");
        let path = counts.to_str().unwrap();
        let trace = format!("trace={}", STEPS.join(","));
        let killed = self.live(work, &["-c", "-o", path, "-e", &trace], &format!("{work:?}"));
        assert!(!killed, "{work:?}");
        let table = std::fs::read_to_string(counts).unwrap();
        let mut found = BTreeMap::new();
        for line in table.lines() {
            // Share, seconds, microseconds per call, calls, errors if any, name.
            let words: Vec<_> = line.split_whitespace().collect();
            if let [_, _, _, calls, .., name] = words[..] {
                found.insert(name, calls);
            }
        }
        let count = |step| found.get(step).map_or(0, |calls| calls.parse().unwrap());
        STEPS.map(|step| (step, count(step))).to_vec()
    }

    /// A life that ends as it enters the step of that number.
    fn dies(&mut self, work: Work, step: &str, number: u32, seed: u64) {
        let trace = format!("trace={step}");
        let inject = format!("inject={step}:signal=KILL:when={number}");
        let trace = ["-o", "/dev/null", "-e", &trace, "-e", &inject];
        let what = format!("seed {seed}: {work:?}, {step} {number}");
        let killed = self.live(work, &trace, &what);
        self.deaths += u32::from(killed);
    }

    /// A life and what comes after it; whether it was killed.
    fn live(&mut self, work: Work, trace: &[&str], what: &str) -> bool {
        let events = self.delivery.next(EVENTS);
        let home = format!("home-{}", events.start);
        let file = self.delivery.file(events);
        let ingest = ["ingest", &file];
        let mut arguments = ingest.as_slice();
        if work.command == "drain" {
            self.store(false);
            let ran = self.delivery.run_in(&home, &ingest);
            assert_eq!(ran.code, Some(4), "{what}: {ran:?}");
            arguments = &["drain"];
        }
        self.store(work.store_up);
        let killed = traced(&self.delivery.command_in(&home, arguments), trace, what);
        self.store(true);
        self.recover(&home, what);
        // Nobody was told that these are kept, so whoever sent them sends them again.
        let ran = self.delivery.run_in(&home, &ingest);
        assert_eq!(ran.code, Some(0), "{what}: {ran:?}");
        killed
    }

    /// The next shipper finds what was spooled, and the store takes no event twice.
    fn recover(&self, home: &str, what: &str) {
        let ran = self.delivery.run_in(home, &["status", "--format", "json"]);
        let status: Value = serde_json::from_str(&ran.stdout).unwrap();
        let kept = status["spooled"].as_u64().unwrap();
        let before = status["stored"].as_u64().unwrap();
        let ran = self.delivery.run_in(home, &["drain", "--format", "json"]);
        assert_eq!(ran.code, Some(0), "{what}: {ran:?}");
        let shipped: Value = serde_json::from_str(&ran.stdout).unwrap();
        let new = shipped["spool"]["shipped"]["new"].as_u64().unwrap();
        let there = shipped["spool"]["shipped"]["already_there"].as_u64().unwrap();
        assert_eq!(new + there, kept, "{what}: {ran:?}");
        assert!(before + new <= u64::from(self.delivery.events), "{what}");
    }
}

/// Runs the program under `strace`; whether it was killed before it had come to its end.
fn traced(command: &Command, trace: &[&str], what: &str) -> bool {
    let mut traced = Command::new("strace");
    let environment = command.get_envs();
    traced
        .args(["-f", "-qq"])
        .args(trace)
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(command.get_current_dir().unwrap())
        .envs(environment.filter_map(|(name, value)| Some((name, value?))))
        .env_remove("CROSSBRIDGE_CONFIG")
        .stdin(Stdio::null());
    let output = traced.output().unwrap_or_else(|error| {
        panic!("cannot run strace: {error}; it is installed by: apt-get install -y strace")
    });
    let code = output.status.code();
    assert!(matches!(code, None | Some(0 | 4)), "{what}: {output:?}");
    code.is_none()
}
