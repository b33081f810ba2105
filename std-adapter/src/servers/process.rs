//! A child process that is signalled and waited for by its pid.

use std::fs;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use crossbridge_core::{Clock as _, Sleeper as _};
use rustix::process::{Pid, Signal, kill_process};

use super::ServerError;
use crate::clock::SystemClock;
use crate::sleeper::ThreadSleeper;

/// A server's main process.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    program: &'static str,
    /// What ends it when nobody wants it any more.
    end: Signal,
}

impl Process {
    /// A process that `end` ends at once, or after it has cleaned up behind itself.
    pub(super) const fn new(child: Child, program: &'static str, end: Signal) -> Self {
        Self { child, program, end }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, where it did.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>, ServerError> {
        self.child
            .try_wait()
            .map_err(ServerError::io("look after a server"))
    }

    /// Sends a signal. STOP and CONT go to its children as well: a server that forks one process per
    /// session goes on answering while only its first process is stopped.
    pub(super) fn signal(&mut self, signal: Signal) -> Result<(), ServerError> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        send(Pid::from_child(&self.child), signal)?;
        if signal == Signal::STOP || signal == Signal::CONT {
            for child in self.children() {
                // It may have ended since it was listed.
                let _ = send(child, signal);
            }
        }
        Ok(())
    }

    /// Sends a signal that ends it and waits until it has ended, frozen or not.
    pub(super) fn kill(&mut self, signal: Signal) -> Result<(), ServerError> {
        let children = self.children();
        self.signal(signal)?;
        if self.ended()?.is_none() {
            send(Pid::from_child(&self.child), Signal::CONT)?;
        }
        for child in children {
            let _ = send(child, Signal::CONT);
        }
        if until(END_TIMEOUT, || Ok(self.ended()?.is_some()))? {
            return Ok(());
        }
        Err(ServerError::TimedOut {
            program: self.program,
            what: "end",
            waited: END_TIMEOUT,
            said: format!("pid {}, signal {}", self.pid(), signal.as_raw()),
        })
    }

    /// The processes it has started, by the kernel's own list.
    fn children(&self) -> Vec<Pid> {
        let pid = self.pid();
        let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        list.split_ascii_whitespace()
            .filter_map(|child| Pid::from_raw(child.parse().ok()?))
            .collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // What does not listen is killed.
        if self.kill(self.end).is_err() {
            let _ = self.kill(Signal::KILL);
        }
    }
}

fn send(pid: Pid, signal: Signal) -> Result<(), ServerError> {
    match kill_process(pid, signal) {
        // It ended in between and waits to be asked how.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(ServerError::Io {
            doing: "signal a server",
            source: error.into(),
        }),
    }
}

/// Asks until the answer is yes; false when it has not been within the limit.
pub(super) fn until(
    limit: Duration,
    mut reached: impl FnMut() -> Result<bool, ServerError>,
) -> Result<bool, ServerError> {
    let clock = SystemClock::new();
    let started = clock.now();
    while !reached()? {
        if clock.now().saturating_duration_since(started) >= limit {
            return Ok(false);
        }
        ThreadSleeper.sleep(PAUSE);
    }
    Ok(true)
}

/// Between two questions whether a server is there yet.
const PAUSE: Duration = Duration::from_millis(10);

/// How long a signalled server may take to end. A busy disk makes it slow.
const END_TIMEOUT: Duration = Duration::from_secs(30);
