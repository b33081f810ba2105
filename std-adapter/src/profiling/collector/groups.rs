//! Groups of events that somebody waits for: each goes to the spool as a whole or not at all.
//!
//! ```text
//!   keep(a) ──▶ waiting ──▶ nobody commits? ──▶ take all that wait ──▶ one commit ──▶ answers
//!   keep(b) ──▶ waiting ──▶ somebody does ──▶ wait                                      │
//!   keep(c) ──▶ waiting ──▶ somebody does ──▶ wait ◀────────────────────────────────────┘
//! ```
//!
//! Whoever comes while a commit is under way is part of the next one, so the number of syncs does
//! not grow with the number of threads. There is no thread of its own: the first of those that wait
//! commits for all of them. Where all of them together do not fit, each is tried alone.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::desk::Desk;
use super::shared::{Shared, lock};
use crate::profiling::event::Event;
use crate::profiling::spool::{Spool, SpoolError};

/// What became of a group; `None` where the collector was closed, or has no spool.
pub(super) type Answer = Result<(), Option<SpoolError>>;

#[derive(Default)]
pub(super) struct Groups {
    state: Mutex<State>,
    answered: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Group>,
    /// Somebody commits.
    busy: bool,
    closed: bool,
}

struct Group {
    events: Vec<Event>,
    answer: Arc<Mutex<Option<Answer>>>,
}

impl Groups {
    /// Returns when the events are on disk, or known to be nowhere.
    pub(super) fn keep(&self, shared: &Shared, events: Vec<Event>) -> Answer {
        let answer = Arc::new(Mutex::new(None));
        let mut state = lock(&self.state);
        if state.closed {
            return Err(None);
        }
        state.waiting.push(Group {
            events,
            answer: Arc::clone(&answer),
        });
        loop {
            if let Some(answer) = lock(&answer).take() {
                return answer;
            }
            if state.busy {
                state = self.answered.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.busy = true;
            let groups = std::mem::take(&mut state.waiting);
            drop(state);
            commit(shared, groups);
            state = lock(&self.state);
            state.busy = false;
            self.answered.notify_all();
        }
    }

    /// Nothing is kept any more; what is under way comes to its end first.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        while state.busy || !state.waiting.is_empty() {
            state = self.answered.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// All of them in one commit, or each in its own.
fn commit(shared: &Shared, mut groups: Vec<Group>) {
    let mut desk = shared.desk();
    let sizes: Vec<usize> = groups.iter().map(|group| group.events.len()).collect();
    let mut all: Vec<Event> = groups
        .iter_mut()
        .flat_map(|group| std::mem::take(&mut group.events))
        .collect();
    let together = keep(&mut desk, &all);
    let alone = groups.len() > 1 && together.is_err();
    let mut answers = Vec::new();
    if alone {
        for size in sizes {
            let rest = all.split_off(size.min(all.len()));
            answers.push(keep(&mut desk, &all));
            all = rest;
        }
    } else {
        // One answer for all: an error only where there is one group.
        answers.extend(sizes.iter().skip(1).map(|_| Ok(())));
        answers.push(together);
    }
    // Said while nobody can look into the spool: whoever finds it empty later, finds it so.
    shared.signal(|signals| signals.idle = false);
    drop(desk);
    for (group, answer) in groups.iter().zip(answers) {
        *lock(&group.answer) = Some(answer);
    }
}

fn keep(desk: &mut Desk<Spool>, events: &[Event]) -> Answer {
    let Some(spool) = &mut desk.spool else {
        return Err(None);
    };
    spool.append_or_refuse(events).map_err(Some)?;
    desk.kept += u64::try_from(events.len()).unwrap_or(u64::MAX);
    Ok(())
}
