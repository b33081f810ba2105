//! A proxy of ours on the way to the server.

use crossbridge_harness::proxy::Proxy;
use crossbridge_harness::proxy::toxic::{Bytes, Direction, Effect, SqlError, SqlPlace, Toxic};

use crate::delivery::{Delivery, quick};

/// Three batches and a half.
const EVENTS: u32 = 7_000;

#[test]
fn a_connection_that_is_cut_after_any_number_of_bytes() {
    let mut delivery = Delivery::with(quick());
    let upstream = delivery.server.address().to_string();
    let proxy = Proxy::start(1, "cut", "127.0.0.1:0", &upstream, true).unwrap();
    delivery.through(&proxy);
    // A session is set up with some 1 040 bytes up and 810 down; then a batch has 390 kB up, and down
    // there are the answers, 21 bytes to COPY and 18 to COMMIT.
    let up = [
        0, 1, 91, 300, 600, 700, 950, 1_036, 1_100, 10_000, 66_000, 131_000, 263_000, 385_000,
    ];
    let down = [0, 1, 421, 600, 700, 770, 805, 812, 820, 828, 834, 840, 846, 852];
    let cuts = up.map(|bytes| (Direction::Upstream, bytes)).into_iter();
    let cuts = cuts.chain(down.map(|bytes| (Direction::Downstream, bytes)));
    let mut written = 0;
    for (stream, bytes) in cuts {
        let next = written + 2_000;
        // The first connection is cut; the one after it is not.
        proxy
            .put_toxic(toxic(Effect::Cut(Bytes { bytes }), stream, Some(1), None))
            .unwrap();
        let ran = delivery.write(written..next, "patient");
        assert_eq!(ran.code, Some(0), "{stream:?} {bytes}: {ran:?}");
        written = next;
        // The key keeps each from being there twice.
        let found = delivery
            .server
            .sql("select count(*) from profiling.events")
            .unwrap();
        assert_eq!(found, written.to_string(), "{stream:?} {bytes}");
    }
    // Every connection is cut: nothing gets through, everything is kept.
    proxy
        .put_toxic(toxic(
            Effect::Cut(Bytes { bytes: 100_000 }),
            Direction::Upstream,
            None,
            None,
        ))
        .unwrap();
    let ran = delivery.write(written..written + EVENTS, "hasty");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert_eq!(delivery.spooled(), u64::from(EVENTS));
    proxy.retain_toxics(|_| false).unwrap();
    delivery.drain();
    delivery.exactly_once(written + EVENTS, "cut");
}

/// Our transactions are read committed, in which the server has no reason for this one: a proxy says it.
#[test]
fn a_server_that_cannot_serialize() {
    let mut delivery = Delivery::with(quick());
    let upstream = delivery.server.address().to_string();
    let proxy = Proxy::start(1, "sql", "127.0.0.1:0", &upstream, true).unwrap();
    delivery.through(&proxy);
    let error = Effect::SqlError(SqlError {
        sqlstate: "40001".to_owned(),
        message: None,
        at: SqlPlace::Query,
    });
    proxy
        .put_toxic(toxic(error, Direction::Upstream, None, Some(9)))
        .unwrap();
    let ran = delivery.write(0..EVENTS, "patient");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    delivery.exactly_once(EVENTS, "serialization failure");
}

fn toxic(effect: Effect, stream: Direction, first: Option<u64>, every: Option<u64>) -> Toxic {
    Toxic {
        effect,
        name: "toxic".to_owned(),
        stream,
        toxicity: 1.0,
        first,
        every,
    }
}
