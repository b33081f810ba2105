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
    slots: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    pub(super) fn insert(&mut self, value: T) -> Key {
        if let Some(index) = self.free.pop()
            && let Some((generation, slot)) = self.slots.get_mut(at(index))
        {
            *slot = Some(value);
            return Key {
                index,
                generation: *generation,
            };
        }
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push((0, Some(value)));
        Key { index, generation: 0 }
    }

    pub(super) fn get(&self, key: Key) -> Option<&T> {
        let (generation, slot) = self.slots.get(at(key.index))?;
        if *generation == key.generation {
            slot.as_ref()
        } else {
            None
        }
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let (generation, slot) = self.slots.get_mut(at(key.index))?;
        if *generation == key.generation {
            slot.as_mut()
        } else {
            None
        }
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        let (generation, slot) = self.slots.get_mut(at(key.index))?;
        if *generation != key.generation {
            return None;
        }
        let value = slot.take()?;
        *generation = generation.wrapping_add(1);
        self.free.push(key.index);
        Some(value)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The keys of those that `wanted` picks, in the order of their places. Looks at all of them.
    pub(super) fn keys(&self, mut wanted: impl FnMut(&T) -> bool) -> Vec<Key> {
        let slots = self.slots.iter().zip(0_u32..);
        slots
            .filter(|((_, slot), _)| slot.as_ref().is_some_and(&mut wanted))
            .map(|(&(generation, _), index)| Key { index, generation })
            .collect()
    }
}

/// Indices fit: `usize` has at least 32 bits wherever this runs.
pub(super) const fn at(index: u32) -> usize {
    index as usize
}
