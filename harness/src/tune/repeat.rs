//! The settings with which a replay does what a row of the search did.
//!
//! Two ways are tried, the shorter one first:
//!
//! | way | for instance |
//! |---|---|
//! | each changed value where the file has it | `policies.retry.policies.db.max_attempts=2` |
//! | a policy of its own, and the path uses it | `policies.retry.policies.db_tuned={...}`, `policies.paths.db.retry=db_tuned` |
//!
//! The first does not do where the policy is a built-in one, or another path uses it too. What a way
//! comes to is read as `replay` reads it, and is taken only if every guard of the scenario is the one
//! that was measured. There is none where the policies are in a file of their own.

use std::path::Path;

use crossbridge_core::GuardConfig;
use crossbridge_std::config::{Document, Environment, KeyPath, Segment};
use serde_yaml_ng::{Mapping, Value};

use super::{Key, Search, fragment, guard_with};
use crate::scenario::Scenario;
use crate::scenario::grid::{self, Grid};

impl Search<'_> {
    /// Settings for `replay` that make the scenario of `file` the one that was measured; `None` where
    /// there are none. `config` replaces the scenario's policies, and then no setting can.
    #[must_use]
    pub fn settings(
        &self,
        file: &Path,
        config: Option<&Path>,
        setting: &[u64],
        environment: Environment<'_>,
    ) -> Option<Vec<grid::Setting>> {
        let wanted = self.scenario_with(setting)?;
        let document = Document::read(file).ok()?;
        let changed = self.changed(setting);
        let does = |settings: &Vec<grid::Setting>| {
            let read = Grid::read(file, settings).and_then(|grid| grid.scenario(0, config, environment));
            read.is_ok_and(|scenario| guards(&scenario).eq(guards(&wanted)))
        };
        self.in_place(&document, &changed)
            .filter(does)
            .or_else(|| self.beside(&document, &changed, setting).filter(does))
    }

    /// The keys whose values are not those in force.
    fn changed(&self, setting: &[u64]) -> Vec<(Key, u64)> {
        let Some(guard) = super::guard_of(self.scenario, self.path) else {
            return Vec::new();
        };
        let keys = self.axes.iter().map(|axis| axis.key);
        keys.zip(setting.iter().copied())
            .filter(|(key, value)| key.of(guard) != *value)
            .collect()
    }

    /// Every value where the file has it.
    fn in_place(&self, document: &Document, changed: &[(Key, u64)]) -> Option<Vec<grid::Setting>> {
        let mut settings = Vec::new();
        let policies = KeyPath::root().key("policies");
        let path = policies.key("paths").key(self.path);
        for &(key, value) in changed {
            let value = yaml(&key.show(value))?;
            let at = match key.name().split_once('.') {
                Some((name, own)) => {
                    let used = document.get(&path.key(name))?.as_str()?;
                    section(&policies, name).key(used).key(own)
                }
                None => path.key(key.name()),
            };
            if key == Key::Deadline {
                settings.extend(self.of_clients(document, &value));
            }
            settings.push(grid::Setting::new(at, value));
        }
        Some(settings)
    }

    /// The sections that change, whole, as policies of their own.
    fn beside(
        &self,
        document: &Document,
        changed: &[(Key, u64)],
        setting: &[u64],
    ) -> Option<Vec<grid::Setting>> {
        let keys: Vec<Key> = self.axes.iter().map(|axis| axis.key).collect();
        let guard = guard_with(self.scenario, self.path, &keys, setting)?;
        let keys: Vec<Key> = changed.iter().map(|&(key, _)| key).collect();
        let fragment = Document::parse("", fragment(self.path, &guard, &keys)).ok()?;
        let (policies, runtime) = (KeyPath::root().key("policies"), KeyPath::root().key("runtime"));
        let mut document = document.clone();
        let mut settings = Vec::new();
        for name in ["retry", "budget", "breaker", "bulkhead"] {
            let (from, to) = (section(&runtime, name), section(&policies, name));
            for name in fragment.keys(&from) {
                let value = fragment.get(&from.key(&name))?.clone();
                settings.push(put(&mut document, &to.key(name), value)?);
            }
        }
        let from = runtime.key("paths").key(self.path);
        let to = policies.key("paths").key(self.path);
        for key in fragment.keys(&from) {
            let value = fragment.get(&from.key(&key))?.clone();
            if key == Key::Deadline.name() {
                settings.extend(self.of_clients(&document, &value));
            }
            settings.push(put(&mut document, &to.key(key), value)?);
        }
        Some(settings)
    }

    /// Clients of the path with a deadline of their own, which would cut a longer one short.
    fn of_clients(&self, document: &Document, deadline: &Value) -> Vec<grid::Setting> {
        let clients = KeyPath::root().key("clients");
        let ours = self
            .scenario
            .clients
            .iter()
            .filter(|group| group.calls.path == self.path);
        let at = ours.map(|group| clients.key(&group.name).key("deadline"));
        at.filter(|at| document.get(at).is_some())
            .map(|at| grid::Setting::new(at, deadline.clone()))
            .collect()
    }
}

/// Where the policies of a section are, in a scenario and in a configuration alike.
fn section(policies: &KeyPath, name: &str) -> KeyPath {
    match name {
        "retry" => policies.key("retry").key("policies"),
        "budget" => policies.key("retry").key("budgets"),
        "breaker" => policies.key("circuit_breakers"),
        _ => policies.key("bulkheads"),
    }
}

/// The setting that brings a value to a place, and the mappings around it where there are none.
fn put(document: &mut Document, at: &KeyPath, value: Value) -> Option<grid::Setting> {
    let (mut at, mut value) = (at.clone(), value);
    while document.get(&at.parent()).is_none() {
        let Some(Segment::Key(last)) = at.segments().last() else {
            return None;
        };
        value = Value::Mapping(Mapping::from_iter([(last.as_str().into(), value)]));
        at = at.parent();
    }
    document.set(&at, value.clone()).ok()?;
    Some(grid::Setting::new(at, value))
}

/// A value as it is written, read.
fn yaml(written: &str) -> Option<Value> {
    Document::parse("", written).ok().map(|read| read.root().clone())
}

fn guards(scenario: &Scenario) -> impl Iterator<Item = &GuardConfig> {
    let clients = scenario.clients.iter().map(|group| &group.calls);
    let services = scenario.nodes.iter().filter_map(|node| node.downstream.as_ref());
    clients.chain(services).map(|downstream| &downstream.guard)
}
