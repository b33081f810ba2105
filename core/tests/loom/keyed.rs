//! One bucket for each key, however keys come, go and are moved meanwhile.

use core::time::Duration;

use crossbridge_core::rate_limit::keyed::{KeyedAnswer, Overflow, SharedKeyedLimiter, SharedLine};
use crossbridge_core::{Instant, Quota};
use loom::sync::Arc;

use crate::{few_preemptions, together};

/// Nanoseconds between two permits.
const T: u64 = 1_000;

/// Longer ago than which a table's time is not only counted on: a year and a half.
const FAR: Instant = at(48_000_000_000_000_000);

const fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

fn quota(capacity: u32) -> Quota {
    Quota::new(capacity, Duration::from_nanos(T * u64::from(capacity))).expect("a million a second")
}

/// A table whose words are all looked at.
struct Table<const LINES: usize>(SharedKeyedLimiter<[SharedLine; LINES]>);

impl<const LINES: usize> Table<LINES> {
    fn new() -> Self {
        let table = SharedKeyedLimiter::with_slots(Overflow::Refuse);
        // From beyond this a step back goes through every door and every slot.
        let table = Self(table);
        assert_eq!(table.ask(FAR, 1, 2), KeyedAnswer::Granted);
        assert_ne!(table.ask(at(0), 1, 2), KeyedAnswer::Never);
        table.0.reset(1);
        assert_eq!((table.owing(), table.0.stats().refused), (0, 0));
        table
    }

    /// For one permit of the capacity.
    fn ask(&self, now: Instant, key: u64, capacity: u32) -> KeyedAnswer {
        self.0.check(now, key, 1, quota(capacity))
    }

    fn owing(&self) -> usize {
        self.0.active(at(0))
    }

    fn left(&self, key: u64, capacity: u32) -> u32 {
        self.0.remaining(at(0), key, quota(capacity))
    }
}

/// Keys whose two lines are these of three, the one they go to first before the other; each behind a
/// door of its own.
fn keys(first: u64, second: u64) -> impl Iterator<Item = u64> {
    (1..10_000_u64).filter(move |key| homes(*key) == [first, second])
}

/// The lines of a key in a table of three, as `keyed/line.rs` has it.
fn homes(key: u64) -> [u64; 2] {
    let mixed = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = mixed ^ (mixed >> 32);
    let first = ((mixed >> 32) * 3) >> 32;
    let second = ((mixed & 0xFFFF_FFF8) * 2) >> 32;
    [first, if second < first { second } else { second + 1 }]
}

#[test]
fn no_permit_of_a_key_is_granted_twice() {
    few_preemptions(|| {
        let table = Table::<1>::new();
        assert_eq!(table.ask(at(0), 7, 2), KeyedAnswer::Granted);
        let table = Arc::new(table);
        let said = together::<2, _, _>(&table, |table, _| table.ask(at(0), 7, 2));
        let granted = said.iter().filter(|&&answer| answer == KeyedAnswer::Granted);
        assert_eq!(granted.count(), 1, "{said:?}");
        assert!(said.contains(&KeyedAnswer::NotBefore(at(T))), "{said:?}");
    });
}

#[test]
fn a_new_key_is_put_into_one_slot() {
    few_preemptions(|| {
        let table = Arc::new(Table::<1>::new());
        let said = together::<2, _, _>(&table, |table, _| table.ask(at(0), 7, 1));
        let granted = said.iter().filter(|&&answer| answer == KeyedAnswer::Granted);
        assert_eq!((granted.count(), table.owing()), (1, 1), "{said:?}");
    });
}

#[test]
fn the_last_slot_goes_to_one_of_two() {
    few_preemptions(|| {
        let table = Table::<1>::new();
        for key in 2..5 {
            assert_eq!(table.ask(at(0), key, 1), KeyedAnswer::Granted);
        }
        let table = Arc::new(table);
        let mut said = together::<2, _, _>(&table, |table, which| {
            table.ask(at(0), [5, 6][which], 1) == KeyedAnswer::Granted
        });
        assert_eq!(
            (table.left(5, 1), table.left(6, 1)),
            (u32::from(!said[0]), u32::from(!said[1]))
        );
        said.sort_unstable();
        assert_eq!((said, table.owing()), ([false, true], 4));
    });
}

/// A refusal belongs to the key that asked, also while its slot goes to another.
#[test]
fn nobody_is_refused_for_what_another_key_owes() {
    few_preemptions(|| {
        let table = Table::<1>::new();
        assert_eq!(table.ask(at(0), 9, 1), KeyedAnswer::Granted);
        for key in 2..5 {
            assert_eq!(table.ask(at(T), key, 1), KeyedAnswer::Granted);
        }
        let table = Arc::new(table);
        let said = together::<2, _, _>(&table, |table, which| table.ask(at(T), [9, 5][which], 1));
        let one_slot = [KeyedAnswer::Granted, KeyedAnswer::Full(at(2 * T))];
        assert!(said == one_slot || said == [one_slot[1], one_slot[0]], "{said:?}");
    });
}

/// Three lines in which one slot is free, in the first line of a key that is in its second; and a
/// newcomer for whom that key has to be moved there.
fn about_to_move() -> (Table<3>, u64, u64) {
    let table = Table::<3>::new();
    let take = |key| assert_eq!(table.ask(at(0), key, 1), KeyedAnswer::Granted);
    let mut elsewhere = keys(2, 0).chain(keys(2, 1));
    let (moving, gone) = (elsewhere.next().expect("one of six"), 3);
    // The last line is full when it comes, and has a free slot later.
    let crowd: Vec<_> = elsewhere.take(4).collect();
    crowd.iter().for_each(|&key| take(key));
    take(moving);
    table.0.reset(crowd[gone]);
    let mut others = keys(0, 1);
    others.by_ref().take(7).for_each(take);
    assert_eq!(table.owing(), 11);
    (table, moving, others.next().expect("one of six"))
}

#[test]
fn a_newcomer_has_to_move_a_key() {
    few_preemptions(|| {
        let (table, moving, newcomer) = about_to_move();
        assert_eq!(table.ask(at(0), newcomer, 1), KeyedAnswer::Granted);
        assert_eq!((table.left(moving, 1), table.owing()), (0, 12));
        // Without the free slot there is no room.
        let (table, _, newcomer) = about_to_move();
        let last = keys(2, 1).chain(keys(2, 0)).find(|&key| table.left(key, 1) == 1);
        let last = last.expect("one of six");
        assert_eq!(table.ask(at(0), last, 1), KeyedAnswer::Granted);
        assert_eq!(table.ask(at(0), newcomer, 1), KeyedAnswer::Full(at(T)));
    });
}

#[test]
fn a_look_does_not_miss_a_key_that_is_moved() {
    few_preemptions(|| {
        let (table, moving, newcomer) = about_to_move();
        let table = Arc::new(table);
        together::<2, _, _>(&table, move |table, which| {
            if which == 0 {
                assert_eq!(table.ask(at(0), newcomer, 1), KeyedAnswer::Granted);
            } else {
                assert_eq!(table.left(moving, 1), 0, "missed");
            }
        });
        assert_eq!(table.owing(), 12);
    });
}

#[test]
fn a_key_that_is_moved_is_charged_in_one_place() {
    few_preemptions(|| {
        let (table, moving, newcomer) = about_to_move();
        let table = Arc::new(table);
        let said = together::<2, _, _>(&table, move |table, which| {
            table.ask(at(0), [newcomer, moving][which], 1)
        });
        assert_eq!(said, [KeyedAnswer::Granted, KeyedAnswer::NotBefore(at(T))]);
        assert_eq!(table.owing(), 12, "in two slots");
    });
}

/// Both notice, and what is owed moves back once.
#[test]
fn a_step_back_moves_what_is_owed_once() {
    few_preemptions(|| {
        let table = Table::<1>::new();
        assert_eq!(table.ask(FAR, 7, 2), KeyedAnswer::Granted);
        let table = Arc::new(table);
        let said = together::<2, _, _>(&table, |table, _| table.ask(at(0), 7, 2));
        let granted = said.iter().filter(|&&answer| answer == KeyedAnswer::Granted);
        assert_eq!((granted.count(), table.left(7, 2)), (1, 0), "{said:?}");
    });
}
