//! One suite for the port of stores, run on every backend, the one in memory first.
//!
//! A check gets a [`Place`] of its own, empty, that it may open as often as it likes.

mod backends;
mod checks;

#[cfg(feature = "sqlite")]
use backends::Sqlite;
use backends::{Jsonl, Memory, Place};

/// Every check, each on a place that is new.
fn run<P: Place + Sync>(new: impl Fn(&str) -> P) {
    for (name, check) in checks::ALL {
        let place = new(name);
        check(&place);
    }
}

#[test]
fn memory() {
    run(|_| Memory);
}

#[cfg(feature = "sqlite")]
#[test]
fn sqlite() {
    run(|_| Sqlite::new());
}

#[test]
fn jsonl() {
    run(|_| Jsonl::new());
}

#[cfg(all(feature = "postgres", feature = "servers"))]
#[test]
fn postgres() {
    use backends::PostgresSchema;
    use crossbridge_std::servers::Postgres;

    let server = Postgres::start().unwrap_or_else(|error| panic!("{error}"));
    run(|name| PostgresSchema::new(&server, name));
}

#[cfg(all(feature = "influxdb", feature = "servers"))]
#[test]
fn influxdb() {
    use backends::InfluxDatabase;
    use crossbridge_std::servers::InfluxDb;

    let server = InfluxDb::start().unwrap_or_else(|error| panic!("{error}"));
    run(|name| InfluxDatabase::new(&server, name, "identity=time&gzip=true"));
    // A series per event: so many take the server long.
    let short = |(name, _): &&(&str, _)| *name != "a_hundred_thousand_events";
    for (name, check) in checks::ALL.iter().filter(short) {
        let parameters = "identity=tag&read_back=true";
        check(&InfluxDatabase::new(
            &server,
            &format!("{name} by-tag"),
            parameters,
        ));
    }
}
