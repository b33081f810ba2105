//! Everything that happens, as lines of text.

use core::cell::RefCell;
use core::fmt::{self, Write};

use crossbridge_core::{Event, Instant, Observer};

use crate::drive::{Driver, Record};
use crate::{paths, trace};

/// Writes a line for every event, answer and state.
pub struct Lines<'a, W>(&'a RefCell<W>);

impl<W> Clone for Lines<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W> Copy for Lines<'_, W> {}

/// The guard shows its observer with itself.
impl<W> fmt::Debug for Lines<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lines")
    }
}

impl<W: Write> Lines<'_, W> {
    fn line(&self, now: Instant, what: fmt::Arguments<'_>) {
        // A line that is not written is missing in the comparison.
        let _ = writeln!(self.0.borrow_mut(), "{} {what}", now.as_nanos());
    }
}

impl<W: Write> Observer for Lines<'_, W> {
    fn on_event(&self, now: Instant, event: &Event) {
        self.line(now, format_args!("{event:?}"));
    }
}

impl<W: Write> Record for Lines<'_, W> {
    fn answer(&self, now: Instant, slot: usize, answer: &dyn fmt::Debug) {
        self.line(now, format_args!("[{slot}] {answer:?}"));
    }

    fn state(&self, now: Instant, state: &dyn fmt::Debug) {
        self.line(now, format_args!("= {state:?}"));
    }
}

/// Replays the whole trace on every path.
///
/// # Errors
/// What is wrong with a path or a line of the trace, or that `out` took no more.
pub fn replay<W: Write>(out: W) -> fmt::Result {
    let out = RefCell::new(out);
    for (name, config, seed) in paths::PATHS {
        writeln!(out.borrow_mut(), "== {name}")?;
        let mut driver = Driver::new(config, seed, Lines(&out)).map_err(|_| fmt::Error)?;
        // Not at the origin, so that a step back has somewhere to go.
        let mut now = Instant::from_nanos(10_000_000_000);
        for input in trace::inputs() {
            let input = match input {
                Ok(input) => input,
                Err(line) => {
                    writeln!(out.borrow_mut(), "trace.txt: line {line} is no input")?;
                    return Err(fmt::Error);
                }
            };
            now = input.after(now);
            driver.input(now, &input);
        }
    }
    writeln!(out.borrow_mut(), "== end")
}
