use super::*;

/// Answers the requests of these numbers, from 1, with an error.
#[derive(Debug, Default)]
struct Script {
    hits: Vec<usize>,
    seen: usize,
    error: SqlError,
    at_startup: bool,
    declines: bool,
}

impl Judge for Script {
    fn http(&mut self) -> Option<HttpError> {
        self.seen += 1;
        let error = HttpError {
            retry_after: Some(3),
            ..HttpError::default()
        };
        self.hits.contains(&self.seen).then_some(error)
    }

    fn sql(&mut self, place: SqlPlace) -> Option<SqlError> {
        if place == SqlPlace::Startup {
            return self.at_startup.then(|| self.error.clone());
        }
        self.seen += 1;
        self.hits.contains(&self.seen).then(|| self.error.clone())
    }

    fn declines_encryption(&self) -> bool {
        self.declines
    }
}

/// What came of a stream: all that was forwarded, all that was answered, whether it was closed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    forwarded: Vec<u8>,
    answered: Vec<u8>,
    closed: bool,
}

impl Told {
    fn take(&mut self, acts: Vec<Act>) {
        for act in acts {
            assert!(!self.closed, "nothing comes after the end");
            match act {
                Act::Forward(bytes) => self.forwarded.extend(bytes),
                Act::Answer(bytes) => self.answered.extend(bytes),
                Act::Close => self.closed = true,
            }
        }
    }
}

fn told(stream: &[u8], piece: usize, judge: &mut Script) -> Told {
    let (mut tap, mut told) = (Tap::new(), Told::default());
    for bytes in stream.chunks(piece) {
        if !told.closed {
            told.take(tap.on_client(bytes, judge));
        }
    }
    told.forwarded.extend(tap.on_client_end().unwrap_or_default());
    told
}

fn hits(hits: &[usize]) -> Script {
    Script {
        hits: hits.to_vec(),
        ..Script::default()
    }
}

#[test]
fn what_nobody_judges_passes_unchanged_however_it_is_cut() {
    for stream in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"[..],
        b"*1\r\n$4\r\nPING\r\n",
        b"PING\r\n",
        b"G",
        b"\0\0\0",
        b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02",
        b"\x16\x03\x01 is TLS",
        b"\0\0\0\x08\x04\xd2\x16\x2fmore",
        b"\0\0\0\x0d\0\x03\0\0user\0Q\0\0\0\x05\0Q\0\0\0\x02garbage",
        b"\0\0\0\x0d\0\x03\0\0user\0Q\0\0",
    ] {
        for piece in 1..=stream.len() {
            let told = told(stream, piece, &mut Script::default());
            assert_eq!(told.forwarded, stream, "in pieces of {piece}");
            assert_eq!((told.answered.len(), told.closed), (0, false));
        }
    }
}

#[test]
fn one_request_of_three_is_answered_and_the_connection_goes_on() {
    let get = "GET /a HTTP/1.1\r\n\r\n";
    let post = "POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let stream = format!("{get}{post}{get}");
    for piece in 1..=stream.len() {
        let told = told(stream.as_bytes(), piece, &mut hits(&[2]));
        assert_eq!(
            told.forwarded,
            format!("{get}{get}").into_bytes(),
            "in pieces of {piece}"
        );
        let answer = String::from_utf8(told.answered).unwrap();
        assert_eq!(
            answer,
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 3\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Length: 31\r\n\r\n\
             answered by crossbridge faults\n"
        );
        assert!(!told.closed);
    }
}

#[test]
fn a_request_that_ends_its_connection_is_answered_and_closed() {
    for head in [
        "GET / HTTP/1.0\r\n\r\n",
        "HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
        "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
    ] {
        let told = told(head.as_bytes(), head.len(), &mut hits(&[1]));
        let answer = String::from_utf8(told.answered).unwrap();
        assert!(answer.contains("\r\nConnection: close\r\n"), "{head}: {answer}");
        assert_eq!(answer.ends_with("\r\n\r\n"), head.starts_with("HEAD"), "{answer}");
        assert!(told.closed && told.forwarded.is_empty(), "{head}");
    }
}

const STARTUP: &[u8] = b"\0\0\0\x0d\0\x03\0\0user\0";

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

/// A session whose startup has been answered.
fn session(judge: &mut Script) -> (Tap, Told) {
    let (mut tap, mut told) = (Tap::new(), Told::default());
    told.take(tap.on_client(STARTUP, judge));
    assert_eq!(std::mem::take(&mut told.forwarded), STARTUP);
    tap.on_server(&message(b'R', &[0, 0, 0, 0]));
    tap.on_server(&ready_for_query(b'I'));
    (tap, told)
}

#[test]
fn a_query_outside_a_transaction_is_answered_here() {
    let mut judge = hits(&[1]);
    let (mut tap, mut told) = session(&mut judge);
    told.take(tap.on_client(&message(b'Q', b"select 1\0"), &mut judge));
    let mut expected = error_response("ERROR", "40001", "raised by crossbridge faults");
    expected.extend(ready_for_query(b'I'));
    assert_eq!(told.answered, expected);
    assert_eq!((told.forwarded.len(), told.closed), (0, false));
    // The next one passes.
    let query = message(b'Q', b"select 2\0");
    told.take(tap.on_client(&query, &mut judge));
    assert_eq!(told.forwarded, query);
}

#[test]
fn an_extended_query_is_answered_as_one() {
    let mut judge = hits(&[1]);
    let (mut tap, mut told) = session(&mut judge);
    for (kind, body) in [
        (b'P', &b"\0select 1\0\0\0"[..]),
        (b'B', b"\0\0"),
        (b'E', b"\0"),
        (b'S', b""),
    ] {
        assert!(told.answered.is_empty());
        told.take(tap.on_client(&message(kind, body), &mut judge));
    }
    assert!(told.answered.starts_with(b"E") && told.answered.ends_with(b"Z\0\0\0\x05I"));
    assert!(told.forwarded.is_empty());
}

#[test]
fn inside_a_transaction_the_server_raises_the_error() {
    let mut judge = hits(&[1]);
    judge.error.message = Some("it's over".to_owned());
    let (mut tap, mut told) = session(&mut judge);
    tap.on_server(&ready_for_query(b'T'));
    told.take(tap.on_client(&message(b'Q', b"insert\0"), &mut judge));
    let query = String::from_utf8(told.forwarded).unwrap();
    assert!(
        query.contains("ERRCODE = '40001', MESSAGE = 'it''s over'"),
        "{query}"
    );
    assert!(told.answered.is_empty());
}

#[test]
fn queries_in_flight_and_in_failed_transactions_are_forwarded() {
    let mut judge = hits(&[1, 2, 3]);
    judge.hits = (2..9).collect();
    let (mut tap, mut told) = session(&mut judge);
    let query = message(b'Q', b"select 1\0");
    told.take(tap.on_client(&query, &mut judge));
    // The first is not answered yet.
    told.take(tap.on_client(&query, &mut judge));
    assert_eq!(told.forwarded, [query.clone(), query.clone()].concat());
    tap.on_server(&ready_for_query(b'I'));
    tap.on_server(&ready_for_query(b'E'));
    told.take(tap.on_client(&query, &mut judge));
    assert_eq!(judge.seen, 1, "nobody was asked");
    tap.on_server(&ready_for_query(b'I'));
    told.take(tap.on_client(&query, &mut judge));
    assert_eq!(judge.seen, 2);
    assert!(!told.answered.is_empty());
}

#[test]
fn a_query_after_a_copy_is_answered_as_any_other() {
    let copying = message(b'G', b"\x01\0\0");
    let data = [message(b'd', b"row"), message(b'c', b"")].concat();
    for (command, end) in [
        (vec![(b'B', &b"\0\0"[..]), (b'E', b"\0"), (b'S', b"")], Some(b'S')),
        (vec![(b'Q', b"copy t from stdin\0")], None),
    ] {
        let mut judge = hits(&[2]);
        let (mut tap, mut told) = session(&mut judge);
        for (kind, body) in command {
            told.take(tap.on_client(&message(kind, body), &mut judge));
        }
        tap.on_server(&copying);
        told.take(tap.on_client(&data, &mut judge));
        if let Some(end) = end {
            told.take(tap.on_client(&message(end, b""), &mut judge));
        }
        // Not before the server has answered.
        told.take(tap.on_client(&message(b'Q', b"select 1\0"), &mut judge));
        assert_eq!(judge.seen, 1, "{end:?}");
        tap.on_server(&ready_for_query(b'I'));
        tap.on_server(&ready_for_query(b'I'));
        assert!(told.answered.is_empty());
        told.take(tap.on_client(&message(b'Q', b"select 2\0"), &mut judge));
        assert!(told.answered.starts_with(b"E"), "{end:?}");
    }
}

/// Found by the fuzzer: the last byte of a longer message came alone and was taken for the state.
#[test]
fn a_longer_message_of_the_kind_is_no_ready_for_query_however_it_is_cut() {
    let foreign = message(b'Z', b"abT");
    for piece in [1, 2, foreign.len()] {
        let mut judge = hits(&[1]);
        let (mut tap, mut told) = session(&mut judge);
        for bytes in foreign.chunks(piece) {
            tap.on_server(bytes);
        }
        told.take(tap.on_client(&message(b'Q', b"select 1\0"), &mut judge));
        assert!(
            told.answered.starts_with(b"E") && told.forwarded.is_empty(),
            "{piece}"
        );
    }
}

/// Found by the fuzzer: what was held to be told apart was lost when the server spoke first.
#[test]
fn what_is_held_goes_on_when_the_server_is_no_postgresql() {
    let mut judge = hits(&[]);
    let mut tap = Tap::new();
    assert_eq!(tap.on_client(b"\0", &mut judge), []);
    assert_eq!(tap.on_server(b"\0\0\0\0\0"), Some(b"\0".to_vec()));
    assert_eq!(tap.on_client(b"\0", &mut judge), [Act::Forward(b"\0".to_vec())]);
    // And so is the beginning of a message.
    let (mut tap, _) = session(&mut judge);
    assert_eq!(tap.on_client(b"Q\0", &mut judge), []);
    assert_eq!(tap.on_server(b"X\0\0\0\0"), Some(b"Q\0".to_vec()));
}

#[test]
fn a_shutdown_ends_the_session() {
    let mut judge = hits(&[1]);
    judge.error.sqlstate = "57P01".to_owned();
    let (mut tap, mut told) = session(&mut judge);
    told.take(tap.on_client(&message(b'Q', b"select 1\0"), &mut judge));
    assert!(told.closed);
    assert!(told.answered.windows(5).any(|bytes| bytes == b"FATAL"));
}

#[test]
fn a_startup_is_refused_with_an_error() {
    let mut judge = Script {
        at_startup: true,
        declines: true,
        ..Script::default()
    };
    judge.error.sqlstate = "53300".to_owned();
    let encryption = b"\0\0\0\x08\x04\xd2\x16\x2f";
    let told = told(&[encryption, STARTUP].concat(), 3, &mut judge);
    assert!(told.answered.starts_with(b"NE"), "encryption is declined first");
    assert!(told.answered.windows(6).any(|bytes| bytes == b"53300\0"));
    assert!(told.closed && told.forwarded.is_empty());
}

#[test]
fn an_encrypted_session_is_opaque() {
    let mut judge = hits(&[1]);
    let (mut tap, mut told) = (Tap::new(), Told::default());
    told.take(tap.on_client(b"\0\0\0\x08\x04\xd2\x16\x2f", &mut judge));
    tap.on_server(b"S");
    told.take(tap.on_client(b"\x16\x03\x01", &mut judge));
    assert!(matches!(tap, Tap::Opaque));
    // One that is declined by the server goes on readable.
    let mut declined = Tap::new();
    told.take(declined.on_client(b"\0\0\0\x08\x04\xd2\x16\x2f", &mut judge));
    declined.on_server(b"N");
    told.take(declined.on_client(STARTUP, &mut judge));
    assert!(matches!(declined, Tap::Postgres(_)));
    assert!(told.answered.is_empty());
}
