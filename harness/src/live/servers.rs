//! The servers that several runs share.

use std::net::SocketAddr;
use std::sync::Mutex;

use crossbridge_std::servers::{Postgres, Redis, ServerError, Signal, postgres, redis};

use super::stop::lock;
use crate::scenario::{FaultEffect, RealServer, Scenario};

/// PostgreSQL and Redis, where a scenario needs them; they end with the value. A run whose server
/// crashes has one of its own.
#[derive(Debug, Default)]
pub struct Servers {
    postgres: Option<Postgres>,
    redis: Option<Redis>,
}

/// A server that a run has for itself, to be killed.
#[derive(Debug)]
pub(super) struct Own(Mutex<Process>);

#[derive(Debug)]
enum Process {
    Postgres(Postgres),
    Redis(Redis),
}

impl Servers {
    /// Starts what these scenarios need.
    ///
    /// # Errors
    /// A program is not installed, or a server does not come up.
    pub fn start<'s>(scenarios: impl IntoIterator<Item = &'s Scenario>) -> Result<Self, ServerError> {
        let mut servers = Self::default();
        for scenario in scenarios {
            for (index, node) in scenario.nodes.iter().enumerate() {
                match node.live {
                    _ if crashes(scenario, index) => {}
                    Some(RealServer::Postgres) if servers.postgres.is_none() => {
                        servers.postgres = Some(postgres()?);
                    }
                    Some(RealServer::Redis) if servers.redis.is_none() => servers.redis = Some(redis()?),
                    Some(RealServer::Postgres | RealServer::Redis | RealServer::Http) | None => {}
                }
            }
        }
        Ok(servers)
    }

    /// Where the shared server of this kind is; `None` where none was started.
    pub(super) fn address(&self, server: RealServer) -> Option<SocketAddr> {
        match server {
            RealServer::Postgres => self.postgres.as_ref().map(Postgres::address),
            RealServer::Redis => self.redis.as_ref().map(Redis::address),
            RealServer::Http => None,
        }
    }
}

impl Own {
    /// `None` for a server that cannot be killed.
    pub(super) fn start(server: RealServer) -> Result<Option<Self>, ServerError> {
        let process = match server {
            RealServer::Postgres => Process::Postgres(postgres()?),
            RealServer::Redis => Process::Redis(redis()?),
            RealServer::Http => return Ok(None),
        };
        Ok(Some(Self(Mutex::new(process))))
    }

    pub(super) fn address(&self) -> SocketAddr {
        match &*lock(&self.0) {
            Process::Postgres(server) => server.address(),
            Process::Redis(server) => server.address(),
        }
    }

    /// Kills it as a crash does, and starts it again.
    pub(super) fn crash(&self) -> Result<(), ServerError> {
        match &mut *lock(&self.0) {
            Process::Postgres(server) => server.kill(Signal::KILL).and_then(|()| server.restart()),
            Process::Redis(server) => server.kill(Signal::KILL).and_then(|()| server.restart()),
        }
    }
}

/// Whether the dependency of this number crashes.
pub(super) fn crashes(scenario: &Scenario, node: usize) -> bool {
    let mut faults = scenario.faults.iter();
    faults.any(|fault| fault.node == node && fault.kind == FaultEffect::CrashRestart)
}

/// Nothing is stored in it, so nothing has to reach the disk.
fn postgres() -> Result<Postgres, ServerError> {
    let options = postgres::Options {
        fsync: false,
        ..postgres::Options::default()
    };
    options.setting("max_connections", MAX_CONNECTIONS).start()
}

/// It looks at timeouts of blocked clients so many times a second: every 2 ms.
fn redis() -> Result<Redis, ServerError> {
    redis::Options::default().setting("hz", "500").start()
}

/// Of several runs at the same time, those included whose client has given up.
const MAX_CONNECTIONS: &str = "300";
