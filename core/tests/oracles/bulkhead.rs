//! The bulkhead against a stack of slots.

use crossbridge_core::{Bulkhead, BulkheadConfig};
use proptest::prelude::*;

use crate::check;

#[test]
fn never_holds_more_than_its_limit() {
    let ops = prop::collection::vec(any::<bool>(), 0..100);
    check(200, (1..=8_u32, ops), |(limit, ops)| {
        let mut bulkhead = Bulkhead::new(BulkheadConfig { limit }).unwrap();
        let mut slots = Vec::new();
        for acquire in ops {
            let room = slots.len() < usize::try_from(limit).unwrap();
            assert_eq!(bulkhead.has_room(), room);
            if acquire {
                let slot = bulkhead.try_acquire();
                assert_eq!(slot.is_some(), room);
                slots.extend(slot);
            } else if let Some(slot) = slots.pop() {
                bulkhead.release(slot);
            }
            assert_eq!(bulkhead.in_flight(), u32::try_from(slots.len()).unwrap());
        }
        for slot in slots {
            bulkhead.release(slot);
        }
        assert_eq!(bulkhead.in_flight(), 0);
    });
}

#[test]
fn a_limit_of_zero_is_refused_and_the_largest_is_accepted() {
    assert!(Bulkhead::new(BulkheadConfig { limit: 0 }).is_err());
    let mut unlimited = Bulkhead::new(BulkheadConfig::UNLIMITED).unwrap();
    assert!((0..10_000).all(|_| unlimited.try_acquire().is_some()));
}
