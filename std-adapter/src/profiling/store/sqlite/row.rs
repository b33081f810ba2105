//! An event as a row of SQLite, and back.

use rusqlite::{Row, Statement};

use crate::profiling::event::{Event, Millis, Seconds, format_timestamp};
pub(in crate::profiling) use crate::profiling::store::row::Raw;

/// The columns of an event, in the order of [`bind`] and [`read`].
pub(in crate::profiling) const COLUMNS: &str = "event_id, run_id, test_id, event_type, framework, \
    step_name, start_time, end_time, duration_ms, created_at, metadata";

/// Binds an event to the first eleven parameters.
pub(in crate::profiling) fn bind(statement: &mut Statement<'_>, event: &Event) -> rusqlite::Result<()> {
    let metadata = serde_json::to_string(&event.metadata)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    statement.raw_bind_parameter(1, &event.event_id)?;
    statement.raw_bind_parameter(2, &event.run_id)?;
    statement.raw_bind_parameter(3, &event.test_id)?;
    statement.raw_bind_parameter(4, event.event_type.as_str())?;
    statement.raw_bind_parameter(5, &event.framework)?;
    statement.raw_bind_parameter(6, &event.step_name)?;
    statement.raw_bind_parameter(7, event.start_time.map(Seconds::get))?;
    statement.raw_bind_parameter(8, event.end_time.map(Seconds::get))?;
    statement.raw_bind_parameter(9, event.duration_ms.map(Millis::get))?;
    statement.raw_bind_parameter(10, event.created_at.map(format_timestamp))?;
    statement.raw_bind_parameter(11, metadata)
}

/// Reads the first eleven columns.
pub(in crate::profiling) fn read(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok(Raw {
        event: [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?],
        step_name: row.get(5)?,
        numbers: [row.get(6)?, row.get(7)?, row.get(8)?],
        created_at: row.get(9)?,
        metadata: row.get(10)?,
    })
}
