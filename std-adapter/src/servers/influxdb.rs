//! An InfluxDB server, version 1.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::daemon::{Daemon, Kind};
use super::{ServerError, Signal};

/// A server of its own, which ends with the value. It asks nobody for a password, has no database at
/// first, and writes its log to the disk before it says yes (its default). See the [module](super).
#[derive(Debug)]
pub struct InfluxDb(Daemon);

impl InfluxDb {
    /// Starts a server.
    ///
    /// # Errors
    ///
    /// [`ServerError`]: InfluxDB is not installed, or does not come up within a minute.
    pub fn start() -> Result<Self, ServerError> {
        Daemon::start(&KIND).map(Self)
    }

    /// Its port on 127.0.0.1, the same for as long as the value lives.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.0.port()
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// The URL of a database of it: `influxdb://127.0.0.1:8086/db`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("influxdb://{}/{database}", self.address())
    }

    /// The pid of its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Sends a signal and does not wait for what follows. Nothing happens once it has ended.
    ///
    /// # Errors
    ///
    /// [`ServerError::Io`] when the signal cannot be sent.
    pub fn signal(&mut self, signal: Signal) -> Result<(), ServerError> {
        self.0.signal(signal)
    }

    /// Sends a signal that ends it and waits until it has ended: KILL is a crash, TERM a shutdown.
    ///
    /// # Errors
    ///
    /// [`ServerError::TimedOut`] when it has not ended after half a minute.
    pub fn kill(&mut self, signal: Signal) -> Result<(), ServerError> {
        self.0.kill(signal)
    }

    /// Starts it again, on the same data and the same port; kills it before if it still runs.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start).
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.0.restart()
    }

    /// What it answers to statements of `InfluxQL` in a database: JSON.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] with what it said.
    pub fn query(&self, database: &str, statements: &str) -> Result<String, ServerError> {
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let target = format!("/query?db={}&q={}", encoded(database), encoded(statements));
        self.0.ask("POST", &target)
    }

    /// Makes a database, where there is none of that name.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] with what it said.
    pub fn create_database(&self, name: &str) -> Result<(), ServerError> {
        let statement = format!("CREATE DATABASE \"{}\"", name.replace('"', "\\\""));
        self.query("", &statement).map(drop)
    }
}

static KIND: Kind = Kind {
    program: "influxd",
    package: "influxdb",
    ready: "/ping",
    arguments,
};

fn arguments(folder: &Path, port: u16) -> io::Result<Vec<String>> {
    let place = folder.display();
    let path = folder.join("influxdb.conf");
    // The port for backups is not wanted, but cannot be left out.
    fs::write(
        &path,
        format!(
            "reporting-disabled = true\nbind-address = \"127.0.0.1:0\"\n\
             [meta]\ndir = \"{place}/meta\"\n\
             [data]\ndir = \"{place}/data\"\nwal-dir = \"{place}/wal\"\nquery-log-enabled = false\n\
             [http]\nbind-address = \"127.0.0.1:{port}\"\nlog-enabled = false\n\
             [monitor]\nstore-enabled = false\n"
        ),
    )?;
    Ok(vec!["-config".to_owned(), path.display().to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_frozen_killed_and_started_again() {
        let mut server = InfluxDb::start().unwrap_or_else(|error| panic!("{error}"));
        let port = server.port();
        server.create_database("one \"db\"").unwrap();
        let databases = server.query("", "SHOW DATABASES").unwrap();
        assert!(databases.contains(r#"["one \"db\""]"#), "{databases}");
        assert!(matches!(
            server.query("", "nonsense"),
            Err(ServerError::Failed { .. })
        ));
        server.signal(Signal::STOP).unwrap();
        server.signal(Signal::CONT).unwrap();
        let pid = server.pid();
        server.kill(Signal::KILL).unwrap();
        server.restart().unwrap();
        assert_ne!(server.pid(), pid);
        assert_eq!(server.port(), port);
        assert_eq!(server.query("", "SHOW DATABASES").unwrap(), databases);
    }
}
