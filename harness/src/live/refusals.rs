//! What a scenario asks for that real servers, clients and connections do not do as the model does.

use std::time::Duration;

use crossbridge_core::time::nanos;
use crossbridge_std::config::{KeyPath, Problem};

use crate::proxy::script::{Greeting, Script, Unplayable};
use crate::result::ReplayResult;
use crate::scenario::{
    Contention, ErrorAnswer, ErrorCode, Fault, FaultEffect, Node, RealServer, Scenario, Shed, Which,
};

/// The longest run: real time passes.
const LONGEST: Duration = Duration::from_secs(600);
/// The most clients: each has a guard of its own, and each of its calls a thread.
const MOST_CLIENTS: u32 = 200;
/// The most calls a second: each is a new connection.
const MOST_CALLS: f64 = 500.0;
/// The most requests that a PostgreSQL is asked to serve at once.
const MOST_SESSIONS: u64 = 90;

/// Everything that keeps this scenario from real servers, each with its place; nothing where nothing
/// does.
///
/// - A run lasts at most 10 minutes and has at most 200 clients, which make at most 500 calls a second.
/// - A dependency that is called says with `live` what it is. It has no `latency`, `cold`, `contention`
///   or `shed`: a real server has its own. A service is simulated only.
/// - A fault is one that the proxy can play on this server's connections; `capacity`, `corrupt`, `ramp`
///   and a partition with a buffer it cannot. HTTP statuses and `throttle` are for `http`, SQLSTATEs for
///   `postgres`, `crash_restart` for `postgres` and `redis`. `slow` is played by the server, ramps
///   included.
/// - Faults on clients, and promises about invariants, stay in virtual time.
#[must_use]
pub fn problems(scenario: &Scenario) -> Vec<Problem> {
    let mut problems = Vec::new();
    limits(scenario, &mut problems);
    for (index, node) in scenario.nodes.iter().enumerate() {
        if scenario.clients.iter().any(|group| group.calls.node == index) {
            dependency(node, &mut problems);
        }
    }
    for fault in &scenario.faults {
        let live = scenario.nodes.get(fault.node).and_then(|node| node.live);
        if let (Some(server), 0) = (live, fault.number.1)
            && let Some(why) = unplayable(fault, server)
        {
            problems.push(refused_fault(fault.number.0, why));
        }
    }
    wire(scenario, &mut problems);
    if !scenario.client_faults.is_empty() {
        let problem = Problem::new(
            KeyPath::root().key("faults"),
            "faults on clients stay in virtual time",
        );
        problems.push(problem.expected("faults on dependencies").at_key());
    }
    if scenario.is_about_invariants() {
        let path = KeyPath::root().key("expect");
        let problem = Problem::new(path, "invariants are checked in virtual time only");
        problems.push(
            problem
                .expected("promises about calls, attempts and their times")
                .at_key(),
        );
    }
    problems
}

/// What only the prediction shows: requests that would wait for a server of the model, where a real one
/// takes them at once.
pub(super) fn crowded(scenario: &Scenario, prediction: &ReplayResult) -> Vec<Problem> {
    let mut problems = Vec::new();
    for node in scenario.nodes.iter().filter(|node| node.live.is_some()) {
        let seen = prediction.dependencies.get(&node.name);
        let most = seen.map_or(0, |seen| seen.peak_in_flight);
        let at = place(node).key("servers");
        if most > u64::from(node.servers) {
            let problem = Problem::invalid(at, node.servers, format!("at least {most}"));
            problems.push(problem.hint(
                "requests wait for a server in the prediction, and a real one has no such queue".to_owned(),
            ));
        } else if most > MOST_SESSIONS && node.live == Some(RealServer::Postgres) {
            let problem = Problem::new(at, "too much for one PostgreSQL");
            let expected = format!("at most {MOST_SESSIONS}: fewer clients, or shorter service");
            problems.push(
                problem
                    .found(format!("{most} requests at once"))
                    .expected(expected),
            );
        }
    }
    problems
}

/// The scenario without what the servers do themselves.
pub(super) fn on_the_wire(scenario: &Scenario) -> Scenario {
    let mut scenario = scenario.clone();
    scenario
        .faults
        .retain(|fault| !matches!(fault.kind, FaultEffect::Slow { .. }));
    scenario
}

fn limits(scenario: &Scenario, problems: &mut Vec<Problem>) {
    let duration = scenario.duration;
    if duration > LONGEST {
        let path = KeyPath::root().key("duration");
        problems.push(Problem::invalid(
            path,
            format!("{duration:?}"),
            "at most 10 minutes on real servers",
        ));
    }
    let at = KeyPath::root().key("clients");
    let clients: u32 = scenario.clients.iter().map(|group| group.count).sum();
    if clients > MOST_CLIENTS {
        let expected = format!("at most {MOST_CLIENTS} clients on real servers");
        problems.push(Problem::invalid(at.clone(), clients, expected));
    }
    let calls = scenario.clients.iter().filter_map(|group| {
        let each = group.arrivals.expected(nanos(duration), group.count)?;
        Some(each * f64::from(group.count))
    });
    let rate = calls.sum::<f64>() / duration.as_secs_f64();
    if rate > MOST_CALLS {
        let expected = format!("at most {MOST_CALLS} calls a second on real servers");
        problems.push(Problem::invalid(
            at,
            format!("about {rate:.0} calls a second"),
            expected,
        ));
    }
}

fn dependency(node: &Node, problems: &mut Vec<Problem>) {
    let at = place(node);
    if node.downstream.is_some() {
        let problem = Problem::new(
            at,
            format!("`{}` is a service, which is only simulated", node.name),
        );
        problems.push(problem.expected("clients that call dependencies").at_key());
        return;
    }
    if node.live.is_none() {
        let problem = Problem::new(at, format!("`{}` does not say what it really is", node.name));
        problems.push(
            problem
                .expected("`live: postgres`, `live: redis` or `live: http` among its keys")
                .at_key(),
        );
        return;
    }
    let keys = [
        ("latency", node.latency.is_some()),
        ("cold", node.cold.is_some()),
        ("contention", node.contention != Contention::None),
        ("shed", node.shed != Shed::None),
    ];
    for (key, _) in keys.iter().filter(|(_, is_there)| *is_there) {
        let message = format!("`{key}` is only simulated: a real server has its own");
        problems.push(Problem::new(at.key(*key), message).expected("nothing").at_key());
    }
}

/// Why this server, or its client, does not do it as the model does.
fn unplayable(fault: &Fault, server: RealServer) -> Option<String> {
    let is_whole = |span: Option<Duration>| span.is_none_or(|span| span.subsec_nanos() == 0);
    let speaks = |other: &str| Some(format!("`{}` does not speak {other}", server.name()));
    match (&fault.kind, server) {
        (
            FaultEffect::Error(ErrorAnswer {
                code: ErrorCode::Http(_),
                ..
            })
            | FaultEffect::Throttle { .. },
            RealServer::Postgres | RealServer::Redis,
        ) => speaks("HTTP"),
        (
            FaultEffect::Error(ErrorAnswer {
                code: ErrorCode::Sqlstate(..),
                ..
            }),
            RealServer::Http | RealServer::Redis,
        ) => speaks("SQL"),
        (
            FaultEffect::Error(ErrorAnswer { retry_after, .. }) | FaultEffect::Throttle { retry_after, .. },
            _,
        ) if !is_whole(*retry_after) => Some("`Retry-After` has whole seconds".to_owned()),
        (FaultEffect::CrashRestart, RealServer::Http) => {
            Some("an HTTP server of this process does not crash alone".to_owned())
        }
        // It is reset once it is accepted. PostgreSQL and Redis have not said anything of import by then.
        (FaultEffect::Refuse, RealServer::Http) if fault.which != Which::ALL => Some(
            "a client of HTTP cannot tell a connection that is refused now and then from `reset`".to_owned(),
        ),
        _ => None,
    }
}

/// What the proxy cannot do, one for each dependency.
fn wire(scenario: &Scenario, problems: &mut Vec<Problem>) {
    let scenario = on_the_wire(scenario);
    for node in scenario.nodes.iter().filter(|node| node.live.is_some()) {
        let script = Script::after(Greeting::default(), &scenario, Some(&node.name));
        if let Err(Unplayable::Fault(index, why)) = script {
            problems.push(refused_fault(index, why));
        }
    }
}

fn refused_fault(index: u32, why: String) -> Problem {
    let at = KeyPath::root()
        .key("faults")
        .index(usize::try_from(index).unwrap_or(usize::MAX));
    Problem::new(
        at.key("kind"),
        format!("the fault cannot be played on a real server: {why}"),
    )
}

fn place(node: &Node) -> KeyPath {
    let section = if node.downstream.is_some() {
        "services"
    } else {
        "dependencies"
    };
    KeyPath::root().key(section).key(&node.name)
}
