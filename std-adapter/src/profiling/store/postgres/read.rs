//! A row back into an event.

use serde_json::{Map, Value};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};
use uuid::Uuid;

use super::copy::timestamp;
use crate::profiling::event::{Event, format_timestamp};
use crate::profiling::store::row::Raw;

/// The event of a row with the columns of [`COLUMNS`](super::copy::COLUMNS) and the metadata as text.
pub(super) fn event(row: &Row) -> Result<Event, String> {
    columns(row).map_err(|bad| bad.to_string())?.into_event()
}

fn columns(row: &Row) -> Result<Raw, Box<dyn std::error::Error>> {
    let key: Uuid = row.try_get(0)?;
    let id: Option<String> = row.try_get(6)?;
    let created = row.try_get::<_, Option<Micros>>(4)?;
    let left: Option<i16> = row.try_get(5)?;
    let created = created.and_then(|Micros(micros)| timestamp(micros, left.unwrap_or(0)));
    let raw = Raw {
        event: [
            id.unwrap_or_else(|| key.to_string()),
            row.try_get(7)?,
            row.try_get(8)?,
            row.try_get(9)?,
            row.try_get(10)?,
        ],
        step_name: row.try_get(11)?,
        numbers: [row.try_get(1)?, row.try_get(2)?, row.try_get(3)?],
        created_at: created.map(format_timestamp),
        metadata: row.try_get(14)?,
    };
    match row.try_get::<_, Option<String>>(13)? {
        None => Ok(raw),
        Some(exact) => restored(raw, &exact),
    }
}

/// The texts as they were before they were made to fit.
fn restored(raw: Raw, exact: &str) -> Result<Raw, Box<dyn std::error::Error>> {
    type Exact = (
        String,
        String,
        String,
        String,
        Option<String>,
        Option<String>,
        Map<String, Value>,
    );
    let (event_id, run_id, test_id, framework, step_name, created_at, metadata): Exact =
        serde_json::from_str(exact)?;
    let [_, _, _, event_type, _] = raw.event;
    Ok(Raw {
        event: [event_id, run_id, test_id, event_type, framework],
        step_name,
        numbers: raw.numbers,
        created_at,
        metadata: Value::Object(metadata).to_string(),
    })
}

/// A `timestamptz`: microseconds since the year 2000.
struct Micros(i64);

impl FromSql<'_> for Micros {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(i64::from_be_bytes(raw.try_into()?)))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::TIMESTAMPTZ
    }
}
