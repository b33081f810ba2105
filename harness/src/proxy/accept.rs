//! The accepting thread of a proxy: its port follows the toxics, and who gets in gets a thread.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbridge_std::logging::Category;
use rustix::event::{PollFd, PollFlags};

use super::connection::Identity;
use super::port::Port;
use super::pump;
use super::server::{Shared, Snapshot};
use super::toxic::Admission;

/// What its records are about.
const TARGET: &str = Category::Testing.target();
/// How long accepting pauses when the process has no more sockets.
const BREATH: Duration = Duration::from_millis(20);
/// A connection's thread holds no big things on its stack.
const STACK: usize = 256 << 10;

/// The accepting thread.
pub(super) fn accept(shared: &Arc<Shared>) {
    let mut port: Option<Port> = None;
    loop {
        let (snapshot, new) = shared.latest();
        if new.is_some() {
            port = new;
        }
        let followed = match (snapshot.gate, &mut port) {
            (Some(gate), Some(port)) => port.set(gate),
            (Some(_), None) => Ok(()),
            (None, _) => {
                port = None;
                Ok(())
            }
        };
        shared.follow(&snapshot, followed);
        if snapshot.gate.is_none() {
            return;
        }
        while let Ok(true) = wait(&snapshot, port.as_ref()) {
            if let Some(port) = &mut port {
                take(shared, port, &snapshot);
            }
        }
    }
}

/// Waits for a connection (true) or for a change.
fn wait(snapshot: &Snapshot, port: Option<&Port>) -> io::Result<bool> {
    let mut fds = vec![PollFd::from_borrowed_fd(snapshot.changed.as_fd(), PollFlags::IN)];
    if let Some(listener) = port.and_then(Port::listener) {
        fds.push(PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN));
    }
    pump::wait(&mut fds, None)?;
    Ok(fds.first().is_none_or(|changed| changed.revents().is_empty()))
}

/// Takes one connection.
fn take(shared: &Arc<Shared>, port: &mut Port, snapshot: &Snapshot) {
    let Some(listener) = port.listener() else {
        return;
    };
    let (client, peer) = match listener.accept() {
        Ok(accepted) => accepted,
        Err(error) => {
            if !matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
            ) {
                let mut bell = [PollFd::from_borrowed_fd(snapshot.changed.as_fd(), PollFlags::IN)];
                // Out of sockets: others have to end first.
                let _ = pump::wait(&mut bell, Some(BREATH));
            }
            return;
        }
    };
    if port.takes_back(peer) {
        return;
    }
    let (snapshot, identity) = shared.admit();
    if identity.admission(&snapshot.toxics) == Admission::Refuse {
        pump::reset(&client);
        return;
    }
    spawn(shared, snapshot, identity, client);
}

fn spawn(shared: &Arc<Shared>, snapshot: Arc<Snapshot>, identity: Identity, client: TcpStream) {
    let shared = Arc::clone(shared);
    let thread = thread::Builder::new().name(format!("connection {}", identity.index));
    let serve = move || {
        let index = identity.index;
        if let Err(error) = pump::serve(&shared, snapshot, identity, client) {
            let proxy = shared.name.as_str();
            log::warn!(target: TARGET, proxy, connection = index, error:%; "connection ended");
        }
    };
    if let Err(error) = thread.stack_size(STACK).spawn(serve) {
        log::warn!(target: TARGET, error:%; "no thread for a connection");
    }
}
