//! Where events are.

/// Where events are: those of the spool, whoever has put them there, and those in this collector's
/// memory. Without a spool, those of this collector alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Events that were ever accepted, but for dead letters that somebody has purged.
    pub accepted: u64,
    /// Events that the store has.
    pub stored: u64,
    /// Events on disk that the store has not taken yet.
    pub spooled: u64,
    /// Events in this collector's memory, or given back by its end.
    pub in_memory: u64,
    /// Events that the store refuses.
    pub dead_lettered: u64,
    /// Events that were dropped for want of room.
    pub lost: u64,
    /// Events that this collector accepted.
    pub recorded: u64,
    /// Those of them that have left its memory for the spool, or for the store.
    pub handed_over: u64,
    /// Those of them that were dropped in memory; a part of `lost`.
    pub dropped: u64,
}

impl Account {
    /// Whether every event is accounted for: accepted = stored + spooled + in memory + dead-lettered
    /// + lost, and of this collector's own, recorded = handed over + in memory + dropped.
    #[must_use]
    pub const fn balance(&self) -> bool {
        let places = self.stored + self.spooled + self.in_memory + self.dead_lettered + self.lost;
        self.accepted == places && self.recorded == self.handed_over + self.in_memory + self.dropped
    }
}
