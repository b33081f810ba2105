//! The faults of a run, each in time: scripts of proxies, and crashes.

use crossbridge_core::Instant;
use crossbridge_std::clock::SystemClock;

use super::LiveError;
use super::servers::Own;
use super::stand::Stand;
use super::stop::Stop;
use crate::scenario::{FaultEffect, Scenario};

/// What a thread has to do while the run lasts.
pub(super) enum Job<'s, 'r> {
    /// Toxics come and go.
    Script(&'s Stand<'r>),
    /// The server crashes at this instant, and is started again at once; the proxy refuses connections
    /// for as long as the fault lasts.
    Crash(&'s Own, Instant),
}

/// What there is to do for one dependency.
pub(super) fn jobs<'s, 'r>(scenario: &Scenario, stand: &'s Stand<'r>) -> Vec<Job<'s, 'r>> {
    let mut jobs = Vec::new();
    if stand.script.next_change(Instant::ZERO).is_some() {
        jobs.push(Job::Script(stand));
    }
    if let Some(own) = &stand.own {
        let crashes = scenario.faults.iter();
        let crashes =
            crashes.filter(|fault| fault.node == stand.index && fault.kind == FaultEffect::CrashRestart);
        jobs.extend(crashes.map(|fault| Job::Crash(own, fault.from)));
    }
    jobs
}

impl Job<'_, '_> {
    /// Does it, to the end of the run.
    pub(super) fn play(&self, clock: &SystemClock, end: Instant, stop: &Stop) -> Result<(), LiveError> {
        match self {
            Self::Script(stand) => script(stand, clock, end, stop),
            Self::Crash(own, at) if stop.wait(clock, *at) => own.crash().map_err(LiveError::Server),
            Self::Crash(..) => Ok(()),
        }
    }
}

/// What is there from the start has been put there before.
fn script(stand: &Stand<'_>, clock: &SystemClock, end: Instant, stop: &Stop) -> Result<(), LiveError> {
    let proxied = |error| LiveError::Proxy(stand.name().to_owned(), error);
    let mut at = Instant::ZERO;
    while let Some(next) = stand.script.next_change(at).filter(|&next| next < end) {
        if !stop.wait(clock, next) {
            return Ok(());
        }
        let (go, come) = stand.script.step(Some(at), next);
        for toxic in come {
            stand.proxy.put_toxic(toxic.clone()).map_err(proxied)?;
        }
        if !go.is_empty() {
            let stays = |name: &str| go.iter().all(|toxic| toxic.name != name);
            stand
                .proxy
                .retain_toxics(|toxic| stays(&toxic.name))
                .map_err(proxied)?;
        }
        at = next;
    }
    Ok(())
}
