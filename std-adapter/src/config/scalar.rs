//! The scalars of our files: times, rates, shares and bounded numbers.
//!
//! Each is checked where it is read, so that an error carries its line; what a machine further in
//! would refuse for a reason of its own is asked again when the policies are put together.

mod rate;
mod seconds;
mod share;
mod whole;

pub use rate::{ParseRateError, Rate};
pub use seconds::{ParseSpanError, Seconds, parse_span};
pub use share::Share;
pub use whole::Whole;
