//! Writes the smallest failing run as a scenario that `replay` fails the same way.

use std::fmt::{self, Write as _};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crossbridge_std::config::Environment;
use serde_yaml_ng::{Mapping, Value};

use super::schedule::span;
use super::trial::Flaw;
use super::{Exploration, Finding};
use crate::result::{ReplayResult, Verdict};
use crate::{scenario, world};

/// Where the explored scenario came from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'p> {
    /// Its file.
    pub path: &'p Path,
    /// The configuration that replaces its policies.
    pub config: Option<&'p Path>,
}

/// Why a scenario could not be written.
#[derive(Debug)]
pub enum SaveError {
    /// A file could not be read or written.
    File(PathBuf, io::Error),
    /// The explored scenario is no longer what it was.
    Changed(String),
    /// What was written does not fail the way the run did: a bug of ours.
    Holds(PathBuf),
}

impl Exploration {
    /// Writes the smallest run of each failure into `folder`, which is made where it is not there, and
    /// replays it to see that it fails.
    ///
    /// # Errors
    /// See [`SaveError`].
    pub fn save(
        &mut self,
        source: Source<'_>,
        folder: &Path,
        environment: Environment<'_>,
    ) -> Result<(), SaveError> {
        if self.failures.is_empty() {
            return Ok(());
        }
        fs::create_dir_all(folder).map_err(|error| SaveError::File(folder.to_owned(), error))?;
        for finding in &mut self.failures {
            let (name, rule, seed) = (plain(&self.scenario), finding.rule, finding.seed);
            let file = folder.join(format!("{name}-{rule}-{seed}.yml"));
            let text = write(&self.scenario, finding, source, folder)?;
            fs::write(&file, text).map_err(|error| SaveError::File(file.clone(), error))?;
            fails(&file, environment)?;
            finding.saved = Some(file.display().to_string());
        }
        Ok(())
    }
}

/// Whether a replay of it does.
fn fails(file: &Path, environment: Environment<'_>) -> Result<(), SaveError> {
    let scenario =
        scenario::load(file, None, environment).map_err(|error| SaveError::Changed(error.to_string()))?;
    let outcome = world::run(&scenario, scenario.seed, None, &mut |_| {})
        .map_err(|error| SaveError::Changed(error.to_string()))?;
    match ReplayResult::new(&scenario, scenario.seed, &outcome).verdict {
        Verdict::Fail => Ok(()),
        Verdict::Pass => Err(SaveError::Holds(file.to_owned())),
    }
}

/// The text of the file.
fn write(name: &str, finding: &Finding, source: Source<'_>, folder: &Path) -> Result<String, SaveError> {
    let path = source.path;
    let unreadable = |error| SaveError::File(path.to_owned(), error);
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let mut file: Mapping =
        serde_yaml_ng::from_str(&text).map_err(|error| SaveError::Changed(error.to_string()))?;
    for key in ["scenario", "about", "seed", "duration", "faults", "expect"] {
        file.remove(key);
    }
    let beside = path.parent().unwrap_or(Path::new(""));
    let own = file
        .get("config")
        .and_then(Value::as_str)
        .map(|own| beside.join(own));
    if let Some(config) = source.config.map(Path::to_owned).or(own) {
        file.remove("policies");
        file.insert("config".into(), there(&config, folder).into());
    }
    for section in ["dependencies", "services", "clients"] {
        if let Some(section) = file.get_mut(section) {
            move_traces(section, beside, folder);
        }
    }
    let schedule = &finding.shrunk;
    let clients = file.get_mut("clients").and_then(Value::as_mapping_mut);
    for ((_, client), &count) in clients.into_iter().flatten().zip(&schedule.clients) {
        if let Some(client) = client.as_mapping_mut() {
            client.insert("count".into(), count.into());
        }
    }
    let body = serde_yaml_ng::to_string(&file).map_err(|error| SaveError::Changed(error.to_string()))?;

    let mut yaml = String::new();
    let (rule, seed) = (finding.rule, finding.seed);
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let _ = writeln!(
        yaml,
        "# Found by `crossbridge explore`, seed {seed}, and made smaller."
    );
    let _ = writeln!(yaml, "# {}", finding.failure);
    let _ = writeln!(yaml, "scenario: {}", quoted(&format!("{name}-{rule}-{seed}")));
    let about = format!("A day on which {} does not hold.", sentence(finding.failure.flaw));
    let _ = writeln!(yaml, "about: {}", quoted(&about));
    let _ = writeln!(yaml, "seed: {}", schedule.seed);
    let duration = u64::try_from(schedule.duration.as_millis()).unwrap_or(u64::MAX);
    let _ = writeln!(yaml, "duration: {}", span(duration));
    yaml += &body;
    if schedule.faults.is_empty() {
        yaml += "faults: []\n";
    } else {
        yaml += "faults:\n";
    }
    for fault in &schedule.faults {
        let _ = writeln!(yaml, "  - {fault}");
    }
    yaml += "expect:\n";
    let _ = match &finding.failure.shortfall {
        Some(short) => writeln!(
            yaml,
            "  - goodput({}s..{}s) >= {}",
            short.from, short.to, short.demanded
        ),
        None => writeln!(yaml, "  - invariants.violations == 0"),
    };
    Ok(yaml)
}

/// A name that is a file's on every system.
fn plain(name: &str) -> String {
    name.replace(
        |letter: char| !letter.is_ascii_alphanumeric() && letter != '_',
        "-",
    )
}

fn sentence(flaw: Flaw) -> String {
    match flaw {
        Flaw::Invariant(rule) => format!("the rule `{}`", rule.name()),
        Flaw::Recovery => "the recovery after the last fault".to_owned(),
    }
}

/// Trace files are found from the new place.
fn move_traces(value: &mut Value, beside: &Path, folder: &Path) {
    match value {
        Value::Mapping(map) => {
            for (key, value) in map {
                if let (Some("trace"), Value::String(file)) = (key.as_str(), &mut *value) {
                    *file = there(&beside.join(&*file), folder);
                } else {
                    move_traces(value, beside, folder);
                }
            }
        }
        Value::Sequence(values) => {
            for value in values {
                move_traces(value, beside, folder);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Tagged(_) => {}
    }
}

/// How a file is called from a folder; as it was where one of them is not there.
fn there(file: &Path, folder: &Path) -> String {
    let (Ok(to), Ok(from)) = (file.canonicalize(), folder.canonicalize()) else {
        return file.display().to_string();
    };
    let (to, from): (Vec<Component<'_>>, Vec<Component<'_>>) =
        (to.components().collect(), from.components().collect());
    let common = to.iter().zip(&from).take_while(|(a, b)| a == b).count();
    let up = from.iter().skip(common).map(|_| Component::ParentDir);
    let path: PathBuf = up.chain(to.iter().skip(common).copied()).collect();
    path.display().to_string()
}

impl fmt::Display for SaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Changed(why) => write!(f, "the scenario cannot be written again: {why}"),
            Self::Holds(path) => write!(f, "{} was written, and its replay does not fail", path.display()),
        }
    }
}

impl std::error::Error for SaveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(_, error) => Some(error),
            Self::Changed(_) | Self::Holds(_) => None,
        }
    }
}
