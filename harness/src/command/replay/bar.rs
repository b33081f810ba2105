//! What a person sees of work that lasts.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbridge_core::{Clock, Instant};
use crossbridge_std::clock::SystemClock;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar, after a second, where stderr is a terminal. It disappears with the value. Many threads may
/// move it.
pub(crate) struct Bar {
    bar: ProgressBar,
    clock: SystemClock,
    began: Instant,
    hidden: AtomicBool,
}

impl Bar {
    /// Up to `length`, which is in units of `what`.
    pub(crate) fn new(length: u64, what: &str, message: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden());
        if let Ok(style) =
            ProgressStyle::with_template(&format!("{{bar:30}} {{percent}}% of {what}  {{msg}}"))
        {
            bar.set_style(style);
        }
        bar.set_message(message.to_owned());
        let clock = SystemClock::new();
        Self {
            bar,
            began: clock.now(),
            clock,
            hidden: AtomicBool::new(true),
        }
    }

    pub(crate) fn show(&self, position: u64) {
        let patience = Duration::from_secs(1);
        let due = || self.clock.now().saturating_duration_since(self.began) >= patience;
        if self.hidden.load(Ordering::Relaxed) && due() {
            self.hidden.store(false, Ordering::Relaxed);
            if std::io::stderr().is_terminal() {
                self.bar.set_draw_target(ProgressDrawTarget::stderr());
            }
        }
        self.bar.set_position(position);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
