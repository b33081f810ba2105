//! A TCP proxy that does to a connection what a bad day does, by seed and number.
//!
//! It stands between a real client and a real server. Its vocabulary and its [API](api) are
//! toxiproxy's, so that toxiproxy's clients drive it; to these come the faults that cannot be had
//! there, and scripts: the faults of a [scenario](script), played by the clock.
//!
//! ```text
//!                    ┌─ port ──── refuses, hangs, or accepts
//!   client ──▶ accept thread ──▶ one thread per connection (pump) ◀──▶ server
//!                                     │  what was read, now
//!                                     ▼
//!                                connection: tap, links of stages      decides, without I/O
//!                    ▲
//!   API, script ─────┘ change toxics; every connection sees it before its next byte
//! ```
//!
//! # Toxics
//!
//! | type | attributes (default) | does |
//! |---|---|---|
//! | `latency` | `latency`, `jitter` ms (0) | delays everything by `latency ± jitter` |
//! | `bandwidth` | `rate` kB/s (0: nothing passes) | limits the rate |
//! | `slow_close` | `delay` ms (0) | delays the end of the stream |
//! | `timeout` | `timeout` ms (0: never) | drops everything, closes the connection after that |
//! | `reset_peer` | `timeout` ms (0) | resets the connection so long after the first byte |
//! | `slicer` | `average_size`, `size_variation` bytes, `delay` µs (0) | cuts into slices |
//! | `limit_data` | `bytes` (0) | closes the connection after so many bytes |
//! | `cut` | `bytes` (0) | resets the connection after so many bytes |
//! | `refuse` | | refuses connections |
//! | `hang` | | never completes the handshake (Linux), or never serves |
//! | `slow` | `factor` (1), `add` ms (0) | an answer that took `t` takes `factor * t + add` |
//! | `http_error` | `status` (503), `retry_after` s, `body` | answers HTTP/1 requests |
//! | `throttle` | `rate` (1), `per` µs (1 s), `burst` (1), `retry_after` s | answers 429 beyond a quota |
//! | `sql_error` | `sqlstate` (40001), `message`, `at`: `startup`, `query` (`query`) | answers PostgreSQL |
//!
//! `down` is a proxy that is not `enabled`. `toxicity` is the share of connections a toxic meets; `first`
//! and `every` meet the first so many, or every so-manieth. `http_error`, `throttle` and `sql_error` at a
//! query count requests instead. `stream` says which direction the first eight work in.
//!
//! # Rules
//!
//! - The same seed gives the same choice for connection number n, and the same draws inside it, whatever
//!   other connections and toxics do. The seed is [`stream`](crate::stream)'s.
//! - Toxics of one direction are a chain, in the order in which they were added.
//! - Where nothing escapes a `refuse` or `hang`, it is the kernel that refuses or drops the handshake. Where
//!   some connections escape, the others have been accepted by then: they are reset at once, or left
//!   alone.
//! - A proxy has a thread per connection and no timers: a connection at rest costs nothing.
//! - A link holds 4 MiB at most; then the sender feels it.
//!
//! It decides by bytes and instants, in [`connection`], which is tested in virtual time.

mod accept;
pub mod api;
pub mod connection;
pub mod link;
pub mod live;
mod port;
mod postgres;
mod pump;
pub mod script;
mod server;
mod stage;
mod tap;
pub mod toxic;

pub use server::{Proxy, View};
