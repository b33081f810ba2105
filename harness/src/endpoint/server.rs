//! Connections: accepted, counted, and ended.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};
use std::time::Duration;

use crossbridge_core::Sleeper;
use crossbridge_std::clock::SystemClock;
use crossbridge_std::logging::Category;
use crossbridge_std::sleeper::ThreadSleeper;
use rustix::event::{PollFd, PollFlags, poll};

use super::Endpoint;
use super::answer::Answer;
use super::connection::converse;
use crate::http1::Head;

/// What clients may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Connections at once, each with a thread.
    pub connections: usize,
    /// The longest body, in bytes.
    pub body: u64,
    /// All bodies at once, in bytes.
    pub bodies: u64,
    /// From the first byte of a request to its last, and for writing the answer.
    pub request: Duration,
    /// From one request to the next.
    pub idle: Duration,
}

impl Settings {
    /// 256 connections, 8 MiB for a body and 64 MiB for all, 30 s for a request, 60 s of silence.
    pub const DEFAULT: Self = Self {
        connections: 256,
        body: 8 << 20,
        bodies: 64 << 20,
        request: Duration::from_secs(30),
        idle: Duration::from_secs(60),
    };
}

impl Default for Settings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Serves an [`Endpoint`] on a port.
#[derive(Debug)]
pub struct Server<'s> {
    endpoint: Endpoint<'s>,
    settings: Settings,
    listener: TcpListener,
    clock: SystemClock,
    /// Requests so far.
    requests: AtomicU64,
    /// Bytes of bodies in memory.
    held: AtomicU64,
    stopping: AtomicBool,
    bell: UnixStream,
    rung: UnixStream,
    clients: Mutex<BTreeMap<u64, Arc<TcpStream>>>,
}

impl<'s> Server<'s> {
    /// A server on this port, which accepts nobody yet.
    ///
    /// # Errors
    /// The process has no sockets left.
    pub fn new(endpoint: Endpoint<'s>, listener: TcpListener, settings: Settings) -> io::Result<Self> {
        let (bell, rung) = UnixStream::pair()?;
        // Whoever is announced may be gone when he is to be accepted.
        listener.set_nonblocking(true)?;
        Ok(Self {
            endpoint,
            settings,
            listener,
            clock: SystemClock::new(),
            requests: AtomicU64::new(0),
            held: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            bell,
            rung,
            clients: Mutex::default(),
        })
    }

    /// Serves until it is [stopped](Self::stop), and returns when the last answer is written.
    ///
    /// # Errors
    /// The port cannot be waited at.
    pub fn run(&self) -> io::Result<()> {
        thread::scope(|scope| {
            let mut number = 0;
            let ended = loop {
                let mut fds = [
                    PollFd::from_borrowed_fd(self.rung.as_fd(), PollFlags::IN),
                    PollFd::from_borrowed_fd(self.listener.as_fd(), PollFlags::IN),
                ];
                match poll(&mut fds, None) {
                    Err(rustix::io::Errno::INTR) => continue,
                    Err(error) => break Err(error.into()),
                    Ok(_) => {}
                }
                if self.is_stopping() {
                    break Ok(());
                }
                match self.listener.accept() {
                    Ok((stream, _)) => {
                        number += 1;
                        self.admit(scope, number, stream);
                    }
                    Err(error) if is_passing(&error) => {}
                    // Out of sockets: others have to end first.
                    Err(_) => ThreadSleeper.sleep(BREATH),
                }
            };
            // Whoever waits for a request sees the end; a request that has come is still read.
            self.stopping.store(true, Ordering::SeqCst);
            for client in lock(&self.clients).values() {
                let _ = client.shutdown(Shutdown::Read);
            }
            ended
        })
    }

    /// Ends it: nobody is accepted any more, and requests that are there are answered.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = (&self.bell).write_all(b"x");
    }

    fn admit<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, number: u64, stream: TcpStream) {
        let stream = Arc::new(stream);
        {
            let mut clients = lock(&self.clients);
            if clients.len() >= self.settings.connections || stream.set_nonblocking(false).is_err() {
                drop(clients);
                let _ = stream.set_write_timeout(Some(BREATH));
                let _ = Answer::error(503, "too many connections")
                    .retry_after(1)
                    .write(&stream, true);
                return;
            }
            clients.insert(number, Arc::clone(&stream));
        }
        let thread = thread::Builder::new()
            .name(format!("client {number}"))
            .stack_size(STACK);
        let serve = move || {
            // A client that goes away in the middle is no news.
            let _ = converse(self, &stream);
            lock(&self.clients).remove(&number);
        };
        if let Err(error) = thread.spawn_scoped(scope, serve) {
            lock(&self.clients).remove(&number);
            log::warn!(target: Category::Performance.target(), error:%; "no thread for a client");
        }
    }

    pub(super) fn answer(&self, head: &Head, body: &[u8], peer: Option<IpAddr>) -> Answer {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        self.endpoint.answer(head, body, peer, number)
    }

    /// The answer to who does not show the token, where there is one.
    pub(super) fn unauthorised(&self, head: &Head) -> Option<Answer> {
        self.endpoint.unauthorised(head)
    }

    pub(super) const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) const fn clock(&self) -> &SystemClock {
        &self.clock
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Space for a body, none of it yet.
    pub(super) const fn hold(&self) -> Hold<'_> {
        Hold {
            held: &self.held,
            most: self.settings.bodies,
            own: 0,
        }
    }
}

/// A body's share of the memory for all of them.
#[derive(Debug)]
pub(super) struct Hold<'h> {
    held: &'h AtomicU64,
    most: u64,
    own: u64,
}

impl Hold<'_> {
    /// Takes more; whether it is there.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.own += bytes;
        self.held.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.most
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.held.fetch_sub(self.own, Ordering::Relaxed);
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long accepting pauses when the process has no more sockets.
const BREATH: Duration = Duration::from_millis(20);
/// JSON may be 128 levels deep.
const STACK: usize = 1 << 20;
