//! Which store is meant, and where its spool is.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbridge_core::FaultKind;
use crossbridge_std::profiling::store::Trouble;
use crossbridge_std::profiling::{EventStore, Limits, SpoolPlace, StoreError, StoreUrl};

use crate::exit::Failure;

/// A store, named or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    url: StoreUrl,
    /// Nobody named it: its folder is ours to make.
    default: bool,
    /// Where our state is: the spool.
    state: PathBuf,
}

impl Target {
    /// The store of this URL, or the default one: under `CROSSBRIDGE_HOME`, else under
    /// `.crossbridge` here.
    pub(super) fn parse(
        url: Option<&str>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let home = environment("CROSSBRIDGE_HOME").filter(|home| !home.is_empty());
        let state = home.map_or_else(|| PathBuf::from(".crossbridge"), PathBuf::from);
        let Some(url) = url else {
            return Ok(Self {
                url: StoreUrl::Sqlite(state.join("crossbridge.db")),
                default: true,
                state,
            });
        };
        let url = url
            .parse()
            .map_err(|error: crossbridge_std::profiling::UrlError| {
                Failure::usage(error.to_string(), error.hint())
            })?;
        Ok(Self {
            url,
            default: false,
            state,
        })
    }

    pub(super) const fn url(&self) -> &StoreUrl {
        &self.url
    }

    /// The file or directory, where it is one: from the root, as far as that can be told.
    pub(super) fn path(&self) -> Option<PathBuf> {
        match &self.url {
            StoreUrl::Sqlite(path) | StoreUrl::Jsonl(path) => {
                Some(std::path::absolute(path).unwrap_or_else(|_| path.clone()))
            }
            StoreUrl::Postgres(_) | StoreUrl::Influx(_) => None,
        }
    }

    /// What to call it: its path, or its URL without secrets.
    pub(super) fn place(&self) -> String {
        self.path()
            .map_or_else(|| self.url.to_string(), |path| path.display().to_string())
    }

    /// Its URL without secrets and with its whole path.
    pub(super) fn shown(&self) -> String {
        self.path().map_or_else(
            || self.url.to_string(),
            |path| format!("{}:{}", self.url.kind(), path.display()),
        )
    }

    /// What to write behind `--store` to mean the same store again; nothing where it is the default.
    pub(super) fn option(&self) -> String {
        if self.default {
            String::new()
        } else {
            format!(" --store {}", self.url)
        }
    }

    /// Opens the store, and makes the folder of the default one.
    pub(super) fn open(&self, timeout: Option<Duration>) -> Result<Box<dyn EventStore + Send>, StoreError> {
        if let Some(folder) = self.folder() {
            fs::create_dir_all(folder).map_err(|error| StoreError {
                doing: "make the folder of",
                place: Some(self.place()),
                kind: FaultKind::Permanent,
                trouble: Trouble::Backend(Box::new(error)),
            })?;
        }
        self.url.open(timeout)
    }

    /// Whether there is anything to be asked: opening a file would make it.
    pub(super) fn exists(&self) -> bool {
        self.path().is_none_or(|path| path.exists())
    }

    /// What the store cannot take now is kept here: a file of its own for every store.
    pub(super) fn spool(&self, limits: Limits) -> SpoolPlace {
        let state = std::path::absolute(&self.state).unwrap_or_else(|_| self.state.clone());
        SpoolPlace::new(&state, &self.url.key(), limits)
    }

    /// The folder to make first, if any.
    fn folder(&self) -> Option<&Path> {
        match &self.url {
            StoreUrl::Sqlite(path) => path.parent().filter(|_| self.default),
            StoreUrl::Postgres(_) | StoreUrl::Influx(_) | StoreUrl::Jsonl(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_is_none_is_refused_without_its_password() {
        let failure = Target::parse(Some("postgres://u:secret@db"), &|_| None).unwrap_err();
        let message = failure.message(false).unwrap_or_default();
        assert!(
            message.starts_with("error: store `postgres://u:***@db`: a database is missing\n"),
            "{message}"
        );
    }

    #[test]
    fn without_a_url_it_is_at_home() {
        let default = |home: Option<&str>| {
            let home = home.map(str::to_owned);
            let target = Target::parse(None, &move |_| home.clone()).ok()?;
            Some((target.url().to_string(), target.folder()?.to_owned()))
        };
        let expected =
            |folder: &str| Some((format!("sqlite:{folder}/crossbridge.db"), PathBuf::from(folder)));
        assert_eq!(default(None), expected(".crossbridge"));
        assert_eq!(default(Some("")), expected(".crossbridge"));
        assert_eq!(default(Some("/home/x")), expected("/home/x"));
    }
}
