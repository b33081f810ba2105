//! Calls under way, as their events tell.

use std::collections::HashMap;

use crossbridge_core::Instant;

use super::elapsed::Elapsed;

/// The calls of one guard that have not ended. Looked up and never walked, so that the order of the
/// map is nobody's concern.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: HashMap<u64, Call>,
    in_flight: u64,
    /// The last call that was met: their numbers only grow.
    last: u64,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
struct Call {
    /// Time since its begin, as far as its own events show: it cannot be more.
    clock: Elapsed,
    started: u32,
    in_flight: bool,
    /// What the attempt due or in flight has cost.
    paid: Option<u32>,
}

/// What the end of a call leaves.
#[derive(Debug)]
pub(super) struct Ended {
    /// The cost of a retry that was paid for and never sent.
    pub(super) unused: Option<u32>,
    pub(super) wrong: Option<String>,
}

impl Calls {
    pub(super) fn len(&self) -> u64 {
        self.open.len() as u64
    }

    pub(super) const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// An event is about this call. Whether it is the first.
    pub(super) fn meet(&mut self, call: u64, now: Instant) -> bool {
        if call <= self.last {
            if let Some(open) = self.open.get_mut(&call) {
                open.clock.read(now);
            }
            return false;
        }
        self.last = call;
        let mut clock = Elapsed::default();
        clock.read(now);
        let began = Call {
            clock,
            started: 0,
            in_flight: false,
            paid: None,
        };
        self.open.insert(call, began);
        true
    }

    /// An attempt starts: so long after the begin, and what is wrong with that.
    pub(super) fn start(&mut self, call: u64, number: u32) -> (u64, Option<String>) {
        let Some(open) = self.open.get_mut(&call) else {
            return (0, Some(format!("attempt {number} of a call that is over")));
        };
        let mut wrong = None;
        if open.in_flight {
            wrong = Some(format!("attempt {number} while another is in flight"));
        } else if number != open.started + 1 {
            wrong = Some(format!("attempt {number} after {}", open.started));
        }
        self.in_flight += u64::from(!open.in_flight);
        (open.started, open.in_flight) = (number, true);
        (open.clock.nanos(), wrong)
    }

    /// An attempt has its outcome: what it had cost, and what is wrong with that.
    pub(super) fn settle(&mut self, call: u64, number: u32) -> (Option<u32>, Option<String>) {
        match self.open.get_mut(&call) {
            Some(open) if open.in_flight && open.started == number => {
                open.in_flight = false;
                self.in_flight -= 1;
                (open.paid.take(), None)
            }
            Some(_) | None => (
                None,
                Some(format!("an end of attempt {number}, which is not in flight")),
            ),
        }
    }

    /// A retry is due, at this cost.
    pub(super) fn schedule(&mut self, call: u64, paid: Option<u32>) {
        if let Some(open) = self.open.get_mut(&call) {
            open.paid = paid;
        }
    }

    pub(super) fn end(&mut self, call: u64, attempts: u32) -> Ended {
        let Some(open) = self.open.remove(&call) else {
            let wrong = Some("a call that ends twice".to_owned());
            return Ended { unused: None, wrong };
        };
        self.in_flight -= u64::from(open.in_flight);
        let wrong = if open.in_flight {
            Some(format!("over while attempt {} is in flight", open.started))
        } else if open.started != attempts {
            Some(format!("{attempts} attempts told, {} seen", open.started))
        } else {
            None
        };
        Ended {
            unused: open.paid,
            wrong,
        }
    }
}
