//! `crossbridge serve`: the real program, killed in the middle of a load, and stopped.

#[path = "support/profile.rs"]
mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use support::Place;

/// The program, killed at the end of the test whatever becomes of it.
struct Served {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    address: String,
}

impl Served {
    fn start(place: &Place) -> Self {
        Self::of(&mut command(place))
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let line = line(&mut output);
        let address = line["listen"].as_str().unwrap().to_owned();
        Self {
            child,
            output,
            address,
        }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).unwrap();
    }

    /// What it says at its end.
    fn end(mut self) -> Value {
        let line = line(&mut self.output);
        assert!(self.child.wait().unwrap().success());
        line
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(place: &Place) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossbridge"));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--store", "sqlite:events.db"])
        .current_dir(place.path(""))
        .env_remove("CROSSBRIDGE_CONFIG")
        .env_remove("CROSSBRIDGE_HOME")
        .stdin(Stdio::null());
    command
}

fn line(output: &mut impl std::io::BufRead) -> Value {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

/// A connection that is used again and again.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(address: &str) -> std::io::Result<Self> {
        TcpStream::connect(address).map(BufReader::new).map(Self)
    }

    /// The status and the body; an error where the server is gone.
    fn ask(&mut self, method: &str, path: &str, body: &str) -> std::io::Result<(String, Value)> {
        self.ask_as("", method, path, body)
    }

    /// The same with further headers.
    fn ask_as(
        &mut self,
        headers: &str,
        method: &str,
        path: &str,
        body: &str,
    ) -> std::io::Result<(String, Value)> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes())?;
        let gone = || std::io::ErrorKind::UnexpectedEof;
        let (mut status, mut length) = (None, 0);
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err(gone().into());
            }
            let line = line.trim_end();
            if let Some(digits) = line.strip_prefix("Content-Length: ") {
                length = digits.parse().unwrap();
            } else if line.is_empty() {
                break;
            } else if status.is_none() {
                status = line.split(' ').nth(1).map(str::to_owned);
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok((status.unwrap(), serde_json::from_slice(&body).unwrap()))
    }
}

fn batch(client: usize, number: usize) -> (Vec<String>, String) {
    let ids: Vec<String> = (0..5).map(|event| format!("{client}-{number}-{event}")).collect();
    let events: Vec<Value> = ids
        .iter()
        .map(|id| json!({ "event_id": id, "run_id": "r", "test_id": "t", "event_type": "test_end" }))
        .collect();
    (ids, json!({ "events": events }).to_string())
}

/// Sends from several connections until the server is gone or `enough` are acknowledged; the ids of
/// those that are.
fn load(address: &str, round: usize, enough: usize, then: impl Fn() + Sync) -> Vec<String> {
    let acknowledged = Mutex::new(Vec::new());
    let told = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for client in 0..4 {
            let (acknowledged, then, told) = (&acknowledged, &then, &told);
            scope.spawn(move || {
                let Ok(mut connection) = Client::new(address) else {
                    return;
                };
                for number in 0.. {
                    let (ids, body) = batch(round * 10 + client, number);
                    let Ok((status, answer)) = connection.ask("POST", "/events/batch", &body) else {
                        return;
                    };
                    assert_eq!((status.as_str(), &answer["accepted"]), ("202", &json!(5)));
                    let mut acknowledged = acknowledged.lock().unwrap();
                    acknowledged.extend(ids);
                    if acknowledged.len() >= enough && !told.swap(true, Ordering::SeqCst) {
                        then();
                    }
                }
            });
        }
    });
    acknowledged.into_inner().unwrap()
}

/// What was acknowledged is in the store once, and the books balance.
fn check(place: &Place, acknowledged: &[String]) {
    let drained = place
        .profile(&["drain", "--store", "sqlite:events.db"])
        .output()
        .unwrap();
    assert!(drained.status.success(), "{drained:?}");
    let stored = place.sqlite3("events.db", "select event_id from profiling_events");
    let mut ids: Vec<&str> = stored.lines().collect();
    ids.sort_unstable();
    let rows = ids.len();
    ids.dedup();
    assert_eq!(rows, ids.len(), "an event is there twice");
    for id in acknowledged {
        assert!(
            ids.binary_search(&id.as_str()).is_ok(),
            "{id} was acknowledged and is nowhere"
        );
    }
}

#[test]
fn what_was_acknowledged_survives_sigkill_in_the_middle_of_a_load() {
    let place = Place::new();
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let served = Served::start(&place);
        let kill = || served.signal(rustix::process::Signal::KILL);
        acknowledged.extend(load(&served.address, round, 100 * (round + 1), kill));
    }
    assert!(acknowledged.len() >= 600);
    check(&place, &acknowledged);
}

#[test]
fn a_signal_ends_it_after_the_last_answer_and_says_where_everything_is() {
    let place = Place::new();
    let served = Served::start(&place);
    let stop = || served.signal(rustix::process::Signal::TERM);
    let acknowledged = load(&served.address, 0, 200, stop);
    let said = served.end();
    let whole = said["stored"].as_u64().unwrap() + said["spooled"].as_u64().unwrap();
    assert!(whole >= u64::try_from(acknowledged.len()).unwrap(), "{said}");
    assert_eq!((&said["lost"], &said["dead_lettered"]), (&json!(0), &json!(0)));
    check(&place, &acknowledged);
}

#[test]
fn health_and_status_are_those_of_the_store_and_a_repeated_request_is_stored_once() {
    let place = Place::new();
    let served = Served::start(&place);
    let mut client = Client::new(&served.address).unwrap();
    let (_, body) = batch(0, 0);
    for _ in 0..2 {
        assert_eq!(client.ask("POST", "/events/batch", &body).unwrap().0, "202");
    }
    // The first probe is made at once; until it is back, nothing is known.
    let health = loop {
        let (status, health) = client.ask("GET", "/health", "").unwrap();
        assert_eq!((status.as_str(), &health["status"]), ("200", &json!("ok")));
        if health["store"]["health"] != "unknown" {
            break health;
        }
    };
    assert_eq!(health["store"]["health"], "healthy");
    let live = loop {
        let (_, live) = client.ask("GET", "/status", "").unwrap();
        if live["spooled"] == 0 {
            break live;
        }
    };
    served.signal(rustix::process::Signal::INT);
    served.end();
    let said = place
        .profile(&["status", "--store", "sqlite:events.db", "--format", "json"])
        .output()
        .unwrap();
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(live["stored"], 5);
    for name in [
        "stored",
        "spooled",
        "in_memory",
        "dead_lettered",
        "lost",
        "oldest_spooled_seconds",
        "store",
    ] {
        assert_eq!(live[name], said[name], "{name}");
    }
}

#[test]
fn a_token_comes_from_the_environment_and_is_in_no_message() {
    let place = Place::new();
    let mut command = command(&place);
    command.args(["--token-env", "EVENTS_TOKEN"]);
    for (token, expected) in [
        (None, "`EVENTS_TOKEN` is not set"),
        (Some(""), "`EVENTS_TOKEN` is empty"),
        (
            Some("hunter2\n"),
            "`EVENTS_TOKEN` has characters that no header can have",
        ),
    ] {
        match token {
            Some(token) => command.env("EVENTS_TOKEN", token),
            None => command.env_remove("EVENTS_TOKEN"),
        };
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected) && !said.contains("hunter2"), "{said}");
    }
    let served = Served::of(command.env("EVENTS_TOKEN", "hunter2"));
    let (_, body) = batch(0, 0);
    let refused = Client::new(&served.address)
        .unwrap()
        .ask("POST", "/events/batch", &body);
    assert_eq!(refused.unwrap().0, "401");
    let mut client = Client::new(&served.address).unwrap();
    assert_eq!(client.ask("GET", "/health", "").unwrap().0, "200");
    let bearer = "Authorization: Bearer hunter2\r\n";
    let (status, taken) = client.ask_as(bearer, "POST", "/events/batch", &body).unwrap();
    assert_eq!((status.as_str(), &taken["accepted"]), ("202", &json!(5)));
    served.signal(rustix::process::Signal::INT);
    assert_eq!(served.end()["lost"], 0);
}

#[test]
fn an_address_that_is_taken_is_exit_4() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let place = Place::new();
    let output = Command::new(env!("CARGO_BIN_EXE_crossbridge"))
        .args(["serve", "--listen", &address, "--store", "sqlite:events.db"])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&address), "{said}");
}
