//! Ways to get rows into PostgreSQL.

use std::error::Error;
use std::time::SystemTime;

use crossbridge_std::profiling::store::StoreUrl;
use crossbridge_std::profiling::{Event, EventStore, Millis, Seconds};
use crossbridge_std::servers::Postgres;
use postgres::binary_copy::BinaryCopyInWriter;
use postgres::types::{Json, ToSql, Type};
use postgres::{Client, NoTls, Statement};
use uuid::Uuid;

use crate::{BATCH, EVENTS, InTurns, SLOW_EVENTS};

/// Everybody, on one server and one table.
pub(crate) struct Ways {
    ours: Box<dyn EventStore + Send>,
    client: Client,
    insert: Statement,
    events: Vec<Event>,
    rows: Vec<Row>,
}

/// An event as a client without a library of ours would hold it.
struct Row {
    key: Uuid,
    start: Option<f64>,
    duration: Option<f64>,
    created: Option<SystemTime>,
    run: String,
    test: String,
    kind: &'static str,
    framework: String,
    step: Option<String>,
    metadata: Json<serde_json::Map<String, serde_json::Value>>,
}

impl Row {
    fn values(&self) -> [&(dyn ToSql + Sync); 10] {
        [
            &self.key,
            &self.start,
            &self.duration,
            &self.created,
            &self.run,
            &self.test,
            &self.kind,
            &self.framework,
            &self.step,
            &self.metadata,
        ]
    }
}

const TYPES: [Type; 10] = [
    Type::UUID,
    Type::FLOAT8,
    Type::FLOAT8,
    Type::TIMESTAMPTZ,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::JSONB,
];

const COLUMNS: &str = "event_key, start_time, duration_ms, created_at, run_id, test_id, event_type, \
    framework, step_name, metadata";

impl Ways {
    pub(crate) fn connect(server: &Postgres, events: &[Event]) -> Result<Self, Box<dyn Error>> {
        let url: StoreUrl = server.url("postgres").parse()?;
        // First, for it makes the table.
        let ours = url.open(None)?;
        let mut client = Client::connect(&server.url("postgres"), NoTls)?;
        let places: Vec<_> = (1..=TYPES.len()).map(|place| format!("${place}")).collect();
        let insert = client.prepare(&format!(
            "INSERT INTO profiling.events ({COLUMNS}) VALUES ({})",
            places.join(", ")
        ))?;
        let row = |event: &Event| -> Result<Row, Box<dyn Error>> {
            Ok(Row {
                key: event.event_id.parse()?,
                start: event.start_time.map(Seconds::get),
                duration: event.duration_ms.map(Millis::get),
                created: event.created_at.map(SystemTime::from),
                run: event.run_id.clone(),
                test: event.test_id.clone(),
                kind: event.event_type.as_str(),
                framework: event.framework.clone(),
                step: event.step_name.clone(),
                metadata: Json(event.metadata.clone().into()),
            })
        };
        Ok(Self {
            ours,
            client,
            insert,
            events: events.to_vec(),
            rows: events.iter().map(row).collect::<Result<_, _>>()?,
        })
    }

    fn ours(&mut self, count: usize) -> Result<(), Box<dyn Error>> {
        for batch in self.events.get(..count).unwrap_or_default().chunks(BATCH) {
            self.ours.write(batch, None)?;
        }
        Ok(())
    }

    fn copy(&mut self, count: usize) -> Result<(), Box<dyn Error>> {
        let statement = format!("COPY profiling.events ({COLUMNS}) FROM STDIN BINARY");
        for batch in self.rows.get(..count).unwrap_or_default().chunks(BATCH) {
            let sink = self.client.copy_in(&statement)?;
            let mut writer = BinaryCopyInWriter::new(sink, &TYPES);
            for row in batch {
                writer.write(&row.values())?;
            }
            writer.finish()?;
        }
        Ok(())
    }

    fn insert_each(&mut self, count: usize) -> Result<(), Box<dyn Error>> {
        for row in self.rows.get(..count).unwrap_or_default() {
            self.client.execute(&self.insert, &row.values())?;
        }
        Ok(())
    }

    fn insert_by_hundred(&mut self, count: usize) -> Result<(), Box<dyn Error>> {
        for hundred in self.rows.get(..count).unwrap_or_default().chunks(100) {
            let mut transaction = self.client.transaction()?;
            for row in hundred {
                transaction.execute(&self.insert, &row.values())?;
            }
            transaction.commit()?;
        }
        Ok(())
    }
}

impl InTurns for Ways {
    fn names(&self) -> Vec<&'static str> {
        vec![
            "crossbridge, batches of 2 000",
            "bare binary COPY, batches of 2 000",
            "one INSERT and commit per event",
            "one INSERT per event, commit per 100",
            "crossbridge, every event there already",
        ]
    }

    fn prepare(&mut self, place: usize) -> Result<usize, Box<dyn Error>> {
        // Empties the table, or fills it where that is the point.
        if place != 4 {
            self.client
                .batch_execute("TRUNCATE profiling.events; CHECKPOINT")?;
        } else {
            self.ours(EVENTS)?;
        }
        Ok(if place == 2 || place == 3 {
            SLOW_EVENTS
        } else {
            EVENTS
        })
    }

    fn run(&mut self, place: usize, count: usize) -> Result<(), Box<dyn Error>> {
        match place {
            1 => self.copy(count),
            2 => self.insert_each(count),
            3 => self.insert_by_hundred(count),
            _ => self.ours(count),
        }
    }

    fn verify(&mut self, place: usize, count: usize) -> Result<(), Box<dyn Error>> {
        let row = self
            .client
            .query_one("SELECT count(*) FROM profiling.events", &[])?;
        let found: i64 = row.get(0);
        if usize::try_from(found) == Ok(count) {
            Ok(())
        } else {
            Err(format!("way {place}: {found} rows, expected {count}").into())
        }
    }
}
