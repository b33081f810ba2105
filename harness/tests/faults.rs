//! `crossbridge faults`: the real binary between real sockets.
//!
//! What is to come is waited for as long as it takes, what is not to come for a moment; what depends on
//! time is tested in virtual time beside the code.

mod support;

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crossbridge_core::{Clock as _, Instant, Sleeper as _};
use crossbridge_std::clock::SystemClock;
use crossbridge_std::sleeper::ThreadSleeper;
use serde_json::{Value, json};

use support::{command, crossbridge, root};

/// A running proxy; it is killed when a test fails.
struct Faults {
    child: Child,
    listen: SocketAddr,
    api: Option<SocketAddr>,
}

impl Faults {
    fn start(upstream: &str, args: &[&str]) -> Self {
        let child = command(&root())
            .args(["faults", "--listen", "127.0.0.1:0", "--upstream", upstream])
            .args(args)
            .stdout(Stdio::piped())
            .spawn();
        Self::of(child.expect("the binary starts"))
    }

    /// Where a process that has been started listens.
    fn of(mut child: Child) -> Self {
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let said: Value = serde_json::from_str(&line).expect("one object");
        let address = |key: &str| said[key].as_str().map(|text| text.parse().expect("an address"));
        Self {
            child,
            listen: address("listen").expect("it listens"),
            api: address("api"),
        }
    }

    /// A request to the API, by a connection of its own.
    fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(self.api.expect("an API")).expect("it answers");
        stream.write_all(request.as_bytes()).expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        (
            status.expect("a status"),
            serde_json::from_str(body).unwrap_or(Value::Null),
        )
    }

    fn add(&self, toxic: &Value) {
        let (status, answer) = self.ask("POST", "/proxies/proxy/toxics", toxic);
        assert_eq!(status, 200, "{answer}");
    }

    fn remove(&self, toxic: &str) {
        let (status, _) = self.ask("DELETE", &format!("/proxies/proxy/toxics/{toxic}"), &Value::Null);
        assert_eq!(status, 204);
    }

    /// Says `ping` on a connection of its own, and hears something.
    fn ping(&self) -> String {
        self.ping_for(LONG)
    }

    /// The same, where nobody connects or answers.
    fn silence(&self) -> String {
        self.ping_for(SHORT)
    }

    fn ping_for(&self, patience: Duration) -> String {
        match TcpStream::connect_timeout(&self.listen, patience) {
            Ok(stream) => ping_for(&stream, patience),
            Err(error) => format!("connect: {:?}", error.kind()),
        }
    }

    /// Ends it by a signal, and says how it ended.
    fn stop(mut self, signal: &str) -> Option<i32> {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([signal, &pid])
            .status()
            .expect("kill runs");
        assert!(sent.success());
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Longer than anything that is to come takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);
/// How long something is waited for that is not to come.
const SHORT: Duration = Duration::from_millis(300);

fn ping(stream: &TcpStream) -> String {
    ping_for(stream, LONG)
}

fn ping_for(mut stream: &TcpStream, patience: Duration) -> String {
    stream.set_read_timeout(Some(patience)).expect("set");
    if let Err(error) = stream.write_all(b"ping") {
        return format!("write: {:?}", error.kind());
    }
    let mut answer = [0; 64];
    match stream.read(&mut answer) {
        Ok(0) => "closed".to_owned(),
        Ok(length) => String::from_utf8_lossy(&answer[..length]).into_owned(),
        Err(error) if error.kind() == ErrorKind::WouldBlock => "silence".to_owned(),
        Err(error) => format!("read: {:?}", error.kind()),
    }
}

/// A server that says what it is told.
fn echo() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut writer = stream.try_clone().expect("cloned");
                std::io::copy(&mut &stream, &mut writer)
            });
        }
    });
    address
}

const API: [&str; 2] = ["--api", "127.0.0.1:0"];

#[test]
fn a_proxy_without_toxics_passes_everything_both_ways() {
    let faults = Faults::start(&echo(), &[]);
    let mut stream = TcpStream::connect(faults.listen).expect("connected");
    stream.set_read_timeout(Some(LONG)).expect("set");
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let mut writer = stream.try_clone().expect("cloned");
    let said = sent.clone();
    let sender = thread::spawn(move || {
        writer.write_all(&said).expect("written");
        // The end of one direction leaves the other open.
        writer.shutdown(std::net::Shutdown::Write).expect("ended");
    });
    let mut got = Vec::new();
    stream.read_to_end(&mut got).expect("all comes back, and its end");
    sender.join().expect("sent");
    assert!(got == sent, "{} bytes of {}", got.len(), sent.len());
    assert_eq!(faults.stop("-TERM"), Some(0));
}

#[test]
fn toxics_come_and_go_by_the_api_and_meet_connections_that_stand() {
    let faults = Faults::start(&echo(), &API);
    let standing = TcpStream::connect(faults.listen).expect("connected");
    assert_eq!(ping(&standing), "ping");
    faults.add(&json!({ "type": "latency", "attributes": { "latency": 60_000 } }));
    assert_eq!(ping_for(&standing, SHORT), "silence");
    assert_eq!(faults.silence(), "silence");
    faults.remove("latency_downstream");
    let mut held = [0; 4];
    standing.set_read_timeout(Some(LONG)).expect("set");
    (&standing)
        .read_exact(&mut held)
        .expect("what was held comes at once");
    assert_eq!(ping(&standing), "ping");
    faults.add(&json!({ "type": "limit_data", "attributes": { "bytes": 2 } }));
    assert_eq!(faults.ping(), "pi");
    faults.remove("limit_data_downstream");
    faults.add(&json!({ "type": "reset_peer", "stream": "upstream" }));
    assert_eq!(faults.ping(), "read: ConnectionReset");
    assert_eq!(ping(&standing), "read: ConnectionReset");
    assert_eq!(faults.ask("POST", "/reset", &Value::Null).0, 204);
    assert_eq!(faults.ping(), "ping");
    assert_eq!(faults.stop("-INT"), Some(0));
}

#[test]
fn connecting_is_refused_and_accepted_again_on_the_same_port() {
    let faults = Faults::start(&echo(), &API);
    let standing = TcpStream::connect(faults.listen).expect("connected");
    assert_eq!(ping(&standing), "ping");
    faults.add(&json!({ "type": "refuse" }));
    assert_eq!(faults.ping(), "connect: ConnectionRefused");
    assert_eq!(ping(&standing), "ping", "who is in stays in");
    faults.remove("refuse_downstream");
    assert_eq!(faults.ping(), "ping");
    // Down is refused as well, and drops who is in.
    let (status, _) = faults.ask("POST", "/proxies/proxy", &json!({ "enabled": false }));
    assert_eq!(status, 200);
    assert_eq!(faults.ping(), "connect: ConnectionRefused");
    assert_ne!(ping(&standing), "ping");
    let (_, proxy) = faults.ask("POST", "/proxies/proxy", &json!({ "enabled": true }));
    assert_eq!(proxy["listen"], json!(faults.listen.to_string()));
    assert_eq!(faults.ping(), "ping");
}

#[test]
#[cfg(target_os = "linux")]
fn connecting_hangs_and_is_completed_afterwards() {
    let faults = Faults::start(&echo(), &API);
    faults.add(&json!({ "type": "hang" }));
    assert_eq!(faults.silence(), "connect: TimedOut");
    assert_eq!(faults.silence(), "connect: TimedOut");
    let listen = faults.listen;
    let waiting = thread::spawn(move || TcpStream::connect_timeout(&listen, LONG));
    faults.remove("hang_downstream");
    assert_eq!(faults.ping(), "ping");
    let waited = waiting.join().expect("no panic").expect("connected after all");
    assert_eq!(ping(&waited), "ping");
}

#[test]
fn the_first_two_connections_fail_and_every_fourth() {
    let first = r#"{"type":"refuse","first":2}"#;
    let every = r#"{"type":"hang","every":4}"#;
    let faults = Faults::start(&echo(), &["--toxic", first, "--toxic", every]);
    let ping = |at| match at {
        3 | 7 => faults.silence(),
        _ => faults.ping(),
    };
    let told: Vec<String> = (0..8).map(ping).collect();
    // Whether the client's system tells of the reset when connecting, writing or reading is its affair.
    let ends = |at: usize| told[at].ends_with("ConnectionReset");
    assert!(ends(0) && ends(1), "{told:?}");
    assert_eq!(told[2..], ["ping", "silence", "ping", "ping", "ping", "silence"]);
}

#[test]
fn the_same_seed_refuses_the_same_connections() {
    let run = |seed: &str| -> Vec<bool> {
        let toxic = r#"{"type":"refuse","toxicity":0.5}"#;
        let faults = Faults::start(&echo(), &["--seed", seed, "--toxic", toxic]);
        (0..24).map(|_| faults.ping() == "ping").collect()
    };
    let once = run("7");
    assert_eq!(once, run("7"));
    assert_ne!(once, run("8"));
    assert!(once.contains(&true) && once.contains(&false));
}

#[test]
fn an_http_request_is_answered_instead_of_being_forwarded() {
    let toxic = r#"{"type":"http_error","first":2,"attributes":{"status":503,"retry_after":3}}"#;
    let faults = Faults::start(&echo(), &["--toxic", toxic]);
    let mut stream = TcpStream::connect(faults.listen).expect("connected");
    stream.set_read_timeout(Some(LONG)).expect("set");
    let request = b"GET /thing HTTP/1.1\r\nHost: x\r\n\r\n";
    for _ in 0..2 {
        stream.write_all(request).expect("written");
        let mut answer = Vec::new();
        while !answer.ends_with(b"faults\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("an answer");
            answer.extend(byte);
        }
        let answer = String::from_utf8(answer).expect("UTF-8");
        assert!(
            answer.starts_with("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 3\r\n"),
            "{answer}"
        );
    }
    stream.write_all(request).expect("written");
    let mut forwarded = vec![0; request.len()];
    stream
        .read_exact(&mut forwarded)
        .expect("the server got it, and echoes");
    assert_eq!(forwarded, request);
}

#[test]
fn the_api_turns_browsers_away_and_keeps_connections() {
    let faults = Faults::start(&echo(), &API);
    let stream = TcpStream::connect(faults.api.expect("an API")).expect("connected");
    stream.set_read_timeout(Some(LONG)).expect("set");
    let mut reader = BufReader::new(stream.try_clone().expect("cloned"));
    let mut ask = |agent: &str| {
        let request = format!("GET /version HTTP/1.1\r\nUser-Agent: {agent}\r\n\r\n");
        (&stream).write_all(request.as_bytes()).expect("written");
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a line");
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.trim().parse().expect("a number");
            }
            if line == "\r\n" {
                break;
            }
            head += &line;
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("the body");
        (head, String::from_utf8(body).expect("UTF-8"))
    };
    let (head, body) = ask("toxiproxy-cli/v2.12.0 (linux/amd64)");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(body.contains("version"), "{body}");
    let (head, body) = ask("Mozilla/5.0 (X11)");
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    assert!(body.contains("User agent not allowed"), "{body}");
}

#[test]
fn a_script_is_played_by_the_clock() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("script.yml");
    let scenario = "\
scenario: blip
duration: 60s
policies: { paths: { database: {} } }
dependencies:
  server: { servers: 1, service_time: { constant: 1ms } }
clients:
  one: { count: 1, path: database, calls: server, arrivals: { every: 1s } }
faults:
  - { at: 0s, for: 1s, on: server, kind: refuse }
";
    std::fs::write(&file, scenario).expect("written");
    // It starts no later than its script does.
    let clock = SystemClock::new();
    let faults = Faults::start(&echo(), &["--script", file.to_str().expect("UTF-8")]);
    let told = faults.ping();
    if clock.now() < Instant::from_nanos(1_000_000_000) {
        assert_eq!(told, "connect: ConnectionRefused");
    }
    // Asked again and again until the fault is over.
    let over = (0..1_000).any(|_| {
        let told = faults.ping();
        assert!(
            ["connect: ConnectionRefused", "ping"].contains(&told.as_str()),
            "{told}"
        );
        if told != "ping" {
            ThreadSleeper.sleep(Duration::from_millis(10));
        }
        told == "ping"
    });
    assert!(over);
}

#[test]
fn a_server_that_is_not_there_is_told_on_stderr() {
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let upstream = gone.local_addr().expect("bound").to_string();
    drop(gone);
    let mut child = command(&root())
        .args(["faults", "--listen", "127.0.0.1:0", "--upstream", &upstream])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let stderr = child.stderr.take().expect("piped");
    let faults = Faults::of(child);
    assert!(["closed", "read: ConnectionReset"].contains(&faults.ping().as_str()));
    let mut line = String::new();
    BufReader::new(stderr).read_line(&mut line).expect("a line");
    assert!(
        line.contains(&upstream) && line.contains("connection=0"),
        "{line}"
    );
}

#[test]
fn what_cannot_be_is_an_exit_code_and_a_sentence() {
    let upstream = "127.0.0.1:1";
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let taken = taken.local_addr().expect("bound").to_string();
    let proxy = ["faults", "--listen", "127.0.0.1:0", "--upstream", upstream];
    let with = |more: &[&'static str]| -> Vec<String> {
        proxy.iter().chain(more).map(|&word| word.to_owned()).collect()
    };
    let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let several = "fixtures/scenarios/postgres-blip.yml";
    for (command, code, words) in [
        (owned(&["faults"]), 2, "--listen"),
        (owned(&["faults", "--listen", "127.0.0.1:0"]), 2, "--upstream"),
        (
            owned(&["faults", "--listen", "nowhere", "--upstream", upstream]),
            2,
            "HOST:PORT",
        ),
        (
            owned(&["faults", "--listen", &taken, "--upstream", upstream]),
            4,
            &taken,
        ),
        (owned(&["faults", "--api", &taken]), 4, "--api"),
        (with(&["--toxic", "{"]), 2, "bad request body"),
        (
            with(&["--toxic", r#"{"type":"latncy"}"#]),
            2,
            "invalid toxic type",
        ),
        (with(&["--script", several, "--on", "mysql"]), 2, "postgres"),
        (with(&["--script", "Cargo.toml"]), 3, "Cargo.toml"),
    ] {
        let run = crossbridge(&command);
        assert_eq!(run.status.code(), Some(code), "{command:?}: {}", run.stderr);
        assert!(run.stderr.contains(words), "{command:?}: {}", run.stderr);
        assert_eq!(run.stdout, "", "nothing is announced that is not there");
    }
}
