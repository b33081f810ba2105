//! `crossbridge serve`: events over HTTP, acknowledged when they are on disk.

use std::env::VarError;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crossbridge_core::health::Health;
use crossbridge_harness::endpoint::{Endpoint, Reporter, Server, Settings, SourceLimits, Token};
use crossbridge_std::profiling::collector::StartError;
use crossbridge_std::profiling::store::chain;
use crossbridge_std::profiling::watch::StoreWatch;
use crossbridge_std::profiling::{Collector, CollectorSettings, Durability, SpoolPlace};
use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::status::{Seen, object};
use super::target::Target;
use super::{Place, failure};
use crate::cli::ServeArgs;
use crate::command::{print, unbound};
use crate::exit::Failure;

/// Serves until a signal says to stop.
pub(crate) fn run(args: &ServeArgs, config: Option<&Path>, output: &mut dyn Write) -> Result<(), Failure> {
    let token = args.token_env.as_deref().map(token).transpose()?;
    let place = Place::of(args.store.store.as_deref(), config)?;
    // Signals are caught before anybody can know that there is something to stop.
    let mut signals = Signals::new([SIGINT, SIGTERM])
        .map_err(|error| Failure::Internal(format!("no signals can be caught: {error}")))?;
    let listener =
        TcpListener::bind(&args.listen).map_err(|error| unbound("--listen", &args.listen, &error))?;
    let address = listener.local_addr().map_err(started)?;
    let policies = place.path()?.guard;
    let watch = {
        let target = place.target.clone();
        StoreWatch::start(policies.health, move |timeout| target.open(timeout)).map_err(started)?
    };
    let collector = {
        let settings = CollectorSettings {
            // A 202 means that it is on disk, whatever programs on this machine are content with.
            durability: Durability::Spool,
            ..place.config.profiling().collector.clone()
        };
        let (target, witness) = (place.target.clone(), watch.witness());
        let store = move |timeout| Ok(witness.clone().witnessed(target.open(timeout)?));
        let spool = place.target.spool(*place.config.profiling().spool());
        Collector::start(settings, spool, policies, store).map_err(|error| match error {
            StartError::Spool(error) => failure::spool(&error),
            StartError::Policies(refused) => Failure::Internal(refused.to_string()),
            StartError::Thread(error) => started(error),
        })?
    };
    let line = json!({
        "schema": 1,
        "listen": address.to_string(),
        "store": place.target.shown(),
        "spool": place.spool.path().display().to_string(),
    });
    let reporter = Live {
        target: place.target,
        spool: Mutex::new(place.spool),
        watch,
    };
    let seed = rand_core::Rng::next_u64(&mut crossbridge_std::entropy::generator());
    let limits = SourceLimits::new(place.config.limits().clone(), seed)
        .map_err(|refused| Failure::Internal(refused.to_string()))?;
    let settings = Settings {
        connections: usize::try_from(args.connections).unwrap_or(usize::MAX),
        ..Settings::DEFAULT
    };
    let endpoint = Endpoint::new(&collector, limits, &reporter).requiring(token);
    let server = Server::new(endpoint, listener, settings).map_err(started)?;
    print(output, &format!("{line}\n"))?;
    let handle = signals.handle();
    let served = thread::scope(|scope| {
        scope.spawn(|| {
            let _ = signals.forever().next();
            server.stop();
        });
        let served = server.run();
        handle.close();
        served
    });
    drop(server);
    let ended = collector.shutdown(LAST_ATTEMPTS);
    let account = ended.account;
    let line = json!({
        "schema": 1,
        "stored": account.stored,
        "spooled": account.spooled,
        "dead_lettered": account.dead_lettered,
        "lost": account.lost,
    });
    print(output, &format!("{line}\n"))?;
    served.map_err(started)
}

/// What is asked while the endpoint runs.
struct Live {
    target: Target,
    spool: Mutex<SpoolPlace>,
    watch: StoreWatch,
}

impl Reporter for Live {
    fn health(&self) -> Value {
        let report = self.watch.report();
        json!({
            "status": "ok",
            "store": {
                "health": word(report.health),
                "since_seconds": report.since.as_secs(),
                "reason": report.reason,
            },
        })
    }

    fn status(&self) -> Value {
        let report = self.watch.report();
        let seen = Seen {
            stored: self.watch.count(COUNT),
            health: word(report.health),
            reason: report.reason,
        };
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = match spool.existing() {
            Ok(Some(spool)) => spool.counts(),
            Ok(None) => Ok(crossbridge_std::profiling::SpoolCounts::default()),
            Err(error) => Err(error),
        };
        match counts {
            Ok(counts) => object(&self.target, &spool, &counts, &seen),
            Err(error) => json!({ "schema": 1, "error": chain(&error) }),
        }
    }
}

/// The word that `profile status` has for it.
const fn word(health: Health) -> &'static str {
    match health {
        Health::Unhealthy => "unusable",
        Health::Unknown | Health::Healthy | Health::Degraded => health.name(),
    }
}

/// The token in an environment variable, which no message shows.
fn token(variable: &str) -> Result<Token, Failure> {
    let found = match std::env::var(variable) {
        Ok(text) => match Token::new(&text) {
            Some(token) => return Ok(token),
            None if text.is_empty() => "is empty",
            None => "has characters that no header can have",
        },
        Err(VarError::NotPresent) => "is not set",
        Err(VarError::NotUnicode(_)) => "is not text",
    };
    Err(Failure::usage(
        format!(
            "--token-env: the environment variable `{}` {found}",
            variable.escape_default()
        ),
        "put a token of visible ASCII characters there, such as the output of `openssl rand -hex 32`",
    ))
}

fn started(error: std::io::Error) -> Failure {
    Failure::dependency(format!("cannot serve: {error}"), "see ulimit -n and ulimit -u")
}

/// How long the store is given for what is in the spool, when everything ends. The rest stays there.
const LAST_ATTEMPTS: Duration = Duration::from_secs(10);
/// How long the store may count.
const COUNT: Duration = Duration::from_secs(5);
