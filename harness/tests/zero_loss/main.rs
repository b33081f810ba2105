//! The program, a real PostgreSQL server, and everything that can happen to either: every accepted event
//! is stored, exactly once and as it was.

#[path = "../support/profile.rs"]
mod support;

mod deaths;
mod delivery;
mod disk;
mod failover;
mod faults;
mod network;
mod story;
