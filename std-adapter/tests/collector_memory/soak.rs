//! Minutes or hours of full load: four threads that record as fast as it takes, events of all sorts, and a
//! store that is away for long or never there.
//!
//! ```text
//!   4 threads ──▶ Collector ──▶ spool, full in seconds ──▶ PostgreSQL
//!        │            ▲                                        ▲
//!        │            │ twice a second                         │ killed, frozen, started again
//!        └──▶ Ledger ─┘ books, heap, what `record` took      Weather, drawn from a seed
//! ```
//!
//! `./check --slow` runs it; `SOAK_MINUTES` (3) says how long each takes, `SOAK_SEED` draws other weather.
//! An hour with a server leaves some ten gigabytes in the temporary directory until it ends.
//!
//! ```console
//! $ MALLOC_ARENA_MAX=1 SOAK_MINUTES=60 cargo test --release -p crossbridge-std --test collector_memory -- \
//!       --ignored --test-threads 1
//! ```

use std::fmt;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crossbridge_core::{Clock as _, Sleeper as _};
use crossbridge_std::clock::SystemClock;
use crossbridge_std::config::Config;
use crossbridge_std::profiling::collector::{Account, Collector};
use crossbridge_std::profiling::ingest::BATCH_EVENTS;
use crossbridge_std::profiling::{CollectorSettings, Limits, Overflow, SpoolPlace, StoreUrl};
use crossbridge_std::sleeper::ThreadSleeper;

use crate::{BOUND, HEAP};

mod ledger;
mod producers;
mod weather;

use ledger::Ledger;
use producers::{Producers, THREADS};
use weather::Weather;

#[test]
#[ignore = "takes minutes: ./check --slow"]
fn a_server_that_comes_and_goes_gets_every_event_once() {
    Soak {
        overflow: Overflow::Refuse,
        server: true,
    }
    .run();
}

#[test]
#[ignore = "takes minutes: ./check --slow"]
fn a_server_that_comes_and_goes_gets_what_is_not_counted_as_lost() {
    Soak {
        overflow: Overflow::DropOldest,
        server: true,
    }
    .run();
}

#[test]
#[ignore = "takes minutes: ./check --slow"]
fn a_store_that_is_never_there_costs_no_more_memory_in_the_last_minute_than_in_the_first() {
    Soak {
        overflow: Overflow::DropOldest,
        server: false,
    }
    .run();
}

/// What is soaked.
#[derive(Clone, Copy, Debug)]
struct Soak {
    /// What a full spool does. A full memory refuses.
    overflow: Overflow,
    /// Whether there is a server, now and then.
    server: bool,
}

impl Soak {
    fn run(self) {
        // The heap is one for all tests.
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let (minutes, seed) = (number("SOAK_MINUTES", 3), number("SOAK_SEED", 20_261_122));
        say(format_args!("{self:?}, {minutes} minutes, seed {seed}"));
        let server = self.server.then(|| {
            weather::options()
                .start()
                .unwrap_or_else(|error| panic!("{error}"))
        });
        // Nobody listens on port 1.
        let nowhere = "postgres://postgres@127.0.0.1:1/postgres".to_owned();
        let url = server.as_ref().map_or(nowhere, |server| server.url("postgres"));
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits {
            events: SPOOLED,
            overflow: self.overflow,
            ..Limits::DEFAULT
        };
        let settings = CollectorSettings {
            queue_bytes: u64::try_from(BOUND).unwrap(),
            ..CollectorSettings::DEFAULT
        };
        let producers = Producers::new();
        let mut ledger = Ledger::new(self, HEAP.current_usage());
        let collector = start(settings, SpoolPlace::new(directory.path(), "soak", limits), &url);
        let weather = server.map(|server| Weather::new(server, seed));
        let weather = std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (producers, collector) = (&producers, &collector);
                scope.spawn(move || producers.run(collector, thread));
            }
            let weather = weather.map(|weather| scope.spawn(|| weather.run(&producers)));
            // Also where the ledger finds something wrong, and panics: otherwise this scope never ends.
            let ending = producers.end_when_dropped();
            for minute in 1..=minutes {
                let clock = SystemClock::new();
                let until = clock.now().saturating_add(Duration::from_secs(60));
                while clock.now() < until {
                    ThreadSleeper.sleep(LOOK);
                    ledger.look(&collector, &producers);
                }
                ledger.end_minute(minute, &producers);
            }
            drop(ending);
            weather.map(|weather| weather.join().unwrap())
        });
        let patience = if self.server { LONG } else { Duration::ZERO };
        let ended = collector.shutdown(patience);
        ledger.end(&ended, &producers);
        if let Some(weather) = weather {
            arrived(&weather, ledger.account(), &producers);
        }
    }
}

/// With the policies that `profiling_storage` has where no file says otherwise.
fn start(settings: CollectorSettings, place: SpoolPlace, url: &str) -> Collector {
    let policies = Config::default().path("profiling_storage").unwrap().guard;
    let url: StoreUrl = url.parse().unwrap();
    Collector::start(settings, place, policies, move |timeout| url.open(timeout)).unwrap()
}

/// Every event that is not lost is there once, and nothing else is.
fn arrived(weather: &Weather, account: Account, producers: &Producers) {
    let question = "select thread, count(*), count(distinct number), min(number), max(number) from \
        (select split_part(event_id, '-', 3)::int as thread, split_part(event_id, '-', 5)::bigint as number \
         from profiling.profiling_events) as found group by thread order by thread";
    let answer = weather.server.sql(question).unwrap();
    let mut rows = 0;
    for (line, accepted) in answer.lines().zip(producers.accepted_by_thread()) {
        let numbers: Vec<u64> = line.split('|').map(|number| number.parse().unwrap()).collect();
        let [_, count, distinct, first, last] = numbers[..] else {
            panic!("{answer}");
        };
        assert_eq!(count, distinct, "{answer}");
        assert!(last < accepted, "{answer}: expected less than {accepted}");
        if account.lost == 0 {
            assert_eq!((count, first), (accepted, 0), "{answer}");
        }
        rows += count;
    }
    // A server that dies between a commit and its answer has a batch that may be dropped before it is back.
    let unknown = match account.lost {
        0 => 0,
        _ => weather.outages * u64::try_from(BATCH_EVENTS).unwrap(),
    };
    let expected = account.stored..=account.stored + unknown;
    assert!(expected.contains(&rows), "{answer}: expected {expected:?}");
    say(format_args!("{rows} events are in the server, each once"));
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

/// To whoever watches: also where the test is not told to show what it prints.
fn say(line: fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
}

static ALONE: Mutex<()> = Mutex::new(());

/// Events in the spool at most: full after seconds of full load, so every outage comes to that.
const SPOOLED: u64 = 200_000;

/// How often the ledger looks.
const LOOK: Duration = Duration::from_millis(500);

/// Longer than it takes to ship a full spool.
const LONG: Duration = Duration::from_secs(600);
