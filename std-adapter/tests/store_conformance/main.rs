//! One suite for the port of stores, run on every backend, the one in memory first.
//!
//! A check gets a [`Place`] of its own, empty, that it may open as often as it likes.

mod backends;
mod checks;

#[cfg(feature = "sqlite")]
use backends::Sqlite;
use backends::{Memory, Place};

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

#[cfg(all(feature = "postgres", feature = "servers"))]
#[test]
fn postgres() {
    use backends::PostgresSchema;
    use crossbridge_std::servers::Postgres;

    let server = Postgres::start().unwrap_or_else(|error| panic!("{error}"));
    run(|name| PostgresSchema::new(&server, name));
}
