//! Ways to get rows into SQLite.

use std::error::Error;

use crossbridge_std::profiling::{Event, EventStore, Millis, Seconds, SqliteStore};
use rusqlite::{Connection, TransactionBehavior, params};
use tempfile::TempDir;

use crate::{BATCH, EVENTS, InTurns};

/// Both, with the file of this turn.
pub(crate) struct Ways {
    events: Vec<Event>,
    rows: Vec<Row>,
    turn: Option<Turn>,
}

/// Closed before its directory goes.
struct Turn {
    ours: SqliteStore,
    bare: Connection,
    _folder: TempDir,
}

/// An event as a client without a library of ours would hold it.
struct Row {
    texts: [String; 5],
    step: Option<String>,
    numbers: [Option<f64>; 3],
    created: Option<String>,
    metadata: serde_json::Map<String, serde_json::Value>,
}

const INSERT: &str = "INSERT INTO profiling_events (event_id, run_id, test_id, event_type, framework, \
    step_name, start_time, end_time, duration_ms, created_at, metadata) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

impl Ways {
    pub(crate) fn new(events: Vec<Event>) -> Result<Self, Box<dyn Error>> {
        let row = |event: &Event| Row {
            texts: [
                event.event_id.clone(),
                event.run_id.clone(),
                event.test_id.clone(),
                event.event_type.as_str().to_owned(),
                event.framework.clone(),
            ],
            step: event.step_name.clone(),
            numbers: [
                event.start_time.map(Seconds::get),
                event.end_time.map(Seconds::get),
                event.duration_ms.map(Millis::get),
            ],
            created: event.created_at.map(|at| at.to_string()),
            metadata: event.metadata.clone().into(),
        };
        Ok(Self {
            rows: events.iter().map(row).collect(),
            events,
            turn: None,
        })
    }

    fn turn(&mut self) -> Result<&mut Turn, Box<dyn Error>> {
        self.turn.as_mut().ok_or_else(|| "no turn is prepared".into())
    }
}

impl InTurns for Ways {
    fn names(&self) -> Vec<&'static str> {
        vec![
            "crossbridge, batches of 2 000",
            "bare prepared INSERT, transactions of 2 000",
            "bare prepared INSERT, transactions of 100",
        ]
    }

    /// A new file, made by us, open twice.
    fn prepare(&mut self, _place: usize) -> Result<usize, Box<dyn Error>> {
        self.turn = None;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("events.db");
        let ours = SqliteStore::open(&file, None)?;
        let bare = Connection::open(&file)?;
        bare.execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -32768")?;
        self.turn = Some(Turn {
            ours,
            bare,
            _folder: folder,
        });
        Ok(EVENTS)
    }

    fn run(&mut self, place: usize, _count: usize) -> Result<(), Box<dyn Error>> {
        let events = std::mem::take(&mut self.events);
        let rows = std::mem::take(&mut self.rows);
        let turn = self.turn()?;
        if place == 0 {
            for batch in events.chunks(BATCH) {
                turn.ours.write(batch, None)?;
            }
        } else {
            for batch in rows.chunks(if place == 1 { BATCH } else { 100 }) {
                insert(&mut turn.bare, batch)?;
            }
        }
        (self.events, self.rows) = (events, rows);
        Ok(())
    }

    fn verify(&mut self, place: usize, count: usize) -> Result<(), Box<dyn Error>> {
        let found = self.turn()?.ours.count()?;
        if usize::try_from(found) == Ok(count) {
            Ok(())
        } else {
            Err(format!("way {place}: {found} rows, expected {count}").into())
        }
    }
}

fn insert(connection: &mut Connection, batch: &[Row]) -> Result<(), Box<dyn Error>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut insert = transaction.prepare_cached(INSERT)?;
        for row in batch {
            let [event, run, test, kind, framework] = &row.texts;
            let [start, end, duration] = row.numbers;
            let metadata = serde_json::to_string(&row.metadata)?;
            insert.execute(params![
                event,
                run,
                test,
                kind,
                framework,
                row.step,
                start,
                end,
                duration,
                row.created,
                metadata
            ])?;
        }
    }
    transaction.commit()?;
    Ok(())
}
