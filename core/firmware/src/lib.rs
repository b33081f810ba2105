//! What the images and the host share: paths, trace and the loop that drives one through the other.
//!
//! ```text
//!   trace.txt ──▶ trace ──▶ drive ──▶ Guard ──▶ Record      replay: lines, compared byte for byte
//!                  paths ─────┘                             frames: defmt frames, decoded and compared
//! ```
//!
//! The same source runs on a Cortex-M3 and on the host; nothing in it asks which.

#![no_std]

pub mod drive;
pub mod lines;
pub mod paths;
#[cfg(target_os = "none")]
pub mod stop;
#[cfg(feature = "frames")]
pub mod ticks;
pub mod trace;
