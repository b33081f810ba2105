//! Profiling: what tests did and how long it took, from files and reporters into a store.
//!
//! ```text
//!   JSONL ────┐                                       ┌── MemoryStore
//!             ├── source::open ── Item::Event ── batch ── EventStore::write
//!   reports ──┘      │                                ├── SqliteStore   (feature sqlite)
//!                    │                                ├── PostgresStore (feature postgres)
//!                    │                                ├── InfluxStore   (feature influxdb)
//!                    │                                └── JsonlStore
//!                    ├── Item::Rejected, Item::Warning    ▲
//!                    └── Summary                          │ when it is back
//!   Collector::record ── memory ── spool ─────────────────┘
//! ```
//!
//! - [`event`] is the model: seventeen kinds of event, times as validated `f64`.
//! - [`source`] reads files as streams and says what is in them, bad lines included.
//! - [`payload`] reads the bodies of requests, for a live endpoint.
//! - [`store`] is the port a guard calls: one attempt per call, idempotent by event id.
//! - [`ingest`] is the way from the one to the other: batches, through a guard, counted.
//! - [`watch`] asks a store by a schedule how it is, and listens to what writes find.
//! - `spool` keeps on disk what the store cannot take now, and what it refuses (feature `sqlite`).
//! - `collector` takes events from a running program, without being in its way (feature `sqlite`).
//! - [`deliver`] and [`reach`] are what the last three have in common: how a batch gets into a store,
//!   and when a store that is down is asked again.
//! - [`query`] is the way back: what was slow, what is flaky, what failed.
//!
//! Reading the same file twice stores it once: an event without an id of its own gets one from
//! its content and its position ([`identity`]), and a store ignores an id that it has.
//!
//! ```
//! use crossbridge_std::profiling::source::{Item, Options};
//! use crossbridge_std::profiling::store::{EventStore, MemoryStore, Written};
//! use crossbridge_std::profiling::source;
//!
//! let line = br#"{"run_id":"r1","test_id":"a::b","event_type":"test_end","duration_ms":250.125}"#;
//! let mut store = MemoryStore::new();
//! for expected in [Written { new: 1, already_there: 0 }, Written { new: 0, already_there: 1 }] {
//!     let mut batch = Vec::new();
//!     for item in source::open(&line[..], Options::named("events.jsonl"))? {
//!         if let Item::Event(event) = item? {
//!             batch.push(event);
//!         }
//!     }
//!     assert_eq!(store.write(&batch, None)?, expected);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "sqlite")]
pub mod collector;
pub mod deliver;
pub mod event;
pub mod identity;
pub mod ingest;
pub mod payload;
pub mod query;
pub mod reach;
pub mod sampling;
pub mod settings;
pub mod source;
#[cfg(feature = "sqlite")]
pub mod spool;
pub mod store;
pub mod watch;

#[cfg(feature = "sqlite")]
pub use collector::Collector;
pub use event::{BadNumber, Event, EventType, Metadata, Millis, Seconds, Status, UnknownEventType};
pub use ingest::{Counts, Ingest, IngestError, Notice};
pub use sampling::Sampling;
pub use settings::{CollectorSettings, Durability, Limits, Overflow, ProfilingSettings};
pub use source::{Item, Options, Rejected, Source, SourceError, SourceKind, Summary, Warning};
#[cfg(feature = "sqlite")]
pub use spool::{Spool, SpoolCounts, SpoolError, SpoolPlace};
#[cfg(feature = "influxdb")]
pub use store::InfluxStore;
#[cfg(feature = "postgres")]
pub use store::PostgresStore;
#[cfg(feature = "sqlite")]
pub use store::SqliteStore;
pub use store::{EventStore, JsonlStore, LazyStore, MemoryStore, StoreError, StoreUrl, UrlError, Written};
