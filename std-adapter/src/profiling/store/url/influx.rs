//! The URL of an InfluxDB server.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::{Parts, Problem, Secret, encoded, encoded_path, write_hosts};
use crate::logging::redact;

/// What makes an event a point of its own: see the table of the store, `InfluxStore`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// `identity=time`: some nanoseconds from a hash of the id, and one of 16 384 series.
    #[default]
    Time,
    /// `identity=tag`: a series per event.
    Tag,
}

/// An InfluxDB server and what to write to there: `influxdb://[USER:PASSWORD@]HOST[:PORT]/DATABASE` for
/// the write API of version 1, `influxdb://HOST[:PORT]/?org=ORG&bucket=BUCKET[&token=TOKEN]` for that of
/// version 2. The port is 8086 if none is given. With `influxdb+https:` in place of `influxdb:` it is
/// spoken to over TLS, and has to prove its name.
///
/// | parameter | values | default |
/// |---|---|---|
/// | `identity` | [`time`, `tag`](Identity): how two events are kept apart | `time` |
/// | `gzip` | `true`, `false`: compress what is sent | `true`, but `false` to a server on this machine, where it costs more than it saves |
/// | `read_back` | `true`, `false`: ask for every event after it was acknowledged, for servers that say yes before they have stored anything; version 1 only | `false` |
/// | `ca` | with `influxdb+https:`, a file in PEM with the authorities to trust | those of the operating system |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfluxUrl {
    secure: bool,
    ca: Option<PathBuf>,
    host: (String, u16),
    api: InfluxApi,
    identity: Identity,
    read_back: bool,
    /// As it was asked for.
    gzip: Option<bool>,
}

/// Which write API, and what it wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InfluxApi {
    /// `POST /write?db=…`.
    V1 {
        /// The database.
        database: String,
        /// Who writes, where the server asks.
        login: Option<(String, Secret)>,
    },
    /// `POST /api/v2/write?org=…&bucket=…`.
    V2 {
        /// The organisation.
        org: String,
        /// The bucket.
        bucket: String,
        /// The token, where the server asks.
        token: Option<Secret>,
    },
}

impl InfluxUrl {
    /// What follows `influxdb:`, or `influxdb+https:` where that is `secure`.
    pub(super) fn parse(rest: &str, secure: bool) -> Result<Self, Problem> {
        let parts = Parts::parse(rest, 8086, HINT)?;
        let wrong = |what: &str| Problem::new(what, HINT);
        let mut hosts = parts.hosts.into_iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(wrong("more than one host"));
        };
        if host.0.starts_with('/') {
            return Err(wrong("a directory, expected a host"));
        }
        let (mut org, mut bucket, mut token, mut ca) = (None, None, None, None);
        let (mut identity, mut read_back, mut gzip) = (Identity::default(), false, None);
        for (name, value) in parts.parameters {
            match (&*name, &*value) {
                ("identity", "time") => identity = Identity::Time,
                ("identity", "tag") => identity = Identity::Tag,
                ("identity", _) => return Err(wrong("`identity`: expected time or tag")),
                ("read_back", "true") => read_back = true,
                ("read_back", "false") => read_back = false,
                ("gzip", "true") => gzip = Some(true),
                ("gzip", "false") => gzip = Some(false),
                ("read_back" | "gzip", _) => {
                    return Err(wrong(&format!("`{name}`: expected true or false")));
                }
                _ => {}
            }
            if matches!(&*name, "identity" | "read_back" | "gzip") {
                continue;
            }
            let place = match &*name {
                "org" => &mut org,
                "bucket" => &mut bucket,
                "token" => &mut token,
                "ca" if secure => &mut ca,
                "ca" => return Err(wrong("`ca` without TLS, expected influxdb+https:")),
                _ => {
                    return Err(wrong(&format!(
                        "unknown parameter `{name}`, expected org, bucket, token, identity, read_back, gzip or ca"
                    )));
                }
            };
            *place = Some(value).filter(|value| !value.is_empty());
        }
        let api = match (parts.path, org, bucket) {
            (path, Some(org), Some(bucket)) if path.is_empty() => {
                if parts.user.is_some() || parts.password.is_some() {
                    return Err(wrong("a user, where version 2 of the API wants a token"));
                }
                if read_back {
                    return Err(wrong(
                        "`read_back` asks in InfluxQL, which version 2 does not speak",
                    ));
                }
                let token = token.map(Secret);
                InfluxApi::V2 { org, bucket, token }
            }
            (database, None, None) if !database.is_empty() && !database.contains('/') => {
                if token.is_some() {
                    return Err(wrong("a token, where version 1 of the API wants a user"));
                }
                let login = parts.user.zip(parts.password);
                InfluxApi::V1 { database, login }
            }
            _ => return Err(wrong("neither a database nor an org and a bucket")),
        };
        Ok(Self {
            secure,
            ca: ca.map(PathBuf::from),
            host,
            api,
            identity,
            read_back,
            gzip,
        })
    }

    /// The server: a name or an address, and the port.
    #[must_use]
    pub fn host(&self) -> (&str, u16) {
        (&self.host.0, self.host.1)
    }

    /// Which write API, and what it wants to know.
    #[must_use]
    pub const fn api(&self) -> &InfluxApi {
        &self.api
    }

    /// How two events are kept apart.
    #[must_use]
    pub const fn identity(&self) -> Identity {
        self.identity
    }

    /// Whether what was acknowledged is asked for again.
    #[must_use]
    pub const fn read_back(&self) -> bool {
        self.read_back
    }

    /// Whether what is sent is compressed.
    #[must_use]
    pub fn gzip(&self) -> bool {
        let (host, _) = self.host();
        let on_this_machine =
            host == "localhost" || (host.parse::<IpAddr>()).is_ok_and(|address| address.is_loopback());
        self.gzip.unwrap_or(!on_this_machine)
    }

    /// `http://host:port` or `https://host:port`.
    #[cfg(feature = "influxdb")]
    pub(in crate::profiling::store) fn origin(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", write_hosts(std::slice::from_ref(&self.host)))
    }

    /// Whether it is spoken to over TLS.
    #[must_use]
    pub const fn secure(&self) -> bool {
        self.secure
    }

    /// The file of the authorities to trust; `None` is those of the system.
    #[must_use]
    pub fn ca(&self) -> Option<&Path> {
        self.ca.as_deref()
    }

    /// Where the events end up.
    pub(super) fn destination(&self) -> String {
        let host = write_hosts(std::slice::from_ref(&self.host));
        match &self.api {
            InfluxApi::V1 { database, .. } => format!("influxdb://{host}/{}", encoded(database)),
            InfluxApi::V2 { org, bucket, .. } => {
                format!(
                    "influxdb://{host}/?org={}&bucket={}",
                    encoded(org),
                    encoded(bucket)
                )
            }
        }
    }
}

impl fmt::Display for InfluxUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let destination = self.destination();
        let rest = destination.strip_prefix("influxdb:").unwrap_or(&destination);
        let scheme = if self.secure { "influxdb+https" } else { "influxdb" };
        match &self.api {
            InfluxApi::V1 {
                login: Some((user, _)),
                ..
            } => {
                let rest = rest.strip_prefix("//").unwrap_or(rest);
                write!(f, "{scheme}://{}:{}@{rest}", encoded(user), redact::MASK)?;
            }
            InfluxApi::V2 { token: Some(_), .. } => write!(f, "{scheme}:{rest}&token={}", redact::MASK)?,
            InfluxApi::V1 { .. } | InfluxApi::V2 { .. } => write!(f, "{scheme}:{rest}")?,
        }
        let mut sign = match &self.api {
            InfluxApi::V1 { .. } => '?',
            InfluxApi::V2 { .. } => '&',
        };
        let identity = (self.identity == Identity::Tag).then(|| "identity=tag".to_owned());
        let read_back = self.read_back.then(|| "read_back=true".to_owned());
        let gzip = self.gzip.map(|gzip| format!("gzip={gzip}"));
        let ca = self.ca().map(|file| format!("ca={}", encoded_path(file)));
        for parameter in [identity, read_back, gzip, ca].into_iter().flatten() {
            write!(f, "{sign}{parameter}")?;
            sign = '&';
        }
        Ok(())
    }
}

const HINT: &str =
    "write influxdb://HOST:PORT/DATABASE or influxdb://HOST:PORT/?org=ORG&bucket=BUCKET&token=TOKEN";
