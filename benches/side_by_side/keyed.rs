//! A limiter per key, time given, every key owing something and none refused.

use std::cell::Cell;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crossbridge_benches::Ticks;
use crossbridge_core::draw::SplitMix64;
use crossbridge_core::rate_limit::KeyedLimiter;
use crossbridge_core::rate_limit::keyed::hash::KeyHash;
use crossbridge_core::rate_limit::keyed::{KeyedAnswer, Line, Overflow, SharedKeyedLimiter, SharedLine};
use crossbridge_core::{ConfigError, Instant, Quota};
use governor::clock::FakeRelativeClock;
use governor::{Quota as GovernorQuota, RateLimiter as Governor};

use crate::floors::{AtomicGcra, RawGcra, Steps};
use crate::lab::{Contestant, Kind, Row, Target};
use crate::shared::StepClock;

const FEW: usize = 1 << 10;
const SOME: usize = 1 << 16;
const MANY: usize = 1 << 20;

/// The rows that are wanted: the large ones take a while to fill.
pub(crate) fn rows(wanted: impl Fn(&str) -> bool) -> Result<Vec<Row>, ConfigError> {
    let mut rows = Vec::new();
    for (id, what, target, keys, picked) in [
        (
            "keyed-hot-number",
            "keyed, one hot key, u64",
            0.6,
            1,
            Picked::Evenly,
        ),
        (
            "keyed-few-number",
            "keyed, 1 024 keys, u64",
            0.5,
            FEW,
            Picked::Evenly,
        ),
        (
            "keyed-many-number",
            "keyed, 1 048 576 keys, u64",
            0.3,
            MANY,
            Picked::Evenly,
        ),
        (
            "keyed-zipf-number",
            "keyed, 1 048 576 keys, Zipf, u64",
            0.3,
            MANY,
            Picked::Zipf,
        ),
    ] {
        if wanted(id) {
            let keys: Rc<[u64]> = (0..keys as u64).collect();
            let order = Order::new(&keys, picked);
            rows.push(row(id, what, target, &order, |hash, key| hash.number(*key))?);
        }
    }
    for (id, what, target, keys, picked) in [
        (
            "keyed-hot-text",
            "keyed, one hot key, String",
            0.6,
            1,
            Picked::Evenly,
        ),
        (
            "keyed-few-text",
            "keyed, 1 024 keys, String",
            0.5,
            FEW,
            Picked::Evenly,
        ),
        (
            "keyed-many-text",
            "keyed, 1 048 576 keys, String",
            0.3,
            MANY,
            Picked::Evenly,
        ),
        (
            "keyed-zipf-text",
            "keyed, 1 048 576 keys, Zipf, String",
            0.3,
            MANY,
            Picked::Zipf,
        ),
    ] {
        if wanted(id) {
            let keys: Rc<[String]> = (0..keys).map(|key| format!("user-{key:08}")).collect();
            let order = Order::new(&keys, picked);
            rows.push(row(id, what, target, &order, |hash, key: &String| {
                hash.text(key)
            })?);
        }
    }
    for (id, what, target, crowd) in [
        (
            "keyed-two-threads",
            "keyed, 65 536 keys, two threads, per permit of both",
            1.0 / 3.0,
            None,
        ),
        (
            "keyed-foreign",
            "a key for each of two threads beside 5 000 others, per permit of both",
            1.0 / 3.0,
            Some(5_000),
        ),
    ] {
        if wanted(id) {
            rows.push(two_threads(id, what, target, crowd)?);
        }
    }
    Ok(rows)
}

/// How the next key is chosen.
#[derive(Clone, Copy)]
enum Picked {
    /// All of them once each, over and over, in an order that no cache guesses.
    Evenly,
    /// The k-th in `1 / k` of the cases, as users and pages are (Zipf, 1949).
    Zipf,
}

/// Keys in a fixed order.
#[derive(Clone)]
struct Order<K> {
    keys: Rc<[K]>,
    /// Empty: as the generator says.
    picks: Rc<[u32]>,
    at: usize,
}

impl<K> Order<K> {
    fn new(keys: &Rc<[K]>, picked: Picked) -> Self {
        let picks = match picked {
            Picked::Evenly => Rc::default(),
            Picked::Zipf => zipf(keys.len()),
        };
        Self {
            keys: Rc::clone(keys),
            picks,
            at: 0,
        }
    }

    /// A congruential generator of full period over a power of two (Hull and Dobell, 1962).
    fn next(&mut self) -> (usize, &K) {
        let mask = self.keys.len() - 1;
        self.at = if self.picks.is_empty() {
            self.at.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) & mask
        } else {
            (self.at + 1) & mask
        };
        let at = self.picks.get(self.at).map_or(self.at, |&pick| pick as usize);
        (at, &self.keys[at])
    }
}

/// As many draws as keys; which key has which rank is by chance.
fn zipf(keys: usize) -> Rc<[u32]> {
    let mut below = 0.0;
    let cumulated: Vec<f64> = (1..=keys)
        .map(|rank| {
            below += 1.0 / rank as f64;
            below
        })
        .collect();
    let mut rng = SplitMix64::new(7);
    let draws = (0..keys).map(|_| {
        let share = (rng.next() >> 11) as f64 / (1_u64 << 53) as f64 * below;
        let rank = cumulated.partition_point(|&up_to| up_to < share) as u64;
        u32::try_from(rank.wrapping_mul(0x9E37_79B9) & (keys as u64 - 1)).expect("fewer than 2^32 keys")
    });
    draws.collect()
}

fn row<K: Clone + Eq + Hash + 'static>(
    id: &'static str,
    what: &'static str,
    target: f64,
    order: &Order<K>,
    hash: fn(KeyHash, &K) -> u64,
) -> Result<Row, ConfigError> {
    let keys = &order.keys;
    // A permit a second, and more of them than any run takes.
    let (quota, seed) = (Quota::per_second(1)?.burst(PLENTY)?, KeyHash::new(7));
    // Three of four slots are taken when every key owes something: a line a three keys.
    let lines = keys.len().div_ceil(3);
    let mut ours = KeyedLimiter::new(vec![Line::EMPTY; lines], Overflow::Refuse)?;
    let before = resident();
    let (mut ticks, mut mine) = (Ticks::default(), order.clone());
    let mut ours = move || {
        let (_, key) = mine.next();
        u64::from(ours.check(ticks.next(), hash(seed, key), 1, quota) == KeyedAnswer::Granted)
    };

    let theirs = Governor::dashmap_with_clock(governor_quota(), StepClock::default());
    for key in keys.iter() {
        assert!(theirs.check_key(key).is_ok(), "a key is refused");
    }
    // What the heap grew by: the map, and the keys it keeps a copy of.
    let theirs_bytes = resident().saturating_sub(before) as f64 / keys.len() as f64;
    let mut other = order.clone();
    let mut theirs = move || {
        let (_, key) = other.next();
        u64::from(theirs.check_key(key).is_ok())
    };

    let (mut dense, mut steps, mut index) = (vec![0; keys.len()], Steps::default(), order.clone());
    let floor = move || {
        let (at, _) = index.next();
        let mut gcra = RawGcra {
            tat: dense[at],
            interval: 1_000_000_000,
            tolerance: u64::from(PLENTY) * 1_000_000_000,
        };
        let granted = gcra.check(steps.next());
        dense[at] = gcra.tat;
        u64::from(granted)
    };
    for _ in 0..keys.len() {
        assert_eq!((ours(), theirs()), (1, 1), "a key is refused");
    }
    let (mine, other): (&str, &str) = if keys.len() < MANY {
        ("KeyedLimiter::check, hash included", "governor, DashMap")
    } else {
        let ours_bytes = (lines * size_of::<Line>()) as f64 / keys.len() as f64;
        // The names of a run that ends with the program.
        (
            format!("KeyedLimiter::check, hash included, {ours_bytes:.0} bytes a key").leak(),
            format!("governor, DashMap, {theirs_bytes:.0} bytes a key").leak(),
        )
    };
    Ok(Row {
        id,
        what,
        target: Target::TimesPeer(target),
        contestants: vec![
            Contestant::new(Kind::Ours, mine, 1, ours),
            Contestant::new(Kind::Floor, "an array, indexed", 1, floor),
            Contestant::new(Kind::Peer, other, 1, theirs),
        ],
    })
}

/// 95 years of permits, one a second.
const PLENTY: u32 = 3_000_000_000;

fn governor_quota() -> GovernorQuota {
    let period = GovernorQuota::with_period(Duration::from_secs(1)).expect("more than nothing");
    period.allow_burst(NonZeroU32::new(PLENTY).expect("more than nothing"))
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4_096
}

thread_local! {
    /// Where a thread is in its own order: no two begin at the same key.
    static STATE: Cell<u64> = Cell::new(THREADS.fetch_add(0x9E37_79B9_7F4A_7C15, Relaxed));
}
static THREADS: AtomicU64 = AtomicU64::new(7);

/// A key of this thread's own order.
fn any_key(keys: u64) -> u64 {
    let state = STATE
        .get()
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1);
    STATE.set(state);
    (state >> 32) & (keys - 1)
}

/// Two threads and all keys, or each thread with a key of its own while the table holds a crowd.
fn two_threads(
    id: &'static str,
    what: &'static str,
    target: f64,
    crowd: Option<u64>,
) -> Result<Row, ConfigError> {
    let (quota, seed) = (Quota::per_second(1)?.burst(PLENTY)?, KeyHash::new(7));
    let key = move || crowd.map_or_else(|| any_key(SOME as u64), |crowd| crowd + (STATE.get() >> 8));
    let held = crowd.unwrap_or(SOME as u64);
    let mut lines = Vec::new();
    lines.resize_with(SOME.div_ceil(3), SharedLine::new);
    let ours = SharedKeyedLimiter::new(lines, Overflow::Refuse)?;
    let theirs = Governor::dashmap_with_clock(governor_quota(), FakeRelativeClock::default());
    let dense: Vec<AtomicGcra> = (0..SOME)
        .map(|_| {
            AtomicGcra::new(&RawGcra {
                tat: 0,
                interval: 1_000_000_000,
                tolerance: u64::from(PLENTY) * 1_000_000_000,
            })
        })
        .collect();
    let ask = move |key| ours.check(Instant::ZERO, seed.number(key), 1, quota) == KeyedAnswer::Granted;
    for key in 0..held {
        assert!(ask(key) && theirs.check_key(&key).is_ok(), "a key is refused");
    }
    Ok(Row {
        id,
        what,
        target: Target::TimesPeer(target),
        contestants: vec![
            Contestant::duo(Kind::Ours, "SharedKeyedLimiter::check", 1, move || {
                u64::from(ask(key()))
            }),
            Contestant::duo(Kind::Floor, "an array of atomic words", 1, move || {
                let at = usize::try_from(key()).unwrap_or(0) % SOME;
                u64::from(dense[at].check(0))
            }),
            Contestant::duo(Kind::Peer, "governor, DashMap", 1, move || {
                u64::from(theirs.check_key(&key()).is_ok())
            }),
        ],
    })
}
