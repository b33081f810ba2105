//! A limiter per key, time given, every key owing something and none refused.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use crossbridge_benches::Ticks;
use crossbridge_core::rate_limit::KeyedLimiter;
use crossbridge_core::rate_limit::keyed::hash::KeyHash;
use crossbridge_core::rate_limit::keyed::{KeyedAnswer, Overflow, Slot};
use crossbridge_core::{ConfigError, Quota};
use governor::{Quota as GovernorQuota, RateLimiter as Governor};

use crate::floors::{RawGcra, Steps};
use crate::lab::{Contestant, Kind, Row, Target};
use crate::shared::StepClock;

const FEW: usize = 1_024;
const MANY: usize = 1 << 20;

/// The rows that are wanted: the large ones take a while to fill.
pub(crate) fn rows(wanted: impl Fn(&str) -> bool) -> Result<Vec<Row>, ConfigError> {
    let mut rows = Vec::new();
    for (id, what, target, keys) in [
        ("keyed-hot-number", "keyed, one hot key, u64", 0.6, 1),
        ("keyed-few-number", "keyed, 1 024 keys, u64", 0.5, FEW),
        ("keyed-many-number", "keyed, 1 048 576 keys, u64", 0.3, MANY),
    ] {
        if wanted(id) {
            let keys: Rc<[u64]> = (0..keys as u64).collect();
            rows.push(row(id, what, target, &keys, |hash, key| hash.number(*key))?);
        }
    }
    for (id, what, target, keys) in [
        ("keyed-hot-text", "keyed, one hot key, String", 0.6, 1),
        ("keyed-few-text", "keyed, 1 024 keys, String", 0.5, FEW),
        ("keyed-many-text", "keyed, 1 048 576 keys, String", 0.3, MANY),
    ] {
        if wanted(id) {
            let keys: Rc<[String]> = (0..keys).map(|key| format!("user-{key:08}")).collect();
            rows.push(row(id, what, target, &keys, |hash, key: &String| hash.text(key))?);
        }
    }
    Ok(rows)
}

/// Keys in a fixed order that no cache guesses: all of them, once each, over and over.
#[derive(Clone)]
struct Order<K> {
    keys: Rc<[K]>,
    at: usize,
}

impl<K> Order<K> {
    /// A congruential generator of full period over a power of two (Hull and Dobell, 1962).
    fn next(&mut self) -> (usize, &K) {
        self.at = (self.at.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)) & (self.keys.len() - 1);
        (self.at, &self.keys[self.at])
    }
}

fn row<K: Clone + Eq + Hash + 'static>(
    id: &'static str,
    what: &'static str,
    target: f64,
    keys: &Rc<[K]>,
    hash: fn(KeyHash, &K) -> u64,
) -> Result<Row, ConfigError> {
    let order = Order {
        keys: Rc::clone(keys),
        at: 0,
    };
    // A permit a second, and more of them than any run takes.
    let (quota, seed) = (Quota::per_second(1)?.burst(PLENTY)?, KeyHash::new(7));
    let slots = (keys.len() * 3 / 2).next_multiple_of(8);
    let mut ours = KeyedLimiter::new(vec![Slot::EMPTY; slots], Overflow::Refuse)?;
    let (mut ticks, mut mine) = (Ticks::default(), order.clone());
    let mut ours = move || {
        let (_, key) = mine.next();
        u64::from(ours.check(ticks.next(), hash(seed, key), 1, quota) == KeyedAnswer::Granted)
    };

    let period = GovernorQuota::with_period(Duration::from_secs(1)).expect("more than nothing");
    let burst = NonZeroU32::new(PLENTY).expect("more than nothing");
    let theirs = Governor::dashmap_with_clock(period.allow_burst(burst), StepClock::default());
    let mut other = order.clone();
    let mut theirs = move || {
        let (_, key) = other.next();
        u64::from(theirs.check_key(key).is_ok())
    };

    let (mut dense, mut steps, mut index) = (vec![0; keys.len()], Steps::default(), order);
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
    Ok(Row {
        id,
        what,
        target: Target::TimesPeer(target),
        contestants: vec![
            Contestant::new(Kind::Ours, "KeyedLimiter::check, hash included", 1, ours),
            Contestant::new(Kind::Floor, "an array, indexed", 1, floor),
            Contestant::new(Kind::Peer, "governor, DashMap", 1, theirs),
        ],
    })
}

/// 95 years of permits, one a second.
const PLENTY: u32 = 3_000_000_000;
