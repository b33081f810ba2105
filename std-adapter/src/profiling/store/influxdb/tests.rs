//! Against real servers, and against one that says what no real one can be made to say.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use crossbridge_core::{Clock as _, Fault as _};

use super::*;
use crate::clock::SystemClock;
use crate::profiling::store::StoreUrl;
use crate::profiling::{EventType, Millis};
use crate::servers::{InfluxDb, Signal, VictoriaMetrics};

mod tls;

fn event(id: &str) -> Event {
    Event::new(id, "run", "test", EventType::TestEnd)
}

fn numbered(count: usize) -> Vec<Event> {
    (0..count)
        .map(|number| event(&format!("event-{number}")))
        .collect()
}

fn url(text: &str) -> InfluxUrl {
    match text.parse() {
        Ok(StoreUrl::Influx(url)) => url,
        other => panic!("{other:?}"),
    }
}

fn server() -> InfluxDb {
    let server = InfluxDb::start().unwrap_or_else(|error| panic!("{error}"));
    server.create_database("db").unwrap();
    server
}

fn open(text: &str) -> InfluxStore {
    InfluxStore::open(url(text), None).unwrap_or_else(|error| panic!("{error:?}"))
}

/// A store that has asked nobody yet.
fn unopened(text: &str) -> InfluxStore {
    let url = url(text);
    InfluxStore {
        name: url.to_string(),
        client: Client::new(&url).unwrap(),
        url,
    }
}

/// Kind and text of an error and of its cause, without what changes from run to run.
fn told(error: &StoreError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    let place = error.place.as_deref().unwrap_or_default();
    let text = format!("{}: {error}{}", error.kind().name(), cause.unwrap_or_default());
    text.replace(place, "URL")
}

/// Answers every request with the same bytes and closes. The text is its address.
fn answering(answer: &'static str, asked: usize) -> (std::thread::JoinHandle<Vec<String>>, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let one = |_| {
            let mut stream = listener.accept().unwrap().0;
            let request = request(&mut stream);
            // Whoever has read enough of a long answer hangs up.
            let _ = stream.write_all(answer.as_bytes());
            request
        };
        (0..asked).map(one).collect()
    });
    (server, address)
}

/// The head of a request; its body is read as well.
fn request(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head
                .split("content-length: ")
                .nth(1)
                .and_then(|rest| rest.lines().next());
            let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
            let start = read.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
            if read.len() >= start + length {
                return String::from_utf8_lossy(&read[..start]).into_owned();
            }
        }
        let length = stream.read(&mut chunk).unwrap();
        assert_ne!(length, 0, "{text}");
        read.extend_from_slice(&chunk[..length]);
    }
}

#[test]
fn answers_are_classified() {
    let mut table = String::new();
    for answer in [
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<html>hi</html>",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 307 Moved\r\nLocation: http://elsewhere/write\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 400 Bad\r\nContent-Length: 31\r\n\r\n{\"error\":\"unable to parse 'a'\"}",
        "HTTP/1.1 400 Bad\r\nContent-Length: 95\r\n\r\n{\"error\":\"partial write: max-values-per-tag limit exceeded (1/1): measurement=\\\"m\\\" dropped=1\"}",
        "HTTP/1.1 400 Bad\r\nContent-Length: 41\r\n\r\n{\"code\":\"invalid\",\"message\":\"no\\npoints\"}",
        "HTTP/1.1 401 No\r\nContent-Length: 33\r\n\r\n{\"error\":\"authorization failed\"}\n",
        "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 404 No\r\nContent-Length: 39\r\n\r\n{\"error\":\"database not found: \\\"db\\\"\"}\n",
        "HTTP/1.1 404 No\r\nContent-Type: text/html; charset=x\r\nContent-Length: 6\r\n\r\n<html>",
        "HTTP/1.1 413 Large\r\nContent-Length: 36\r\n\r\n{\"error\":\"Request Entity Too Large\"}",
        "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 Slow\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 500 Oh\r\nContent-Length: 19\r\n\r\n{\"error\":\"timeout\"}",
        "HTTP/1.1 502 Oh\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
        "HTTP/1.1 503 Oh\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 503 Oh\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 500 Cut\r\nContent-Length: 100\r\n\r\n{\"err",
        "HTTP/1.1 2",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "",
    ] {
        let (server, address) = answering(answer, 1);
        let mut store = unopened(&format!("influxdb://ci:hunter2@{address}/db"));
        let told = match store.write(&numbered(2), None) {
            Ok(written) => format!("{written:?}"),
            Err(error) => {
                let wait = error.retry_after().map(|wait| format!(", wait {wait:?}"));
                told(&error) + &wait.unwrap_or_default()
            }
        };
        assert!(!told.contains("hunter2"), "{told}");
        server.join().unwrap();
        table.push_str(&format!("{answer:?}\n    {told}\n"));
    }
    insta::assert_snapshot!(table);
}

#[test]
fn an_answer_without_end_is_not_held() {
    let long = format!("HTTP/1.1 400 Bad\r\n\r\n{}", "x".repeat(1 << 20));
    let (server, address) = answering(long.leak(), 1);
    let error = unopened(&format!("influxdb://{address}/db")).write(&numbered(1), None);
    assert_eq!(
        told(&error.unwrap_err()),
        "permanent: write URL: the database refused: 400: no reason was given"
    );
    server.join().unwrap();
}

#[test]
fn the_request_is_what_each_version_expects() {
    let mut heads = String::new();
    for place in ["/a%20b", "/?org=o%26&bucket=b&token=hunter2&gzip=true"] {
        let (server, address) = answering("HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", 1);
        let login = if place.starts_with("/?") { "" } else { "ci:p%40ss@" };
        unopened(&format!("influxdb://{login}{address}{place}"))
            .write(&numbered(1), None)
            .unwrap();
        for head in server.join().unwrap() {
            heads.push_str(&head.replace(&address, "HOST"));
        }
    }
    let mut settings = insta::Settings::clone_current();
    settings.add_filter("(?i)content-length: [0-9]+", "content-length: N");
    settings.add_filter("\r", "");
    settings.bind(|| insta::assert_snapshot!(heads));
}

/// A server that says yes and has nothing.
#[test]
fn what_is_not_kept_is_noticed_when_it_is_asked_for() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let liar = std::thread::spawn(move || {
        for _ in 0..3 {
            let mut stream = listener.accept().unwrap().0;
            let body = "{\"results\":[{\"statement_id\":0}]}";
            let answer = match request(&mut stream).starts_with("POST /write") {
                true => "HTTP/1.1 204 No\r\nConnection: close\r\n\r\n".to_owned(),
                false => format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                ),
            };
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let batch = numbered(3);
    let mut store = unopened(&format!("influxdb://{address}/db"));
    assert_eq!(store.write(&batch, None).unwrap().new, 3);
    let mut store = unopened(&format!("influxdb://{address}/db?read_back=true"));
    let error = store.write(&batch, None).unwrap_err();
    assert_eq!(
        told(&error),
        "transient: read back URL: 3 of 3 events that the server acknowledged are not there"
    );
    liar.join().unwrap();
}

#[test]
fn answers_of_the_server_are_classified() {
    let server = server();
    let mut table = String::new();
    let mut note = |what: &str, error: &StoreError| table.push_str(&format!("{what}\n    {}\n", told(error)));
    let missing = InfluxStore::open(url(&server.url("nodb")), None).unwrap_err();
    note("no such database", &missing);
    server
        .query("", "CREATE DATABASE short WITH DURATION 1h")
        .unwrap();
    let mut store = open(&server.url("short"));
    note(
        "older than the retention",
        &store.write(&[event("old")], None).unwrap_err(),
    );
    server.query("short", "DROP DATABASE short").unwrap();
    note(
        "the database went away: write",
        &store.write(&[event("a")], None).unwrap_err(),
    );
    note("the database went away: check", &store.check(None).unwrap_err());
    note("the database went away: count", &store.count().unwrap_err());
    note("the database went away: get", &store.get("a").unwrap_err());
    drop(server);
    note("nobody listens", &store.check(None).unwrap_err());
    insta::assert_snapshot!(table.replace(" (os error 111)", ""));
}

/// A bad point among good ones: the good ones are stored although the batch is refused, and halving
/// finds the bad one.
#[test]
fn a_refused_event_keeps_no_other_one_out() {
    let server = server();
    server
        .query("", "CREATE DATABASE short WITH DURATION 1h")
        .unwrap();
    let mut store = open(&server.url("short"));
    let mut batch = numbered(64);
    let now = jiff::Timestamp::try_from(crate::clock::wall_clock()).unwrap();
    for event in &mut batch {
        event.created_at = Some(now);
    }
    batch[41].created_at = None;
    let mut parts = vec![&batch[..]];
    let mut refused = Vec::new();
    while let Some(part) = parts.pop() {
        match store.write(part, None) {
            Ok(_) => {}
            Err(error) if part.len() == 1 => refused.push((part[0].event_id.clone(), told(&error))),
            Err(error) => {
                assert_eq!(error.kind(), FaultKind::Permanent, "{error}");
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([first, second]);
            }
        }
    }
    let reason = "permanent: write URL: the database refused: 400: partial write: \
                  points beyond retention policy dropped=1";
    assert_eq!(refused, [("event-41".to_owned(), reason.to_owned())]);
    assert_eq!(store.count().unwrap(), 63);
}

/// What was acknowledged is there, however often the server was killed meanwhile, and once.
#[test]
fn a_server_that_is_killed_keeps_what_it_acknowledged() {
    let mut server = server();
    let mut store = open(&server.url("db"));
    let events = numbered(6_000);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let done = &done;
        let store = &mut store;
        let writer = scope.spawn(move || {
            for batch in events.chunks(100) {
                // As a guard would, but without its patience.
                while let Err(error) = store.write(batch, Some(Duration::from_secs(2))) {
                    assert!(error.kind().blames_server(), "{error}: {error:?}");
                }
            }
            done.store(true, Ordering::Release);
        });
        let mut kills = 0;
        while !done.load(Ordering::Acquire) && kills < 3 {
            server.kill(Signal::KILL).unwrap();
            server.restart().unwrap();
            kills += 1;
        }
        writer.join().unwrap();
    });
    server.kill(Signal::KILL).unwrap();
    server.restart().unwrap();
    assert_eq!(store.count().unwrap(), 6_000);
}

#[test]
fn a_frozen_server_is_not_waited_for_longer_than_the_attempt() {
    let mut server = server();
    let mut store = open(&server.url("db"));
    server.signal(Signal::STOP).unwrap();
    let clock = SystemClock::new();
    let started = clock.now();
    let timeout = Some(Duration::from_millis(300));
    let error = store.write(&numbered(10), timeout).unwrap_err();
    assert_eq!(told(&error), "unknown: write URL: no answer within 300ms");
    assert_eq!(store.check(timeout).unwrap_err().kind(), FaultKind::Unknown);
    let took = clock.now().saturating_duration_since(started);
    assert!(took < Duration::from_secs(60), "{took:?}");
    server.signal(Signal::CONT).unwrap();
    store.write(&numbered(10), None).unwrap();
    assert_eq!(store.count().unwrap(), 10);
}

/// The connection breaks in the middle of the request, at several places; then the same again.
#[test]
fn a_request_that_is_cut_is_unknown_and_may_be_sent_again() {
    let server = server();
    let target = server.address();
    let events = numbered(3_000);
    for after in [0, 1, 150, 1_000, 20_000] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let cutter = std::thread::spawn(move || {
            let stream = listener.accept().unwrap().0;
            let mut upstream = TcpStream::connect(target).unwrap();
            std::io::copy(&mut stream.take(after), &mut upstream).unwrap();
        });
        let mut store = unopened(&format!("influxdb://{address}/db"));
        let error = store.write(&events, None).unwrap_err();
        assert_eq!(
            error.kind(),
            FaultKind::Unknown,
            "after {after}: {error}: {error:?}"
        );
        cutter.join().unwrap();
    }
    let mut store = open(&server.url("db"));
    store.write(&events, None).unwrap();
    assert_eq!(store.count().unwrap(), 3_000);
}

/// The write API of version 2, as far as a server that keeps only numbers can show it.
#[test]
fn a_bucket_takes_what_is_written_to_it() {
    let server = VictoriaMetrics::start().unwrap_or_else(|error| panic!("{error}"));
    let mut store = open(&server.url("runs"));
    let mut timed = event("timed");
    timed.framework = "py, = test".to_owned();
    timed.duration_ms = Some(Millis::new(250.125).unwrap());
    timed.created_at = Some("2026-11-21T16:53:04Z".parse().unwrap());
    assert_eq!(store.write(&[timed], None).unwrap().new, 1);
    let found = server.export("test_end_duration_ms").unwrap();
    assert!(found.contains("\"framework\":\"py, = test\""), "{found}");
    assert!(found.contains("\"values\":[250.125]"), "{found}");
    store.check(None).unwrap();
    assert!(matches!(store.count().unwrap_err().trouble, Trouble::NoQueries));
}
