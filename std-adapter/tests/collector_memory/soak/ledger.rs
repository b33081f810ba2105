//! What is looked at twice a second, and the line of figures that a minute of it makes.

use std::time::Duration;

use crossbridge_core::Clock as _;
use crossbridge_std::clock::SystemClock;
use crossbridge_std::profiling::collector::{Account, Collector, Ended};
use crossbridge_std::profiling::{CollectorSettings, Overflow};

use super::producers::{Producers, THREADS};
use super::{LOOK, SPOOLED, Soak, say};
use crate::{BESIDE, BOUND, HEAP};

pub(super) struct Ledger {
    soak: Soak,
    /// The heap before there was a collector.
    before: usize,
    account: Account,
    refused: u64,
    /// The highest of this minute.
    in_memory: u64,
    resident: u64,
    /// The most that was stored from one look to the next.
    shipped: u64,
    /// What the longest look of this minute took.
    longest_look: Duration,
    /// The highest of the first minute.
    first_resident: Option<u64>,
}

impl Ledger {
    pub(super) fn new(soak: Soak, before: usize) -> Self {
        HEAP.reset_peak_usage();
        Self {
            soak,
            before,
            account: Account::default(),
            refused: 0,
            in_memory: 0,
            resident: 0,
            shipped: 0,
            longest_look: Duration::ZERO,
            first_resident: None,
        }
    }

    /// What was where when it was looked at last.
    pub(super) const fn account(&self) -> Account {
        self.account
    }

    /// Looks at everything once.
    pub(super) fn look(&mut self, collector: &Collector, producers: &Producers) {
        let clock = SystemClock::new();
        let least = producers.accepted();
        let began = clock.now();
        let account = collector.account();
        let took = clock.now().saturating_duration_since(began);
        // Each thread may be about to count one more.
        let most = producers.accepted() + u64::try_from(THREADS).unwrap();
        assert!(
            (least..=most).contains(&account.recorded),
            "{least} to {most}: {account:?}"
        );
        self.shipped = self.shipped.max(account.stored - self.account.stored);
        self.check(account);
        let peak = HEAP.peak_usage().saturating_sub(self.before);
        assert!(peak <= BOUND + BESIDE, "{peak} bytes, {account:?}");
        self.in_memory = self.in_memory.max(account.in_memory);
        self.resident = self.resident.max(resident());
        self.longest_look = self.longest_look.max(took);
    }

    /// The books, for themselves and after those of the last look.
    fn check(&mut self, account: Account) {
        let last = std::mem::replace(&mut self.account, account);
        assert!(account.balance(), "{account:?}");
        // One collector, one spool: what one has taken, the other has.
        assert_eq!(account.accepted, account.recorded, "{account:?}");
        assert!(
            account.recorded >= last.recorded && account.stored >= last.stored,
            "{last:?}, {account:?}"
        );
        assert!(account.lost >= last.lost, "{last:?}, {account:?}");
        assert!(
            account.in_memory <= CollectorSettings::DEFAULT.queue_events,
            "{account:?}"
        );
        assert!(account.spooled <= SPOOLED, "{account:?}");
        // Nothing is refused by this store, and a full memory drops nothing.
        assert_eq!((account.dead_lettered, account.dropped), (0, 0), "{account:?}");
        if account.lost > 0 {
            assert_eq!(self.soak.overflow, Overflow::DropOldest, "{account:?}");
            // Nobody lets events go but to make room.
            assert!(self.soak.server || account.spooled == SPOOLED, "{account:?}");
        }
        assert!(self.soak.server || account.stored == 0, "{account:?}");
    }

    /// The line of a minute, and what holds for each.
    pub(super) fn end_minute(&mut self, minute: u64, producers: &Producers) {
        let peak = HEAP.peak_usage().saturating_sub(self.before);
        HEAP.reset_peak_usage();
        let (account, spans) = (self.account, producers.take_spans());
        let refused = producers.refused();
        let [median, most, longest] = [0.5, 0.99, 1.0].map(|share| spans.value_at_quantile(share));
        assert!(
            median <= MEDIAN && most <= MOST && longest <= LONGEST,
            "{median} {most} {longest}"
        );
        say(format_args!(
            "minute {minute}: accepted {} stored {} spooled {} lost {} refused {}; \
             in memory at most {} events, heap {} MiB, process {} MiB; shipped at most {}/s; record p50 {median} ns, p99 {most} ns, \
             longest {} us; longest look {} ms",
            account.accepted,
            account.stored,
            account.spooled,
            account.lost,
            refused - self.refused,
            self.in_memory,
            peak >> 20,
            self.resident >> 10,
            self.shipped * 1_000 / u64::try_from(LOOK.as_millis()).unwrap(),
            longest / 1_000,
            self.longest_look.as_millis(),
        ));
        let first = *self.first_resident.get_or_insert(self.resident);
        assert!(
            self.resident <= first + GROWTH,
            "{} KiB, {first} KiB in the first minute",
            self.resident
        );
        (self.in_memory, self.resident, self.shipped) = (0, 0, 0);
        self.longest_look = Duration::ZERO;
        self.refused = refused;
    }

    /// What a collector leaves.
    pub(super) fn end(&mut self, ended: &Ended, producers: &Producers) {
        self.check(ended.account);
        assert_eq!(ended.account.accepted, producers.accepted(), "{ended:?}");
        assert_eq!(u64::try_from(ended.left.len()), Ok(ended.account.in_memory));
        if self.soak.server {
            assert_eq!(
                (ended.account.spooled, ended.account.in_memory),
                (0, 0),
                "{:?}",
                ended.account
            );
        }
        say(format_args!("{:?}", ended.account));
    }
}

/// The memory of this process in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim_end_matches("kB").trim().parse().unwrap()
}

/// What `record` takes in nanoseconds, where it accepts: half a microsecond is usual. A thread that loses its
/// processor in the middle makes the others: whoever waited for a disk or a server would wait for longer.
const MEDIAN: u64 = 5_000;
const MOST: u64 = 1_000_000;
const LONGEST: u64 = 2_000_000_000;

/// KiB by which the process may be larger than in its first minute: what glibc's arenas, one for each thread,
/// do not give back. Up to 11 MiB were seen, and none with `MALLOC_ARENA_MAX=1`.
const GROWTH: u64 = 16 << 10;
