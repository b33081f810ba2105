//! Crossbridge's state machines bound to the real world: clocks, files, databases.
//!
//! The [core](crossbridge_core) decides; this crate reads clocks, sleeps, parses, stores and
//! classifies what goes wrong. Policies come from one file, `crossbridge.yml` ([`config`]), which
//! the replay reads too.
//!
//! | module | binds | needs |
//! |---|---|---|
//! | [`clock`], [`sleeper`], [`entropy`] | time, sleep, randomness | nothing; feature `fast-clock` for `FastClock` |
//! | [`config`] | `crossbridge.yml` to guards | nothing |
//! | [`reload`] | a `crossbridge.yml` that changes to guards that keep what they know | nothing |
//! | [`classify`] | SQLSTATE, SQLite codes, HTTP statuses, I/O errors to kinds of faults | nothing |
//! | [`logging`] | events to structured log records | nothing |
//! | [`profiling`] | test reports to profiling events to a store | JSON lines: nothing; feature `sqlite` (default): nothing running; features `postgres`, `influxdb`: a server |
//! | `servers` | real servers, started and killed by tests | feature `servers`, their programs |
//!
//! ```no_run
//! use crossbridge_core::Guard;
//! use crossbridge_std::clock::SystemClock;
//! use crossbridge_std::config::Config;
//! use crossbridge_std::{entropy, sleeper::ThreadSleeper};
//! # fn query() -> Result<u64, crossbridge_core::FaultKind> { Ok(1) }
//!
//! let config = Config::load(None)?;
//! let mut guard = Guard::new(config.path("database")?.guard)?;
//! let clock = SystemClock::new();
//! let rows = guard.call(&clock, &mut ThreadSleeper, &mut entropy::generator(), |_attempt| query());
//! # let _ = rows;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod classify;
pub mod clock;
pub mod config;
pub mod entropy;
pub mod logging;
pub mod profiling;
pub mod reload;
#[cfg(feature = "servers")]
pub mod servers;
pub mod sleeper;
#[cfg(any(feature = "influxdb", feature = "postgres"))]
mod tls;
