//! The backends the suite runs on.

use crossbridge_std::profiling::{EventStore, MemoryStore};

/// Where a store keeps its events.
pub(crate) trait Place {
    /// A store there. For one that [`lasts`](Self::lasts), a second one sees what the first has kept.
    fn open(&self) -> Box<dyn EventStore + Send>;

    /// Whether events outlive the store.
    fn lasts(&self) -> bool {
        true
    }

    /// Whether a store knows of an event of another batch that it has it: else it counts as new, and
    /// the last one of an id stays and not the first.
    fn knows_what_it_has(&self) -> bool {
        true
    }

    /// Has the backend refuse the event of this id from now on, for what it is. False when it has no
    /// way to.
    fn poison(&self, _event_id: &str) -> bool {
        false
    }
}

/// In memory.
pub(crate) struct Memory;

impl Place for Memory {
    fn open(&self) -> Box<dyn EventStore + Send> {
        Box::new(MemoryStore::new())
    }

    fn lasts(&self) -> bool {
        false
    }
}

/// A file in a directory of its own.
#[cfg(feature = "sqlite")]
pub(crate) struct Sqlite(tempfile::TempDir);

#[cfg(feature = "sqlite")]
impl Sqlite {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("events.db")
    }
}

#[cfg(feature = "sqlite")]
impl Place for Sqlite {
    fn open(&self) -> Box<dyn EventStore + Send> {
        Box::new(crossbridge_std::profiling::SqliteStore::open(self.path(), None).unwrap())
    }

    fn poison(&self, event_id: &str) -> bool {
        drop(self.open());
        let output = std::process::Command::new("sqlite3")
            .arg(self.path())
            .arg(format!(
                "CREATE TRIGGER poison BEFORE INSERT ON profiling_events WHEN new.event_id = '{event_id}' \
                 BEGIN SELECT raise(ABORT, 'poisoned'); END"
            ))
            .output()
            .expect("`sqlite3` is not there; it is installed by: apt-get install sqlite3");
        assert!(output.status.success(), "{output:?}");
        true
    }
}

/// A schema in a database of a real server.
#[cfg(all(feature = "postgres", feature = "servers"))]
pub(crate) struct PostgresSchema<'s> {
    server: &'s crossbridge_std::servers::Postgres,
    schema: String,
}

#[cfg(all(feature = "postgres", feature = "servers"))]
impl<'s> PostgresSchema<'s> {
    pub(crate) fn new(server: &'s crossbridge_std::servers::Postgres, name: &str) -> Self {
        Self {
            server,
            // A name that has to be quoted.
            schema: format!("Check {name}"),
        }
    }
}

#[cfg(all(feature = "postgres", feature = "servers"))]
impl Place for PostgresSchema<'_> {
    fn open(&self) -> Box<dyn EventStore + Send> {
        let schema = self.schema.replace(' ', "%20");
        let url = format!("{}?schema={schema}", self.server.url("postgres"));
        let url: crossbridge_std::profiling::StoreUrl = url.parse().unwrap();
        url.open(None)
            .unwrap_or_else(|error| panic!("{error}: {error:?}"))
    }

    fn poison(&self, event_id: &str) -> bool {
        drop(self.open());
        let schema = &self.schema;
        self.server
            .sql(&format!(
                "CREATE FUNCTION \"{schema}\".poison() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE 'poisoned' USING ERRCODE = '22023'; END $$; \
                 CREATE TRIGGER poison BEFORE INSERT ON \"{schema}\".events FOR EACH ROW \
                 WHEN (new.event_id = '{event_id}') EXECUTE FUNCTION \"{schema}\".poison()"
            ))
            .unwrap();
        true
    }
}

/// A directory that is not there yet.
pub(crate) struct Jsonl(tempfile::TempDir);

impl Jsonl {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Place for Jsonl {
    fn open(&self) -> Box<dyn EventStore + Send> {
        let url = format!("jsonl:{}", self.0.path().join("profiles").display());
        let url: crossbridge_std::profiling::StoreUrl = url.parse().unwrap();
        url.open(None)
            .unwrap_or_else(|error| panic!("{error}: {error:?}"))
    }
}

/// A database of a real server.
#[cfg(all(feature = "influxdb", feature = "servers"))]
pub(crate) struct InfluxDatabase(String);

#[cfg(all(feature = "influxdb", feature = "servers"))]
impl InfluxDatabase {
    pub(crate) fn new(server: &crossbridge_std::servers::InfluxDb, name: &str, parameters: &str) -> Self {
        server.create_database(name).unwrap();
        Self(format!("{}?{parameters}", server.url(name)))
    }
}

#[cfg(all(feature = "influxdb", feature = "servers"))]
impl Place for InfluxDatabase {
    fn open(&self) -> Box<dyn EventStore + Send> {
        let url: crossbridge_std::profiling::StoreUrl = self.0.parse().unwrap();
        url.open(None)
            .unwrap_or_else(|error| panic!("{error}: {error:?}"))
    }

    fn knows_what_it_has(&self) -> bool {
        false
    }
}
