//! A server that is killed, shut down or frozen, and is back after a while, in an order drawn from a seed.

use std::time::Duration;

use crossbridge_core::draw::{SplitMix64, inclusive};
use crossbridge_core::{Clock as _, Sleeper as _};
use crossbridge_std::clock::SystemClock;
use crossbridge_std::servers::postgres::Options;
use crossbridge_std::servers::{Postgres, Signal};
use crossbridge_std::sleeper::ThreadSleeper;

use super::producers::Producers;
use super::say;

pub(super) struct Weather {
    pub(super) server: Postgres,
    rng: SplitMix64,
    pub(super) outages: u64,
}

/// Little to replay after a crash, so that it is back soon beside four busy threads.
pub(super) fn options() -> Options {
    Options::default().setting("max_wal_size", "256MB")
}

impl Weather {
    pub(super) const fn new(server: Postgres, seed: u64) -> Self {
        Self {
            server,
            rng: SplitMix64::new(seed),
            outages: 0,
        }
    }

    /// Until the producers end; then the server is there.
    pub(super) fn run(mut self, producers: &Producers) -> Self {
        while self.pass(UP, producers) {
            let signal = match inclusive(0, 2, &mut self.rng) {
                0 => Signal::KILL,
                1 => Signal::QUIT,
                _ => Signal::STOP,
            };
            self.outages += 1;
            say(format_args!("signal {} to the server", signal.as_raw()));
            if signal == Signal::STOP {
                self.server.signal(signal).unwrap();
                self.pass(AWAY, producers);
                self.server.signal(Signal::CONT).unwrap();
            } else {
                self.server.kill(signal).unwrap();
                self.pass(AWAY, producers);
                self.server.restart().unwrap();
            }
            say(format_args!("the server is back"));
        }
        self
    }

    /// Lets a span of these seconds pass; whether it did before the end.
    fn pass(&mut self, (least, most): (u64, u64), producers: &Producers) -> bool {
        let clock = SystemClock::new();
        let span = Duration::from_secs(inclusive(least, most, &mut self.rng));
        let until = clock.now().saturating_add(span);
        while clock.now() < until && !producers.ended() {
            ThreadSleeper.sleep(Duration::from_millis(100));
        }
        !producers.ended()
    }
}

/// Seconds that it is there: long enough to be found again, which takes half a minute after long outages.
const UP: (u64, u64) = (10, 40);

/// Seconds that it is not.
const AWAY: (u64, u64) = (10, 60);
