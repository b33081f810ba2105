//! How large a scenario may be, and how long it may run.
//!
//! A scenario above a limit is refused with the place, the number found and the limit, before anything
//! runs; the three about a run end a run that turned out to be too much, with the virtual time it came to. In
//! both cases the exit code is 3.
//!
//! | what | limit | why |
//! |---|---|---|
//! | [the file](crossbridge_std::config::Document::MAX_BYTES), each configuration too | 4 MiB | the longest of ours has 20 kB |
//! | values in it, aliases expanded | 500 000 | "a billion laughs" ends there |
//! | nesting | 128 levels, 1 000 open brackets | the parser's work grows with the square |
//! | [`DURATION`] | 30 days | counts by second stay in memory |
//! | [`NODES`], [`GROUPS`] of clients | 1 000 | names are looked up one by one; counts and a histogram for each |
//! | [`CLIENTS`], all groups together | 10 000 000 | each has a guard of its own, 1 KiB |
//! | [`COUNTS`]: groups of clients x seconds of the run | 50 000 000 | 24 bytes each |
//! | [`CALLS`] that the arrivals make | 1 000 000 000 | some hours of computing |
//! | [`ROUNDS`] of all faults together | 10 000 | each is looked after by itself |
//! | [`BURST_CALLS`] of one burst, for all its clients | 10 000 000 | |
//! | [`EXPECTATIONS`] | 1 000 | each reads the whole result |
//! | [`TRACE_BYTES`], [`TRACE_TIMES`] of a trace file | 256 MiB, 10 000 000 | they stay in memory |
//! | [`ALL_TRACE_TIMES`] of all trace files together | 50 000 000 | 8 bytes each |
//! | [`EVENTS`] of a run | 20 000 000 000 | more than an hour of computing |
//! | [`UNDER_WAY`]: calls or requests at once | 50 000 000 | some 10 GB |
//! | [`EVENTS_AT_ONCE`] at one instant, for each client and service | 10 000 | time stands still |
//! | problems reported | 50 | nobody reads on |

use std::time::Duration;

/// The longest run.
pub const DURATION: Duration = Duration::from_secs(30 * 86_400);
/// The most dependencies and services.
pub const NODES: usize = 1_000;
/// The most groups of clients.
pub const GROUPS: usize = 1_000;
/// The most clients.
pub const CLIENTS: u32 = 10_000_000;
/// The most seconds that are counted, those of each group of clients by themselves.
pub const COUNTS: u64 = 50_000_000;
/// The most calls a run may be expected to make.
pub const CALLS: f64 = 1e9;
/// All rounds of all faults together.
pub const ROUNDS: usize = 10_000;
/// The most calls a burst adds.
pub const BURST_CALLS: u64 = 10_000_000;
/// The most promises.
pub const EXPECTATIONS: usize = 1_000;
/// The longest trace file.
pub const TRACE_BYTES: u64 = 256 << 20;
/// The most times in a trace file.
pub const TRACE_TIMES: usize = 10_000_000;
/// The most times in all trace files together.
pub const ALL_TRACE_TIMES: usize = 50_000_000;
/// The most events of a run.
pub const EVENTS: u64 = 20_000_000_000;
/// The most requests waiting or worked on at once, and the most calls under way.
pub const UNDER_WAY: usize = 50_000_000;
/// More events at one instant than this for each actor are a loop without time in it, such as a closed
/// client without think time against a dependency that refuses.
pub const EVENTS_AT_ONCE: u64 = 10_000;
