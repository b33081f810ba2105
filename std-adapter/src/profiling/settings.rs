//! How much of what is on its way is kept, and where: `runtime.profiling` of the configuration.

use std::time::Duration;

use super::sampling::Sampling;

/// What the configuration says about the way of events to their store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfilingSettings {
    /// How much a spool holds.
    pub spool: Limits,
    /// What a collector does.
    pub collector: CollectorSettings,
}

impl ProfilingSettings {
    /// How much a spool holds.
    #[must_use]
    pub const fn spool(&self) -> &Limits {
        &self.spool
    }
}

/// How much a spool holds, and what happens then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Events that wait for the store.
    pub events: u64,
    /// Their text in bytes, about; the file takes some 10 % more.
    pub bytes: u64,
    /// What happens to what does not fit.
    pub overflow: Overflow,
}

impl Limits {
    /// 10 million events or 4 GiB of them, and a refusal after that: some hours of a busy platform.
    pub const DEFAULT: Self = Self {
        events: 10_000_000,
        bytes: 4 << 30,
        overflow: Overflow::Refuse,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What happens to events that there is no room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// They are refused, and whoever sends them is told. Nothing that was accepted is lost.
    #[default]
    Refuse,
    /// The oldest ones are dropped, counted as lost and logged.
    DropOldest,
    /// The new ones are dropped, counted as lost and logged.
    DropNewest,
}

/// What a collector does with events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorSettings {
    /// Where events wait for the store.
    pub durability: Durability,
    /// How long a recorded event may be in memory only, where the disk keeps up: where a commit takes no
    /// longer than half of it. Less than 1 ms is taken for 1 ms.
    pub at_risk: Duration,
    /// Events in memory at most.
    pub queue_events: u64,
    /// The bytes of the heap that they take at most: the event itself, the capacity of each text and
    /// array and the nodes of its maps, each as a block of `malloc`. An event with a little metadata is
    /// some 1.1 KiB.
    ///
    /// Outside of it are at most 9 MiB that do not grow with the load: room in lists and in a commit
    /// (5 MiB), and a batch on its way to the store (4 MiB, or one event that is larger). SQLite takes
    /// another 4 MiB for the pages of the spool. What the store itself makes of a batch, and what the
    /// allocator keeps of what it was given back, is theirs: glibc keeps up to as much again for four
    /// threads, and next to nothing with `MALLOC_ARENA_MAX=1`. Events that `Collector::keep` waits for
    /// belong to whoever waits.
    pub queue_bytes: u64,
    /// What happens to an event when either is reached.
    pub overflow: Overflow,
    /// Which tests are recorded. Events without a test (an empty `test_id`) count as one test of their run.
    pub sampling: Sampling,
}

impl CollectorSettings {
    /// Through the spool, at risk for 100 ms, 65 536 events or 64 MiB of them in memory and a refusal
    /// after that, every test.
    pub const DEFAULT: Self = Self {
        durability: Durability::Spool,
        at_risk: Duration::from_millis(100),
        queue_events: 65_536,
        queue_bytes: 64 << 20,
        overflow: Overflow::Refuse,
        sampling: Sampling::ALL,
    };
}

impl Default for CollectorSettings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Less, and a disk is busy with nothing but its own syncs: 1 ms.
pub(crate) const LEAST_AT_RISK: Duration = Duration::from_millis(1);

/// Where events wait for the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// In memory: what is not in the store yet dies with the process.
    Memory,
    /// On disk: what has reached the spool survives the process and the machine.
    #[default]
    Spool,
}
