//! The atomics of the shared forms, and what stands in for them where their interleavings are tried.
//!
//! A model tries every interleaving of a few threads, and every value that the memory model lets a
//! load see. For that it takes the atomics of `loom` in place of the processor's; see
//! `core/tests/loom`. An ordinary build has core's own, and does not know loom.

#[cfg(all(not(loom), target_has_atomic = "64"))]
pub(crate) use core::sync::atomic::{AtomicU64, fence};
#[cfg(not(loom))]
pub(crate) use core::{hint::spin_loop, sync::atomic::AtomicU32};

#[cfg(loom)]
pub(crate) use loom::{hint::spin_loop, sync::atomic::fence};
#[cfg(loom)]
pub(crate) use modelled::{AtomicU32, AtomicU64};

#[cfg(loom)]
mod modelled {
    extern crate std;

    use core::mem::ManuallyDrop;
    use core::ops::Deref;
    use std::sync::OnceLock;

    /// An atomic of loom with the constant constructor that it lacks: it is made where it is first
    /// looked at, which has to be before a model shares it.
    macro_rules! modelled {
        ($name:ident, $word:ty) => {
            #[derive(Debug)]
            pub(crate) struct $name {
                initial: $word,
                // Without a destructor, which a constant function could not run.
                made: ManuallyDrop<OnceLock<loom::sync::atomic::$name>>,
            }

            impl $name {
                pub(crate) const fn new(initial: $word) -> Self {
                    let made = ManuallyDrop::new(OnceLock::new());
                    Self { initial, made }
                }
            }

            impl Deref for $name {
                type Target = loom::sync::atomic::$name;

                fn deref(&self) -> &Self::Target {
                    self.made.get_or_init(|| Self::Target::new(self.initial))
                }
            }
        };
    }

    modelled!(AtomicU32, u32);
    modelled!(AtomicU64, u64);
}
