//! The I/O of one connection: one thread that waits for its two sockets, its clock and changes of the
//! toxics, and moves bytes between the sockets and the machine of the connection.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use crossbridge_core::{Clock, Instant};
use crossbridge_std::clock::SystemClock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt;

use super::connection::{Connection, Identity, Side};
use super::link::Item;
use super::server::{Shared, Snapshot};
use super::toxic::Admission;

/// Bytes read at once.
const CHUNK: usize = 64 << 10;
/// How long a server may take to accept a connection.
const DIALING: Duration = Duration::from_secs(10);
/// How long a closed connection still takes in what its peers say: closed with bytes unread, a socket
/// resets its peer, which may then lose the last bytes it was sent.
const LINGER: Duration = Duration::from_secs(2);

/// A socket and what is left of it.
#[derive(Debug)]
struct End {
    stream: TcpStream,
    reads: bool,
    writes: bool,
    /// Would not take more.
    blocked: bool,
}

impl End {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        // Small writes are the point of some toxics.
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            reads: true,
            writes: true,
            blocked: false,
        })
    }
}

/// How a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    On,
    Closing { until: Instant },
    Over,
}

/// Serves an accepted connection to its end.
pub(super) fn serve(
    shared: &Shared,
    mut snapshot: Arc<Snapshot>,
    identity: Identity,
    client: TcpStream,
) -> io::Result<()> {
    let (clock, epoch) = (shared.clock, snapshot.epoch);
    while identity.admission(&snapshot.toxics) == Admission::Hang {
        if !stays(&client, &snapshot)? {
            return Ok(());
        }
        snapshot = shared.snapshot();
        if snapshot.epoch != epoch {
            return Ok(());
        }
    }
    let server = dial(&snapshot.upstream)?;
    let encrypts = !snapshot.declines_encryption;
    let mut pump = Pump {
        clock,
        connection: Connection::new(clock.now(), identity, &snapshot.toxics, !encrypts),
        client: End::new(client)?,
        server: End::new(server)?,
        course: Course::On,
        buffer: vec![0; CHUNK],
    };
    loop {
        pump.write(Side::Server);
        pump.write(Side::Client);
        if pump.is_over() {
            return Ok(());
        }
        let ready = pump.wait(&snapshot)?;
        // A change of the toxics is looked at before anything that is said from then on.
        if ready.changed {
            snapshot = shared.snapshot();
            if snapshot.epoch != epoch {
                return Ok(());
            }
            let now = clock.now();
            pump.connection
                .adapt(now, &snapshot.toxics, snapshot.declines_encryption);
        } else {
            for (side, is_ready) in [(Side::Client, ready.client), (Side::Server, ready.server)] {
                if is_ready {
                    pump.read(side);
                }
            }
        }
    }
}

/// Connects to the first address of a name that answers.
fn dial(upstream: &str) -> io::Result<TcpStream> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("upstream {upstream}: {error}"));
    let mut refused = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in upstream.to_socket_addrs().map_err(named)? {
        match TcpStream::connect_timeout(&address, DIALING) {
            Ok(stream) => return Ok(stream),
            Err(error) => refused = error,
        }
    }
    Err(named(refused))
}

/// Leaves a client alone until the toxics change (true) or it goes away.
fn stays(client: &TcpStream, snapshot: &Snapshot) -> io::Result<bool> {
    let mut events = PollFlags::IN;
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(snapshot.changed.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(client.as_fd(), events),
        ];
        wait(&mut fds, None)?;
        let [changed, from_client] = fds.map(|fd| fd.revents());
        if !changed.is_empty() {
            return Ok(true);
        }
        // What it says waits in its socket; only its end is of interest.
        if from_client.intersects(PollFlags::ERR | PollFlags::HUP) || client.peek(&mut [0])? == 0 {
            return Ok(false);
        }
        events = PollFlags::empty();
    }
}

/// Waits for events, or until `span` has passed. A signal ends nothing here.
pub(super) fn wait(fds: &mut [PollFd<'_>], span: Option<Duration>) -> io::Result<()> {
    let timeout = span.map(|span| Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    });
    match poll(fds, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Makes the end of a socket a reset instead of an orderly close.
pub(super) fn reset(stream: &TcpStream) {
    // A socket that is gone already needs no more.
    let _ = sockopt::set_socket_linger(stream, Some(Duration::ZERO));
}

/// What there is to do.
#[derive(Clone, Copy, Debug)]
struct Ready {
    changed: bool,
    client: bool,
    server: bool,
}

/// A connection and its sockets.
struct Pump {
    clock: SystemClock,
    connection: Connection,
    client: End,
    server: End,
    course: Course,
    buffer: Vec<u8>,
}

impl Pump {
    fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    fn is_over(&self) -> bool {
        match self.course {
            // Both have heard the last word.
            Course::On => !self.client.writes && !self.server.writes,
            Course::Closing { until } => {
                (!self.client.reads && !self.server.reads) || self.clock.now() >= until
            }
            Course::Over => true,
        }
    }

    /// Writes to one side what is due.
    fn write(&mut self, to: Side) {
        while self.course == Course::On && !self.end(to).blocked {
            let now = self.clock.now();
            let Some(item) = self.connection.take(now, to) else {
                return;
            };
            match item {
                Item::Bytes(bytes) => self.write_bytes(to, bytes),
                Item::Fin => {
                    self.end(to).writes = false;
                    // One that is gone already needs no more.
                    let _ = self.end(to).stream.shutdown(Shutdown::Write);
                }
                Item::Close => {
                    for end in [&mut self.client, &mut self.server] {
                        let _ = end.stream.shutdown(Shutdown::Write);
                    }
                    let until = now.saturating_add(LINGER);
                    self.course = Course::Closing { until };
                }
                Item::Reset => self.abort(),
            }
        }
    }

    fn write_bytes(&mut self, to: Side, mut bytes: Vec<u8>) {
        if !self.end(to).writes {
            return;
        }
        let written = match self.end(to).stream.write(&bytes) {
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                self.connection.put_back(to, Item::Bytes(bytes));
                return;
            }
            Err(_) => {
                self.lose(to);
                return;
            }
        };
        if written < bytes.len() {
            self.end(to).blocked = true;
            self.connection
                .put_back(to, Item::Bytes(bytes.split_off(written)));
        }
    }

    /// Takes in what one side says.
    fn read(&mut self, from: Side) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let read = self.end(from).stream.read(&mut buffer);
        let now = self.clock.now();
        match read {
            Ok(0) => {
                self.end(from).reads = false;
                self.connection.on_end(now, from);
            }
            Ok(length) if self.course == Course::On => {
                let (bytes, _) = buffer.split_at(length.min(buffer.len()));
                self.connection.on_bytes(now, from, bytes);
            }
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.lose(from),
        }
        self.buffer = buffer;
    }

    /// One side is gone; the other hears of it in its turn.
    fn lose(&mut self, side: Side) {
        let now = self.clock.now();
        let end = self.end(side);
        (end.reads, end.writes, end.blocked) = (false, false, false);
        // A closed connection leaves the other side the time to read its last bytes.
        if self.course == Course::On && !self.connection.on_reset(now, side) {
            self.abort();
        }
    }

    fn abort(&mut self) {
        reset(&self.client.stream);
        reset(&self.server.stream);
        self.course = Course::Over;
    }

    fn wait(&mut self, snapshot: &Snapshot) -> io::Result<Ready> {
        let closing = matches!(self.course, Course::Closing { .. });
        let mut interest = [PollFlags::empty(); 2];
        for (flags, side) in interest.iter_mut().zip([Side::Client, Side::Server]) {
            let has_room = closing || self.connection.has_room(side);
            let end = self.end(side);
            flags.set(PollFlags::IN, end.reads && has_room);
            flags.set(PollFlags::OUT, end.blocked && end.writes && !closing);
        }
        let mut fds = vec![PollFd::from_borrowed_fd(snapshot.changed.as_fd(), PollFlags::IN)];
        let [for_client, for_server] = interest;
        // One that nothing is wanted of would report its end over and over.
        if !for_client.is_empty() {
            fds.push(PollFd::from_borrowed_fd(self.client.stream.as_fd(), for_client));
        }
        if !for_server.is_empty() {
            fds.push(PollFd::from_borrowed_fd(self.server.stream.as_fd(), for_server));
        }
        let wake_at = match self.course {
            Course::Closing { until } => Some(until),
            Course::On | Course::Over => self.connection.poll_at(),
        };
        let span = wake_at.filter(|&at| at < Instant::MAX);
        wait(
            &mut fds,
            span.map(|at| at.saturating_duration_since(self.clock.now())),
        )?;
        let mut seen = fds.iter().map(PollFd::revents);
        let changed = seen.next().is_some_and(|flags| !flags.is_empty());
        let mut of = |wanted: PollFlags| {
            if wanted.is_empty() {
                PollFlags::empty()
            } else {
                seen.next().unwrap_or(PollFlags::empty())
            }
        };
        let (client, server) = (of(for_client), of(for_server));
        drop(fds);
        for (side, flags) in [(Side::Client, client), (Side::Server, server)] {
            let end = self.end(side);
            // Trouble is found by trying again.
            end.blocked &= !flags.intersects(PollFlags::OUT | PollFlags::ERR | PollFlags::HUP);
        }
        let readable = |wanted: PollFlags, flags: PollFlags| {
            wanted.contains(PollFlags::IN) && !(flags - PollFlags::OUT).is_empty()
        };
        Ok(Ready {
            changed,
            client: readable(for_client, client),
            server: readable(for_server, server),
        })
    }
}
