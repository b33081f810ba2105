//! Ways to get points into InfluxDB.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use crossbridge_std::profiling::store::StoreUrl;
use crossbridge_std::profiling::{Event, EventStore};
use crossbridge_std::servers::InfluxDb;
use flate2::read::GzDecoder;

use crate::{BATCH, EVENTS, InTurns};

/// Everybody, on one server.
pub(crate) struct Points<'s> {
    server: &'s InfluxDb,
    events: Vec<Event>,
    /// What our store sends, batch by batch: as lines, and compressed.
    lines: Vec<Vec<u8>>,
    packed: Vec<Vec<u8>>,
    /// Who writes in this turn, and where to.
    database: String,
    ours: Option<Box<dyn EventStore + Send>>,
    turn: usize,
}

impl<'s> Points<'s> {
    pub(crate) fn connect(server: &'s InfluxDb, events: &[Event]) -> Result<Self, Box<dyn Error>> {
        let packed = captured(events)?;
        let unpack = |packed: &Vec<u8>| -> Result<Vec<u8>, Box<dyn Error>> {
            let mut lines = Vec::new();
            GzDecoder::new(&**packed).read_to_end(&mut lines)?;
            Ok(lines)
        };
        Ok(Self {
            server,
            events: events.to_vec(),
            lines: packed.iter().map(unpack).collect::<Result<_, _>>()?,
            packed,
            database: String::new(),
            ours: None,
            turn: 0,
        })
    }
}

impl InTurns for Points<'_> {
    fn names(&self) -> Vec<&'static str> {
        vec![
            "crossbridge, batches of 2 000, plain to this machine",
            "crossbridge, compressed",
            "bare posts of the same lines, ready-made",
            "bare posts of the same lines, ready-made and compressed",
        ]
    }

    fn prepare(&mut self, place: usize) -> Result<usize, Box<dyn Error>> {
        if !self.database.is_empty() {
            self.server
                .query("", &format!("DROP DATABASE {}", self.database))?;
        }
        self.turn += 1;
        self.database = format!("turn{}", self.turn);
        self.server.create_database(&self.database)?;
        if let Some(gzip) = ["false", "true"].get(place) {
            let url: StoreUrl = format!("{}?gzip={gzip}", self.server.url(&self.database)).parse()?;
            self.ours = Some(url.open(None)?);
        }
        Ok(EVENTS)
    }

    fn run(&mut self, place: usize, _count: usize) -> Result<(), Box<dyn Error>> {
        match (place, &mut self.ours) {
            (0 | 1, Some(store)) => {
                for batch in self.events.chunks(BATCH) {
                    store.write(batch, None)?;
                }
                Ok(())
            }
            (2, _) => post(self.server.address(), &self.database, &self.lines, ""),
            _ => post(
                self.server.address(),
                &self.database,
                &self.packed,
                "Content-Encoding: gzip\r\n",
            ),
        }
    }

    fn verify(&mut self, place: usize, count: usize) -> Result<(), Box<dyn Error>> {
        let url: StoreUrl = self.server.url(&self.database).parse()?;
        let found = url.open(None)?.count()?;
        if usize::try_from(found) == Ok(count) {
            Ok(())
        } else {
            Err(format!("way {place}: {found} points, expected {count}").into())
        }
    }
}

/// Posts bodies over one connection, each after the answer to the one before.
fn post(server: SocketAddr, database: &str, bodies: &[Vec<u8>], header: &str) -> Result<(), Box<dyn Error>> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    for body in bodies {
        let head = format!(
            "POST /write?db={database}&precision=ns HTTP/1.1\r\nHost: localhost\r\n{header}Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let answer = head_of(&mut stream)?;
        if !answer.starts_with("HTTP/1.1 204") {
            return Err(answer.into());
        }
    }
    Ok(())
}

/// The bodies that our store sends for these events, caught on their way.
fn captured(events: &[Event]) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let url: StoreUrl = format!("influxdb://{}/db?gzip=true", listener.local_addr()?).parse()?;
    let catcher = std::thread::spawn(move || -> std::io::Result<Vec<Vec<u8>>> {
        let mut stream = listener.accept()?.0;
        let mut bodies = Vec::new();
        // The store hangs up at the end.
        while let Ok(head) = head_of(&mut stream) {
            let head = head.to_ascii_lowercase();
            let length = head
                .split("content-length: ")
                .nth(1)
                .and_then(|rest| rest.lines().next())
                .and_then(|length| length.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            stream.read_exact(&mut body)?;
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
            bodies.push(body);
        }
        // The first one asks whether we are there.
        Ok(bodies.split_off(1))
    });
    let mut store = url.open(None)?;
    for batch in events.chunks(BATCH) {
        store.write(batch, None)?;
    }
    drop(store);
    let bodies = catcher.join().map_err(|_| "the catcher broke down")??;
    Ok(bodies)
}

/// What comes before the body, byte by byte so that nothing of it is taken.
fn head_of(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
