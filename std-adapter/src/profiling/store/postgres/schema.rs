//! The schema and its versions.
//!
//! `schema_version` counts the migrations that a schema has had. Each runs once, all that are missing
//! in one transaction under an advisory lock, so several clients may start at once and a schema is
//! never between two versions. One that is up to date is only looked at, which needs no right to
//! change it. Migrations can be run again: without its `schema_version`, a schema gets back what
//! somebody has dropped, and keeps its events.

use super::connection::{Deadline, Failure, Session};

/// Why a schema is not used.
#[derive(Debug)]
pub(super) enum Refusal {
    Failed(Failure),
    Newer { found: i64, known: i64 },
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Brings the schema of that name to the newest version.
pub(super) fn prepare(session: &mut Session, name: &str, deadline: &Deadline) -> Result<(), Refusal> {
    if version(session, name, deadline)? == KNOWN {
        return Ok(());
    }
    let schema = quoted(name);
    // Held until the transaction ends; the second number keeps schemas apart.
    let begin = format!(
        "BEGIN; SET LOCAL lock_timeout = {}; SELECT pg_advisory_xact_lock({LOCK}, hashtext('{}'))",
        millis(deadline),
        name.replace('\'', "''"),
    );
    session.execute(&begin, deadline)?;
    // Asked again under the lock: another client may have been faster.
    let found = version(session, name, deadline)?;
    let Some(missing) = usize::try_from(found)
        .ok()
        .and_then(|found| MIGRATIONS.get(found..))
    else {
        session.execute("ROLLBACK", deadline)?;
        return Err(Refusal::Newer { found, known: KNOWN });
    };
    let mut statements = format!(
        "CREATE SCHEMA IF NOT EXISTS {schema}; \
         CREATE TABLE IF NOT EXISTS {schema}.schema_version (version bigint NOT NULL); "
    );
    for migration in missing {
        statements.push_str(&migration.replace("{schema}", &schema));
    }
    statements.push_str(&format!(
        "; DELETE FROM {schema}.schema_version; INSERT INTO {schema}.schema_version VALUES ({KNOWN}); COMMIT"
    ));
    session.execute(&statements, deadline)?;
    Ok(())
}

/// How many migrations the schema has had; none where there is no schema, or no table of events in it.
fn version(session: &mut Session, name: &str, deadline: &Deadline) -> Result<i64, Refusal> {
    // Asked of the catalogue itself: `to_regclass` may answer from before the lock.
    let there = session.query(
        "SELECT relname::text FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace spaces \
         ON spaces.oid = relnamespace WHERE nspname = $1 AND relname IN ('schema_version', 'events')",
        &[&name],
        deadline,
    )?;
    let is_there = |table: &str| {
        there
            .iter()
            .any(|row| row.try_get(0).is_ok_and(|name: &str| name == table))
    };
    if !is_there("schema_version") {
        return Ok(0);
    }
    // Somebody may have made that table anew, with a type of his own.
    let query = format!("SELECT max(version)::bigint FROM {}.schema_version", quoted(name));
    let rows = session.query(&query, &[], deadline)?;
    let found: Option<i64> = match rows.first() {
        Some(row) => row.try_get(0).map_err(Failure::Client)?,
        None => None,
    };
    match found.unwrap_or(0).max(0) {
        found if found > KNOWN => Err(Refusal::Newer { found, known: KNOWN }),
        // Whoever dropped the events wants to begin anew.
        found => Ok(if is_there("events") { found } else { 0 }),
    }
}

/// A name as SQL takes it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What is left of the deadline as PostgreSQL's settings take it: whole milliseconds, where 0 would
/// mean no limit.
pub(super) fn millis(deadline: &Deadline) -> i32 {
    i32::try_from(deadline.left().as_millis())
        .unwrap_or(i32::MAX)
        .max(1)
}

/// The first half of the advisory lock: `crbr`.
const LOCK: i32 = 0x6372_6272;

const KNOWN: i64 = MIGRATIONS.len() as i64;

/// One text per version, never changed once released, and harmless where it has run already.
///
/// The views have the names and columns of the tables of the Python implementation; further columns
/// follow after those. They are views because an event is then one row of one COPY: written once and
/// whole, or not at all.
const MIGRATIONS: [&str; 1] = [include_str!("schema/1.sql")];
