//! What a server does on a bad day, one thing at a time.

use std::process::{Command, Stdio};
use std::time::Duration;

use crossbridge_core::Clock as _;
use crossbridge_std::clock::SystemClock;
use crossbridge_std::profiling::StoreUrl;
use crossbridge_std::servers::Signal;

use crate::delivery::{Delivery, quick, uuid};

/// Three batches and a half.
const EVENTS: u32 = 7_000;

/// Of the second one.
const IN_THE_MIDDLE: u32 = 3_456;

#[test]
fn a_server_that_dies_in_the_middle_of_a_batch() {
    for signal in [Signal::KILL, Signal::QUIT] {
        let mut delivery = Delivery::new();
        delivery.stop_at(IN_THE_MIDDLE);
        let writer = delivery.start(0..EVENTS, "hasty");
        delivery.has_stopped();
        delivery.server.kill(signal).unwrap();
        let ran = writer.wait_with_output().unwrap();
        assert_eq!(ran.status.code(), Some(4), "{ran:?}");
        delivery.server.restart().unwrap();
        // The batch it died in was rolled back, the one before was not.
        assert_eq!(
            delivery
                .server
                .sql("select count(*) from profiling.events")
                .unwrap(),
            "2000"
        );
        assert_eq!(delivery.spooled(), u64::from(EVENTS) - 2_000);
        delivery.stop_no_more();
        delivery.drain();
        delivery.exactly_once(EVENTS, &format!("{signal:?}"));
    }
}

/// The writer has to notice by itself: a frozen server keeps its connections open.
#[test]
fn a_server_that_is_frozen_and_thawed() {
    let mut delivery = Delivery::new();
    delivery.stop_at(IN_THE_MIDDLE);
    let clock = SystemClock::new();
    let writer = delivery.start(0..EVENTS, "hasty");
    delivery.has_stopped();
    delivery.server.signal(Signal::STOP).unwrap();
    let frozen_at = clock.now();
    let ran = writer.wait_with_output().unwrap();
    let took = clock.now().saturating_duration_since(frozen_at);
    assert_eq!(ran.status.code(), Some(4), "{ran:?}");
    // Three attempts of 1.5 s, the last one for the spool, and what a loaded machine adds.
    assert!(took < Duration::from_secs(20), "{took:?}");
    // Nor does one that finds it frozen hang.
    let ran = delivery.profile(&["drain"], "hasty");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    delivery.server.signal(Signal::CONT).unwrap();
    delivery.stop_no_more();
    assert_eq!(delivery.spooled(), u64::from(EVENTS) - 2_000);
    delivery.drain();
    delivery.exactly_once(EVENTS, "frozen");
}

#[test]
fn a_server_that_is_not_there() {
    let mut delivery = Delivery::with(quick());
    delivery.server.kill(Signal::INT).unwrap();
    let ran = delivery.write(0..EVENTS, "hasty");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("Connection refused"), "{}", ran.stderr);
    assert_eq!(delivery.spooled(), u64::from(EVENTS));
    delivery.server.restart().unwrap();
    delivery.drain();
    delivery.exactly_once(EVENTS, "refused");
}

#[test]
fn a_server_with_too_many_connections() {
    let options = quick()
        .setting("max_connections", "2")
        .setting("superuser_reserved_connections", "0")
        .setting("max_wal_senders", "0");
    let delivery = Delivery::with(options);
    let url: StoreUrl = delivery.server.url("postgres").parse().unwrap();
    let all = [url.open(None).unwrap(), url.open(None).unwrap()];
    let ran = delivery.write(0..EVENTS, "hasty");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("SQLSTATE 53300"), "{}", ran.stderr);
    drop(all);
    delivery.drain();
    delivery.exactly_once(EVENTS, "too many connections");
}

#[test]
fn a_server_that_is_read_only() {
    let delivery = Delivery::with(quick());
    let set = |value: &str| {
        let statement = format!("alter system set default_transaction_read_only = {value}");
        delivery.server.sql(&statement).unwrap();
        delivery.server.sql("select pg_reload_conf()").unwrap();
        let shows = format!("select current_setting('default_transaction_read_only') = '{value}'");
        delivery.wait_until(&shows);
    };
    set("on");
    let ran = delivery.write(0..EVENTS, "hasty");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("read-only"), "{}", ran.stderr);
    assert_eq!(delivery.spooled(), u64::from(EVENTS));
    set("off");
    delivery.drain();
    delivery.exactly_once(EVENTS, "read-only");
}

/// Somebody has one of our rows and wants another one that we have: the server lets one of us go.
#[test]
fn a_writer_that_is_the_victim_of_a_deadlock() {
    use std::io::Write as _;

    let delivery = Delivery::with(quick());
    let insert = |n: u32| {
        let key = uuid(n);
        format!(
            "insert into profiling.events (event_key, run_id, test_id, event_type, framework, metadata) \
             values ('{key}', '', '', '', '', '{{}}');\n"
        )
    };
    let mut other = Command::new(delivery.server.bin().join("psql"))
        .args(["-XAtq", "-d", &delivery.server.url("postgres")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = other.stdin.take().unwrap();
    // It looks for deadlocks long after the writer did.
    write!(input, "set deadlock_timeout = '1min'; begin;\n{}", insert(1_500)).unwrap();
    delivery.wait_until("select count(*) > 0 from pg_stat_activity where state = 'idle in transaction'");
    let writer = delivery.start(0..EVENTS, "patient");
    delivery.wait_until("select count(*) > 0 from pg_stat_activity where wait_event = 'transactionid'");
    write!(input, "{}", insert(10)).unwrap();
    delivery.wait_until("select deadlocks > 0 from pg_stat_database where datname = 'postgres'");
    writeln!(input, "rollback;").unwrap();
    drop(input);
    assert!(other.wait().unwrap().success());
    let ran = writer.wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    delivery.exactly_once(EVENTS, "deadlock");
}
