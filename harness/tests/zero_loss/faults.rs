//! What a server does on a bad day, one thing at a time.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use crossbridge_core::Clock as _;
use crossbridge_std::clock::SystemClock;
use crossbridge_std::profiling::StoreUrl;
use crossbridge_std::servers::Signal;

use crate::delivery::{Delivery, quick, uuid};
use crate::support::running::{Running, will_retry};

/// Two batches and a half.
const EVENTS: u32 = 5_000;

/// A batch and a half, for a server that takes none.
const FEW: u32 = 3_000;

/// Of the second one.
const IN_THE_MIDDLE: u32 = 3_456;

/// All on one server: to make one takes longer than most of them.
#[test]
fn a_server_has_one_bad_day_after_the_other() {
    let options = quick()
        .setting("max_connections", "8")
        .setting("superuser_reserved_connections", "0")
        .setting("max_wal_senders", "0");
    let mut delivery = Delivery::with(options);
    for day in [
        it_is_killed_in_the_middle_of_a_batch,
        it_goes_down_at_once_in_the_middle_of_a_batch,
        it_is_frozen_and_thawed,
        it_is_not_there,
        it_is_not_there_and_neither_are_its_shippers,
        it_has_too_many_connections,
        it_is_read_only,
        it_lets_us_go_to_end_a_deadlock,
    ] {
        delivery.clear();
        day(&mut delivery);
    }
}

fn it_is_killed_in_the_middle_of_a_batch(delivery: &mut Delivery) {
    it_ends_in_the_middle_of_a_batch(delivery, Signal::KILL);
}

fn it_goes_down_at_once_in_the_middle_of_a_batch(delivery: &mut Delivery) {
    it_ends_in_the_middle_of_a_batch(delivery, Signal::QUIT);
}

fn it_ends_in_the_middle_of_a_batch(delivery: &mut Delivery, signal: Signal) {
    delivery.stop_at(IN_THE_MIDDLE);
    let events = delivery.next(EVENTS);
    let writer = delivery.start(events, "hasty");
    delivery.has_stopped();
    delivery.server.kill(signal).unwrap();
    let ran = writer.wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(4), "{ran:?}");
    delivery.server.restart().unwrap();
    // The batch it died in was rolled back, the one before was not.
    assert_eq!(delivery.stored(), 2_000);
    assert_eq!(delivery.spooled(), EVENTS - 2_000);
    delivery.stop_no_more();
    delivery.drain();
    delivery.exactly_once(&format!("{signal:?}"));
}

/// The writer has to notice by itself: a frozen server keeps its connections open.
fn it_is_frozen_and_thawed(delivery: &mut Delivery) {
    delivery.stop_at(IN_THE_MIDDLE);
    let clock = SystemClock::new();
    let events = delivery.next(EVENTS);
    let writer = delivery.start(events, "brief");
    delivery.has_stopped();
    delivery.server.signal(Signal::STOP).unwrap();
    let frozen_at = clock.now();
    let ran = writer.wait_with_output().unwrap();
    let took = clock.now().saturating_duration_since(frozen_at);
    assert_eq!(ran.status.code(), Some(4), "{ran:?}");
    // Three attempts of 3 s, the last one for the spool, and what a loaded machine adds.
    assert!(took < Duration::from_secs(60), "{took:?}");
    // Nor does one that finds it frozen hang.
    let ran = delivery.profile(&["drain"], "brief");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    delivery.server.signal(Signal::CONT).unwrap();
    delivery.stop_no_more();
    assert_eq!(delivery.spooled(), EVENTS - 2_000);
    delivery.drain();
    delivery.exactly_once("frozen");
}

fn it_is_not_there(delivery: &mut Delivery) {
    delivery.server.kill(Signal::INT).unwrap();
    let events = delivery.next(FEW);
    let ran = delivery.write(events, "hasty");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("Connection refused"), "{}", ran.stderr);
    assert_eq!(delivery.spooled(), FEW);
    delivery.server.restart().unwrap();
    delivery.drain();
    delivery.exactly_once("refused");
}

/// One shipper is killed while it waits for the server, and the next one while the server has half of a
/// batch in its hands.
fn it_is_not_there_and_neither_are_its_shippers(delivery: &mut Delivery) {
    delivery.stop_at(IN_THE_MIDDLE);
    delivery.server.kill(Signal::KILL).unwrap();
    let events = delivery.next(EVENTS);
    let ran = delivery.write(events, "hasty");
    assert_eq!(ran.code, Some(4), "{ran:?}");

    let mut shipper = Running::start(delivery.command(&["drain"], "chatty"));
    shipper.wait_for(2, will_retry);
    shipper.kill();
    assert_eq!(delivery.spooled(), EVENTS);

    delivery.server.restart().unwrap();
    let shipper = Running::start(delivery.command(&["drain"], "chatty"));
    delivery.has_stopped();
    shipper.kill();
    // One batch has left the spool for the store; the other is in the spool until it is in the store.
    assert_eq!(delivery.stored(), 2_000);
    assert_eq!(delivery.spooled(), EVENTS - 2_000);
    delivery.stop_no_more();
    delivery.drain();
    assert_eq!(delivery.spooled(), 0);
    delivery.exactly_once("killed shippers");
}

fn it_has_too_many_connections(delivery: &mut Delivery) {
    let url: StoreUrl = delivery.server.url("postgres").parse().unwrap();
    let all: Vec<_> = std::iter::from_fn(|| url.open(None).ok()).collect();
    let events = delivery.next(FEW);
    let ran = delivery.write(events, "hasty");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("SQLSTATE 53300"), "{}", ran.stderr);
    drop(all);
    let rest = "select count(*) = 1 from pg_stat_activity where backend_type = 'client backend'";
    delivery.wait_until(rest);
    delivery.drain();
    delivery.exactly_once("too many connections");
}

fn it_is_read_only(delivery: &mut Delivery) {
    let events = delivery.next(FEW);
    let set = |value: &str| {
        let statement = format!("alter system set default_transaction_read_only = {value}");
        delivery.server.sql(&statement).unwrap();
        delivery.server.sql("select pg_reload_conf()").unwrap();
        let shows = format!("select current_setting('default_transaction_read_only') = '{value}'");
        delivery.wait_until(&shows);
    };
    set("on");
    let ran = delivery.write(events, "hasty");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("read-only"), "{}", ran.stderr);
    assert_eq!(delivery.spooled(), FEW);
    set("off");
    delivery.drain();
    delivery.exactly_once("read-only");
}

/// Somebody has one of our rows and wants another one that we have: the server lets one of us go.
fn it_lets_us_go_to_end_a_deadlock(delivery: &mut Delivery) {
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
    let events = delivery.next(EVENTS);
    let writer = delivery.start(events, "patient");
    delivery.wait_until("select count(*) > 0 from pg_stat_activity where wait_event = 'transactionid'");
    write!(input, "{}", insert(10)).unwrap();
    delivery.wait_until("select deadlocks > 0 from pg_stat_database where datname = 'postgres'");
    writeln!(input, "rollback;").unwrap();
    drop(input);
    assert!(other.wait().unwrap().success());
    let ran = writer.wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    delivery.exactly_once("deadlock");
}
