//! Events in hand: out of the queue, and not handed over yet. They are still in memory, and the queue
//! keeps their space.

use std::collections::VecDeque;

use super::queue::{Chunk, Queue};
use crate::profiling::event::Event;

#[derive(Default)]
pub(super) struct Hand {
    /// The next ones, side by side as a commit or a store wants them.
    part: Vec<Event>,
    /// Those after them, as they were in the queue: to move them costs nothing and takes no memory.
    chunks: VecDeque<Chunk>,
    /// Events in them.
    later: usize,
}

impl Hand {
    /// Takes everything out of the queue.
    pub(super) fn take(&mut self, queue: &Queue) {
        queue.take(&mut self.chunks);
        self.later = self.chunks.iter().map(VecDeque::len).sum();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.part.len() + self.later).unwrap_or(u64::MAX)
    }

    /// The next events, `most` of them where there are as many.
    pub(super) fn part(&mut self, most: usize, queue: &Queue) -> &[Event] {
        self.fill(most, queue);
        &self.part
    }

    /// The same, away from here.
    pub(super) fn take_part(&mut self, most: usize, queue: &Queue) -> Vec<Event> {
        self.fill(most, queue);
        std::mem::take(&mut self.part)
    }

    /// The first ones of the part have been handed over.
    pub(super) fn drop_first(&mut self, count: usize) {
        self.part.drain(..count.min(self.part.len()));
    }

    /// Gives back what was taken and is not handed over. Nothing was asked for meanwhile.
    pub(super) fn put_back(&mut self, rest: Vec<Event>) {
        self.part = rest;
    }

    fn fill(&mut self, most: usize, queue: &Queue) {
        while self.part.len() < most
            && let Some(chunk) = self.chunks.front_mut()
        {
            let room = (most - self.part.len()).min(chunk.len());
            self.part.extend(chunk.drain(..room));
            self.later -= room;
            if chunk.is_empty()
                && let Some(chunk) = self.chunks.pop_front()
            {
                queue.recycle(chunk);
            }
        }
    }

    /// Everything.
    pub(super) fn into_rest(self) -> Vec<Event> {
        let mut rest = self.part;
        rest.extend(self.chunks.into_iter().flatten());
        rest
    }
}
