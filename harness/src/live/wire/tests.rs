//! Attempts at servers that behave badly: each ends in time, by what it means.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use super::*;
use crate::proxy::Proxy;

/// A server for one connection: it hears something, then says one of these, and so on; then it hangs up.
fn server(says: &[&[u8]]) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let says: Vec<Vec<u8>> = says.iter().map(|bytes| bytes.to_vec()).collect();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for bytes in says {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(&bytes);
        }
    });
    address
}

fn ask(server: RealServer, address: SocketAddr, millis: u64) -> Outcome {
    let clock = SystemClock::new();
    let until = clock.now().saturating_add(Duration::from_millis(millis));
    let ask = Ask {
        clock: &clock,
        until,
        work: Duration::from_millis(5),
        codes: &[429, 503],
    };
    attempt(server, address, &ask).outcome
}

/// A message of PostgreSQL.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind], length.to_be_bytes().as_slice(), body].concat()
}

fn error(code: &str) -> Vec<u8> {
    message(b'E', format!("SERROR\0C{code}\0Mno\0\0").as_bytes())
}

const ALL: [RealServer; 3] = [RealServer::Postgres, RealServer::Redis, RealServer::Http];

#[test]
fn whoever_stays_silent_is_left_in_time() {
    for server in ALL {
        // Connections wait in its queue, and nobody takes them.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let clock = SystemClock::new();
        let outcome = ask(server, listener.local_addr().unwrap(), 60);
        assert_eq!(outcome, Outcome::failed(FaultKind::Unknown), "{server:?}");
        let took = clock.now().as_nanos() / 1_000_000;
        assert!((60..60_000).contains(&took), "{server:?}: {took} ms");
    }
}

#[test]
fn nothing_is_sent_to_whom_nobody_reaches() {
    // It keeps its port, so that nobody else can take it.
    let closed = Proxy::start(1, "closed", "127.0.0.1:0", "127.0.0.1:1", false).unwrap();
    for server in ALL {
        let outcome = ask(server, closed.address(), 60_000);
        assert_eq!(outcome, Outcome::failed(FaultKind::NotSent), "{server:?}");
    }
}

/// Before the request nothing has taken effect; after it nobody knows.
#[test]
fn a_connection_breaks_before_or_after_the_request() {
    let welcome = [message(b'R', &[0; 4]), message(b'Z', b"I")].concat();
    for (kind, says, expected) in [
        (RealServer::Postgres, vec![&b""[..]], FaultKind::NotSent),
        (RealServer::Postgres, vec![&welcome, b""], FaultKind::Unknown),
        (RealServer::Redis, vec![b""], FaultKind::NotSent),
        (RealServer::Redis, vec![b"+PONG\r\n", b""], FaultKind::Unknown),
        (RealServer::Redis, vec![b"+PONG\r\n", b"*-"], FaultKind::Unknown),
        (RealServer::Http, vec![b""], FaultKind::Unknown),
        (RealServer::Http, vec![b"HTTP/1.1 200"], FaultKind::Unknown),
    ] {
        let outcome = ask(kind, server(&says), 60_000);
        assert_eq!(outcome, Outcome::failed(expected), "{kind:?} {says:?}");
    }
}

#[test]
fn answers_are_classified_by_their_codes() {
    let welcome = [message(b'R', &[0; 4]), message(b'Z', b"I")].concat();
    let done = [message(b'C', b"SELECT 1\0"), message(b'Z', b"I")].concat();
    let rolled_back = [error("40001"), message(b'Z', b"I")].concat();
    let failed = |kind| Outcome::failed(kind);
    let throttled = Outcome::Failure(Failure {
        kind: FaultKind::Throttled,
        retry_after: Some(Duration::from_secs(2)),
    });
    for (kind, says, expected) in [
        (
            RealServer::Postgres,
            vec![welcome.as_slice(), &done],
            Outcome::Success,
        ),
        (
            RealServer::Postgres,
            vec![&welcome, &rolled_back],
            failed(FaultKind::Transient),
        ),
        // A session that is refused ends with the error.
        (
            RealServer::Postgres,
            vec![&error("53300")],
            failed(FaultKind::Throttled),
        ),
        (
            RealServer::Postgres,
            vec![b"HTTP/1.1 400\r\n\r\n"],
            failed(FaultKind::NotSent),
        ),
        (
            RealServer::Redis,
            vec![b"+PONG\r\n", b"*-1\r\n"],
            Outcome::Success,
        ),
        (
            RealServer::Redis,
            vec![b"-LOADING dataset\r\n"],
            failed(FaultKind::Transient),
        ),
        (
            RealServer::Redis,
            vec![b"+PONG\r\n", b"-ERR no\r\n"],
            failed(FaultKind::Permanent),
        ),
        (
            RealServer::Http,
            vec![b"HTTP/1.1 200 OK\r\n\r\n"],
            Outcome::Success,
        ),
        (
            RealServer::Http,
            vec![b"HTTP/1.1 503 No\r\nRetry-After: 2\r\n\r\n"],
            throttled,
        ),
        (
            RealServer::Http,
            vec![b"HTTP/1.1 404 No\r\n\r\n"],
            failed(FaultKind::Permanent),
        ),
        (
            RealServer::Http,
            vec![b"+PONG\r\n\r\n"],
            failed(FaultKind::Permanent),
        ),
    ] {
        let outcome = ask(kind, server(&says), 60_000);
        let told: Vec<_> = says.iter().map(|said| String::from_utf8_lossy(said)).collect();
        assert_eq!(outcome, expected, "{kind:?} {told:?}");
    }
}
