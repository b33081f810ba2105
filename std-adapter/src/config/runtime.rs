//! The sections of a file, put together.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_yaml_ng::Value;

use super::Config;
use super::breaker::{self, BreakerFile};
use super::bulkhead::{self, BulkheadFile};
use super::call_path::{self, PathFile, Shelves};
use super::document::Document;
use super::error::{FileError, Problem, nearest};
use super::expand::Environment;
use super::health::{self, HealthChecks, HealthFile};
use super::key_path::KeyPath;
use super::logging::{self, LoggingFile};
use super::not_in_use::NotInUse;
use super::profiling::{self, CollectorFile, SpoolFile};
use super::rate_limiting::{self, RateLimitingFile, RateLimits};
use super::retry::{self, Retries, RetryFile};
use crate::logging::LogSettings;
use crate::profiling::ProfilingSettings;

/// The sections under `runtime:` that are ours.
pub(super) const OURS: [&str; 6] = [
    "rate_limiting",
    "retry",
    "health_checks",
    "circuit_breakers",
    "bulkheads",
    "paths",
];

/// The platform's other sections, so that none of them is taken for a slip of ours.
const TOP: [&str; 3] = ["crossbridge", "runtime", "execution"];
const RUNTIME_OTHERS: [&str; 5] = [
    "sidecar",
    "semantic_search",
    "profiling",
    "ai_transformation",
    "api_change",
];

/// What is ours in `runtime.profiling`, and what is the platform's.
const PROFILING: [&str; 2] = ["spool", "collector"];
const PROFILING_OTHERS: [&str; 4] = ["runtime", "test_execution", "system", "benchmarking"];

/// What an empty file says.
pub(super) fn empty() -> Config {
    let mut config = Config {
        source: None,
        limits: RateLimits::default(),
        retries: Retries::default(),
        breakers: BTreeMap::new(),
        bulkheads: BTreeMap::new(),
        health: HealthChecks::default(),
        paths: BTreeMap::new(),
        logging: LogSettings::default(),
        profiling: ProfilingSettings::default(),
        ignored: Vec::new(),
        not_in_use: Vec::new(),
    };
    let shelves = config.shelves(&[]);
    config.paths = call_path::convert(&BTreeMap::new(), &KeyPath::root(), &shelves, &mut Vec::new());
    config
}

pub(super) fn whole_file(document: &Document, environment: Environment<'_>) -> Result<Config, FileError> {
    let mut reader = Reader {
        document,
        environment,
        problems: Vec::new(),
    };
    let root = KeyPath::root();
    let mut ignored = Vec::new();
    for key in reader.mapping(&root) {
        match key.as_str() {
            "runtime" | "crossbridge" => {}
            "execution" => ignored.push(root.key(&key)),
            _ if OURS.contains(&key.as_str()) => reader.misplaced(&root, &key),
            _ => ignored.extend(reader.foreign(&root, &key, &TOP, &[])),
        }
    }
    let runtime = root.key("runtime");
    for key in reader.mapping(&runtime) {
        if key == "profiling" {
            ignored.extend(reader.not_ours_of_profiling(&runtime.key(&key)));
        } else if !OURS.contains(&key.as_str()) {
            ignored.extend(reader.foreign(&runtime, &key, &OURS, &RUNTIME_OTHERS));
        }
    }
    let crossbridge = root.key("crossbridge");
    for key in reader.mapping(&crossbridge) {
        if key != "logging" {
            ignored.extend(reader.foreign(&crossbridge, &key, &["logging"], &[]));
        }
    }
    let logging: Option<LoggingFile> = reader.section(&crossbridge, "logging");
    let mut config = reader.policies(&runtime);
    config.ignored = ignored;
    config.profiling = reader.profiling(&runtime.key("profiling"));
    if let Some(logging) = logging {
        config.logging = logging::convert(&logging);
    }
    reader.finish(config)
}

pub(super) fn policies(
    document: &Document,
    path: &KeyPath,
    environment: Environment<'_>,
) -> Result<Config, FileError> {
    let mut reader = Reader {
        document,
        environment,
        problems: Vec::new(),
    };
    for key in reader.mapping(path) {
        if !OURS.contains(&key.as_str()) {
            let problem = Problem::unknown_key(path.key(&key), &key, &OURS);
            reader.problems.push(problem);
        }
    }
    let config = reader.policies(path);
    reader.finish(config)
}

impl Config {
    fn shelves<'s>(&'s self, refused: &'s [(&'static str, String)]) -> Shelves<'s> {
        Shelves {
            retries: &self.retries,
            limits: &self.limits,
            breakers: &self.breakers,
            bulkheads: &self.bulkheads,
            health: &self.health,
            refused,
        }
    }
}

struct Reader<'d> {
    document: &'d Document,
    environment: Environment<'d>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// The keys of a mapping that may be missing or empty, and may be nothing else.
    fn mapping(&mut self, path: &KeyPath) -> Vec<String> {
        let found = match self.document.get(path) {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Mapping(_)) => return self.document.keys(path),
            Some(Value::Sequence(_)) => "a list",
            Some(Value::Tagged(_)) => "a tagged value",
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) => "a single value",
        };
        let name = if path.is_root() {
            "the file".to_owned()
        } else {
            format!("`{}`", path.name())
        };
        let problem = Problem::new(path.clone(), format!("{name} is not a mapping"))
            .found(found)
            .expected("a mapping");
        self.problems.push(problem);
        Vec::new()
    }

    fn misplaced(&mut self, path: &KeyPath, key: &str) {
        let problem = Problem::new(path.key(key), format!("`{key}` at the top of the file"))
            .at_key()
            .expected(format!("`{key}` under `runtime`"));
        self.problems.push(problem);
    }

    /// Somebody else's section, or a slip in the name of ours.
    fn foreign(&mut self, path: &KeyPath, key: &str, ours: &[&str], others: &[&str]) -> Option<KeyPath> {
        if !others.contains(&key) && nearest(key, ours).is_some() {
            self.problems.push(Problem::unknown_key(path.key(key), key, ours));
            return None;
        }
        Some(path.key(key))
    }

    /// What the platform says in `runtime.profiling`: the whole section where nothing in it is ours.
    fn not_ours_of_profiling(&mut self, path: &KeyPath) -> Vec<KeyPath> {
        let keys = self.mapping(path);
        let (ours, others): (Vec<_>, Vec<_>) = keys.iter().partition(|key| PROFILING.contains(&key.as_str()));
        let list = others
            .into_iter()
            .filter_map(|key| self.foreign(path, key, &PROFILING, &PROFILING_OTHERS))
            .collect();
        if ours.is_empty() { vec![path.clone()] } else { list }
    }

    fn profiling(&mut self, path: &KeyPath) -> ProfilingSettings {
        let spool: Option<SpoolFile> = self.section(path, "spool");
        let collector: Option<CollectorFile> = self.section(path, "collector");
        let mut problems = Vec::new();
        let collector = collector
            .map(|file| profiling::collector(&file, &path.key("collector"), &mut problems))
            .unwrap_or_default();
        self.add_contradictions(problems);
        ProfilingSettings {
            spool: spool.as_ref().map(profiling::spool).unwrap_or_default(),
            collector,
        }
    }

    /// A section, as far as it can be read; `None` where there is nothing to be read.
    fn section<T: DeserializeOwned>(&mut self, path: &KeyPath, key: &str) -> Option<T> {
        let path = path.key(key);
        self.document.get(&path)?;
        let (section, problems) = self.document.survey(&path, self.environment);
        self.problems.extend(problems);
        section
    }

    fn policies(&mut self, base: &KeyPath) -> Config {
        let limits: RateLimitingFile = self.section(base, "rate_limiting").unwrap_or_default();
        let retries: RetryFile = self.section(base, "retry").unwrap_or_default();
        let health: HealthFile = self.section(base, "health_checks").unwrap_or_default();
        let breakers: BTreeMap<String, BreakerFile> =
            self.section(base, "circuit_breakers").unwrap_or_default();
        let bulkheads: BTreeMap<String, BulkheadFile> = self.section(base, "bulkheads").unwrap_or_default();
        let paths: BTreeMap<String, PathFile> = self.section(base, "paths").unwrap_or_default();

        let mut contradictions = Vec::new();
        let problems = &mut contradictions;
        let mut config = Config {
            limits: rate_limiting::convert(&limits, &base.key("rate_limiting"), problems),
            retries: retry::convert(&retries, &base.key("retry"), problems),
            health: health::convert(&health, &base.key("health_checks"), problems),
            ..empty()
        };
        let path = base.key("circuit_breakers");
        for (name, breaker) in &breakers {
            let breaker = breaker::convert(breaker, &path.key(name), problems);
            config.breakers.insert(name.clone(), breaker);
        }
        for (name, bulkhead) in &bulkheads {
            config.bulkheads.insert(name.clone(), bulkhead::convert(bulkhead));
        }
        let refused = self.refused_names(base);
        let shelves = config.shelves(&refused);
        let resolved = call_path::convert(&paths, &base.key("paths"), &shelves, &mut contradictions);
        config.paths = resolved;
        self.add_contradictions(contradictions);

        if limits.cleanup_threshold.is_some() {
            let path = base.key("rate_limiting").key("cleanup_threshold");
            let why = "tables of limits have a fixed size and drop what is idle";
            config.not_in_use.push(NotInUse::new(path, why));
        }
        let storage = config.paths.get("profiling_storage");
        let probed = storage.and_then(|path| path.uses.health.as_deref());
        let list = health::not_in_use(&health, &base.key("health_checks"), probed);
        config.not_in_use.extend(list);
        config.not_in_use.extend(self.unused(base, &paths, &config));
        config
    }

    /// Values that do not go together, unless one of them was refused by itself: a default stands in
    /// for it, and what that contradicts is no news.
    fn add_contradictions(&mut self, mut contradictions: Vec<Problem>) {
        contradictions.retain(|problem| {
            let echoes = |refused: &Problem| {
                let inside = refused.path.segments().starts_with(problem.path.segments());
                let beside = refused.path.parent() == problem.path.parent();
                inside || beside && problem.message.contains(&format!("`{}`", refused.path.name()))
            };
            !self.problems.iter().any(echoes)
        });
        self.problems.extend(contradictions);
    }

    /// Names that the file defines, be their content as it may.
    fn refused_names(&self, base: &KeyPath) -> Vec<(&'static str, String)> {
        let retry = base.key("retry");
        let limits = base.key("rate_limiting");
        let health = base.key("health_checks");
        [
            ("retry", retry.key("policies")),
            ("budget", retry.key("budgets")),
            ("rate_limit", limits.key("defaults")),
            ("breaker", base.key("circuit_breakers")),
            ("bulkhead", base.key("bulkheads")),
            ("health", health.key("providers")),
        ]
        .into_iter()
        .flat_map(|(shelf, path)| {
            self.document
                .keys(&path)
                .into_iter()
                .map(move |name| (shelf, name))
        })
        .collect()
    }

    /// Definitions that no path names, and instructions for a case that cannot occur.
    fn unused(&self, base: &KeyPath, paths: &BTreeMap<String, PathFile>, config: &Config) -> Vec<NotInUse> {
        type Used = fn(&call_path::Uses) -> Option<&str>;
        let shelves: [(KeyPath, Used); 4] = [
            (base.key("retry").key("policies"), |uses| Some(&uses.retry)),
            (base.key("retry").key("budgets"), |uses| uses.budget.as_deref()),
            (base.key("circuit_breakers"), |uses| uses.breaker.as_deref()),
            (base.key("bulkheads"), |uses| uses.bulkhead.as_deref()),
        ];
        let mut list = Vec::new();
        for (path, used) in shelves {
            let used: BTreeSet<_> = config.paths().filter_map(|path| used(&path.uses)).collect();
            for name in self.document.keys(&path) {
                if !used.contains(name.as_str()) {
                    list.push(NotInUse::new(path.key(name), "no path names it"));
                }
            }
        }
        for (name, file) in paths {
            let limited = config
                .paths
                .get(name)
                .is_some_and(|path| path.uses.rate_limit.is_some());
            if file.says_on_limit() && !limited {
                let path = base.key("paths").key(name).key("on_limit");
                list.push(NotInUse::new(path, "the path has no rate limit"));
            }
        }
        list
    }

    fn finish(self, config: Config) -> Result<Config, FileError> {
        if self.problems.is_empty() {
            Ok(config)
        } else {
            Err(self.document.error(self.problems))
        }
    }
}
