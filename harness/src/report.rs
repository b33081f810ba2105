//! What people and programs read: a page of text, a page for a browser, a picture, JUnit XML.
//!
//! ```text
//!            ┌─▶ text      the terminal
//!   Replay ──┼─▶ html      one file, with the timeline and the distribution over seeds in it
//!            ├─▶ timeline  the timeline alone, as SVG
//!            └─▶ junit     promises as test cases
//!
//!   GridResult ─▶ grid      a heat map and a table of cells; as a page for a browser in html
//!   SVG ────────▶ png       the same picture in pixels
//! ```
//!
//! All of them say the same: they are written from the result and the ledger, and decide nothing. They
//! are the same to the byte for the same run: no date, no duration of the real world, no path but the
//! one that was given, coordinates in whole numbers.

pub mod grid;
pub mod html;
pub mod junit;
mod lanes;
pub mod live;
mod markup;
pub mod png;
mod story;
pub mod text;
pub mod timeline;
mod trouble;
mod verdict;
pub mod words;

use crate::recorder::Ledger;
use crate::result::ReplayResult;
use crate::scenario::Scenario;

/// One replay, as every report sees it.
#[derive(Debug)]
pub struct Replay<'s> {
    /// What was replayed.
    pub scenario: &'s Scenario,
    /// Everything that was counted.
    pub ledger: Ledger,
    /// What was counted without the faults; `None` where the run has none.
    pub control: Option<Ledger>,
    /// The numbers and the verdict.
    pub result: ReplayResult,
    /// What repeats it.
    pub command: String,
}
