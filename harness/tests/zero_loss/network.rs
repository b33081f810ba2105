//! A proxy of ours on the way to the server.

use crossbridge_harness::proxy::Proxy;
use crossbridge_harness::proxy::toxic::{Bytes, Direction, Effect, SqlError, SqlPlace, Toxic};

use crate::delivery::{Delivery, quick};
use crate::support::running::{Running, will_retry};

#[test]
fn a_connection_that_is_cut_or_given_errors() {
    let mut delivery = Delivery::with(quick());
    let upstream = delivery.server.address().to_string();
    let proxy = Proxy::start(1, "cut", "127.0.0.1:0", &upstream, true).unwrap();
    delivery.through(&proxy);
    // A session is set up with some 1 040 bytes up and 810 down; then a batch of 1 000 has 195 kB up,
    // and down there are the answers, 21 bytes to COPY and 18 to COMMIT.
    let up = [0, 91, 1_036, 66_000, 190_000];
    let down = [0, 600, 820, 834, 846];
    let cuts = up.map(|bytes| (Direction::Upstream, bytes)).into_iter();
    let cuts = cuts.chain(down.map(|bytes| (Direction::Downstream, bytes)));
    for (stream, bytes) in cuts {
        // The first connection is cut; the one after it is not.
        proxy
            .put_toxic(toxic(Effect::Cut(Bytes { bytes }), stream, Some(1), None))
            .unwrap();
        let events = delivery.next(1_000);
        let ran = delivery.write(events, "patient");
        assert_eq!(ran.code, Some(0), "{stream:?} {bytes}: {ran:?}");
        // The key keeps each from being there twice.
        assert_eq!(delivery.stored(), delivery.events, "{stream:?} {bytes}");
    }
    // Every connection is cut: nothing gets through, everything is kept.
    let cut = Effect::Cut(Bytes { bytes: 100_000 });
    proxy
        .put_toxic(toxic(cut, Direction::Upstream, None, None))
        .unwrap();
    let events = delivery.next(5_000);
    let ran = delivery.write(events, "hasty");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert_eq!(delivery.spooled(), 5_000);
    proxy.retain_toxics(|_| false).unwrap();
    delivery.drain();
    // Our transactions are read committed, in which the server has no reason to fail to serialize them:
    // the proxy says that it has.
    let error = Effect::SqlError(SqlError {
        sqlstate: "40001".to_owned(),
        message: None,
        at: SqlPlace::Query,
    });
    proxy
        .put_toxic(toxic(error, Direction::Upstream, None, Some(11)))
        .unwrap();
    let events = delivery.next(7_000);
    let file = delivery.file(events);
    let mut writer = Running::start(delivery.command(&["ingest", &file], "chatty"));
    writer.wait_for(2, will_retry);
    let ran = writer.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    delivery.exactly_once("cut, and not serialized");
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
