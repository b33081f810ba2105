//! Another server at the same address.

use crossbridge_harness::proxy::Proxy;
use crossbridge_std::profiling::{EventStore as _, StoreUrl};
use crossbridge_std::servers::{Postgres, Signal};

use crate::delivery::{Delivery, quick};

/// Two batches and a half.
const EVENTS: u32 = 5_000;

/// From now on the address leads to another server.
fn take_over(proxy: &Proxy, server: &Postgres) {
    let listen = proxy.address().to_string();
    proxy
        .update(&listen, &server.address().to_string(), true)
        .unwrap();
}

#[test]
fn another_server_takes_over() {
    let mut delivery = Delivery::with(quick());
    let upstream = delivery.server.address().to_string();
    let proxy = Proxy::start(1, "address", "127.0.0.1:0", &upstream, true).unwrap();
    delivery.through(&proxy);
    a_standby_takes_over_in_the_middle_of_a_batch(&mut delivery, &proxy);
    delivery.clear();
    an_empty_server_takes_over(&mut delivery, &proxy);
}

/// The server dies in the middle of a batch. What it acknowledged is on its synchronous standby, which
/// takes its place; the writer finds the way by itself.
fn a_standby_takes_over_in_the_middle_of_a_batch(delivery: &mut Delivery, proxy: &Proxy) {
    let standby = delivery.server.standby().unwrap();
    delivery
        .server
        .sql("alter system set synchronous_standby_names = '*'")
        .unwrap();
    delivery.server.sql("select pg_reload_conf()").unwrap();
    delivery.wait_until("select count(*) = 1 from pg_stat_replication where sync_state = 'sync'");
    delivery.stop_at(3_456);
    let events = delivery.next(EVENTS);
    let writer = delivery.start(events, "patient");
    delivery.has_stopped();
    delivery.server.kill(Signal::KILL).unwrap();
    // For a while the address leads to a server that takes no writes.
    take_over(proxy, &standby);
    assert_eq!(standby.sql("select pg_promote()").unwrap(), "t");
    // What was acknowledged, and nothing of the batch that was not.
    assert_eq!(
        standby.sql("select count(*) from profiling.events").unwrap(),
        "2000"
    );
    delivery.server = standby;
    delivery.stop_no_more();
    let ran = writer.wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    delivery.exactly_once("failover");
}

/// What is spooled reaches a new server that has never seen any of it, tables included.
fn an_empty_server_takes_over(delivery: &mut Delivery, proxy: &Proxy) {
    delivery.server.kill(Signal::KILL).unwrap();
    let events = delivery.next(EVENTS);
    let ran = delivery.write(events, "hasty");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    delivery.server = quick().start().unwrap();
    take_over(proxy, &delivery.server);
    delivery.drain();
    delivery.exactly_once("an empty server");
    // It has the tables of any other one.
    let url: StoreUrl = delivery.server.url("postgres").parse().unwrap();
    assert_eq!(url.open(None).unwrap().count().unwrap(), u64::from(EVENTS));
}
