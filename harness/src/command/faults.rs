//! `crossbridge faults`.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use crossbridge_core::{Clock, Instant, Sleeper};
use crossbridge_harness::proxy::Proxy;
use crossbridge_harness::proxy::api::{self, Registry};
use crossbridge_harness::proxy::script::{Script, Unplayable};
use crossbridge_harness::scenario;
use crossbridge_std::clock::SystemClock;
use crossbridge_std::logging::{self, Category, Format, LogGuard, LogSettings};
use crossbridge_std::sleeper::ThreadSleeper;
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{environment, invalid, print, unbound};
use crate::cli::FaultsArgs;
use crate::exit::Failure;

/// Serves until a signal says to stop.
pub(crate) fn run(
    args: &FaultsArgs,
    config: Option<&Path>,
    json: bool,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let _guard = start_logging(json);
    let mut toxics = Vec::new();
    for json in &args.toxic {
        let toxic = api::parse_toxic(json).map_err(|why| {
            let hint = format!(
                "`{json}` should be like {{\"type\":\"latency\",\"attributes\":{{\"latency\":100}}}}"
            );
            Failure::usage(format!("--toxic: {why}"), hint)
        })?;
        toxics.push(toxic);
    }
    let script = args
        .script
        .as_deref()
        .map(|path| read(path, config, args.on.as_deref()))
        .transpose()?;
    let scripted = script.as_ref().map(|(_, seed)| *seed);
    let seed = args.seed.or(scripted).unwrap_or(1);
    // Signals are caught before anybody can know that there is something to stop.
    let mut signals = Signals::new([SIGINT, SIGTERM])
        .map_err(|error| Failure::Internal(format!("no signals can be caught: {error}")))?;
    let registry = Arc::new(Registry::new(seed));
    let mut listen = None;
    if let (Some(address), Some(upstream)) = (&args.listen, &args.upstream) {
        let view = registry
            .start(&args.name, address, upstream)
            .map_err(|error| unbound("--listen", address, &error))?;
        listen = Some(view.listen);
        for toxic in toxics {
            followed(&registry, &args.name, |proxy| proxy.put_toxic(toxic))?;
        }
    }
    let listener = args
        .api
        .as_deref()
        .map(|address| TcpListener::bind(address).map_err(|error| unbound("--api", address, &error)))
        .transpose()?;
    let api = listener.as_ref().and_then(|listener| listener.local_addr().ok());
    if let Some((script, _)) = script {
        if script.has_sql_errors() {
            followed(&registry, &args.name, Proxy::expect_sql_errors)?;
        }
        start(script, &registry, &args.name)?;
    }
    if let Some(listener) = listener {
        let registry = Arc::clone(&registry);
        spawn("api", move || {
            if let Err(error) = api::serve(&listener, &registry) {
                log::error!(target: Category::Testing.target(), error:%; "the API has ended");
            }
        })?;
    }
    let line = json!({
        "schema": 1,
        "listen": listen,
        "upstream": args.upstream,
        "api": api.map(|address| address.to_string()),
        "seed": seed,
    });
    print(output, &format!("{line}\n"))?;
    let _ = signals.forever().next();
    registry.stop();
    Ok(())
}

/// What goes wrong by itself is told on stderr; nobody configures this proxy's logs.
fn start_logging(json: bool) -> Option<LogGuard> {
    let settings = LogSettings {
        level: log::LevelFilter::Warn,
        levels: BTreeMap::new(),
        format: if json { Format::Json } else { Format::Simple },
        console: true,
        file: None,
    };
    // Without a file this fails only where somebody who called us logs already.
    logging::install(&settings).ok()
}

/// The faults of a scenario, and its seed.
fn read(path: &Path, config: Option<&Path>, on: Option<&str>) -> Result<(Script, u64), Failure> {
    let scenario = scenario::load(path, config, &environment).map_err(invalid)?;
    let script = Script::of(&scenario, on).map_err(|why| {
        let file = path.display();
        match why {
            Unplayable::Unknown(known) => Failure::usage(
                format!("--on: {file} has no such dependency"),
                format!("it has {}", known.join(", ")),
            ),
            Unplayable::Ambiguous(struck) => Failure::usage(
                format!("{file} has faults on several dependencies: {}", struck.join(", ")),
                "a proxy stands before one of them: say which with --on",
            ),
            Unplayable::Fault(index, why) => Failure::input(format!(
                "{file}: faults[{index}] cannot be played on the wire: {why}"
            )),
        }
    })?;
    Ok((script, scenario.seed))
}

/// Plays the script from now on, in a thread of its own. What is on from the start is on when this
/// returns.
fn start(script: Script, registry: &Arc<Registry>, name: &str) -> Result<(), Failure> {
    let clock = SystemClock::new();
    play(&script, registry, name, None, Instant::ZERO)?;
    let (registry, name) = (Arc::clone(registry), name.to_owned());
    spawn("script", move || {
        let mut at = Instant::ZERO;
        while let Some(next) = script.next_change(at) {
            let wait = next.saturating_duration_since(clock.now());
            if !wait.is_zero() {
                ThreadSleeper.sleep(wait);
                continue;
            }
            if let Err(failure) = play(&script, &registry, &name, Some(at), next) {
                let why = failure.message(false).unwrap_or_default();
                log::error!(target: Category::Testing.target(), why; "the script has ended");
                return;
            }
            at = next;
        }
    })
}

/// Does what is due between two instants.
fn play(
    script: &Script,
    registry: &Registry,
    name: &str,
    before: Option<Instant>,
    now: Instant,
) -> Result<(), Failure> {
    let (go, come) = script.step(before, now);
    for toxic in come {
        followed(registry, name, |proxy| proxy.put_toxic(toxic.clone()))?;
    }
    for toxic in go {
        followed(registry, name, |proxy| {
            proxy.retain_toxics(|known| known.name != toxic.name)
        })?;
    }
    Ok(())
}

/// A change of the proxy, which the API may have removed.
fn followed(
    registry: &Registry,
    name: &str,
    change: impl FnOnce(&Proxy) -> std::io::Result<()>,
) -> Result<(), Failure> {
    registry.with(name, change).unwrap_or(Ok(())).map_err(|error| {
        let text = format!("the proxy cannot follow: {error}");
        Failure::dependency(text, "its port may be taken, or the process has no sockets left")
    })
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    thread
        .map(drop)
        .map_err(|error| Failure::dependency(format!("no thread can be started: {error}"), "see ulimit -u"))
}
