//! One naive oracle per machine, too simple to be wrong, under random inputs.
//!
//! The inputs are the same on every run. `PROPTEST_RNG_SEED` draws others and `PROPTEST_CASES`
//! draws more; a failure prints the seed that repeats it.

mod adaptive_limit;
mod adaptive_rate;
mod adaptive_shared;
mod backoff;
mod breaker;
mod breaker_edges;
mod breaker_model;
mod breaker_shared;
mod budget;
mod budget_shared;
mod bulkhead;
mod bulkhead_adaptive;
mod bulkhead_waiters;
mod flapping;
mod guard;
mod inputs;
mod keyed;
mod monitor;
mod rate_limit;
mod rate_limit_edges;
mod reserve;
mod retry;
mod retry_call;
mod shared_guard;
mod shared_monitor;
mod shared_rate;
mod snapshot;
mod summary;
mod tiers;

use inputs::{A_DAY, any_nanos, any_span, check, log_uniform, per_mille};
