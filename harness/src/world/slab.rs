//! Things under way, by keys that are not used twice.
//!
//! A key carries a generation: an event about something that is over (a timeout that was not needed,
//! an answer nobody waits for) finds nothing and does nothing.

/// A key into a slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    index: u32,
    generation: u32,
}

/// Things with keys that are not used twice.
#[derive(Debug)]
pub(super) struct Slab<T> {
    slots: Vec<Option<T>>,
    /// Beside the slots: most timeouts find out here, in a few lines of a cache, that they are not needed.
    generations: Vec<u32>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            generations: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    pub(super) fn insert(&mut self, value: T) -> Key {
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(at(index))
            && let Some(&generation) = self.generations.get(at(index))
        {
            *slot = Some(value);
            return Key { index, generation };
        }
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(Some(value));
        self.generations.push(0);
        Key { index, generation: 0 }
    }

    fn is_current(&self, key: Key) -> bool {
        self.generations.get(at(key.index)) == Some(&key.generation)
    }

    pub(super) fn get(&self, key: Key) -> Option<&T> {
        if !self.is_current(key) {
            return None;
        }
        self.slots.get(at(key.index))?.as_ref()
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        if !self.is_current(key) {
            return None;
        }
        self.slots.get_mut(at(key.index))?.as_mut()
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        if !self.is_current(key) {
            return None;
        }
        let value = self.slots.get_mut(at(key.index))?.take()?;
        if let Some(generation) = self.generations.get_mut(at(key.index)) {
            *generation = generation.wrapping_add(1);
        }
        self.free.push(key.index);
        Some(value)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The keys of those that `wanted` picks, in the order of their places. Looks at all of them.
    pub(super) fn keys(&self, mut wanted: impl FnMut(&T) -> bool) -> Vec<Key> {
        let slots = self.slots.iter().zip(&self.generations).zip(0_u32..);
        slots
            .filter(|((slot, _), _)| slot.as_ref().is_some_and(&mut wanted))
            .map(|((_, &generation), index)| Key { index, generation })
            .collect()
    }
}

/// Indices fit: `usize` has at least 32 bits wherever this runs.
pub(super) const fn at(index: u32) -> usize {
    index as usize
}
