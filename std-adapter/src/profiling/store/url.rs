//! Which store is meant, as one text.
//!
//! | URL | store |
//! |---|---|
//! | `sqlite:FILE` | a SQLite file; the path is taken as it stands, `?` and `%` included |
//! | `postgres://[USER[:PASSWORD]@]HOST[:PORT][,HOST…]/DATABASE[?…]` | a schema in a PostgreSQL database, see [`PostgresUrl`] |
//! | `influxdb://[USER:PASSWORD@]HOST[:PORT]/DATABASE` | a database of InfluxDB 1, see [`InfluxUrl`] |
//! | `influxdb://HOST[:PORT]/?org=ORG&bucket=BUCKET[&token=TOKEN]` | a bucket of InfluxDB 2 |
//! | `influxdb+https://…` | either of them, over TLS |
//! | `jsonl:DIR` | files of JSON lines in a directory |
//!
//! Passwords and tokens are never shown: `Display`, `Debug`, [`UrlError`] and what stores say about
//! themselves have `***` in their place.
//!
//! ```
//! use crossbridge_std::profiling::store::StoreUrl;
//!
//! let url: StoreUrl = "postgres://ci:hunter2@db/metrics".parse()?;
//! assert_eq!(url.to_string(), "postgres://ci:***@db:5432/metrics");
//! assert_eq!(url.destination(), "postgres://db:5432/metrics?schema=profiling");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};

use super::{EventStore, StoreError};
use crate::logging::redact;

mod influx;
mod postgres;

pub use influx::{Identity, InfluxApi, InfluxUrl};
pub use postgres::{PostgresUrl, SslMode};

/// Where events go. See the [module](self) for the forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(PostgresUrl),
    /// An InfluxDB server.
    Influx(InfluxUrl),
    /// A directory of JSON lines.
    Jsonl(PathBuf),
}

impl StoreUrl {
    /// Where the events end up, without secrets and without who brings them: a changed password or
    /// user is the same destination. Paths are made absolute.
    #[must_use]
    pub fn destination(&self) -> String {
        let absolute = |path: &PathBuf| {
            std::path::absolute(path)
                .unwrap_or_else(|_| path.clone())
                .display()
                .to_string()
        };
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", absolute(path)),
            Self::Postgres(url) => url.destination(),
            Self::Influx(url) => url.destination(),
            Self::Jsonl(path) => format!("jsonl:{}", absolute(path)),
        }
    }

    /// A name for what belongs to this destination, such as a spool: the kind of store and the first
    /// half of the SHA-256 of [`destination`](Self::destination), safe as the name of a file.
    ///
    /// ```
    /// use crossbridge_std::profiling::store::StoreUrl;
    ///
    /// let key = |url: &str| url.parse::<StoreUrl>().map(|url| url.key());
    /// assert_eq!(key("postgres://ci:old@db/metrics")?, "postgres-320a6a191fb3dd35");
    /// assert_eq!(key("postgres://ci:old@db/metrics")?, key("postgresql://ops:new@db:5432/metrics")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn key(&self) -> String {
        let digest = Sha256::digest(self.destination().as_bytes());
        let mut key = format!("{}-", self.kind());
        for byte in digest.iter().take(8) {
            key.push_str(&format!("{byte:02x}"));
        }
        key
    }

    /// `sqlite`, `postgres`, `influxdb` or `jsonl`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
            Self::Influx(_) => "influxdb",
            Self::Jsonl(_) => "jsonl",
        }
    }

    /// Opens the store: one attempt, within `timeout`. `None` is 5 s for files, 30 s for servers.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the store; [`Trouble::NotBuilt`](super::Trouble::NotBuilt) where its feature
    /// is off.
    ///
    /// ```
    /// use crossbridge_std::profiling::StoreUrl;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let url: StoreUrl = format!("jsonl:{}", folder.path().display()).parse()?;
    /// let mut store = url.open(None)?;
    /// assert!(store.check(None).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(&self, timeout: Option<Duration>) -> Result<Box<dyn EventStore + Send>, StoreError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(path) => Ok(Box::new(super::SqliteStore::open(path, timeout)?)),
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => Ok(Box::new(super::PostgresStore::open(url.clone(), timeout)?)),
            #[cfg(not(feature = "sqlite"))]
            Self::Sqlite(_) => Err(self.not_built()),
            #[cfg(not(feature = "postgres"))]
            Self::Postgres(_) => Err(self.not_built()),
            #[cfg(feature = "influxdb")]
            Self::Influx(url) => Ok(Box::new(super::InfluxStore::open(url.clone(), timeout)?)),
            #[cfg(not(feature = "influxdb"))]
            Self::Influx(_) => Err(self.not_built()),
            Self::Jsonl(path) => Ok(Box::new(super::JsonlStore::open(path, timeout)?)),
        }
    }

    #[cfg(not(all(feature = "sqlite", feature = "postgres", feature = "influxdb")))]
    pub(super) fn not_built(&self) -> StoreError {
        StoreError {
            doing: "open",
            place: Some(self.to_string()),
            kind: crossbridge_core::FaultKind::Permanent,
            trouble: super::Trouble::NotBuilt(self.kind()),
        }
    }
}

impl FromStr for StoreUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let refuse = |problem: Problem| {
            let shown = match text.split_once(':') {
                Some((scheme, _)) if problem.hidden => format!("{scheme}://{}", redact::MASK),
                _ => redact::text(text).into_owned(),
            };
            Err(UrlError { shown, problem })
        };
        let parsed = match text.split_once(':') {
            Some(("sqlite", "")) => return refuse(Problem::new("a file is missing", SQLITE)),
            Some(("sqlite", ":memory:")) => {
                return refuse(Problem::new("in memory, nothing would be kept", SQLITE));
            }
            Some(("sqlite", file)) if file.starts_with("//") => {
                return refuse(Problem::new("not the form of this URL", SQLITE));
            }
            Some(("sqlite", file)) => Ok(Self::Sqlite(file.into())),
            Some(("jsonl", "")) => return refuse(Problem::new("a directory is missing", JSONL)),
            Some(("jsonl", folder)) if folder.starts_with("//") => {
                return refuse(Problem::new("not the form of this URL", JSONL));
            }
            Some(("jsonl", folder)) => Ok(Self::Jsonl(folder.into())),
            Some(("postgres" | "postgresql", rest)) => PostgresUrl::parse(rest).map(Self::Postgres),
            Some(("influxdb", rest)) => InfluxUrl::parse(rest, false).map(Self::Influx),
            Some(("influxdb+https", rest)) => InfluxUrl::parse(rest, true).map(Self::Influx),
            _ => return refuse(Problem::new("not a store we know", KINDS)),
        };
        parsed.or_else(refuse)
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => url.fmt(f),
            Self::Influx(url) => url.fmt(f),
            Self::Jsonl(path) => write!(f, "jsonl:{}", path.display()),
        }
    }
}

/// A text that is no URL of a store. Its `Display` has no secret in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlError {
    shown: String,
    problem: Problem,
}

impl UrlError {
    /// What to write instead.
    #[must_use]
    pub fn hint(&self) -> &str {
        self.problem.hint
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "store `{}`: {}", self.shown, self.problem.what)
    }
}

impl std::error::Error for UrlError {}

/// What is wrong with a URL and what to write instead; never with a secret in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    what: String,
    hint: &'static str,
    /// What stands where a host should may be a password.
    hidden: bool,
}

impl Problem {
    fn new(what: impl Into<String>, hint: &'static str) -> Self {
        Self {
            what: what.into(),
            hint,
            hidden: false,
        }
    }
}

/// A password or a token: not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// What it is, for the server it is meant for.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(redact::MASK)
    }
}

/// What follows the scheme of a URL with hosts.
struct Parts<'u> {
    user: Option<String>,
    password: Option<Secret>,
    /// One or more, with their ports.
    hosts: Vec<(String, u16)>,
    /// What stands between the first `/` and the `?`, without that `/`.
    path: String,
    parameters: Vec<(Cow<'u, str>, String)>,
}

impl<'u> Parts<'u> {
    fn parse(rest: &'u str, default_port: u16, hint: &'static str) -> Result<Self, Problem> {
        let wrong = |what: &str| Problem::new(what, hint);
        let rest = rest.strip_prefix("//").ok_or_else(|| Problem {
            // `postgres:user:password@host/…`, perhaps.
            hidden: true,
            ..wrong("`//` is missing after the scheme")
        })?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, authority),
        };
        let decoded = |text: &'u str| {
            let bad = || wrong("a `%` that is not followed by the code of a character in UTF-8");
            if !has_codes(text) {
                return Err(bad());
            }
            percent_decode_str(text).decode_utf8().map_err(|_| bad())
        };
        let (mut user, mut password) = (None, None);
        if let Some(login) = login {
            let (name, secret) = login.split_once(':').map_or((login, None), |(n, s)| (n, Some(s)));
            user = (!name.is_empty())
                .then(|| decoded(name))
                .transpose()?
                .map(Cow::into_owned);
            password = secret
                .map(decoded)
                .transpose()?
                .map(|secret| Secret(secret.into_owned()));
        }
        let hosts = hosts
            .split(',')
            .map(|host| self::host(host, default_port).ok_or(host))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|host| match host {
                "" => wrong("a host is missing"),
                _ => Problem {
                    // `user:password` without its `@`, or with a `/` in the password.
                    hidden: host
                        .rsplit(':')
                        .next()
                        .is_none_or(|port| port.parse::<u32>().is_err()),
                    ..wrong("not a host and a port from 1 to 65535")
                },
            })?;
        let mut parameters = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| wrong("a parameter without `=`"))?;
            parameters.push((decoded(name)?, decoded(value)?.into_owned()));
        }
        Ok(Self {
            user,
            password,
            hosts,
            path: decoded(path)?.into_owned(),
            parameters,
        })
    }
}

/// Whether every `%` begins the code of a byte. The decoder would take another one for itself, and a
/// password that has one is a different password then.
fn has_codes(text: &str) -> bool {
    let is_code = |rest: &str| {
        let code = rest.as_bytes().get(..2);
        code.is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit))
    };
    text.split('%').skip(1).all(is_code)
}

/// `host`, `host:port`, `[::1]:port`; an address of version 6 keeps its brackets off. A directory with
/// a socket in it has its `/` as `%2F`.
fn host(text: &str, default_port: u16) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port.strip_prefix(':').or(port.is_empty().then_some("")))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("")),
        },
    };
    let port = match port? {
        "" if !text.ends_with(':') => default_port,
        port => port.parse().ok().filter(|port| *port > 0)?,
    };
    if host.starts_with("%2F") || host.starts_with("%2f") {
        let directory = percent_decode_str(host).decode_utf8().ok();
        let directory = directory.filter(|path| has_codes(host) && !path.contains('\0'));
        return directory.map(|path| (path.into_owned(), port));
    }
    let fits = |c: char| c.is_alphanumeric() || "-._:".contains(c);
    (!host.is_empty() && host.chars().all(fits)).then(|| (host.to_owned(), port))
}

/// `host:port`, comma by comma.
fn write_hosts(hosts: &[(String, u16)]) -> String {
    let one = |(host, port): &(String, u16)| match host {
        path if path.starts_with('/') => format!("{}:{port}", encoded(path)),
        address if address.contains(':') => format!("[{address}]:{port}"),
        name => format!("{name}:{port}"),
    };
    hosts.iter().map(one).collect::<Vec<_>>().join(",")
}

/// A name inside a URL.
fn encoded(text: &str) -> impl fmt::Display + '_ {
    percent_encoding::utf8_percent_encode(text, NAME)
}

/// A path in the value of a parameter.
fn encoded_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    percent_encoding::utf8_percent_encode(&text, PATH).to_string()
}

/// What has a meaning in a URL.
const NAME: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.');
const PATH: &percent_encoding::AsciiSet = &NAME.remove(b'/');

const SQLITE: &str = "write sqlite:FILE, such as sqlite:events.db or sqlite:/var/lib/crossbridge/events.db";
const JSONL: &str = "write jsonl:DIR, such as jsonl:profiles";
const KINDS: &str = "write sqlite:FILE, postgres://USER@HOST/DATABASE, influxdb://HOST/DATABASE or jsonl:DIR";

#[cfg(test)]
mod tests;
