//! A scenario whose values may be lists: every combination of them is a scenario of its own.
//!
//! ```yaml
//! clients:
//!   web: { path: database, calls: db, arrivals: { poisson: [100/s, 150/s, 280/s] } }
//! faults:
//!   - { at: 20s, for: { from: 2s, to: 10s, steps: 5 }, on: db, kind: refuse }
//! ```
//!
//! ```text
//!                   faults[0].for
//!                    2s   4s   6s   8s  10s
//!   …poisson 100/s   0    1    2    3    4      15 cells, the last axis first
//!            150/s   5    6    7    8    9
//!            280/s  10   11   12   13   14
//! ```
//!
//! A list, or a range `{ from, to, steps }`, in the place of any single value of the scenario or of its
//! inline `policies:` is an axis. What is a list anyway (`expect`, `faults`, `retryable_codes`) is none.
//! A range has its values at equal distances, both ends included; `from` and `to` have the same unit.
//! Two axes make a table, more of them several tables, and at most [`MOST_CELLS`] cells in all.
//!
//! A cell is one of these scenarios, and is run alone by settings: `--set faults[0].for=4s` puts a value
//! into the file before it is read. Errors in it name the place in the file.

mod range;
mod schema;
mod setting;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crossbridge_std::config::{Document, Environment, FileError, KeyPath, Problem};
use serde_yaml_ng::Value;

use super::Scenario;
use super::resolve::resolve;

pub use schema::with_axes;
pub(crate) use setting::shown;
pub use setting::{ParseSettingError, Setting};

/// The most cells of a grid.
pub const MOST_CELLS: usize = 1_000;

/// A scenario file, with its axes.
#[derive(Clone, Debug)]
pub struct Grid {
    document: Document,
    path: PathBuf,
    settings: Vec<Setting>,
    axes: Vec<Axis>,
}

/// One value of the file, and everything it is in turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Where it stands.
    pub path: KeyPath,
    /// What it is; at least one.
    pub values: Vec<Value>,
}

/// Reads a scenario that is no grid. `config` replaces the policies it names.
///
/// # Errors
/// Everything that is wrong with it, or with its policies, each with its place.
pub fn load(path: &Path, config: Option<&Path>, environment: Environment<'_>) -> Result<Scenario, FileError> {
    let grid = Grid::read(path, &[])?;
    let problem = |axis: &Axis| {
        Problem::new(
            axis.path.clone(),
            format!("several values for `{}`", axis.path.name()),
        )
        .found(format!("{} values", axis.values.len()))
        .expected("one value")
        .hint("`crossbridge replay` runs them all".to_owned())
    };
    match grid.axes.iter().map(problem).collect::<Vec<_>>() {
        none if none.is_empty() => grid.scenario(0, config, environment),
        problems => Err(grid.document.error(problems)),
    }
}

impl Grid {
    /// Reads the file, puts the settings into it, and finds its axes.
    ///
    /// # Errors
    /// It cannot be read, a setting does not fit into it, a range cannot be, or there are too many cells.
    pub fn read(path: &Path, settings: &[Setting]) -> Result<Self, FileError> {
        let mut document = Document::read(path)?;
        for setting in settings {
            document.set(setting.path(), setting.value().clone())?;
        }
        let mut axes = Axes::default();
        axes.find(&KeyPath::root(), document.root());
        let Axes { found, mut problems } = axes;
        let cells = found
            .iter()
            .fold(1_usize, |cells, axis| cells.saturating_mul(axis.values.len()));
        if cells > MOST_CELLS
            && let Some(last) = found.last()
        {
            let problem = Problem::new(last.path.clone(), "the grid has too many cells");
            let expected = format!("at most {MOST_CELLS}");
            problems.push(problem.found(cells.to_string()).expected(expected));
        }
        if !problems.is_empty() {
            return Err(document.error(problems));
        }
        Ok(Self {
            document,
            path: path.to_owned(),
            settings: settings.to_vec(),
            axes: found,
        })
    }

    /// Its axes in the order of the file; none for a scenario that is no grid.
    #[must_use]
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// How many scenarios it is: one without axes.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.axes.iter().map(|axis| axis.values.len()).product()
    }

    /// The value of each axis in a cell; the last axis changes first.
    #[must_use]
    pub fn values(&self, cell: usize) -> Vec<&Value> {
        let mut rest = cell;
        let mut values: Vec<&Value> = self
            .axes
            .iter()
            .rev()
            .filter_map(|axis| {
                let index = rest % axis.values.len();
                rest /= axis.values.len();
                axis.values.get(index)
            })
            .collect();
        values.reverse();
        values
    }

    /// The settings that were given.
    #[must_use]
    pub fn given(&self) -> &[Setting] {
        &self.settings
    }

    /// The settings that make a cell of the file: those that were given, then its own.
    #[must_use]
    pub fn settings(&self, cell: usize) -> Vec<Setting> {
        let given = self.settings.iter();
        let given = given.filter(|setting| self.axes.iter().all(|axis| axis.path != *setting.path()));
        let own = self.axes.iter().zip(self.values(cell));
        let own = own.map(|(axis, value)| Setting::new(axis.path.clone(), value.clone()));
        given.cloned().chain(own).collect()
    }

    /// The scenario of a cell. `config` replaces the policies it names.
    ///
    /// # Errors
    /// Everything that is wrong with it, or with its policies, each with its place.
    pub fn scenario(
        &self,
        cell: usize,
        config: Option<&Path>,
        environment: Environment<'_>,
    ) -> Result<Scenario, FileError> {
        let settings = self.settings(cell);
        if config.is_some() {
            self.refuse_replaced(&settings)?;
        }
        let mut document = self.document.clone();
        for setting in &settings {
            document.set(setting.path(), setting.value().clone())?;
        }
        let folder = self.path.parent().unwrap_or(Path::new(""));
        resolve(&document, folder, config, environment).map_err(|error| told(error, &document, &settings))
    }

    /// Another configuration makes values of the file's own policies say nothing.
    fn refuse_replaced(&self, settings: &[Setting]) -> Result<(), FileError> {
        let root = KeyPath::root();
        let replaced = ["policies", "config"].map(|section| root.key(section));
        let lost = settings
            .iter()
            .filter(|setting| replaced.iter().any(|section| setting.path().is_within(section)));
        let problems: Vec<Problem> = lost
            .map(|setting| {
                Problem::new(setting.path().clone(), "this value says nothing")
                    .found(format!("`{setting}` and `--config`"))
                    .expected("one of them")
            })
            .collect();
        if problems.is_empty() {
            return Ok(());
        }
        Err(self.document.error(problems))
    }
}

/// The same error; problems with a value that is not in the file say where it is from.
fn told(error: FileError, document: &Document, settings: &[Setting]) -> FileError {
    if error.file() != document.name() || settings.is_empty() {
        return error;
    }
    let problems = error.problems().iter().cloned().map(|problem| {
        let from = settings
            .iter()
            .rev()
            .find(|setting| problem.path.is_within(setting.path()));
        match from {
            Some(setting) if problem.hint.is_none() => problem.hint(format!("this is with `{setting}`")),
            Some(_) | None => problem,
        }
    });
    FileError::new(document.name(), problems.collect())
}

#[derive(Default)]
struct Axes {
    found: Vec<Axis>,
    problems: Vec<Problem>,
}

impl Axes {
    fn find(&mut self, at: &KeyPath, value: &Value) {
        match value {
            Value::Sequence(list) if is_language(at) => {
                for (index, value) in list.iter().enumerate() {
                    self.find(&at.index(index), value);
                }
            }
            Value::Sequence(list) if !list.is_empty() && list.iter().all(is_single) => {
                self.found.push(Axis {
                    path: at.clone(),
                    values: list.clone(),
                });
            }
            Value::Sequence(list) => {
                for (index, value) in list.iter().enumerate() {
                    self.find(&at.index(index), value);
                }
            }
            Value::Mapping(mapping) => match range::read(at, mapping) {
                Some(Ok(values)) => self.found.push(Axis {
                    path: at.clone(),
                    values,
                }),
                Some(Err(problem)) => self.problems.push(*problem),
                None => {
                    for (key, value) in mapping {
                        // A key that is no text is refused by the reader.
                        if let Value::String(key) = key {
                            self.find(&at.key(key), value);
                        }
                    }
                }
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Tagged(_) => {}
        }
    }
}

/// Whether a list stands there anyway.
fn is_language(at: &KeyPath) -> bool {
    let top = at.parent().is_root() && ["expect", "faults"].contains(&at.name().as_str());
    top || ["retryable_codes", "disable_features", "providers"].contains(&at.name().as_str())
}

const fn is_single(value: &Value) -> bool {
    matches!(value, Value::Bool(_) | Value::Number(_) | Value::String(_))
}
