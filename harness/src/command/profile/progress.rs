//! What a person sees meanwhile: a bar, once the work has lasted a second, where stderr is a
//! terminal; and lines that do not tear it.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal, Read, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use crossbridge_core::{Clock, Event, Instant, Observer};
use crossbridge_std::clock::SystemClock;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How far the reading is.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    clock: SystemClock,
    began: Instant,
    /// Whether the bar may be shown, and is.
    may_show: Cell<bool>,
    /// Whether lines are for a person.
    lines: bool,
}

impl Progress {
    pub(super) fn new(files: &[PathBuf], json: bool) -> Self {
        let sizes = files.iter().filter_map(|file| std::fs::metadata(file).ok());
        let total = sizes
            .filter(std::fs::Metadata::is_file)
            .map(|file| file.len())
            .sum();
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes}  {msg}") {
            bar.set_style(style);
        }
        let clock = SystemClock::new();
        Self {
            bar,
            began: clock.now(),
            clock,
            may_show: Cell::new(io::stderr().is_terminal()),
            lines: !json,
        }
    }

    pub(super) const fn clock(&self) -> SystemClock {
        self.clock
    }

    /// A line for a person on stderr; programs find the same in the object.
    pub(super) fn line(&self, line: &str) {
        if self.lines {
            let mut text = String::with_capacity(line.len() + 1);
            for char in line.chars() {
                // Names and texts of a report must not move the cursor.
                if char.is_control() {
                    let _ = write!(text, "{}", char.escape_default());
                } else {
                    text.push(char);
                }
            }
            text.push('\n');
            // Nothing is left to be done about a closed stderr.
            self.bar.suspend(|| {
                let _ = io::stderr().write_all(text.as_bytes());
            });
        }
    }

    /// The bar disappears.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn show_after_a_second(&self, now: Instant) {
        if self.may_show.get() && now.saturating_duration_since(self.began) >= PATIENCE {
            self.may_show.set(false);
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

impl Observer for Progress {
    fn on_event(&self, now: Instant, event: &Event) {
        self.show_after_a_second(now);
        match event {
            Event::RetryScheduled { number, at, fault } => {
                let wait = at.saturating_duration_since(now).as_secs_f64();
                let fault = fault.name();
                self.bar
                    .set_message(format!("store: {fault}, attempt {number} in {wait:.1} s"));
            }
            Event::CallEnded { attempts, .. } if *attempts > 1 => self.bar.set_message(""),
            Event::AttemptStarted { .. }
            | Event::AttemptEnded { .. }
            | Event::WaitingForLimit { .. }
            | Event::BreakerChanged { .. }
            | Event::HealthChanged { .. }
            | Event::CallEnded { .. } => {}
        }
    }
}

/// A reader that moves the bar.
#[derive(Debug)]
pub(super) struct Watched<'p, R> {
    inner: R,
    progress: &'p Progress,
    /// Bytes since the bar was last moved.
    since: usize,
}

impl<'p, R> Watched<'p, R> {
    pub(super) const fn new(inner: R, progress: &'p Progress) -> Self {
        Self {
            inner,
            progress,
            since: 0,
        }
    }

    fn count(&mut self, bytes: usize) {
        self.since += bytes;
        if self.since >= STEP {
            self.progress
                .bar
                .inc(u64::try_from(self.since).unwrap_or(u64::MAX));
            self.progress.show_after_a_second(self.progress.clock.now());
            self.since = 0;
        }
    }
}

impl<R: BufRead> Read for Watched<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.count(read);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Watched<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.inner.consume(amount);
        self.count(amount);
    }
}

/// Work that is over sooner needs no bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes between two looks at the clock.
const STEP: usize = 1 << 16;
