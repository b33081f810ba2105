//! What the shared forms are made of is not part of the interface: the same source once more.

#![allow(dead_code, unused_imports)]

#[path = "../../src/sync/atomic.rs"]
mod atomic;
#[path = "../../src/sync/back_off.rs"]
mod back_off;
#[path = "../../src/sync/sequenced.rs"]
mod sequenced;

pub(crate) use back_off::back_off;
pub(crate) use sequenced::Sequenced;
