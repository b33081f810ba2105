//! Which store is meant.

use std::path::{Path, PathBuf};

use crossbridge_std::logging::redact;

use crate::exit::Failure;

/// A SQLite file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    path: PathBuf,
    /// Nobody named it: its folder is ours to make.
    default: bool,
}

impl Target {
    /// The store of this URL, or the default one: under `CROSSBRIDGE_HOME`, else under
    /// `.crossbridge` here.
    pub(super) fn parse(
        url: Option<&str>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let Some(url) = url else {
            let home = environment("CROSSBRIDGE_HOME").filter(|home| !home.is_empty());
            let folder = home.map_or_else(|| PathBuf::from(".crossbridge"), PathBuf::from);
            return Ok(Self {
                path: folder.join("crossbridge.db"),
                default: true,
            });
        };
        let refuse = |what: &str, hint: &str| {
            let shown = redact::text(url);
            Err(Failure::usage(format!("store `{shown}`: {what}"), hint))
        };
        let write = "write sqlite:FILE, such as sqlite:events.db or sqlite:/var/lib/crossbridge/events.db";
        match url.split_once(':') {
            Some(("sqlite", "")) => refuse("a file is missing", write),
            Some(("sqlite", ":memory:")) => refuse("in memory, nothing would be kept", write),
            Some(("sqlite", file)) if file.starts_with("//") => refuse("not the form of this URL", write),
            Some(("sqlite", file)) => Ok(Self {
                path: PathBuf::from(file),
                default: false,
            }),
            Some(("postgres" | "postgresql" | "influxdb" | "jsonl", _)) => {
                refuse("this kind of store is not available yet", write)
            }
            _ => refuse("not a store we know", write),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path from the root, as far as it can be told.
    pub(super) fn absolute(&self) -> PathBuf {
        std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    /// The folder to make first, if any.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.path.parent().filter(|_| self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> String {
        match Target::parse(Some(url), &|_| None) {
            Ok(target) => format!("{}", target.path().display()),
            Err(failure) => failure
                .message(false)
                .unwrap_or_default()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }

    #[test]
    fn urls() {
        assert_eq!(parse("sqlite:events.db"), "events.db");
        assert_eq!(parse("sqlite:/tmp/a b?mode=ro.db"), "/tmp/a b?mode=ro.db");
        assert_eq!(parse("sqlite:"), "error: store `sqlite:`: a file is missing");
        assert_eq!(
            parse("sqlite:///x"),
            "error: store `sqlite:///x`: not the form of this URL"
        );
        assert_eq!(
            parse("sqlite::memory:"),
            "error: store `sqlite::memory:`: in memory, nothing would be kept"
        );
        assert_eq!(
            parse("postgres://u:secret@db/x"),
            "error: store `postgres://u:***@db/x`: this kind of store is not available yet"
        );
        assert_eq!(
            parse("events.db"),
            "error: store `events.db`: not a store we know"
        );
    }

    #[test]
    fn without_a_url_it_is_at_home() {
        let default = |home: Option<&str>| {
            let home = home.map(str::to_owned);
            let target = Target::parse(None, &move |_| home.clone()).ok()?;
            Some((target.path().to_owned(), target.folder()?.to_owned()))
        };
        let expected = |folder: &str| Some((Path::new(folder).join("crossbridge.db"), PathBuf::from(folder)));
        assert_eq!(default(None), expected(".crossbridge"));
        assert_eq!(default(Some("")), expected(".crossbridge"));
        assert_eq!(default(Some("/home/x")), expected("/home/x"));
    }
}
