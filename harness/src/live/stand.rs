//! A dependency on the day: its server, the proxy before it, and what requests ask of it.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::{Clock, Instant, Outcome, Sleeper};
use crossbridge_std::clock::SystemClock;
use crossbridge_std::sleeper::ThreadSleeper;

use super::result::{OverheadMs, ServerResult};
use super::servers::{Own, Servers, crashes};
use super::stop::lock;
use super::upstream::Upstream;
use super::wire::{self, Answer, Ask};
use super::{LiveError, refusals, since};
use crate::proxy::Proxy;
use crate::proxy::script::{Greeting, Script};
use crate::scenario::{FaultEffect, Node, RealServer, Scenario};
use crate::stream::stream;
use crate::world::weather::Weather;

/// A server that is up, behind its proxy.
pub(super) struct Stand<'r> {
    pub(super) index: usize,
    node: &'r Node,
    server: RealServer,
    pub(super) proxy: Proxy,
    pub(super) script: Script,
    pub(super) own: Option<Own>,
    /// Ends with the value.
    _upstream: Option<Upstream>,
    address: SocketAddr,
    work: Mutex<Work>,
    /// A fault has requests served and then fail, which the proxy does at once. Who is throttled is
    /// not served.
    pub(super) errors_follow_service: bool,
    overhead: OverheadMs,
}

/// Where the time a request takes comes from.
struct Work {
    rng: SplitMix64,
    weather: Weather,
}

/// Connections before the run that show what they cost.
const REHEARSALS: usize = 20;
/// Between two of them: as in the run, nothing is warm any more.
const PAUSE: Duration = Duration::from_millis(15);
/// How long one of them may take.
const PATIENCE: Duration = Duration::from_secs(10);

impl<'r> Stand<'r> {
    /// Starts what is not there yet, and sees that it answers.
    pub(super) fn new(
        servers: &Servers,
        scenario: &'r Scenario,
        (index, node): (usize, &'r Node),
        server: RealServer,
        seed: u64,
    ) -> Result<Self, LiveError> {
        let proxied = |error| LiveError::Proxy(node.name.clone(), error);
        let own = if crashes(scenario, index) || servers.address(server).is_none() {
            Own::start(server).map_err(LiveError::Server)?
        } else {
            None
        };
        let theirs = own.as_ref().map(Own::address).or(servers.address(server));
        let upstream = match theirs {
            Some(_) => None,
            None => Some(Upstream::start().map_err(proxied)?),
        };
        let ours = upstream.as_ref().map(Upstream::address);
        // One of both is there.
        let there = theirs
            .or(ours)
            .map(|address| address.to_string())
            .unwrap_or_default();
        let proxy = Proxy::start(seed, &node.name, "127.0.0.1:0", &there, true);
        let proxy = proxy.map_err(proxied)?;
        let (greeting, overhead) = rehearse(server, proxy.address(), &node.name)?;
        let on_the_wire = refusals::on_the_wire(scenario);
        // What cannot be played has been refused.
        let script =
            Script::after(greeting, &on_the_wire, Some(&node.name)).unwrap_or(Script::new(Vec::new()));
        for toxic in script.step(None, Instant::ZERO).1 {
            proxy.put_toxic(toxic.clone()).map_err(proxied)?;
        }
        let mut faults = scenario.faults.iter().filter(|fault| fault.node == index);
        let errors_follow_service = faults.all(|fault| !matches!(fault.kind, FaultEffect::Throttle { .. }));
        Ok(Self {
            index,
            errors_follow_service,
            node,
            server,
            address: proxy.address(),
            proxy,
            script,
            own,
            _upstream: upstream,
            work: Mutex::new(Work {
                rng: stream(seed, &node.name, 0, "service"),
                weather: Weather::new(scenario, seed),
            }),
            overhead,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.node.name
    }

    /// How long the request takes that is sent now.
    pub(super) fn work(&self, now: Instant) -> Duration {
        let Work { rng, weather } = &mut *lock(&self.work);
        let usual = self.node.service_time.sample(rng);
        Duration::from_nanos(weather.stretch(now, self.index, usual))
    }

    pub(super) fn attempt(&self, ask: &Ask<'_>) -> Answer {
        wire::attempt(self.server, self.address, ask)
    }

    /// Drops every connection and takes no more.
    pub(super) fn hang_up(&self) {
        let view = self.proxy.view();
        // The run is over: a proxy that does not follow ends with it.
        let _ = self.proxy.update(&view.listen, &view.upstream, false);
    }

    /// What connections cost after the run, where they still get through.
    pub(super) fn rehearse_again(&mut self) {
        if self.proxy.retain_toxics(|_| false).is_ok()
            && let Ok((_, overhead)) = rehearse(self.server, self.address, &self.node.name)
        {
            self.overhead = self.overhead.max(overhead);
        }
    }

    pub(super) fn describe(&self) -> ServerResult {
        ServerResult {
            dependency: self.node.name.clone(),
            server: self.server.name(),
            overhead_ms: self.overhead,
        }
    }
}

/// Makes some attempts that ask for nothing: what a greeting is, and what a connection costs.
fn rehearse(
    server: RealServer,
    address: SocketAddr,
    name: &str,
) -> Result<(Greeting, OverheadMs), LiveError> {
    let clock = SystemClock::new();
    let mut took = Vec::new();
    let mut greeting = Greeting::default();
    for _ in 0..REHEARSALS {
        ThreadSleeper.sleep(PAUSE);
        let began = clock.now();
        let ask = Ask {
            clock: &clock,
            until: began.saturating_add(PATIENCE),
            work: Duration::ZERO,
            codes: &[],
        };
        let answer = wire::attempt(server, address, &ask);
        if let Outcome::Failure(failure) = answer.outcome {
            return Err(LiveError::Silent(name.to_owned(), failure.kind.name().to_owned()));
        }
        greeting = answer.greeting;
        took.push(since(&clock, began));
    }
    Ok((greeting, OverheadMs::of(took)))
}

/// What a connection costs at most, over all of them.
pub(super) fn slowest(stands: &[Option<Stand<'_>>]) -> OverheadMs {
    let all = stands.iter().flatten().map(|stand| stand.overhead);
    all.fold(OverheadMs::default(), OverheadMs::max)
}
