//! The one place where a thread sleeps.

use std::time::Duration;

use crossbridge_core::Sleeper;

/// Blocks the thread, for at least as long as it is told to.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadSleeper;

impl Sleeper for ThreadSleeper {
    #[expect(clippy::disallowed_methods, reason = "this is the sleeper")]
    fn sleep(&mut self, span: Duration) {
        std::thread::sleep(span);
    }
}
