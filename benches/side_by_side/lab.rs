//! Contestants that take turns in short rounds, and what each of them took.
//!
//! # How it measures
//! - All contestants of a row are alive at once. A round gives each of them one slice of about a
//!   millisecond, and every round begins with another one: what disturbs the machine disturbs all.
//! - One thread is timed by its CPU time, so that a slice in which another process had the core is
//!   not longer for it. Two threads are timed by the wall clock, in slices in which both had one.
//! - The minimum over the rounds is what ratios and targets use: nothing makes code run faster than
//!   it does, and everything else a shared machine does only adds. The median stands beside it;
//!   where the two are far apart the machine was busy.
//! - The same black box for everyone. An operation returns one word, which goes through it, and it
//!   clobbers memory, so that state is read and written again in every operation; state lives in a
//!   closure on the heap, so that no configuration is known to the compiler.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::time::{ClockId, clock_gettime};

/// What a contestant is in its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The core.
    Ours,
    /// What people use today, doing the same.
    Peer,
    /// The least that the decision costs, written inline.
    Floor,
    /// For orientation: no ratio is taken from it.
    Context,
}

/// One way to do what the row is about.
pub(crate) struct Contestant {
    pub(crate) kind: Kind,
    pub(crate) name: &'static str,
    /// Nanoseconds for so many operations.
    run: Box<dyn FnMut(u64) -> u64>,
}

impl Contestant {
    /// Does `op` on one thread. It has to answer `expected`: a benchmark of the wrong state would
    /// be a fast one.
    pub(crate) fn new(
        kind: Kind,
        name: &'static str,
        expected: u64,
        mut op: impl FnMut() -> u64 + 'static,
    ) -> Self {
        for _ in 0..1_000 {
            assert_eq!(op(), expected, "{name} answers something else");
        }
        let run = Box::new(move |times| {
            let start = nanos(ClockId::ThreadCPUTime);
            for _ in 0..times {
                black_box(op());
            }
            nanos(ClockId::ThreadCPUTime) - start
        });
        Self { kind, name, run }
    }

    /// `op` does `each` operations of the row.
    pub(crate) fn many(
        kind: Kind,
        name: &'static str,
        each: u64,
        expected: u64,
        op: impl FnMut() -> u64 + 'static,
    ) -> Self {
        let mut whole = Self::new(kind, name, expected, op);
        let run = Box::new(move |times| (whole.run)(times / each));
        Self { kind, name, run }
    }

    /// Does `op` on two threads at once, half of the operations on each.
    ///
    /// A slice counts when both were on a core nearly all of the time: one that ran after the other
    /// would look faster than two that contend.
    pub(crate) fn duo(
        kind: Kind,
        name: &'static str,
        expected: u64,
        op: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        assert_eq!(op(), expected, "{name} answers something else");
        let run = Box::new(move |times: u64| {
            let slices = std::iter::repeat_with(|| together(times / 2, &op));
            slices.take(TRIES).flatten().next().unwrap_or(NOT_MEASURED)
        });
        Self { kind, name, run }
    }
}

/// How often a slice on two threads is tried again when it was disturbed.
const TRIES: usize = 20;

/// Every try was disturbed.
const NOT_MEASURED: u64 = u64::MAX;

/// How long two threads take for so many operations each; `None` when they did not run together.
fn together(times: u64, op: &(impl Fn() -> u64 + Sync)) -> Option<u64> {
    let ready = AtomicU32::new(0);
    let half = || {
        ready.fetch_add(1, Ordering::SeqCst);
        while ready.load(Ordering::SeqCst) < 2 {
            std::hint::spin_loop();
        }
        let (start, busy) = (nanos(ClockId::Monotonic), nanos(ClockId::ThreadCPUTime));
        for _ in 0..times {
            black_box(op());
        }
        let busy = nanos(ClockId::ThreadCPUTime) - busy;
        (start, nanos(ClockId::Monotonic), busy)
    };
    let (mine, theirs) = std::thread::scope(|scope| {
        let other = scope.spawn(half);
        (half(), other.join().ok())
    });
    let theirs = theirs?;
    let whole = mine.1.max(theirs.1) - mine.0.min(theirs.0);
    let both = mine.1.min(theirs.1).saturating_sub(mine.0.max(theirs.0));
    let undisturbed = [both, mine.2, theirs.2].iter().all(|part| part * 10 >= whole * 9);
    undisturbed.then_some(whole)
}

/// What is to be reached.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// Nothing: the row is there to be looked at.
    None,
    /// At most so many times the floor.
    TimesFloor(f64),
    /// At most so many times the best peer.
    TimesPeer(f64),
    /// At most the floor and so many nanoseconds.
    FloorPlus(f64),
    /// At most so many nanoseconds.
    Nanos(f64),
}

/// Contestants that do the same.
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) what: &'static str,
    pub(crate) target: Target,
    pub(crate) contestants: Vec<Contestant>,
}

/// What a contestant took, in nanoseconds per operation.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Taken {
    pub(crate) kind: Kind,
    pub(crate) name: &'static str,
    pub(crate) min: f64,
    pub(crate) median: f64,
}

/// Lets the contestants of a row take turns.
pub(crate) fn compete(row: &mut Row, rounds: usize, slice: u64) -> Vec<Taken> {
    let field = &mut row.contestants;
    let times: Vec<u64> = field.iter_mut().map(|one| calibrate(one, slice)).collect();
    let mut seen = vec![Vec::with_capacity(rounds); field.len()];
    for round in 0..rounds {
        for turn in 0..field.len() {
            let at = (round + turn) % field.len();
            let took = (field[at].run)(times[at]);
            if took != NOT_MEASURED {
                seen[at].push(took as f64 / times[at] as f64);
            }
        }
    }
    field
        .iter()
        .zip(seen)
        .map(|(one, mut each)| {
            each.sort_by(f64::total_cmp);
            Taken {
                kind: one.kind,
                name: one.name,
                min: each.first().copied().unwrap_or(f64::NAN),
                median: each.get(each.len() / 2).copied().unwrap_or(f64::NAN),
            }
        })
        .collect()
}

/// How many operations make a slice, a multiple of 16 so that groups of them come out even.
fn calibrate(one: &mut Contestant, slice: u64) -> u64 {
    let mut times = 1_024;
    loop {
        let took = (one.run)(times).max(1);
        // A short run on two threads may not overlap enough: a longer one does.
        let known = took != NOT_MEASURED && took > slice / 4;
        if known || times > 1 << 24 {
            let scaled = if known { times * slice / took } else { times };
            return scaled.max(16) / 16 * 16;
        }
        times *= 2;
    }
}

/// A clock in nanoseconds.
fn nanos(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    let whole = u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000;
    whole + u64::try_from(now.tv_nsec).unwrap_or(0)
}
