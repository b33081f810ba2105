//! Never more slots out than the limit, and what was done under one is seen under the next.

use core::sync::atomic::Ordering::Relaxed;

use crossbridge_core::BulkheadConfig;
use crossbridge_core::bulkhead::shared::SharedBulkhead;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU32;

use crate::{few_preemptions, together};

fn bulkhead(limit: u32) -> SharedBulkhead {
    let bulkhead = SharedBulkhead::new(BulkheadConfig { limit }).expect("a limit of at least one");
    assert_eq!((bulkhead.limit(), bulkhead.in_flight()), (limit, 0));
    bulkhead
}

#[test]
fn as_many_get_a_slot_as_there_are() {
    few_preemptions(|| {
        let shared = Arc::new(bulkhead(2));
        let slots = together::<3, _, _>(&shared, |shared, _| shared.try_acquire());
        assert_eq!((slots.iter().flatten().count(), shared.in_flight()), (2, 2));
    });
}

/// A plain counter in effect: it would lose an increment if two were inside, or if the second did
/// not see what the first had done.
#[test]
fn one_slot_protects_what_is_done_under_it() {
    loom::model(|| {
        let shared = Arc::new((bulkhead(1), AtomicU32::new(0)));
        let granted = together::<2, _, _>(&shared, |(bulkhead, plain), _| {
            let mut granted = 0;
            for _ in 0..2 {
                if let Some(slot) = bulkhead.try_acquire() {
                    plain.store(plain.load(Relaxed) + 1, Relaxed);
                    granted += 1;
                    bulkhead.release(slot);
                }
            }
            granted
        });
        assert_eq!(shared.0.in_flight(), 0);
        assert_eq!(shared.1.load(Relaxed), granted.iter().sum::<u32>());
    });
}

#[test]
fn a_limit_that_is_lowered_meanwhile_takes_no_slot_away() {
    loom::model(|| {
        let shared = Arc::new(bulkhead(2));
        let slots = together::<2, _, _>(&shared, |shared, which| {
            if which == 0 {
                shared
                    .set_limit(BulkheadConfig { limit: 1 })
                    .expect("at least one");
                return [None, None];
            }
            [shared.try_acquire(), shared.try_acquire()]
        });
        let out = slots.into_iter().flatten().flatten();
        let count = u32::try_from(out.map(|slot| shared.release(slot)).count()).expect("two at most");
        assert!((1..=2).contains(&count), "the first fits under either limit");
        assert_eq!((shared.in_flight(), shared.limit()), (0, 1));
    });
}
