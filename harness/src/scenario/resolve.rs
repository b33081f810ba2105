//! From the file to a scenario that is ready to run: names become indices, policies become guards,
//! and what cannot be is refused with its place.

mod faults;
mod nodes;
mod spans;

pub use spans::trace_times;

use std::path::Path;
use std::time::Duration;

use crossbridge_core::time::nanos;
use crossbridge_std::config::{Config, Document, Environment, FileError, KeyPath, Problem, Seconds};

use super::format::{ClientFile, ScenarioFile};
use super::limits;
use super::{ClientGroup, Downstream, Node, Scenario};
use crate::expect::Expectation;
use crate::result::vocabulary;

/// The scenario of a document. The files it names are found from `folder`; `config` replaces the policies
/// it names.
///
/// # Errors
/// Everything that is wrong with it, or with its policies, each with its place.
pub fn resolve(
    document: &Document,
    folder: &Path,
    config: Option<&Path>,
    environment: Environment<'_>,
) -> Result<Scenario, FileError> {
    let file: ScenarioFile = document.section(&KeyPath::root(), environment)?;
    let policies = match (config, &file.config, &file.policies) {
        (Some(config), _, _) => Config::load_from(Some(config), environment, Path::new(""))?,
        (None, Some(config), None) => {
            let beside = folder.join(config);
            Config::load_from(Some(&beside), environment, Path::new(""))?
        }
        (None, None, _) => Config::from_policies(document, &KeyPath::root().key("policies"), environment)?,
        (None, Some(_), Some(_)) => {
            let problem = Problem::new(KeyPath::root().key("policies"), "policies from two places")
                .found("`config` and `policies`")
                .expected("one of them");
            return Err(document.error(vec![problem.at_key()]));
        }
    };
    let mut resolver = Resolver {
        file: &file,
        policies: &policies,
        folder,
        trace_times: 0,
        problems: Vec::new(),
    };
    let scenario = resolver.scenario();
    match scenario {
        Some(scenario) if resolver.problems.is_empty() => Ok(scenario),
        _ => Err(document.error(resolver.problems)),
    }
}

struct Resolver<'f> {
    file: &'f ScenarioFile,
    policies: &'f Config,
    /// Where the scenario is: its trace files are found from there.
    folder: &'f Path,
    /// Those of all trace files read so far.
    trace_times: usize,
    problems: Vec<Problem>,
}

impl Resolver<'_> {
    fn scenario(&mut self) -> Option<Scenario> {
        let root = KeyPath::root();
        let duration = self.file.duration.get();
        if duration.is_zero() || duration > limits::DURATION {
            self.refuse(
                root.key("duration"),
                format!("{duration:?}"),
                "more than 0, at most 30 days",
            );
        }
        if self.refuse_too_many(duration) {
            return None;
        }
        let names = self.node_names();
        let nodes = self.nodes(&names);
        let clients = self.clients(&names);
        let client_names: Vec<String> = self.file.clients.0.iter().map(|(name, _)| name.clone()).collect();
        let (faults, client_faults) = self.faults(&names, &client_names, duration);
        if let Some(clients) = &clients {
            self.refuse_endless(clients, duration);
        }
        let vocabulary = vocabulary(&client_names, &names, duration);
        let (mut expect, mut over_seeds) = (Vec::new(), Vec::new());
        for (index, text) in self.file.expect.iter().enumerate() {
            match Expectation::parse(text, &vocabulary) {
                Ok(promise) if promise.mentions("seeds.") => over_seeds.push(promise),
                Ok(promise) => expect.push(promise),
                Err(error) => {
                    let at = root.key("expect").index(index);
                    let problem = Problem::new(
                        at,
                        format!("`{text}` cannot be judged, character {}", error.at + 1),
                    )
                    .found(error.found)
                    .expected(error.expected)
                    .hint(error.nearest.map(|name| format!("did you mean `{name}`?")));
                    self.problems.push(problem);
                }
            }
        }
        Some(Scenario {
            name: self.file.scenario.clone(),
            about: self.file.about.clone(),
            seed: self.file.seed,
            duration,
            nodes,
            clients: clients?,
            faults,
            client_faults,
            expect,
            over_seeds,
        })
    }

    /// Whether there is more of something than is looked at.
    fn refuse_too_many(&mut self, duration: Duration) -> bool {
        let before = self.problems.len();
        let file = self.file;
        let nodes = file.dependencies.0.len() + file.services.0.len();
        let groups = file.clients.0.len();
        for (key, found, what, most) in [
            ("dependencies", nodes, "dependencies and services", limits::NODES),
            ("clients", groups, "groups of clients", limits::GROUPS),
            ("expect", file.expect.len(), "promises", limits::EXPECTATIONS),
        ] {
            if found > most {
                self.refuse(KeyPath::root().key(key), found, format!("at most {most} {what}"));
            }
        }
        let counts = duration.as_secs().saturating_mul(groups as u64);
        if counts > limits::COUNTS {
            let expected = format!("at most {}: fewer groups or a shorter run", limits::COUNTS);
            let found = format!("{groups} groups of clients over {duration:?}, {counts} seconds to count");
            self.refuse(KeyPath::root().key("clients"), found, expected);
        }
        self.problems.len() > before
    }

    /// Dependencies first, services after them. A name stands for one thing.
    fn node_names(&mut self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let dependencies = self
            .file
            .dependencies
            .0
            .iter()
            .map(|(name, _)| ("dependencies", name));
        let services = self.file.services.0.iter().map(|(name, _)| ("services", name));
        let all: Vec<(&str, &String)> = dependencies.chain(services).collect();
        if all.is_empty() {
            self.refuse(
                KeyPath::root().key("dependencies"),
                "nothing",
                "at least one to call",
            );
        }
        for (section, name) in all {
            if names.contains(name) {
                let at = KeyPath::root().key(section).key(name);
                self.problems.push(
                    Problem::new(at, format!("two things are called `{name}`"))
                        .expected("a name for each")
                        .at_key(),
                );
            }
            names.push(name.clone());
        }
        names
    }

    /// A service that waits for itself never answers.
    fn refuse_circles(&mut self, nodes: &[Node]) {
        for (start, node) in nodes.iter().enumerate() {
            let mut next = node.downstream.as_ref().map(|d| d.node);
            for _ in 0..nodes.len() {
                let Some(at) = next else { break };
                if at == start {
                    let path = KeyPath::root().key("services").key(&node.name).key("calls");
                    self.refuse(path, "a circle back to itself", "calls that end at a dependency");
                    return;
                }
                next = nodes
                    .get(at)
                    .and_then(|node| node.downstream.as_ref())
                    .map(|d| d.node);
            }
        }
    }

    fn clients(&mut self, names: &[String]) -> Option<Vec<ClientGroup>> {
        let at = KeyPath::root().key("clients");
        if self.file.clients.0.is_empty() {
            self.refuse(at.clone(), "nobody", "at least one group of clients");
        }
        let total: u64 = self
            .file
            .clients
            .0
            .iter()
            .map(|(_, spec)| u64::from(spec.count))
            .sum();
        if total > u64::from(limits::CLIENTS) {
            self.refuse(at.clone(), total, format!("at most {} in all", limits::CLIENTS));
        }
        let mut groups = Vec::new();
        for (name, spec) in &self.file.clients.0 {
            let at = at.key(name);
            if spec.count == 0 {
                self.refuse(at.key("count"), 0, "at least 1");
            }
            let arrivals = self.arrivals(&at.key("arrivals"), &spec.arrivals);
            let calls = self.downstream(&at, names, &spec.path, &spec.calls, Some(spec));
            let group = calls.zip(arrivals).map(|(calls, arrivals)| ClientGroup {
                name: name.clone(),
                count: spec.count,
                arrivals,
                calls,
            });
            groups.push(group);
        }
        groups.into_iter().collect()
    }

    /// A run that would take for ever is not begun.
    fn refuse_endless(&mut self, clients: &[ClientGroup], duration: Duration) {
        let calls: f64 = clients
            .iter()
            .filter_map(|group| {
                let each = group.arrivals.expected(nanos(duration), group.count)?;
                Some(each * f64::from(group.count))
            })
            .sum();
        if calls > limits::CALLS {
            let at = KeyPath::root().key("clients");
            let expected = format!(
                "at most {} calls in all: fewer clients, lower rates or a shorter run",
                limits::CALLS
            );
            self.refuse(at, format!("about {calls:.0} calls"), expected);
        }
    }

    /// Whom somebody calls, and under which policies.
    fn downstream(
        &mut self,
        at: &KeyPath,
        names: &[String],
        path: &str,
        calls: &str,
        client: Option<&ClientFile>,
    ) -> Option<Downstream> {
        let node = self.node(&at.key("calls"), names, calls);
        let call_path = match self.policies.path(path) {
            Ok(call_path) => call_path,
            Err(unknown) => {
                let known: Vec<&str> = unknown.known.iter().map(String::as_str).collect();
                self.problems
                    .push(Problem::unknown_name(at.key("path"), "call path", path, &known));
                return None;
            }
        };
        let subject = client.and_then(|client| client.subject.as_deref());
        let mut guard = self.policies.guard_for(call_path, subject);
        if let Some(client) = client {
            let deadline = client.deadline.map(Seconds::get);
            if deadline.is_some_and(|deadline| deadline.is_zero()) {
                self.refuse(at.key("deadline"), "0s", "more than 0");
            }
            guard.deadline = match (guard.deadline, deadline) {
                (Some(policy), Some(client)) => Some(policy.min(client)),
                (one, other) => one.or(other),
            };
            guard.idempotent = client.idempotent.unwrap_or(guard.idempotent);
        }
        let retryable_codes = call_path.retryable_codes.clone();
        Some(Downstream {
            path: path.to_owned(),
            guard,
            retryable_codes,
            node: node?,
        })
    }

    fn node(&mut self, at: &KeyPath, names: &[String], name: &str) -> Option<usize> {
        let found = names.iter().position(|known| known == name);
        if found.is_none() {
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            self.problems
                .push(Problem::unknown_name(at.clone(), "dependency", name, &known));
        }
        found
    }

    fn missing(&mut self, at: &KeyPath, key: &str, expected: &str) {
        self.problems
            .push(Problem::new(at.clone(), format!("`{key}` is missing")).expected(expected));
    }

    fn refuse(&mut self, at: KeyPath, found: impl std::fmt::Display, expected: impl Into<String>) {
        self.problems.push(Problem::invalid(at, found, expected));
    }
}
