//! A proxy: a port, an upstream, toxics, and the threads that serve its connections.
//!
//! ```text
//!   change ──▶ new snapshot ──▶ the old bell rings ──▶ every thread looks at the new snapshot
//! ```
//!
//! All threads share a snapshot of what holds at present. A snapshot has a bell: the reading end of a pipe
//! nobody writes to. When the snapshot is replaced, the writing end is dropped, and whoever waits for its
//! sockets is woken up. A change returns when the port does what it says, and no byte that is said after
//! that is treated by the old toxics.

use std::io::{self, PipeReader, PipeWriter};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossbridge_std::clock::SystemClock;
use serde::Serialize;

use super::accept;
use super::connection::Identity;
use super::live::Live;
use super::port::{Gate, Port};
use super::toxic::{Admission, Direction, Effect, Toxic};

/// A proxy. It ends with the value.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
}

/// What a proxy is at present, as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct View {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub listen: String,
    /// Where it forwards to.
    pub upstream: String,
    /// Whether it accepts connections.
    pub enabled: bool,
    /// Those on the way up first, as toxiproxy lists them.
    pub toxics: Vec<Toxic>,
}

/// What all threads of a proxy see.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) name: String,
    seed: u64,
    pub(super) clock: SystemClock,
    state: Mutex<State>,
    /// Rings when the port has followed a change.
    followed: Condvar,
}

#[derive(Debug)]
struct State {
    snapshot: Arc<Snapshot>,
    /// Dropped when the snapshot is replaced.
    bell: PipeWriter,
    address: SocketAddr,
    /// A new port for the accepting thread.
    port: Option<Port>,
    enabled: bool,
    /// A script will bring errors of PostgreSQL.
    expects_sql: bool,
    accepted: u64,
    toxics: u64,
    /// The last snapshot the port has followed.
    followed: u64,
    trouble: Option<io::Error>,
}

/// What holds at present.
#[derive(Debug)]
pub(super) struct Snapshot {
    number: u64,
    /// Connections of an older epoch are dropped.
    pub(super) epoch: u64,
    /// `None`: the proxy has ended.
    pub(super) gate: Option<Gate>,
    pub(super) upstream: String,
    pub(super) toxics: Vec<Arc<Live>>,
    pub(super) declines_encryption: bool,
    /// Readable when this is no longer what holds.
    pub(super) changed: PipeReader,
}

/// What a change says about the snapshot.
#[derive(Debug)]
struct Draft {
    epoch: u64,
    is_stopped: bool,
    upstream: String,
    toxics: Vec<Arc<Live>>,
}

/// How long a port may take to follow: filling a queue takes 50 ms.
const PATIENCE: Duration = Duration::from_secs(5);

impl Proxy {
    /// A proxy that listens from now on, enabled or not.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn start(seed: u64, name: &str, listen: &str, upstream: &str, enabled: bool) -> io::Result<Self> {
        let port = Port::bind(resolve(listen)?)?;
        let (changed, bell) = io::pipe()?;
        let snapshot = Snapshot {
            number: 0,
            epoch: 0,
            gate: Some(if enabled { Gate::Open } else { Gate::Refused }),
            upstream: upstream.to_owned(),
            toxics: Vec::new(),
            declines_encryption: false,
            changed,
        };
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            seed,
            clock: SystemClock::new(),
            state: Mutex::new(State {
                snapshot: Arc::new(snapshot),
                bell,
                address: port.address(),
                port: Some(port),
                enabled,
                expects_sql: false,
                accepted: 0,
                toxics: 0,
                followed: 0,
                trouble: None,
            }),
            followed: Condvar::new(),
        });
        let proxy = Self {
            shared: Arc::clone(&shared),
        };
        thread::Builder::new()
            .name(format!("accept {name}"))
            .spawn(move || accept::accept(&shared))?;
        // Returns when the port has been taken over.
        proxy.shared.change(|_, _| {})?;
        Ok(proxy)
    }

    /// What it is at present.
    #[must_use]
    pub fn view(&self) -> View {
        let state = self.shared.lock();
        let toxics = &state.snapshot.toxics;
        let of = |stream| toxics.iter().filter(move |live| live.toxic.stream == stream);
        View {
            name: self.shared.name.clone(),
            listen: state.address.to_string(),
            upstream: state.snapshot.upstream.clone(),
            enabled: state.enabled,
            toxics: of(Direction::Upstream)
                .chain(of(Direction::Downstream))
                .map(|live| live.toxic.clone())
                .collect(),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.lock().address
    }

    /// Whether it would have to be set up anew to be this.
    ///
    /// # Errors
    /// The address means nothing.
    pub fn differs(&self, listen: &str, upstream: &str) -> io::Result<bool> {
        let listen = resolve(listen)?;
        let state = self.shared.lock();
        Ok(state.address != listen || state.snapshot.upstream != upstream)
    }

    /// Changes it. Another address or upstream drops its connections, and so does disabling it.
    ///
    /// # Errors
    /// The address cannot be bound; then nothing has changed.
    pub fn update(&self, listen: &str, upstream: &str, enabled: bool) -> io::Result<()> {
        let listen = resolve(listen)?;
        let port = (self.address() != listen)
            .then(|| Port::bind(listen))
            .transpose()?;
        self.shared.change(|state, draft| {
            if port.is_some() || draft.upstream != upstream || !enabled {
                draft.epoch += 1;
            }
            if let Some(port) = port {
                state.address = port.address();
                state.port = Some(port);
            }
            upstream.clone_into(&mut draft.upstream);
            state.enabled = enabled;
        })
    }

    /// Keeps sessions of PostgreSQL readable for an error that a script brings later.
    ///
    /// # Errors
    /// The port did not follow.
    pub fn expect_sql_errors(&self) -> io::Result<()> {
        self.shared.change(|state, _| state.expects_sql = true)
    }

    /// Adds a toxic, or puts it in the place of the one of the same name.
    ///
    /// # Errors
    /// The port did not follow.
    pub fn put_toxic(&self, toxic: Toxic) -> io::Result<()> {
        self.shared.change(|state, draft| {
            state.toxics += 1;
            let live = Arc::new(Live::new(state.toxics, toxic, state.accepted));
            let name = &live.toxic.name;
            match draft.toxics.iter_mut().find(|old| old.toxic.name == *name) {
                Some(place) => *place = live,
                None => draft.toxics.push(live),
            }
        })
    }

    /// Removes toxics that are not to stay.
    ///
    /// # Errors
    /// The port did not follow.
    pub fn retain_toxics(&self, stays: impl Fn(&Toxic) -> bool) -> io::Result<()> {
        self.shared
            .change(|_, draft| draft.toxics.retain(|live| stays(&live.toxic)))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The thread that does not end in time ends with the process.
        let _ = self.shared.change(|_, draft| {
            draft.is_stopped = true;
            draft.epoch += 1;
        });
    }
}

impl Shared {
    /// What holds at present.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.lock().snapshot)
    }

    /// The same, and a new port if there is one.
    pub(super) fn latest(&self) -> (Arc<Snapshot>, Option<Port>) {
        let mut state = self.lock();
        (Arc::clone(&state.snapshot), state.port.take())
    }

    /// The port has followed a snapshot, or could not.
    pub(super) fn follow(&self, snapshot: &Snapshot, followed: io::Result<()>) {
        let mut state = self.lock();
        state.followed = snapshot.number;
        state.trouble = followed.err();
        self.followed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock would be a bug of ours; what it leaves is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what holds, and returns when the port has followed.
    fn change(&self, apply: impl FnOnce(&mut State, &mut Draft)) -> io::Result<()> {
        let (changed, bell) = io::pipe()?;
        let mut state = self.lock();
        let old = Arc::clone(&state.snapshot);
        let mut draft = Draft {
            epoch: old.epoch,
            is_stopped: old.gate.is_none(),
            upstream: old.upstream.clone(),
            toxics: old.toxics.clone(),
        };
        apply(&mut state, &mut draft);
        let is_sql = |live: &Arc<Live>| matches!(live.toxic.effect, Effect::SqlError(_));
        let number = old.number + 1;
        state.snapshot = Arc::new(Snapshot {
            number,
            epoch: draft.epoch,
            gate: (!draft.is_stopped).then(|| gate(state.enabled, &draft.toxics)),
            upstream: draft.upstream,
            declines_encryption: state.expects_sql || draft.toxics.iter().any(is_sql),
            toxics: draft.toxics,
            changed,
        });
        state.bell = bell;
        let (mut state, waited) = self
            .followed
            .wait_timeout_while(state, PATIENCE, |state| state.followed < number)
            .unwrap_or_else(PoisonError::into_inner);
        match state.trouble.take() {
            Some(trouble) => Err(trouble),
            None if waited.timed_out() => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "the port did not follow"))
            }
            None => Ok(()),
        }
    }

    /// The number of the next connection, and what holds for it.
    pub(super) fn admit(&self) -> (Arc<Snapshot>, Identity) {
        let mut state = self.lock();
        let index = state.accepted;
        state.accepted = index.saturating_add(1);
        let identity = Identity {
            seed: self.seed,
            proxy: self.name.clone(),
            index,
        };
        (Arc::clone(&state.snapshot), identity)
    }
}

/// What the port does: where no connection escapes, it is the port that refuses or hangs.
fn gate(enabled: bool, toxics: &[Arc<Live>]) -> Gate {
    if !enabled {
        return Gate::Refused;
    }
    let for_all = |live: &Arc<Live>| {
        let admission = live.toxic.effect.admission();
        admission.filter(|_| live.toxic.meets_all())
    };
    // One that meets some connections and stands before them still meets these.
    match toxics.iter().find_map(for_all) {
        Some(Admission::Refuse) => Gate::Refused,
        Some(Admission::Hang) => Gate::Hanging,
        Some(Admission::Serve) | None => Gate::Open,
    }
}

/// The first address of a name.
fn resolve(address: &str) -> io::Result<SocketAddr> {
    // toxiproxy's clients may leave the address out: any free port of this machine.
    if address.is_empty() {
        return Ok(SocketAddr::from(([127, 0, 0, 1], 0)));
    }
    address
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("`{address}` has no address")))
}
