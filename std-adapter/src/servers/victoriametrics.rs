//! A VictoriaMetrics server: for the shape of the write API of InfluxDB 2, not for keeping events.
//!
//! It says yes before anything is on the disk, takes lines that it cannot read, rounds times to
//! milliseconds and keeps numbers only (measured with 1.79.5).

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::ServerError;
use super::daemon::{Daemon, Kind};

/// A server of its own, which ends with the value. See the [module](super).
#[derive(Debug)]
pub struct VictoriaMetrics(Daemon);

impl VictoriaMetrics {
    /// Starts a server.
    ///
    /// # Errors
    ///
    /// [`ServerError`]: VictoriaMetrics is not installed, or does not come up within a minute.
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

    /// The URL of a bucket, which it has without making it:
    /// `influxdb://127.0.0.1:8428/?org=qa&bucket=runs`.
    #[must_use]
    pub fn url(&self, bucket: &str) -> String {
        let bucket = utf8_percent_encode(bucket, NON_ALPHANUMERIC);
        format!("influxdb://{}/?org=qa&bucket={bucket}", self.address())
    }

    /// Every series that a selector matches, with its values: one JSON object per line.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] with what it said.
    pub fn export(&self, selector: &str) -> Result<String, ServerError> {
        // What has just been written is found after this, without waiting for a second.
        self.0.ask("GET", "/internal/force_flush")?;
        let selector = utf8_percent_encode(selector, NON_ALPHANUMERIC);
        self.0
            .ask("GET", &format!("/api/v1/export?match%5B%5D={selector}&start=0"))
    }
}

static KIND: Kind = Kind {
    program: "victoria-metrics",
    package: "victoria-metrics",
    ready: "/health",
    arguments,
};

fn arguments(folder: &Path, port: u16) -> io::Result<Vec<String>> {
    Ok(vec![
        format!("-httpListenAddr=127.0.0.1:{port}"),
        format!("-storageDataPath={}/data", folder.display()),
        "-retentionPeriod=100y".to_owned(),
        "-memory.allowedBytes=256MB".to_owned(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_comes_up_and_answers() {
        let server = VictoriaMetrics::start().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(server.export("{__name__=~\".+\"}").unwrap(), "");
        assert!(server.url("a b").ends_with("bucket=a%20b"));
    }
}
