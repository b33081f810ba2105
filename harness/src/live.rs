//! The same scenario with real clients, by the real clock, on real servers; beside what was predicted.
//!
//! ```text
//!              ┌─▶ world, this seed and others ──────────────────────▶ prediction, and its scatter ─┐
//!   scenario ──┤                                                                                    ├─▶ comparison
//!              └─▶ arrivals ─▶ Guard ─▶ client ─▶ fault proxy ─▶ server ──▶ measurement ────────────┘
//!                  a thread a call                 script       PostgreSQL, Redis, HTTP
//! ```
//!
//! # What is the same
//!
//! - The calls: their instants come from the same streams, so both runs are offered the same load.
//! - The guards: the same policies, the same seeds of their jitter, the same code.
//! - The counting: events of real guards go through the recorder of the replay.
//!
//! # What is real
//!
//! | in the scenario | here |
//! |---|---|
//! | a dependency with `live: postgres` or `live: redis` | a server of its own on loopback, started and stopped by this process |
//! | one with `live: http` | a small HTTP/1.1 server of this process |
//! | an attempt | a new connection, a request, its answer; then the connection is closed |
//! | service time | drawn from the same distribution; the request asks for it: `select pg_sleep(0.012)`, `BLPOP` of a list that stays empty with that timeout, `GET /12000` |
//! | an attempt's timeout | of the socket; such an attempt ends as [unknown](crossbridge_core::FaultKind::Unknown), as in the replay |
//! | `slow` | requests that ask for more |
//! | `crash_restart` | the server is killed with SIGKILL and started again; connections are refused for as long as the fault lasts |
//! | every other fault | the [proxy](crate::proxy) and its [script](crate::proxy::script) |
//!
//! The proxy answers with an `error` at once, where the scenario has the request served first: its client
//! waits for as long as the service would have taken. A dependency that throttles answers at once in both.
//!
//! What happens at one instant of a scenario happens here in some order, and a thousandth of a second
//! apart: a burst every 500 ms and an attempt timeout of 500 ms meet differently each time.
//!
//! # What is refused
//!
//! What a real server does not do as the model does is refused before anything starts, with its place:
//! see [`problems`]. Queues are among it: `servers` must be enough for every request of the prediction.
//!
//! # When both agree
//!
//! A number agrees when it is off by no more than chance does to it, as other seeds show, and an allowance
//! for what the model leaves out: see [`mod@compare`].

use std::fmt;
use std::io;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use crossbridge_core::{Clock, Instant};
use crossbridge_std::clock::SystemClock;
use crossbridge_std::config::Problem;
use crossbridge_std::servers::ServerError;

use crate::recorder::Ledger;
use crate::result::{ReplayResult, replayed};
use crate::scenario::Scenario;
use crate::world::RunError;

mod clients;
pub mod compare;
mod events;
mod faults;
mod refusals;
pub mod result;
mod servers;
mod stand;
mod stop;
mod upstream;
mod wire;

pub use refusals::problems;
pub use result::LiveResult;
pub use servers::Servers;
pub use stop::Stop;

use clients::Run;
use compare::{Scatter, compare};
use stand::Stand;

/// What a run on real servers left.
#[derive(Debug)]
pub struct Live {
    /// The numbers and the verdict.
    pub result: LiveResult,
    /// Everything that was counted on the real servers.
    pub ledger: Ledger,
}

/// Why a scenario could not be run on real servers.
#[derive(Debug)]
pub enum LiveError {
    /// It asks for what cannot be, each with its place in the scenario.
    Refused(Vec<Problem>),
    /// The prediction could not be finished.
    Prediction(RunError),
    /// A server could not be started or killed.
    Server(ServerError),
    /// The proxy before this dependency could not be started, or did not follow its script.
    Proxy(String, io::Error),
    /// This dependency did not answer while nothing was wrong, and what its client saw.
    Silent(String, String),
    /// A thread could not be started.
    Thread(io::Error),
    /// Somebody stopped it.
    Stopped,
}

/// A scenario that can be run on real servers, with its prediction. Nothing has been started.
#[derive(Debug)]
pub struct Plan<'s> {
    scenario: &'s Scenario,
    seed: u64,
    prediction: ReplayResult,
    scatter: Scatter,
}

impl<'s> Plan<'s> {
    /// Predicts a run.
    ///
    /// # Errors
    /// [`LiveError::Refused`] and [`LiveError::Prediction`].
    pub fn new(scenario: &'s Scenario, seed: u64) -> Result<Self, LiveError> {
        let accept = |refused: Vec<Problem>| match refused.as_slice() {
            [] => Ok(()),
            [..] => Err(LiveError::Refused(refused)),
        };
        accept(problems(scenario))?;
        let predict = |seed| replayed(scenario, seed).map_err(LiveError::Prediction);
        let prediction = predict(seed)?;
        accept(refusals::crowded(scenario, &prediction))?;
        Ok(Self {
            scenario,
            seed,
            prediction,
            scatter: Scatter::over(compare::seeds(seed).map(predict))?,
        })
    }

    /// Makes the run. `watch` is told now and then how far it is; `stop` ends it early.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub fn run(
        self,
        servers: &Servers,
        stop: &Stop,
        watch: &mut dyn FnMut(Instant),
    ) -> Result<Live, LiveError> {
        let Self { scenario, seed, .. } = self;
        let mut stands = Vec::new();
        for (index, node) in scenario.nodes.iter().enumerate() {
            let is_called = scenario.clients.iter().any(|group| group.calls.node == index);
            let stand = match node.live {
                Some(server) if is_called => {
                    Some(Stand::new(servers, scenario, (index, node), server, seed)?)
                }
                Some(_) | None => None,
            };
            stands.push(stand);
        }
        if stop.is_stopped() {
            return Err(LiveError::Stopped);
        }
        // Instants of the run are those of the scenario: its clock starts now.
        let clock = SystemClock::new();
        let end = Instant::ZERO.saturating_add(scenario.duration);
        let run = Run::new(scenario, seed, &stands, clock, end, stop);
        play(scenario, &stands, &run, stop, watch)?;
        let (outcome, late) = run.finish()?;
        let measurement = ReplayResult::new(scenario, seed, &outcome);
        // The machine may have become busier since.
        stands.iter_mut().flatten().for_each(Stand::rehearse_again);
        let overhead = stand::slowest(&stands);
        let comparison = compare(&self.prediction, &measurement, &self.scatter, overhead, late);
        let servers = stands.iter().flatten().map(Stand::describe).collect();
        Ok(Live {
            result: LiveResult::new(scenario, self.prediction, measurement, comparison, servers, late),
            ledger: outcome.ledger,
        })
    }
}

/// Has clients and faults do what they have to, to the end of the run.
fn play(
    scenario: &Scenario,
    stands: &[Option<Stand<'_>>],
    run: &Run<'_>,
    stop: &Stop,
    watch: &mut dyn FnMut(Instant),
) -> Result<(), LiveError> {
    let failed = Mutex::new(None);
    thread::scope(|scope| {
        for job in stands
            .iter()
            .flatten()
            .flat_map(|stand| faults::jobs(scenario, stand))
        {
            let failed = &failed;
            let work = move || {
                if let Err(error) = job.play(run.clock(), run.end(), stop) {
                    stop::lock(failed).get_or_insert(error);
                    stop.give_up();
                }
            };
            let thread = thread::Builder::new().spawn_scoped(scope, work);
            thread.map_err(LiveError::Thread)?;
        }
        let served = run.serve(watch);
        if served.is_err() {
            stop.give_up();
        }
        served
    })?;
    if stop.is_stopped() {
        return Err(LiveError::Stopped);
    }
    stop::lock(&failed).take().map_or(Ok(()), Err)
}

/// From `earlier` to now.
fn since(clock: &SystemClock, earlier: Instant) -> Duration {
    clock.now().saturating_duration_since(earlier)
}

impl fmt::Display for LiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(problems) => {
                let first = problems.first().map_or("", |problem| problem.message.as_str());
                write!(f, "the scenario cannot be run on real servers: {first}")
            }
            Self::Prediction(error) => write!(f, "the prediction: {error}"),
            Self::Server(error) => write!(f, "{error}"),
            Self::Proxy(name, _) => write!(f, "the proxy before `{name}` does not follow"),
            Self::Silent(name, saw) => {
                write!(f, "`{name}` does not answer while nothing is wrong: {saw}")
            }
            Self::Thread(_) => f.write_str("no thread can be started"),
            Self::Stopped => f.write_str("stopped by a signal"),
        }
    }
}

impl std::error::Error for LiveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Prediction(error) => error.source(),
            Self::Server(error) => error.source(),
            Self::Proxy(_, error) | Self::Thread(error) => Some(error),
            Self::Refused(_) | Self::Silent(..) | Self::Stopped => None,
        }
    }
}
