//! The URL of a PostgreSQL database.

use std::fmt;
#[cfg(feature = "postgres")]
use std::path::Path;
use std::path::PathBuf;

use super::{Parts, Problem, Secret, encoded, encoded_path, write_hosts};
use crate::logging::redact;
#[cfg(feature = "postgres")]
use crate::tls::Check;

/// A database of a PostgreSQL server, and the schema in it.
///
/// `postgres://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…]/DATABASE[?PARAMETER=VALUE&…]`, with `%40` for
/// an `@` in a name and so on. A host that begins with `%2F` is the directory of a Unix socket, such as
/// `postgres://ci@%2Frun%2Fpostgresql/metrics`. Of several hosts, the first one that takes writes is used, at every new
/// connection.
///
/// | parameter | values | default |
/// |---|---|---|
/// | `schema` | where the tables are | `profiling` |
/// | `application_name` | what the server shows | `crossbridge` |
/// | `target_session_attrs` | `any`, `read-write` | `read-write` with several hosts, else `any` |
/// | `sslmode` | see [`SslMode`] | `disable` |
/// | `sslrootcert` | a file in PEM with the authorities to trust, or `system` | `system`: those of the operating system |
///
/// `sslrootcert` together with `sslmode=require` checks as much as `verify-ca`, as in libpq.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresUrl {
    user: Option<String>,
    password: Option<Secret>,
    hosts: Vec<(String, u16)>,
    database: String,
    schema: String,
    application_name: String,
    read_write: bool,
    ssl_mode: SslMode,
    ssl_root_cert: Option<RootCert>,
}

/// Whether a session is encrypted, and what the server has to prove before it hears of a password: the
/// words and meanings of [libpq](https://www.postgresql.org/docs/current/libpq-ssl.html), whose default
/// is `prefer`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SslMode {
    /// `disable`: not encrypted. A server that insists on TLS refuses us.
    #[default]
    Disable,
    /// `prefer`, and `allow`: encrypted where the server can do it. Whoever is in between can say that
    /// it cannot.
    Prefer,
    /// `require`: encrypted, with whoever answers.
    Require,
    /// `verify-ca`: encrypted, with a server whose certificate an authority has signed.
    VerifyCa,
    /// `verify-full`: that, and the name of the host is in `subjectAltName` of the certificate.
    VerifyFull,
}

/// `sslrootcert`: whom to trust.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RootCert {
    System,
    File(PathBuf),
}

impl PostgresUrl {
    /// What follows `postgres:`.
    pub(super) fn parse(rest: &str) -> Result<Self, Problem> {
        let parts = Parts::parse(rest, 5432, HINT)?;
        let wrong = |what: String| Err(Problem::new(what, HINT));
        if parts.path.is_empty() || parts.path.contains('/') {
            return wrong("a database is missing".to_owned());
        }
        let mut url = Self {
            read_write: parts.hosts.len() > 1,
            user: parts.user,
            password: parts.password,
            hosts: parts.hosts,
            database: parts.path,
            schema: DEFAULT_SCHEMA.to_owned(),
            application_name: "crossbridge".to_owned(),
            ssl_mode: SslMode::default(),
            ssl_root_cert: None,
        };
        for (name, value) in parts.parameters {
            match (&*name, value.as_str()) {
                ("schema" | "application_name", "") => return wrong(format!("`{name}` is empty")),
                ("schema", _) => url.schema = value,
                ("application_name", _) => url.application_name = value,
                ("target_session_attrs", "any") => url.read_write = false,
                ("target_session_attrs", "read-write") => url.read_write = true,
                ("target_session_attrs", _) => {
                    return wrong("`target_session_attrs`: expected any or read-write".to_owned());
                }
                ("sslmode", mode) => {
                    let expected = "`sslmode`: expected disable, prefer, require, verify-ca or verify-full";
                    url.ssl_mode = SslMode::parse(mode).ok_or_else(|| Problem::new(expected, HINT))?;
                }
                ("sslrootcert", "") => return wrong("`sslrootcert` is empty".to_owned()),
                ("sslrootcert", "system") => url.ssl_root_cert = Some(RootCert::System),
                ("sslrootcert", _) => url.ssl_root_cert = Some(RootCert::File(value.into())),
                _ => {
                    return wrong(format!(
                        "unknown parameter `{name}`, expected schema, application_name, \
                         target_session_attrs, sslmode or sslrootcert"
                    ));
                }
            }
        }
        if url.ssl_root_cert.is_some() && matches!(url.ssl_mode, SslMode::Disable | SslMode::Prefer) {
            let expected = "expected `sslmode` to be require, verify-ca or verify-full";
            return wrong(format!(
                "`sslrootcert` where no certificate is looked at, {expected}"
            ));
        }
        let names = [&url.database, &url.schema, &url.application_name];
        if names.into_iter().chain(&url.user).any(|name| name.contains('\0')) {
            return wrong("a NUL character in a name".to_owned());
        }
        Ok(url)
    }

    /// The schema the tables are in.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// Where the events end up.
    pub(super) fn destination(&self) -> String {
        format!(
            "postgres://{}/{}?schema={}",
            write_hosts(&self.hosts),
            encoded(&self.database),
            encoded(&self.schema)
        )
    }

    /// The same for the client library.
    #[cfg(feature = "postgres")]
    pub(in crate::profiling::store) fn config(&self) -> tokio_postgres::Config {
        use tokio_postgres::config::{SslMode as Mode, TargetSessionAttrs};

        let mut config = tokio_postgres::Config::new();
        for (host, port) in &self.hosts {
            config.host(host).port(*port);
        }
        if let Some(user) = &self.user {
            config.user(user);
        }
        if let Some(password) = &self.password {
            config.password(password.reveal());
        }
        config
            .dbname(&self.database)
            .application_name(&self.application_name)
            .ssl_mode(match self.ssl_mode {
                SslMode::Disable => Mode::Disable,
                SslMode::Prefer => Mode::Prefer,
                SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Mode::Require,
            })
            .target_session_attrs(if self.read_write {
                TargetSessionAttrs::ReadWrite
            } else {
                TargetSessionAttrs::Any
            });
        config
    }

    /// What the server has to prove; `None` where there is no TLS.
    #[cfg(feature = "postgres")]
    pub(in crate::profiling::store) const fn check(&self) -> Option<Check> {
        match self.ssl_mode {
            SslMode::Disable => None,
            SslMode::Require if self.ssl_root_cert.is_some() => Some(Check::Authority),
            SslMode::Prefer | SslMode::Require => Some(Check::Nothing),
            SslMode::VerifyCa => Some(Check::Authority),
            SslMode::VerifyFull => Some(Check::Name),
        }
    }

    /// The file of the authorities to trust; `None` is those of the system.
    #[cfg(feature = "postgres")]
    pub(in crate::profiling::store) fn authorities(&self) -> Option<&Path> {
        match &self.ssl_root_cert {
            Some(RootCert::File(file)) => Some(file),
            Some(RootCert::System) | None => None,
        }
    }
}

impl SslMode {
    /// The word of libpq.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "disable" => Self::Disable,
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = &self.user {
            encoded(user).fmt(f)?;
        }
        if self.password.is_some() {
            write!(f, ":{}", redact::MASK)?;
        }
        if self.user.is_some() || self.password.is_some() {
            f.write_str("@")?;
        }
        write!(f, "{}/{}", write_hosts(&self.hosts), encoded(&self.database))?;
        // Who copies this from a message gets what is as safe.
        let schema = (self.schema != DEFAULT_SCHEMA).then(|| format!("schema={}", encoded(&self.schema)));
        let mode =
            (self.ssl_mode != SslMode::default()).then(|| format!("sslmode={}", self.ssl_mode.as_str()));
        let authorities = self.ssl_root_cert.as_ref().map(|authorities| match authorities {
            RootCert::System => "sslrootcert=system".to_owned(),
            RootCert::File(file) => format!("sslrootcert={}", encoded_path(file)),
        });
        let shown = [schema, mode, authorities].into_iter().flatten();
        for (sign, parameter) in std::iter::once('?').chain(std::iter::repeat('&')).zip(shown) {
            write!(f, "{sign}{parameter}")?;
        }
        Ok(())
    }
}

const DEFAULT_SCHEMA: &str = "profiling";
const HINT: &str = "write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %40 for an `@` in a name, and a host such as \
    %2Frun%2Fpostgresql for the directory of a socket";
