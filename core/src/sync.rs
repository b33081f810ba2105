//! What the shared forms of the machines are made of.
//!
//! | module | what |
//! |---|---|
//! | [`atomic`] | atomic words, and those of a model where one is run |
//! | [`back_off`] | what who lost a race does before trying again |
//! | [`sequenced`] | several words that change as one |

pub(crate) mod atomic;
mod back_off;
#[cfg(target_has_atomic = "64")]
mod sequenced;

pub(crate) use back_off::back_off;
#[cfg(target_has_atomic = "64")]
pub(crate) use sequenced::Sequenced;
