//! A writer that is killed at every step of spool and ship, with the store up and down.
//!
//! A step is a call of the system that leaves a trace: a write to a file, a sync, a message to the server.
//! `strace` counts those of one kind, and kills the program as it enters the one of a number. Each life
//! has a spool of its own, so its making is among the steps.

use std::ops::Range;
use std::process::{Command, Stdio};

use crossbridge_harness::proxy::Proxy;

use crate::delivery::{Delivery, quick};

/// The calls that SQLite and the client of PostgreSQL make.
const STEPS: [&str; 6] = [
    "pwrite64",
    "fdatasync",
    "ftruncate",
    "unlink",
    "sendto",
    "recvfrom",
];

/// Events of a life.
const EVENTS: u32 = 20;

/// One writer after the other.
struct Lives {
    delivery: Delivery,
    proxy: Proxy,
    /// Events that are stored for certain.
    events: u32,
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
            events: 0,
            deaths: 0,
        }
    }

    fn next(&mut self) -> Range<u32> {
        let first = self.events;
        self.events += EVENTS;
        first..self.events
    }

    /// The store is reached from now on, or it is not.
    fn store(&self, up: bool) {
        let view = self.proxy.view();
        self.proxy.update(&view.listen, &view.upstream, up).unwrap();
    }

    /// Runs the program; whether it was killed before it had come to its end.
    fn dies(&mut self, command: &Command, step: &str, number: u32) -> bool {
        let mut traced = Command::new("strace");
        traced
            .args(["-f", "-qq", "-o", "/dev/null", "-e"])
            .arg(format!("trace={step}"))
            .arg("-e")
            .arg(format!("inject={step}:signal=KILL:when={number}"))
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(command.get_current_dir().unwrap())
            .envs(
                command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env_remove("CROSSBRIDGE_CONFIG")
            .stdin(Stdio::null());
        let output = traced.output().unwrap_or_else(|error| {
            panic!("cannot run strace: {error}; it is installed by: apt-get install -y strace")
        });
        let killed = output.status.code().is_none();
        self.deaths += u32::from(killed);
        assert!(
            killed || matches!(output.status.code(), Some(0 | 4)),
            "{step} {number}: {output:?}"
        );
        killed
    }

    /// Everybody who is left does what is to be done, and everything is looked for.
    fn recover(&self, events: Range<u32>, home: &str, what: &str) {
        self.store(true);
        let ran = self.delivery.run_in(home, &["status", "--format", "json"]);
        let status: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let kept = status["spooled"].as_u64().unwrap();
        let before = status["stored"].as_u64().unwrap();
        let ran = self.delivery.run_in(home, &["drain", "--format", "json"]);
        assert_eq!(ran.code, Some(0), "{what}: {ran:?}");
        let shipped: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let new = shipped["spool"]["shipped"]["new"].as_u64().unwrap();
        let there = shipped["spool"]["shipped"]["already_there"].as_u64().unwrap();
        assert_eq!(new + there, kept, "{what}: {ran:?}");
        assert!(before + new <= u64::from(self.events), "{what}");
        // Nobody was told that these are kept, so whoever sent them sends them again.
        let file = self.delivery.file(events);
        let ran = self.delivery.run_in(home, &["ingest", &file]);
        assert_eq!(ran.code, Some(0), "{what}: {ran:?}");
    }

    /// Kills one writer after the other at the steps of a kind, until one comes through.
    fn at_each(&mut self, step: &str, store_up: bool, prepare: bool, work: &str) {
        for number in 1.. {
            let what = format!(
                "{work}, store {}, {step} {number}",
                if store_up { "up" } else { "down" }
            );
            let home = what.replace([' ', ','], "-");
            let events = self.next();
            let file = self.delivery.file(events.clone());
            if prepare {
                self.store(false);
                let ran = self.delivery.run_in(&home, &["ingest", &file]);
                assert_eq!(ran.code, Some(4), "{what}: {ran:?}");
            }
            self.store(store_up);
            let arguments = if work == "ingest" {
                vec!["ingest", &file]
            } else {
                vec![work]
            };
            let command = self.delivery.command_in(&home, &arguments);
            let killed = self.dies(&command, step, number);
            self.recover(events, &home, &what);
            if !killed {
                break;
            }
        }
        self.delivery
            .exactly_once(self.events, &format!("{work} killed at {step}"));
    }
}

#[test]
fn a_writer_that_dies_while_it_spools() {
    let mut lives = Lives::new();
    for step in STEPS {
        lives.at_each(step, false, false, "ingest");
    }
    assert!(lives.deaths > 20, "{}", lives.deaths);
}

#[test]
fn a_writer_that_dies_while_it_writes() {
    let mut lives = Lives::new();
    for step in STEPS {
        lives.at_each(step, true, false, "ingest");
    }
    assert!(lives.deaths > 5, "{}", lives.deaths);
}

#[test]
fn a_shipper_that_dies() {
    let mut lives = Lives::new();
    for step in STEPS {
        lives.at_each(step, true, true, "drain");
    }
    assert!(lives.deaths > 15, "{}", lives.deaths);
}
