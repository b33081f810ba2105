//! A folder, the program in it, and plain `sqlite3` beside it.

#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod running;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder of its own, which is also the working directory.
#[derive(Debug)]
pub(crate) struct Place(TempDir);

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// `crossbridge profile ingest` with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.profile(&[&["ingest"], arguments].concat())
    }

    /// `crossbridge profile` with these arguments.
    pub(crate) fn profile(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossbridge"));
        command
            .arg("profile")
            .args(arguments)
            .current_dir(self.0.path())
            .env_remove("CROSSBRIDGE_CONFIG")
            .env_remove("CROSSBRIDGE_HOME")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn ingest(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    /// The same, answered as an object.
    pub(crate) fn ingest_json(&self, arguments: &[&str]) -> (Ran, Value) {
        let ran = self.ingest(&[arguments, &["--format", "json"]].concat());
        let object = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        (ran, object)
    }

    /// `crossbridge profile query` with these arguments.
    pub(crate) fn query(&self, arguments: &[&str]) -> Ran {
        let mut command = self.profile(&[&["query"], arguments].concat());
        command.output().unwrap().into()
    }

    /// The same, answered as an object.
    pub(crate) fn query_json(&self, arguments: &[&str]) -> (Ran, Value) {
        let ran = self.query(&[arguments, &["--format", "json"]].concat());
        let object = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        (ran, object)
    }

    /// What plain `sqlite3` answers.
    pub(crate) fn sqlite3(&self, file: &str, sql: &str) -> String {
        let output = start(
            Command::new("sqlite3")
                .args(["-batch", file, sql])
                .current_dir(self.0.path()),
        );
        let output = output.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{sql}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    pub(crate) fn count(&self, file: &str) -> u64 {
        self.sqlite3(file, "select count(*) from profiling_events")
            .parse()
            .unwrap()
    }

    /// Another process that holds the write lock of the file.
    pub(crate) fn lock(&self, file: &str) -> Lock {
        let mut child = start(
            Command::new("sqlite3")
                .args(["-batch", file])
                .current_dir(self.0.path())
                .stdin(Stdio::piped()),
        );
        let mut input = child.stdin.take().unwrap();
        input
            .write_all(b".timeout 20000\nBEGIN IMMEDIATE; SELECT 'locked';\n")
            .unwrap();
        let mut answer = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut answer)
            .unwrap();
        assert_eq!(answer, "locked\n");
        Lock {
            child,
            input: Some(input),
        }
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn start(command: &mut Command) -> Child {
    match command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => panic!("cannot run sqlite3: {error}; it is installed by: apt-get install -y sqlite3"),
    }
}

/// The write lock in the hands of another process.
#[derive(Debug)]
pub(crate) struct Lock {
    child: Child,
    input: Option<ChildStdin>,
}

impl Lock {
    pub(crate) fn release(mut self) {
        let mut input = self.input.take().unwrap();
        input.write_all(b"COMMIT;\n").unwrap();
        drop(input);
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A test that fails must not leave it behind; after `release` it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The file `fixtures/profiling/<name>`.
pub(crate) fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/profiling")
        .join(name);
    path.canonicalize().unwrap().display().to_string()
}

/// Lines of one run, every second one the end of a test.
pub(crate) fn lines(events: u32) -> String {
    let mut text = String::new();
    for number in 0..events {
        let (test, kind) = (
            number / 2,
            if number % 2 == 0 { "test_start" } else { "test_end" },
        );
        let end = r#","duration_ms":0.125,"metadata":{"status":"passed"}"#;
        let end = if number % 2 == 0 { "" } else { end };
        writeln!(
            text,
            r#"{{"run_id":"run","test_id":"t{test}","event_type":"{kind}"{end}}}"#
        )
        .unwrap();
    }
    text
}

/// A configuration with short attempts, and logs in JSON.
pub(crate) fn config(attempt: &str, deadline: &str, level: &str) -> String {
    format!(
        "runtime:
  retry:
    policies:
      patient: {{ max_attempts: 500, base_delay: 50ms, max_delay: 100ms, throttled_base_delay: 50ms }}
  paths:
    profiling_storage: {{ retry: patient, attempt_timeout: {attempt}, deadline: {deadline} }}
crossbridge:
  logging: {{ level: {level}, format: json, log_to_file: false }}
"
    )
}

/// A server without the database is code 4, with what to do about it.
pub(crate) fn assert_no_database(url: &str, remedy: &str) {
    let place = Place::new();
    let report = fixture("pytest/pytest-all-pass.xml");
    let ran = place.ingest(&[&report, "--store", url]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    let expected =
        format!("error: the store could not be used: open {url}: the server has no such database\n");
    assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
    let expected = format!("hint: {remedy}, or name another one in --store");
    assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
}
