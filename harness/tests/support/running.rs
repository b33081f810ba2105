//! A run of the program that something happens to on its way.
//!
//! What happens is tied to what the run has logged and to input that it has not got yet, never to time:
//! on a slow machine the same things come in the same order.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStderr, Command};
use std::sync::mpsc;

use serde_json::Value;

use super::{Place, Ran, config, lines};

/// A run under way, which logs in JSON; it is killed when a test fails.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr }
    }

    /// Reads records until so many were what is looked for; what it has read.
    pub(crate) fn wait_for(&mut self, mut count: usize, wanted: impl Fn(&Value) -> bool) -> Vec<String> {
        let mut seen = Vec::new();
        while count > 0 {
            let mut line = String::new();
            let length = self.stderr.read_line(&mut line).unwrap();
            assert_ne!(length, 0, "it ended early: {seen:#?}");
            let record = serde_json::from_str(&line).unwrap_or_default();
            count -= usize::from(wanted(&record));
            seen.push(line);
        }
        seen
    }

    /// Ends it by SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), None, "it was over before the kill");
    }

    /// Waits for its end; of its log, what has not been read yet.
    pub(crate) fn end(mut self) -> Ran {
        let (mut stderr, mut stdout) = (String::new(), String::new());
        self.stderr.read_to_string(&mut stderr).unwrap();
        let mut output = self.child.stdout.take().unwrap();
        output.read_to_string(&mut stdout).unwrap();
        Ran {
            code: self.child.wait().unwrap().code(),
            stdout,
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After its end this does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A batch is in the store, or whatever else a call of the guard was for has been done.
pub(crate) fn succeeded(record: &Value) -> bool {
    record["message"] == "call succeeded"
}

/// An attempt has failed, and there will be another one.
pub(crate) fn will_retry(record: &Value) -> bool {
    record["message"] == "retry scheduled"
}

/// A file whose last lines come when they are let through: nobody has read it to the end before.
#[derive(Debug)]
pub(crate) struct Pipe(mpsc::Sender<()>);

impl Pipe {
    /// The first lines of a text, and behind the gate the others.
    pub(crate) fn new(place: &Place, name: &str, text: &str, first: usize) -> Self {
        let path = place.path(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let at: usize = text.split_inclusive('\n').take(first).map(str::len).sum();
        let (first, rest) = text.split_at(at);
        let (first, rest) = (first.to_owned(), rest.to_owned());
        let (open, gate) = mpsc::channel();
        // What it cannot write because the reader is gone is of no interest, and what a reader has not
        // got is missing in the store.
        std::thread::spawn(move || -> std::io::Result<()> {
            let mut pipe = File::create(path)?;
            pipe.write_all(first.as_bytes())?;
            // An error is a gate that went down with its test.
            let _ = gate.recv();
            pipe.write_all(rest.as_bytes())
        });
        Self(open)
    }

    /// Lets the others through.
    pub(crate) fn open(self) {
        drop(self.0);
    }
}

/// The server dies in the middle of [`OUTLIVED`] events, when so many calls have succeeded, and comes back
/// when it has been missed; the guard sees to the rest.
pub(crate) fn outlive<S>(
    server: &mut S,
    url: &str,
    calls: usize,
    kill: impl FnOnce(&mut S),
    restart: impl FnOnce(&mut S),
) {
    let place = Place::new();
    // The last batch is not written before the server is dead.
    let input = Pipe::new(&place, "big.jsonl", &lines(OUTLIVED), 10_000);
    place.write("c.yml", &config("5s", "120s", "TRACE"));
    let arguments = ["big.jsonl", "--store", url, "--config", "c.yml"];
    let mut writer = Running::start(place.command(&[&arguments[..], &["--format", "json"]].concat()));
    writer.wait_for(calls, succeeded);
    kill(server);
    input.open();
    writer.wait_for(2, will_retry);
    restart(server);
    let ran = writer.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let object: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(object["totals"]["unwritten"], 0);
}

/// Six batches.
pub(crate) const OUTLIVED: u32 = 12_000;
