//! A spool and a store as lists of numbers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use super::super::super::desk::Disk;
use crate::profiling::spool::{Appended, Dead, SpoolCounts, SpoolError};
use crate::profiling::{Event, EventType};

/// How a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Weather {
    /// A batch takes 5 ms.
    Up,
    /// It says so at once.
    Down,
    /// It says nothing until the attempt is given up.
    Hangs,
    /// It takes the first half of a batch.
    Half,
    /// It takes a batch and the answer gets lost.
    Forgets,
}

#[derive(Debug, Default)]
pub(in super::super) struct Store {
    /// How often it was given each event; it keeps one.
    pub(in super::super) has: BTreeMap<u32, u32>,
    /// What it refuses, and whoever ships knows.
    pub(in super::super) refused: BTreeSet<u32>,
}

/// A spool as a list of numbers.
#[derive(Debug)]
pub(in super::super) struct ModelSpool {
    pub(super) waiting: VecDeque<u32>,
    /// Everything it was ever given, in order.
    pub(super) given: Vec<u32>,
    room: usize,
    pub(super) broken: bool,
    counts: SpoolCounts,
}

impl ModelSpool {
    pub(in super::super) fn new(room: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            given: Vec::new(),
            room,
            broken: false,
            counts: SpoolCounts::default(),
        }
    }

    /// Another collector has it.
    pub(in super::super) fn handed_on(mut self) -> Self {
        self.given.clear();
        self.broken = false;
        self
    }

    pub(super) fn settle(&mut self, settled: usize, dead: &[Dead]) {
        self.waiting.drain(..settled);
        self.counts.stored += long(settled - dead.len());
        self.counts.dead_letters += long(dead.len());
        self.counts.spooled -= long(settled);
    }
}

impl Disk for ModelSpool {
    fn append_front(&mut self, events: &[Event]) -> Result<Appended, SpoolError> {
        let room = self.room.saturating_sub(self.waiting.len());
        if self.broken || room == 0 {
            let path = PathBuf::new();
            return Err(SpoolError::DamagedInUse { path });
        }
        let events = &events[..room.min(events.len())];
        self.waiting.extend(events.iter().map(number));
        self.given.extend(events.iter().map(number));
        self.counts.accepted += long(events.len());
        self.counts.spooled += long(events.len());
        Ok(Appended::all(events.len()))
    }

    fn counts(&mut self) -> Result<SpoolCounts, SpoolError> {
        Ok(self.counts)
    }
}

/// All of one size, of which as many are within the bound of memory as within that of events.
pub(super) fn event(id: u32) -> Event {
    let mut event = Event::new(format!("{id:010}"), "run", "test", EventType::TestEnd);
    event.metadata.insert("message", "x".repeat(450).into());
    event
}

pub(super) fn number(event: &Event) -> u32 {
    event.event_id.parse().unwrap()
}

/// Whether the store refuses it.
pub(super) fn is_poison(id: u32) -> bool {
    id % 97 == 41
}

pub(super) fn long(number: usize) -> u64 {
    u64::try_from(number).unwrap()
}
