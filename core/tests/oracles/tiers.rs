//! Tiers against limiters that are copied before they are asked.

use core::time::Duration;
use std::thread;

use crossbridge_core::rate_limit::keyed::{KeyedLimiter, KeyedStats, Line, Overflow};
use crossbridge_core::rate_limit::tiers::{self, Keyed, Refused, Shared, Tier};
use crossbridge_core::rate_limit::{Answer, RateLimiter, SharedRateLimiter};
use crossbridge_core::{Clock, Instant, Quota};
use proptest::prelude::*;

use crate::shared_rate::{Ticking, assert_conforms};
use crate::{check, log_uniform};

fn quota(capacity: u32, interval: u64) -> Quota {
    Quota::new(capacity, Duration::from_nanos(u64::from(capacity) * interval)).unwrap()
}

const KEY: u64 = 7 << 8;

/// The three forms side by side: owned, of a table, and shared.
struct World {
    user: KeyedLimiter<[Line; 2]>,
    user_quota: Quota,
    organisation: SharedRateLimiter,
    everybody: RateLimiter,
}

impl World {
    fn check(&mut self, now: Instant, n: u32) -> Result<(), Refused> {
        let clock = At(now);
        let mut user = Keyed::new(&mut self.user, KEY, self.user_quota);
        let mut organisation = Shared::new(&self.organisation, &clock);
        tiers::check(now, n, &mut [&mut user, &mut organisation, &mut self.everybody])
    }

    fn remaining(&self, now: Instant) -> [u32; 3] {
        [
            self.user.remaining(now, KEY, self.user_quota),
            self.organisation.remaining(now),
            self.everybody.remaining(now),
        ]
    }
}

struct At(Instant);

impl Clock for At {
    fn now(&self) -> Instant {
        self.0
    }
}

#[test]
fn tiers_charge_nothing_when_one_refuses() {
    let tier = (1..8_u32, 1_024..40_000_u64);
    let asks = prop::collection::vec((0..30_000_u64, 0..9_u32), 1..60);
    check(
        400,
        ([tier.clone(), tier.clone(), tier], asks),
        |(quotas, asks)| {
            let quotas = quotas.map(|(capacity, interval)| quota(capacity, interval));
            let mut world = World {
                user: KeyedLimiter::with_slots(Overflow::Refuse),
                user_quota: quotas[0],
                organisation: SharedRateLimiter::new(quotas[1]),
                everybody: RateLimiter::new(quotas[2]),
            };
            // Each tier on its own, charged only when all would grant.
            let mut oracle = quotas.map(RateLimiter::new);
            let mut now = 0;
            for (gap, n) in asks {
                now += gap;
                let at = Instant::from_nanos(now);
                let answers = [0, 1, 2].map(|tier: usize| oracle[tier].would_grant(at, n));
                let before = world.remaining(at);
                match world.check(at, n) {
                    Ok(()) => {
                        assert_eq!(answers, [Answer::Granted; 3]);
                        for limiter in &mut oracle {
                            assert_eq!(limiter.check(at, n), Answer::Granted);
                        }
                    }
                    Err(refused) => {
                        assert_eq!(world.remaining(at), before, "a refusal was charged");
                        assert_eq!(refused.answer, answers[refused.tier], "another tier's answer");
                        let instants = answers.iter().filter_map(|answer| match answer {
                            Answer::NotBefore(at) => Some(*at),
                            Answer::Granted | Answer::Never => None,
                        });
                        match refused.answer {
                            Answer::NotBefore(latest) => {
                                assert_eq!(Some(latest), instants.max());
                                assert!(!answers.contains(&Answer::Never));
                                let all = |at| oracle.iter().all(|l| l.would_grant(at, n) == Answer::Granted);
                                assert!(all(latest) && !all(Instant::from_nanos(latest.as_nanos() - 1)));
                            }
                            Answer::Never => assert!(answers.contains(&Answer::Never)),
                            Answer::Granted => panic!("refused, yet granted"),
                        }
                    }
                }
                let left = [0, 1, 2].map(|tier: usize| oracle[tier].remaining(at));
                assert_eq!(world.remaining(at), left);
            }
        },
    );
}

#[test]
fn limiters_of_one_owner_take_the_shorter_way() {
    let tier = (1..8_u32, 1_024..40_000_u64);
    let asks = prop::collection::vec((0..30_000_u64, 0..9_u32), 1..60);
    check(
        200,
        ([tier.clone(), tier.clone(), tier], asks),
        |(quotas, asks)| {
            let quotas = quotas.map(|(capacity, interval)| quota(capacity, interval));
            let [mut a, mut b, mut c] = quotas.map(RateLimiter::new);
            let [mut d, mut e, mut f] = quotas.map(RateLimiter::new);
            let mut now = Instant::ZERO;
            for (gap, n) in asks {
                now = now.saturating_add(Duration::from_nanos(gap));
                let short = tiers::check_owned(now, n, [&mut a, &mut b, &mut c]);
                assert_eq!(tiers::check(now, n, &mut [&mut d, &mut e, &mut f]), short);
                assert_eq!([&a, &b, &c], [&d, &e, &f]);
            }
        },
    );
}

/// Asked only through tiers, a clock that stepped back locks nobody either.
#[test]
fn a_step_back_locks_no_tier() {
    let inputs = (0..3_usize, log_uniform(0, 1 << 60), log_uniform(0, 1 << 60));
    check(300, inputs, |(tight, before, step)| {
        let mut quotas = [Quota::per_second(1_000).unwrap(); 3];
        quotas[tight] = Quota::per_second(2).unwrap();
        let mut world = World {
            user: KeyedLimiter::with_slots(Overflow::Refuse),
            user_quota: quotas[0],
            organisation: SharedRateLimiter::new(quotas[1]),
            everybody: RateLimiter::new(quotas[2]),
        };
        let start = Instant::from_nanos(before);
        assert_eq!(world.check(start, 2), Ok(()));
        let mut now = Instant::from_nanos(before.saturating_sub(step));
        // One refill and a second of slack, asked ten times a second.
        let granted = (0..=21).any(|_| {
            now = now.saturating_add(Duration::from_millis(100));
            world.check(now, 1) == Ok(())
        });
        assert!(granted, "locked by tier {tight}");
    });
}

/// A table with no slot left refuses like any other tier, and nobody is charged for it.
#[test]
fn a_full_table_is_a_refusing_tier() {
    let slow = Quota::per_second(1).unwrap();
    let mut users = KeyedLimiter::<[Line; 2]>::with_slots(Overflow::Refuse);
    for key in 0..8_u64 {
        let _ = users.check(Instant::ZERO, key << 8, 1, slow);
    }
    let mut everybody = RateLimiter::new(slow);
    let mut user = Keyed::new(&mut users, 99 << 8, slow);
    let refused = tiers::check(Instant::ZERO, 1, &mut [&mut everybody, &mut user]);
    let free = Answer::NotBefore(Instant::from_nanos(1_000_000_000));
    assert_eq!(
        refused,
        Err(Refused {
            tier: 1,
            answer: free
        })
    );
    assert_eq!(everybody.remaining(Instant::ZERO), 1);
    let counted = KeyedStats {
        refused: 1,
        evicted: 0,
    };
    assert_eq!(users.stats(), counted);
    assert_eq!(tiers::check(Instant::ZERO, 1, &mut []), Ok(()));
}

/// A tier that grants when asked and refuses when taken, as when another thread was faster.
struct Lost(Answer);

impl Tier for Lost {
    fn ask(&mut self, _: Instant, _: u32) -> Answer {
        Answer::Granted
    }

    fn take(&mut self, _: Instant, _: u32) -> Answer {
        self.0
    }

    fn undo(&mut self, _: Instant, _: u32) {
        panic!("nothing was taken here");
    }
}

#[test]
fn what_a_lost_race_took_is_given_back() {
    let now = Instant::from_nanos(5_000);
    let clock = At(now);
    let mut owned = RateLimiter::new(quota(3, 1_024));
    let shared = SharedRateLimiter::new(quota(5, 1_024));
    let mut table = KeyedLimiter::<[Line; 2]>::with_slots(Overflow::Refuse);
    let mut keyed = Keyed::new(&mut table, KEY, quota(4, 1_024));
    let mut lost = Lost(Answer::NotBefore(Instant::MAX));
    let mut tier = Shared::new(&shared, &clock);
    let refused = tiers::check(now, 2, &mut [&mut owned, &mut tier, &mut keyed, &mut lost]);
    assert_eq!(
        refused,
        Err(Refused {
            tier: 3,
            answer: lost.0
        })
    );
    assert!(tier.receipt().is_none());
    assert_eq!(owned.remaining(now), 3);
    assert_eq!(shared.remaining(now), 5);
    assert_eq!(table.remaining(now, KEY, quota(4, 1_024)), 4);
}

/// Two users of one organisation, four threads, a clock that runs: nobody is above any quota.
#[test]
fn no_tier_is_above_its_quota_under_threads() {
    for step in [40, 900] {
        let clock = Ticking::new(step);
        let users = [(); 2].map(|()| SharedRateLimiter::new(quota(4, 3_000)));
        let organisation = SharedRateLimiter::new(quota(5, 2_000));
        let everybody = SharedRateLimiter::new(quota(3, 1_900));
        let ask = |user: usize| {
            let mut granted = Vec::new();
            for _ in 0..5_000 {
                let now = clock.now();
                let mut all = [&users[user], &organisation, &everybody].map(|l| Shared::new(l, &clock));
                let [a, b, c] = &mut all;
                if tiers::check(now, 1, &mut [a, b, c]).is_ok() {
                    granted.push(now.as_nanos());
                }
            }
            (user, granted)
        };
        let granted: Vec<(usize, Vec<u64>)> = thread::scope(|scope| {
            let ask = &ask;
            let threads: Vec<_> = (0..4).map(|t| scope.spawn(move || ask(t % 2))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let of = |wanted: &dyn Fn(usize) -> bool| -> Vec<u64> {
            let mine = granted.iter().filter(|(user, _)| wanted(*user));
            mine.flat_map(|(_, times)| times.iter().copied()).collect()
        };
        assert_conforms(of(&|user| user == 0), 4, 3_000);
        assert_conforms(of(&|user| user == 1), 4, 3_000);
        assert_conforms(of(&|_| true), 5, 2_000);
        assert_conforms(of(&|_| true), 3, 1_900);
    }
}

/// At one instant what all tiers granted and what is left is the capacity of each.
#[test]
fn at_one_instant_nothing_is_lost_to_races() {
    let clock = At(Instant::ZERO);
    let users = [(); 4].map(|()| SharedRateLimiter::new(quota(300, 1_024)));
    let organisation = SharedRateLimiter::new(quota(700, 1_024));
    let everybody = SharedRateLimiter::new(quota(650, 1_024));
    let ask = |user: usize| {
        let tries = (0..1_000).filter(|_| {
            let mut all = [&users[user], &organisation, &everybody].map(|l| Shared::new(l, &clock));
            let [a, b, c] = &mut all;
            tiers::check(Instant::ZERO, 1, &mut [a, b, c]).is_ok()
        });
        u32::try_from(tries.count()).unwrap()
    };
    let granted: Vec<u32> = thread::scope(|scope| {
        let ask = &ask;
        let threads: Vec<_> = (0..4).map(|user| scope.spawn(move || ask(user))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let total: u32 = granted.iter().sum();
    for (user, granted) in users.iter().zip(&granted) {
        assert_eq!(user.remaining(Instant::ZERO), 300 - granted);
    }
    assert_eq!(organisation.remaining(Instant::ZERO), 700 - total);
    assert_eq!(everybody.remaining(Instant::ZERO), 650 - total);
    assert!(total <= 650);
}
