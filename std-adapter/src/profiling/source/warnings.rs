//! What was odd about a report, kept until its events are given out.

use super::{Position, Warning};

/// Warnings, the first hundred in full.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    kept: Vec<Warning>,
    more: u64,
}

impl Warnings {
    pub(super) fn push(&mut self, at: Position, text: impl Into<String>) {
        if self.kept.len() < MAX_WARNINGS {
            self.kept.push(Warning {
                at,
                text: text.into(),
            });
        } else {
            self.more += 1;
        }
    }

    /// All of them, the last one saying how many more there were.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Warning> {
        let last = self.kept.last().map_or(Position::START, |warning| warning.at);
        let rest = (self.more > 0).then(|| Warning {
            at: last,
            text: format!("{} more warnings after this one", self.more),
        });
        std::mem::take(&mut self.kept).into_iter().chain(rest)
    }
}

const MAX_WARNINGS: usize = 100;
