//! A bad day, drawn from a seed: server and writers are started, frozen, killed and cut off in any order.
//! Then the faults stop, and what the writers were told must be true.
//!
//! The seed fixes which steps follow each other, not what a process has come to when they happen; a story
//! that fails prints both.

use std::ops::Range;
use std::process::Child;
use std::time::Duration;

use crossbridge_core::Sleeper as _;
use crossbridge_core::draw::SplitMix64;
use crossbridge_harness::proxy::Proxy;
use crossbridge_harness::proxy::toxic::{Bytes, Direction, Effect, Toxic};
use crossbridge_std::servers::Signal;
use crossbridge_std::sleeper::ThreadSleeper;
use rand_core::Rng as _;

use crate::delivery::{Delivery, seed};

#[test]
fn a_bad_day_in_short() {
    Story::new(seed(20_261_122)).run(16);
}

/// By `./check --slow`; `ZERO_LOSS_SEED` is the first of its seeds.
#[test]
#[ignore = "takes some minutes"]
fn bad_days() {
    let seed = seed(1);
    for seed in seed..seed + 20 {
        Story::new(seed).run(60);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    Up,
    Frozen,
    Dead,
}

/// A writer under way, killed where nobody waits for it any more.
struct Writer {
    child: Child,
    events: Range<u32>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Story {
    seed: u64,
    rng: SplitMix64,
    delivery: Delivery,
    proxy: Proxy,
    server: Server,
    writers: Vec<Writer>,
    /// Events of writers that said they are kept.
    acknowledged: Vec<Range<u32>>,
    /// Events of writers that died.
    open: Vec<Range<u32>>,
    told: Vec<String>,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut delivery = Delivery::new();
        let upstream = delivery.server.address().to_string();
        let proxy = Proxy::start(seed, "store", "127.0.0.1:0", &upstream, true).unwrap();
        delivery.through(&proxy);
        Self {
            seed,
            rng: SplitMix64::new(seed),
            delivery,
            proxy,
            server: Server::Up,
            writers: Vec::new(),
            acknowledged: Vec::new(),
            open: Vec::new(),
            told: Vec::new(),
        }
    }

    fn run(mut self, steps: u32) {
        for _ in 0..steps {
            self.step();
            let pause = Duration::from_millis(self.draw(150));
            ThreadSleeper.sleep(pause);
        }
        self.heal();
        while !self.writers.is_empty() {
            self.wait_for_writer();
        }
        self.delivery.drain();
        let seed = self.seed;
        for range in &self.acknowledged {
            let question = format!(
                "select count(*) from profiling.events where (metadata ->> 'n')::int between {} and {}",
                range.start,
                range.end - 1
            );
            let found = self.delivery.server.sql(&question).unwrap();
            let told = self.told.join("\n");
            assert_eq!(
                found,
                range.len().to_string(),
                "seed {seed}: {range:?} was acknowledged\n{told}"
            );
        }
        for range in std::mem::take(&mut self.open) {
            let ran = self.delivery.write(range.clone(), "patient");
            assert_eq!(ran.code, Some(0), "seed {seed}: {ran:?}");
        }
        let what = format!("seed {seed}:\n{}", self.told.join("\n"));
        self.delivery.exactly_once(&what);
        assert_eq!(self.delivery.spooled(), 0, "{what}");
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.rng.next_u64() % below
    }

    fn step(&mut self) {
        let step = self.draw(10);
        match (step, self.server) {
            (0..=2, _) if self.writers.len() < 2 => self.write(),
            (3, _) if !self.writers.is_empty() => {
                let which = usize::try_from(self.draw(2)).unwrap() % self.writers.len();
                let writer = self.writers.swap_remove(which);
                self.say(&format!("kill the writer of {:?}", writer.events));
                // It may have ended in between, and then it may have said that they are kept.
                self.open.push(writer.events.clone());
            }
            (4, Server::Up) => {
                let signal = if self.draw(2) == 0 {
                    Signal::KILL
                } else {
                    Signal::QUIT
                };
                self.say(&format!("end the server by {signal:?}"));
                self.delivery.server.kill(signal).unwrap();
                self.server = Server::Dead;
            }
            (5, Server::Up) => {
                self.say("freeze the server");
                self.delivery.server.signal(Signal::STOP).unwrap();
                self.server = Server::Frozen;
            }
            (4..=6, Server::Frozen | Server::Dead) => self.revive(),
            (7, _) => {
                let bytes = self.draw(400_000) >> self.draw(12);
                let stream = if self.draw(3) == 0 {
                    Direction::Downstream
                } else {
                    Direction::Upstream
                };
                self.say(&format!(
                    "cut the next two connections after {bytes} bytes {stream:?}"
                ));
                let cut = Toxic {
                    effect: Effect::Cut(Bytes { bytes }),
                    name: "cut".to_owned(),
                    stream,
                    toxicity: 1.0,
                    first: Some(2),
                    every: None,
                };
                self.proxy.put_toxic(cut).unwrap();
            }
            (8, _) => {
                self.say("cut every connection, and refuse new ones for a moment");
                self.reach(false);
                self.reach(true);
            }
            (9, _) if !self.writers.is_empty() => self.wait_for_writer(),
            _ => self.say("nothing happens"),
        }
    }

    fn write(&mut self) {
        let count = 2_500 + u32::try_from(self.draw(4_000)).unwrap();
        let events = self.delivery.next(count);
        self.say(&format!("write {events:?}"));
        let child = self.delivery.start(events.clone(), "brief");
        self.writers.push(Writer { child, events });
    }

    /// A writer comes to its end by itself, whatever the server does.
    fn wait_for_writer(&mut self) {
        let mut writer = self.writers.swap_remove(0);
        let code = writer.child.wait().unwrap().code();
        self.say(&format!("the writer of {:?} ends with {code:?}", writer.events));
        assert!(
            matches!(code, Some(0 | 4)),
            "seed {}: {:#?}",
            self.seed,
            self.told
        );
        self.acknowledged.push(writer.events.clone());
    }

    fn revive(&mut self) {
        self.say("the server is back");
        match self.server {
            Server::Up => {}
            Server::Frozen => self.delivery.server.signal(Signal::CONT).unwrap(),
            Server::Dead => self.delivery.server.restart().unwrap(),
        }
        self.server = Server::Up;
    }

    /// Nothing is in the way any more.
    fn heal(&mut self) {
        self.proxy.retain_toxics(|_| false).unwrap();
        self.reach(true);
        self.revive();
    }

    fn reach(&self, enabled: bool) {
        let view = self.proxy.view();
        self.proxy.update(&view.listen, &view.upstream, enabled).unwrap();
    }

    fn say(&mut self, what: &str) {
        self.told.push(what.to_owned());
    }
}
