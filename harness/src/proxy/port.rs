//! The port a proxy listens on, and the three things it can do to somebody who connects.
//!
//! ```text
//!   Open ───▶ accepts
//!   Refused ▶ bound, not listening: the kernel answers with a reset, `connection refused`
//!   Hanging ▶ listening with a full queue: the kernel drops the handshake, connecting times out
//! ```
//!
//! The last two happen before anything is accepted, which a proxy that accepts first cannot do. A second
//! socket that is bound and never listens keeps the kernel from giving the port away meanwhile. Queues that drop the
//! handshake when they are full are Linux's; elsewhere a connection that is to hang is accepted by the
//! kernel and left alone.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

/// What a port does to somebody who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Accepts.
    Open,
    /// `connection refused`.
    Refused,
    /// The handshake is never completed.
    Hanging,
}

/// A port.
#[derive(Debug)]
pub(super) struct Port {
    address: SocketAddr,
    /// Bound, never listening.
    _holder: Option<OwnedFd>,
    listener: Option<TcpListener>,
    /// Our own connections that fill the queue.
    fillers: Vec<TcpStream>,
    gate: Gate,
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

impl Port {
    /// Binds an address; port 0 is any free one.
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let holder = socket(address)?;
        let bound = rustix::net::getsockname(&holder)?;
        let address = SocketAddr::try_from(bound)?;
        let (holder, listener) = match listen(address) {
            Ok(listener) => (Some(holder), listener),
            // Systems that do not let two sockets share an address: the port is then held only
            // while somebody listens.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && cfg!(not(target_os = "linux")) => {
                drop(holder);
                (None, listen(address)?)
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            address,
            _holder: holder,
            listener: Some(listener),
            fillers: Vec::new(),
            gate: Gate::Open,
        })
    }

    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whom to accept from; nobody unless the gate is open.
    pub(super) fn listener(&self) -> Option<&TcpListener> {
        self.listener.as_ref().filter(|_| self.gate == Gate::Open)
    }

    /// Whether a connection that has been accepted is one of our own, which then ends.
    pub(super) fn takes_back(&mut self, peer: SocketAddr) -> bool {
        let before = self.fillers.len();
        self.fillers
            .retain(|filler| filler.local_addr().is_ok_and(|local| local != peer));
        self.fillers.len() < before
    }

    /// From now on it does this.
    pub(super) fn set(&mut self, gate: Gate) -> io::Result<()> {
        if gate == self.gate {
            return Ok(());
        }
        match gate {
            Gate::Refused => {
                self.listener = None;
                self.fillers.clear();
            }
            Gate::Open | Gate::Hanging => {
                if self.listener.is_none() {
                    self.listener = Some(listen(self.address)?);
                }
                if let Some(listener) = &self.listener {
                    let backlog = if gate == Gate::Open { BACKLOG } else { 0 };
                    rustix::net::listen(listener, backlog)?;
                }
                if gate == Gate::Hanging {
                    self.fill();
                }
            }
        }
        self.gate = gate;
        Ok(())
    }

    /// Fills the queue: with a backlog of 0 it holds one connection, and drops those after it.
    fn fill(&mut self) {
        if cfg!(not(target_os = "linux")) {
            return;
        }
        let mut target = self.address;
        if target.ip().is_unspecified() {
            target.set_ip(match target {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        // A queue in which clients wait is longer than one; the first that times out says it is full.
        for _ in 0..BACKLOG {
            match TcpStream::connect_timeout(&target, FILLING) {
                Ok(filler) => self.fillers.push(filler),
                Err(_) => return,
            }
        }
    }
}

/// A handshake on this machine takes microseconds.
const FILLING: Duration = Duration::from_millis(50);

/// A bound socket.
fn socket(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    let listener = TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(listener)
}
