use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crossbridge_core::{FaultKind, GuardConfig};
use crossbridge_std::config::{Config, Document};
use crossbridge_std::profiling::store::Trouble;
use crossbridge_std::profiling::{CollectorSettings, Limits, MemoryStore, SpoolPlace, StoreError};

use super::*;

struct Silent;

impl Reporter for Silent {
    fn health(&self) -> Value {
        json!({ "status": "ok" })
    }

    fn status(&self) -> Value {
        json!({ "schema": 1 })
    }
}

/// An endpoint whose store is down, so that what it has accepted is in the spool and can be counted.
fn with(
    limits: Limits,
    config: &str,
    settings: Settings,
    test: impl FnOnce(SocketAddr, &Collector, &Server<'_>),
) {
    asking_for(None, limits, config, settings, test);
}

fn asking_for(
    token: Option<Token>,
    limits: Limits,
    config: &str,
    settings: Settings,
    test: impl FnOnce(SocketAddr, &Collector, &Server<'_>),
) {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::start(
        CollectorSettings::DEFAULT,
        SpoolPlace::new(directory.path(), "events", limits),
        GuardConfig::DEFAULT,
        |_| -> Result<MemoryStore, StoreError> {
            Err(StoreError {
                doing: "open",
                place: None,
                kind: FaultKind::NotSent,
                trouble: Trouble::Scripted,
            })
        },
    )
    .unwrap();
    let config = Document::parse("test.yml", config).unwrap();
    let config = Config::from_document(&config, &|_| None).unwrap();
    let limits = SourceLimits::new(config.limits().clone(), 7).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let endpoint = Endpoint::new(&collector, limits, &Silent).requiring(token);
    let server = Server::new(endpoint, listener, settings).unwrap();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| server.run());
        // A test that fails must not leave the server running: the scope would wait for it.
        let tested = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            test(address, &collector, &server);
        }));
        server.stop();
        running.join().unwrap().unwrap();
        if let Err(panic) = tested {
            std::panic::resume_unwind(panic);
        }
    });
    drop(server);
    assert!(collector.account().balance());
    let _ = collector.shutdown(Duration::ZERO);
}

fn plain(test: impl FnOnce(SocketAddr, &Collector, &Server<'_>)) {
    with(Limits::DEFAULT, "{}", Settings::DEFAULT, test);
}

/// Everything that is answered until the connection ends.
fn all_of(mut stream: &TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn ask(address: SocketAddr, request: &str) -> String {
    send(address, request.as_bytes())
}

fn send(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    all_of(&stream)
}

fn post(address: SocketAddr, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    ask(
        address,
        &format!(
            "POST {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        ),
    )
}

fn event(run: &str) -> String {
    format!(r#"{{"run_id":"{run}","test_id":"t","event_type":"test_end"}}"#)
}

#[test]
fn answers() {
    plain(|address, collector, _| {
        let good = event("r");
        let batch = format!("[{good},{good}]");
        let bad = format!("[{good},\n {{\"run_id\":\"r\"}}]");
        let mut page = String::new();
        for answer in [
            post(address, "/events", "", &good),
            post(address, "/events/batch?from=hook", "", &batch),
            post(address, "/events", "", "nonsense"),
            post(address, "/events/batch", "", &bad),
            post(address, "/events", "Content-Encoding: gzip\r\n", &good),
            post(address, "/events", "Content-Encoding: br\r\n", &good),
            post(address, "/nowhere", "", &good),
            post(address, "/health", "", ""),
            ask(address, "GET /events HTTP/1.1\r\nConnection: close\r\n\r\n"),
            ask(address, "GET /health HTTP/1.0\r\n\r\n"),
            ask(address, "GET /status HTTP/1.0\r\n\r\n"),
            ask(address, "\u{1}\u{2} hello\r\n\r\n"),
            ask(
                address,
                "POST /events HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n",
            ),
        ] {
            page += &answer.replace("\r\n", "\n");
            page += "---\n";
        }
        insta::assert_snapshot!(page);
        assert_eq!(collector.account().accepted, 3);
    });
}

/// Status and body of the answer to a batch in gzip.
fn packed(address: SocketAddr, body: &[u8]) -> (String, String) {
    let head = "POST /events/batch HTTP/1.1\r\nConnection: close\r\nContent-Encoding: gzip\r\n";
    let head = format!("{head}Content-Length: {}\r\n\r\n", body.len());
    let answer = send(address, &[head.as_bytes(), body].concat());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (
        head.split(' ').nth(1).unwrap().to_owned(),
        body.trim_end().to_owned(),
    )
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn packed_bodies_are_unpacked_up_to_the_limits() {
    let settings = Settings {
        body: 1_000,
        bodies: 1_500,
        ..Settings::DEFAULT
    };
    with(Limits::DEFAULT, "{}", settings, |address, collector, _| {
        let batch = format!("[{},\n{}]", event("a"), event("b"));
        let told = |body: &[u8]| {
            let (status, body) = packed(address, body);
            format!("{status} {body}")
        };
        let accepted = r#"202 {"accepted":2,"sampled_out":0}"#;
        assert_eq!(told(&gzip(&batch)), accepted);
        let (first, second) = batch.split_at(50);
        assert_eq!(told(&[gzip(first), gzip(second)].concat()), accepted);
        assert_eq!(told(&gzip(&format!("{batch:<1000}"))), accepted);
        assert_eq!(
            told(&gzip(&" ".repeat(1_001))),
            r#"413 {"accepted":0,"error":"expected a body of at most 1000 bytes once it is unpacked"}"#
        );
        assert_eq!(
            told(&gzip("[{}]")),
            r#"400 {"accepted":0,"column":3,"error":"events[0]: 1:3: missing field `test_id`","event":0,"line":1}"#
        );
        let whole = gzip(&batch);
        for cut in 0..whole.len() {
            assert!(told(&whole[..cut]).starts_with("400 "), "cut at {cut}");
        }
        let mut broken = whole.clone();
        // The checksum.
        let place = broken.len() - 8;
        broken[place] ^= 1;
        assert!(told(&broken).starts_with(r#"400 {"accepted":0,"error":"expected a body in gzip: "#));
        assert_eq!(collector.account().accepted, 6);
    });
}

#[test]
fn what_is_unpacked_counts_with_all_bodies() {
    let settings = Settings {
        bodies: 500,
        ..Settings::DEFAULT
    };
    with(Limits::DEFAULT, "{}", settings, |address, _, _| {
        let (status, body) = packed(address, &gzip(&" ".repeat(501)));
        assert_eq!(status, "503");
        assert!(body.contains("too many bytes at once"), "{body}");
    });
}

#[test]
fn a_token_keeps_strangers_out() {
    let token = Token::new("s3cret");
    asking_for(
        token,
        Limits::DEFAULT,
        "{}",
        Settings::DEFAULT,
        |address, collector, _| {
            let good = event("r");
            let status = |answer: &str| answer.split(' ').nth(1).unwrap().to_owned();
            let bearing = |header: &str| status(&post(address, "/events", header, &good));
            assert_eq!(bearing("Authorization: Bearer s3cret\r\n"), "202");
            assert_eq!(bearing("authorization: bearer  s3cret\r\n"), "202");
            for wrong in [
                "",
                "Authorization: Bearer s3cre\r\n",
                "Authorization: Bearer s3cret2\r\n",
                "Authorization: Bearer\r\n",
                "Authorization: Basic s3cret\r\n",
                "Authorization: s3cret\r\n",
            ] {
                assert_eq!(bearing(wrong), "401", "{wrong}");
            }
            assert_eq!(collector.account().accepted, 2);
            // Before the body: one that is too large is not told so.
            let refused = ask(
                address,
                "POST /events HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n",
            );
            assert!(refused.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{refused}");
            assert!(refused.contains("\r\nWWW-Authenticate: Bearer\r\n"), "{refused}");
            let get = |path: &str| status(&ask(address, &format!("GET {path} HTTP/1.0\r\n\r\n")));
            assert_eq!(
                [get("/status"), get("/nowhere"), get("/health")],
                ["401", "401", "200"]
            );
        },
    );
}

#[test]
fn a_connection_is_used_again_and_chunks_are_understood() {
    plain(|address, collector, _| {
        let good = event("r");
        let length = good.len();
        let requests = format!(
            "POST /events HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{good}\
             POST /events HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
             {length:x}\r\n{good}\r\n0\r\n\r\n"
        );
        let answers = ask(address, &requests);
        assert_eq!(answers.matches("HTTP/1.1 202 Accepted").count(), 2, "{answers}");
        assert_eq!(collector.account().accepted, 2);
    });
}

#[test]
fn a_head_has_no_body_and_a_target_may_name_the_server() {
    plain(|address, collector, _| {
        let head = ask(address, "HEAD /health HTTP/1.1\r\nConnection: close\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.ends_with("\r\n\r\n"), "{head}");
        // Nor where it is refused: what follows is the next answer.
        let head = ask(
            address,
            "HEAD /events HTTP/1.1\r\n\r\nGET /health HTTP/1.1\r\nConnection: close\r\n\r\n",
        );
        let (refused, next) = head.split_once("\r\n\r\n").unwrap();
        assert!(refused.starts_with("HTTP/1.1 405 "), "{head}");
        assert!(next.starts_with("HTTP/1.1 200 "), "{head}");
        let answer = post(address, "http://hooks.example:8765/events?a=b", "", &event("r"));
        assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
        assert_eq!(collector.account().accepted, 1);
    });
}

#[test]
fn a_full_spool_is_429_and_keeps_nothing_back() {
    let limits = Limits {
        events: 3,
        ..Limits::DEFAULT
    };
    with(limits, "{}", Settings::DEFAULT, |address, collector, _| {
        let batch = format!("[{0},{0}]", event("r"));
        assert!(post(address, "/events/batch", "", &batch).starts_with("HTTP/1.1 202"));
        let refused = post(address, "/events/batch", "", &batch);
        assert!(
            refused.starts_with("HTTP/1.1 429 Too Many Requests\r\n"),
            "{refused}"
        );
        assert!(refused.contains("\r\nRetry-After: 5\r\n"), "{refused}");
        assert!(post(address, "/events", "", &event("r")).starts_with("HTTP/1.1 202"));
        let account = collector.account();
        assert_eq!((account.spooled, account.in_memory, account.lost), (3, 0, 0));
        // Four never fit, however long anybody waits.
        let batch = format!("[{0},{0},{0},{0}]", event("r"));
        let refused = post(address, "/events/batch", "", &batch);
        assert!(
            refused.starts_with("HTTP/1.1 413 Content Too Large\r\n"),
            "{refused}"
        );
    });
}

#[test]
fn a_run_over_its_limit_is_429_and_others_are_not() {
    let config = "runtime: { rate_limiting: {
        defaults: { profiling_events: { capacity: 2, window_seconds: 3600 } },
        overrides: { 'run:large': { profiling_events: { capacity: 5 } } } } }";
    with(
        Limits::DEFAULT,
        config,
        Settings::DEFAULT,
        |address, collector, _| {
            let [small, large, other] = ["small", "large", "other"].map(event);
            let send = |events: &[&String]| {
                let body = events
                    .iter()
                    .map(|event| event.as_str())
                    .collect::<Vec<_>>()
                    .join(",");
                let answer = post(address, "/events/batch", "", &format!("[{body}]"));
                answer.split(' ').nth(1).unwrap().to_owned()
            };
            assert_eq!(send(&[&small, &small]), "202");
            // All or nothing, and what the other was charged comes back.
            assert_eq!(send(&[&other, &other, &small]), "429");
            assert_eq!(send(&[&other, &other]), "202");
            assert_eq!(send(&[&other]), "429");
            assert_eq!(send(&[&large, &large, &large, &large, &large]), "202");
            let never = event("never");
            assert_eq!(send(&[&never, &never, &never]), "413");
            assert_eq!(collector.account().accepted, 9);
        },
    );
}

#[test]
fn who_trickles_loses_the_connection_and_who_is_silent_too() {
    // One limit at a time: the other one may not come first, however slow the machine is.
    let trickles = Settings {
        request: Duration::from_millis(50),
        ..Settings::DEFAULT
    };
    with(Limits::DEFAULT, "{}", trickles, |address, collector, _| {
        let mut slow = TcpStream::connect(address).unwrap();
        slow.write_all(b"POST /events HTTP/1.1\r\nContent-Length: 50\r\n\r\n{")
            .unwrap();
        let answer = all_of(&slow);
        assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
        assert_eq!(collector.account().accepted, 0);
    });
    let silent = Settings {
        idle: Duration::from_millis(50),
        ..Settings::DEFAULT
    };
    with(Limits::DEFAULT, "{}", silent, |address, _, _| {
        let silent = TcpStream::connect(address).unwrap();
        assert_eq!(all_of(&silent), "");
    });
}

#[test]
fn connections_and_bodies_are_bounded() {
    let settings = Settings {
        connections: 1,
        bodies: 100,
        ..Settings::DEFAULT
    };
    with(Limits::DEFAULT, "{}", settings, |address, _, _| {
        let mut first = TcpStream::connect(address).unwrap();
        first.write_all(b"GET /health HTTP/1.1\r\n\r\n").unwrap();
        let mut answered = [0; 12];
        first.read_exact(&mut answered).unwrap();
        let second = TcpStream::connect(address).unwrap();
        let answer = all_of(&second);
        assert!(
            answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
            "{answer}"
        );
        let body = " ".repeat(101);
        let request = format!("POST /events HTTP/1.1\r\nContent-Length: 101\r\n\r\n{body}");
        first.write_all(request.as_bytes()).unwrap();
        let answer = all_of(&first);
        assert!(answer.contains("too many bytes at once"), "{answer}");
    });
}

#[test]
fn a_request_that_has_come_is_answered_at_the_end() {
    plain(|address, collector, server| {
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"GET /health HTTP/1.1\r\n\r\n").unwrap();
        let mut answered = [0; 12];
        client.read_exact(&mut answered).unwrap();
        let good = event("r");
        let request = format!(
            "POST /events HTTP/1.1\r\nContent-Length: {}\r\n\r\n{good}",
            good.len()
        );
        client.write_all(request.as_bytes()).unwrap();
        server.stop();
        let answer = all_of(&client);
        // Answered, and durable; or not read, and nowhere.
        let accepted = u64::from(answer.contains("202 Accepted"));
        assert_eq!(collector.account().accepted, accepted);
    });
}
