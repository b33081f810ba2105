//! What the tests of the binary share.

#![allow(dead_code, reason = "each test file uses its part")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use serde_json::Value;

/// What a run of the binary left behind.
pub(crate) struct Run {
    /// Its exit.
    pub(crate) status: ExitStatus,
    /// Its data.
    pub(crate) stdout: String,
    /// Everything else.
    pub(crate) stderr: String,
}

/// Runs the binary in the root of the project.
pub(crate) fn crossbridge<I, S>(args: I) -> Run
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    crossbridge_in(&root(), args)
}

/// Runs the binary in a folder.
pub(crate) fn crossbridge_in<I, S>(folder: &Path, args: I) -> Run
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let output = command(folder).args(args).output().expect("the binary starts");
    Run {
        status: output.status,
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// The binary, to run in a folder, untouched by the environment of the tests.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossbridge"));
    command
        .current_dir(folder)
        .env_remove("CROSSBRIDGE_CONFIG")
        .env_remove("CROSSBRIDGE_HOME");
    command
}

/// The root of the project.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file of the fixtures.
pub(crate) fn fixture(path: &str) -> PathBuf {
    root()
        .join("fixtures")
        .join(path)
        .canonicalize()
        .expect("the fixture is there")
}

/// A line of JSON.
pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("{error} in {text}"))
}
