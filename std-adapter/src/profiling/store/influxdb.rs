//! A store on an InfluxDB server: version 1, and the write API of version 2.
//!
//! ```text
//!   write ─▶ lines ─▶ (gzip) ─▶ POST ─┬─ 204 ─▶ (read back) ─▶ written
//!                                   ├─ 400 ─▶ permanent: the caller halves the batch, see `ingest`
//!                                   ├─ 429, 503 ─▶ throttled, with the wait that was asked for
//!                                   └─ no answer ─▶ unknown: the same again is harmless
//! ```
//!
//! # Points
//! An event is one point. Its measurement is its type; the field `event` holds the whole event as JSON,
//! which is what [`get`](EventStore::get) reads. Beside it stand, for queries, always with one type, so
//! that no event can be refused for another one's: `duration_ms`, `start_time`, `end_time`, and from the
//! metadata `status`, `endpoint`, `method`, `command` (texts), `status_code`, `retry_count`,
//! `cpu_percent`, `memory_mb` (numbers).
//!
//! # Identity
//! InfluxDB keeps one point per measurement, tags and time; a second one overwrites it. So what makes an
//! event itself has to be in the tags or in the time, and each has a price:
//!
//! | `identity=` | tags | time | price |
//! |---|---|---|---|
//! | `time`, the default | `framework`, `slot` (16 384) | the second of `created_at`, the nanoseconds from a hash of the id | order inside a second is lost in the index (not in `event`); of *k* events of one type, framework and second, two collapse with a probability of *k*² / 3.3 × 10¹³: 3 in 10 million for 3 000, 1 in 3 000 for 100 000 |
//! | `tag` | `event_id`, `run_id`, `test_id`, `framework`, `step_name` | `created_at` | exact; a series per event. A server with its defaults refuses the 100 001st id of a type (`max-values-per-tag`) and the 1 000 001st series |
//!
//! Use one of them per database. An event without `created_at`, or with one outside the years 1678 to
//! 2261, stands in the first days of 1970: with `time` somewhere in 3.2 days, where 100 000 collapse with a
//! probability of 10⁻⁹. A retention policy drops it; the server says so, and it is refused.
//!
//! # Not there
//! - A batch is not atomic: with an error, a part of it may be stored. Written again, it is whole.
//! - The server does not say which events it had: they count as new.
//! - TLS. Queries in Flux: with version 2, `count` and `get` are refused.

use std::collections::HashSet;
use std::io::Write as _;
use std::time::Duration;

use crossbridge_core::FaultKind;
use flate2::Compression;
use flate2::write::GzEncoder;

use self::answer::Rows;
use self::http::{Body, Client, Failure, Limit};
use super::url::{Identity, InfluxApi, InfluxUrl};
use super::{EventStore, StoreError, Trouble, Written, json};
use crate::profiling::event::{Event, EventType};

mod answer;
mod http;
mod line;

/// Keeps events in a database or a bucket of an InfluxDB server. See the [module](super::influxdb) for
/// what it guarantees.
///
/// ```no_run
/// use crossbridge_std::profiling::store::{InfluxStore, StoreUrl};
/// use crossbridge_std::profiling::{Event, EventStore, EventType};
///
/// let StoreUrl::Influx(url) = "influxdb://localhost/metrics".parse()? else { unreachable!() };
/// let mut store = InfluxStore::open(url, None)?;
/// store.write(&[Event::new("id", "run", "test", EventType::TestEnd)], None)?;
/// assert_eq!(store.count()?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct InfluxStore {
    url: InfluxUrl,
    name: String,
    client: Client,
}

impl InfluxStore {
    /// Asks the server whether it takes writes, within `timeout`, 30 s for `None`.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: the server cannot be reached, has no such database, or does not let us in.
    pub fn open(url: InfluxUrl, timeout: Option<Duration>) -> Result<Self, StoreError> {
        let name = url.to_string();
        let client = Client::new(&url).map_err(|error| StoreError {
            doing: "open",
            place: Some(name.clone()),
            kind: FaultKind::Permanent,
            trouble: Trouble::Insecure(Box::new(error)),
        })?;
        let mut store = Self { name, client, url };
        store.reach("open", timeout)?;
        Ok(store)
    }

    fn error(&self, doing: &'static str, failure: Failure) -> StoreError {
        StoreError {
            doing,
            place: Some(self.name.clone()),
            kind: failure.kind,
            trouble: failure.trouble,
        }
    }

    /// A write of nothing: the server looks at the login and at the database, and stores nothing.
    fn reach(&mut self, doing: &'static str, timeout: Option<Duration>) -> Result<(), StoreError> {
        let done = self.client.write(Body::Plain(&[]), &limit(timeout));
        done.or_else(|failure| match (self.url.api(), failure.status) {
            // Version 2 refuses an empty body, once it has let us in.
            (InfluxApi::V2 { .. }, Some(400)) => Ok(()),
            _ => Err(self.error(doing, failure)),
        })
    }

    /// Rows of a query; refused where there is no `InfluxQL`.
    fn query(&self, doing: &'static str, text: &str, time: &Limit) -> Result<Rows, StoreError> {
        let rows = match self.url.api() {
            InfluxApi::V1 { .. } => self.client.query(text, time),
            InfluxApi::V2 { .. } => Err(Failure::new(FaultKind::Permanent, Trouble::NoQueries)),
        };
        rows.map_err(|failure| self.error(doing, failure))
    }

    /// Whether the server shows what it has acknowledged.
    fn read_back(&self, batch: &[&Event], time: &Limit) -> Result<(), StoreError> {
        let times = || {
            batch
                .iter()
                .map(|event| line::Place::of(event, self.url.identity()).time)
        };
        let (Some(first), Some(last)) = (times().min(), times().max()) else {
            return Ok(());
        };
        let text = format!(
            "SELECT event, event_id FROM {} WHERE time >= {first} AND time <= {last}",
            measurements()
        );
        let rows = self.query("read back", &text, time)?;
        let found: HashSet<_> = rows.column("event_id").collect();
        let there = |event: &&&Event| found.contains(&*line::short_id(&event.event_id));
        let missing = batch.len() - batch.iter().filter(there).count();
        if missing == 0 {
            return Ok(());
        }
        let of = batch.len();
        let failure = Failure::new(FaultKind::Transient, Trouble::NotKept { missing, of });
        Err(self.error("read back", failure))
    }
}

impl EventStore for InfluxStore {
    fn write(&mut self, batch: &[Event], timeout: Option<Duration>) -> Result<Written, StoreError> {
        let time = limit(timeout);
        // The server keeps the last of two equal points, we the first.
        let mut ids = HashSet::with_capacity(batch.len());
        let events: Vec<_> = batch
            .iter()
            .filter(|event| ids.insert(&*event.event_id))
            .collect();
        let mut rest = events.iter().peekable();
        if rest.peek().is_none() {
            self.reach("write", timeout)?;
        }
        let mut lines = Vec::new();
        while let Some(event) = rest.next() {
            line::write(event, self.url.identity(), &mut lines);
            if lines.len() < BODY_BYTES && rest.peek().is_some() {
                continue;
            }
            let body = if self.url.gzip() {
                gzip(&lines)
            } else {
                Body::Plain(&lines)
            };
            let sent = self.client.write(body, &time);
            sent.map_err(|failure| self.error("write", failure))?;
            lines.clear();
        }
        if self.url.read_back() {
            self.read_back(&events, &time)?;
        }
        let count = |number| u64::try_from(number).unwrap_or(u64::MAX);
        Ok(Written {
            new: count(events.len()),
            already_there: count(batch.len() - events.len()),
        })
    }

    fn count(&mut self) -> Result<u64, StoreError> {
        let text = format!("SELECT count(event) FROM {}", measurements());
        let rows = self.query("count", &text, &limit(None))?;
        Ok(rows.numbers("count").sum())
    }

    fn get(&mut self, event_id: &str) -> Result<Option<Event>, StoreError> {
        let narrow = match self.url.identity() {
            Identity::Time => format!(" AND slot = '{}'", line::Place::hashed(event_id).slot),
            Identity::Tag => String::new(),
        };
        let text = format!(
            "SELECT event, event_id FROM {} WHERE event_id = '{}'{narrow}",
            measurements(),
            line::short_id(event_id)
        );
        let rows = self.query("read", &text, &limit(None))?;
        for text in rows.column("event") {
            let event = json::event(text.as_bytes()).map_err(|what| {
                let what = format!("event `{event_id}`: {what}");
                self.error(
                    "read",
                    Failure::new(FaultKind::Permanent, Trouble::Unreadable(what)),
                )
            })?;
            if event.event_id == event_id {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn check(&mut self, timeout: Option<Duration>) -> Result<(), StoreError> {
        self.reach("check", timeout)
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// Compressed for speed: the lines of events are much alike.
fn gzip(lines: &[u8]) -> Body<'static> {
    let mut body = GzEncoder::new(Vec::new(), Compression::fast());
    // Into memory, which does not fail.
    let _ = body.write_all(lines);
    Body::Gzip(body.finish().unwrap_or_default())
}

/// Until when, from now on.
fn limit(timeout: Option<Duration>) -> Limit {
    Limit::after(timeout.unwrap_or(DEFAULT_TIMEOUT))
}

/// Ours, whatever else is in the database.
fn measurements() -> String {
    EventType::ALL.map(|kind| format!("\"{kind}\"")).join(",")
}

/// How much text goes into a request before it is compressed. The server takes 25 MB by default.
const BODY_BYTES: usize = 4 << 20;

/// How long an attempt without a timeout takes at most.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(all(test, feature = "servers"))]
mod tests;
