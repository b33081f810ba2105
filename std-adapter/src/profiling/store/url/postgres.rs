//! The URL of a PostgreSQL database.

use std::fmt;

use super::{Parts, Problem, Secret, encoded, write_hosts};
use crate::logging::redact;

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
/// | `sslmode` | `disable`, `prefer` | `disable`: there is no TLS in this client |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresUrl {
    user: Option<String>,
    password: Option<Secret>,
    hosts: Vec<(String, u16)>,
    database: String,
    schema: String,
    application_name: String,
    read_write: bool,
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
                ("sslmode", "disable" | "allow" | "prefer") => {}
                ("sslmode", _) => {
                    return wrong("`sslmode`: this client has no TLS, expected disable or prefer".to_owned());
                }
                _ => {
                    return wrong(format!(
                        "unknown parameter `{name}`, expected schema, application_name, \
                         target_session_attrs or sslmode"
                    ));
                }
            }
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
        use tokio_postgres::config::{SslMode, TargetSessionAttrs};

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
            .ssl_mode(SslMode::Disable)
            .target_session_attrs(if self.read_write {
                TargetSessionAttrs::ReadWrite
            } else {
                TargetSessionAttrs::Any
            });
        config
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
        if self.schema != DEFAULT_SCHEMA {
            write!(f, "?schema={}", encoded(&self.schema))?;
        }
        Ok(())
    }
}

const DEFAULT_SCHEMA: &str = "profiling";
const HINT: &str = "write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %40 for an `@` in a name, and a host such as \
    %2Frun%2Fpostgresql for the directory of a socket";
