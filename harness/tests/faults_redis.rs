//! The fault proxy between clients and a real Redis: what each fault does to a command that counts.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crossbridge_core::{Clock as _, Instant, Sleeper as _};
use crossbridge_harness::proxy::{Proxy, api};
use crossbridge_std::clock::SystemClock;
use crossbridge_std::servers::{Redis, Signal};
use crossbridge_std::sleeper::ThreadSleeper;

/// Longer than anything that is to come takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long something is waited for that is not to come.
const SHORT: Duration = Duration::from_millis(300);

/// A connection that speaks in lines.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(address: std::net::SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    fn say(&mut self, words: &str) -> std::io::Result<()> {
        self.0.get_mut().write_all(words.as_bytes())
    }

    /// The next line; an end of the stream is an error.
    fn hear(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    fn ask(&mut self, words: &str) -> std::io::Result<String> {
        self.say(&format!("{words}\r\n"))?;
        self.hear()
    }
}

/// One command on a connection of its own; the kind of what went wrong.
fn once(address: std::net::SocketAddr, words: &str) -> Result<String, ErrorKind> {
    let answer = Client::connect(address).and_then(|mut client| client.ask(words));
    answer.map_err(|error| error.kind())
}

/// How often it was counted, asked past the proxy.
fn counted(redis: &Redis) -> u64 {
    let mut client = Client::connect(redis.address()).expect("a server");
    assert!(client.ask("GET n").expect("a length").starts_with('$'));
    client.hear().expect("a number").parse().expect("a number")
}

#[test]
fn commands_meet_faults_on_their_way() {
    let mut redis = Redis::start().unwrap_or_else(|error| panic!("{error}"));
    let upstream = redis.address().to_string();
    let proxy = Proxy::start(7, "redis", "127.0.0.1:0", &upstream, true).expect("a proxy");
    let address = proxy.address();
    let add = |toxic: &str| {
        let toxic = api::parse_toxic(toxic).unwrap_or_else(|why| panic!("{toxic}: {why}"));
        proxy.put_toxic(toxic).expect("it follows");
    };
    let heal = || proxy.retain_toxics(|_| false).expect("it follows");

    // In slices of seven bytes, a thousand commands at once come through, in order and each once.
    add(r#"{"type":"slicer","stream":"upstream","attributes":{"average_size":7,"size_variation":3}}"#);
    let mut client = Client::connect(address).expect("a connection");
    client.say(&"INCR n\r\n".repeat(1000)).expect("written");
    for count in 1..=1000 {
        assert_eq!(client.hear().expect("an answer"), format!(":{count}"));
    }
    heal();

    // The first two connections are turned away, the third is served.
    add(r#"{"type":"refuse","first":2}"#);
    assert!(once(address, "INCR n").is_err() && once(address, "INCR n").is_err());
    assert_eq!(once(address, "INCR n"), Ok(":1001".to_owned()));
    heal();

    // Refused by the kernel, and a connection that stands lives on.
    add(r#"{"type":"refuse"}"#);
    assert_eq!(once(address, "INCR n"), Err(ErrorKind::ConnectionRefused));
    assert_eq!(client.ask("INCR n").expect("it stands"), ":1002");
    heal();

    // Reset as soon as the command is there: it is not carried out.
    add(r#"{"type":"reset_peer","stream":"upstream"}"#);
    assert_eq!(once(address, "INCR n"), Err(ErrorKind::ConnectionReset));
    assert_eq!(counted(&redis), 1002);
    heal();

    // Answers are lost: carried out, and its client cannot know.
    add(r#"{"type":"timeout","stream":"downstream"}"#);
    let mut deaf = Client::connect(address).expect("a connection");
    deaf.0.get_mut().set_read_timeout(Some(SHORT)).expect("set");
    let silence = deaf.ask("INCR n").map_err(|error| error.kind());
    assert_eq!(silence, Err(ErrorKind::WouldBlock));
    let carried_out = (0..6_000).any(|_| {
        ThreadSleeper.sleep(Duration::from_millis(10));
        counted(&redis) == 1003
    });
    assert!(carried_out);
    heal();

    // Three bytes of the answer, then a reset.
    add(r#"{"type":"cut","attributes":{"bytes":3}}"#);
    let mut cut = Client::connect(address).expect("a connection");
    cut.say("PING\r\n").expect("written");
    let mut heard = Vec::new();
    let end = cut.0.read_to_end(&mut heard).map_err(|error| error.kind());
    assert_eq!(
        (heard.as_slice(), end),
        (&b"+PO"[..], Err(ErrorKind::ConnectionReset))
    );
    heal();

    // Later by the latency, at least.
    add(r#"{"type":"latency","attributes":{"latency":120}}"#);
    let clock = SystemClock::new();
    assert_eq!(once(address, "PING"), Ok("+PONG".to_owned()));
    assert!(clock.now() >= Instant::from_nanos(120_000_000));
    heal();

    // A server that is killed takes its connections with it; started again, it is served as before.
    redis.kill(Signal::KILL).expect("killed");
    assert!(client.ask("PING").is_err() && once(address, "PING").is_err());
    redis.restart().expect("it starts");
    assert_eq!(once(address, "INCR n"), Ok(":1".to_owned()));
}
