//! What a new configuration changes, to be told.

use std::collections::BTreeSet;

use crossbridge_core::GuardConfig;

use crate::config::Config;

/// What is different, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Paths that are new or have other policies, by name.
    pub paths: Vec<PathChange>,
    /// Paths that are no longer in the file, by name; they keep their policies.
    pub removed: Vec<String>,
    /// The limits changed, those of single subjects included.
    pub limits: bool,
    /// The settings of the logging service changed, which takes a restart.
    pub logging: bool,
}

/// What is different about one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathChange {
    /// Its name.
    pub name: String,
    /// It was not there before.
    pub is_new: bool,
    /// The keys of `paths` whose policies changed.
    pub policies: Vec<&'static str>,
    /// Of these, those whose state could not be kept.
    pub anew: Vec<&'static str>,
}

impl Changes {
    pub(super) fn between(old: &Config, new: &Config) -> Self {
        let names: BTreeSet<&str> = new.paths().map(|path| path.name.as_str()).collect();
        let gone = old.paths().filter(|path| !names.contains(path.name.as_str()));
        let paths = new.paths().filter_map(|path| {
            let (is_new, policies) = match old.path(&path.name) {
                Err(_) => (true, Vec::new()),
                Ok(before) => (false, differences(&before.guard, &path.guard)),
            };
            (is_new || !policies.is_empty()).then(|| PathChange {
                name: path.name.clone(),
                is_new,
                policies,
                anew: Vec::new(),
            })
        });
        Self {
            paths: paths.collect(),
            removed: gone.map(|path| path.name.clone()).collect(),
            limits: old.limits() != new.limits(),
            logging: old.logging() != new.logging(),
        }
    }

    pub(super) fn began_anew(&mut self, name: &str, anew: Vec<&'static str>) {
        if let Some(path) = self.paths.iter_mut().find(|path| path.name == name) {
            path.anew = anew;
        }
    }

    pub(super) fn log(&self, target: &'static str) {
        log::info!(target: target, paths = self.paths.len(); "configuration replaced");
        for path in &self.paths {
            let (name, changed) = (path.name.as_str(), path.policies.join(", "));
            if path.is_new {
                log::info!(target: target, path = name; "path added");
            } else if path.anew.is_empty() {
                log::info!(target: target, path = name, changed = changed.as_str(); "policies replaced, state kept");
            } else {
                let anew = path.anew.join(", ");
                log::info!(
                    target: target, path = name, changed = changed.as_str(), anew = anew.as_str();
                    "policies replaced, some state begins anew"
                );
            }
        }
        for name in &self.removed {
            log::warn!(target: target, path = name.as_str(); "path is no longer in the file, it keeps its policies");
        }
        if self.logging {
            log::warn!(target: target, "the settings of the log changed: they take effect after a restart");
        }
    }
}

/// The keys that differ, in the order of a path's page.
fn differences(old: &GuardConfig, new: &GuardConfig) -> Vec<&'static str> {
    let differ = [
        ("retry", old.retry != new.retry),
        ("rate_limit", old.quota != new.quota),
        ("on_limit", old.on_limit != new.on_limit),
        ("breaker", old.breaker != new.breaker),
        ("bulkhead", old.bulkhead != new.bulkhead),
        ("budget", old.budget != new.budget),
        ("health", old.health != new.health),
        ("deadline", old.deadline != new.deadline),
        ("attempt_timeout", old.attempt_timeout != new.attempt_timeout),
        ("idempotent", old.idempotent != new.idempotent),
    ];
    differ
        .into_iter()
        .filter_map(|(key, differs)| differs.then_some(key))
        .collect()
}
