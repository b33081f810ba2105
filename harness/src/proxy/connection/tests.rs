use std::fmt::Write as _;

use super::*;
use crate::proxy::api::parse_toxic;
use crate::proxy::link::LIMIT;
use crate::proxy::toxic::{Latency, Toxic};

fn millis(span: u64) -> Instant {
    Instant::from_nanos(span * 1_000_000)
}

fn identity(index: u64) -> Identity {
    Identity {
        seed: 7,
        proxy: "proxy".to_owned(),
        index,
    }
}

fn live(number: u64, json: &str) -> Arc<Live> {
    Arc::new(Live::new(number, parse_toxic(json).expect(json), 0))
}

fn lives(toxics: &[&str]) -> Vec<Arc<Live>> {
    (1..)
        .zip(toxics)
        .map(|(number, json)| live(number, json))
        .collect()
}

fn connection(index: u64, toxics: &[&str]) -> Connection {
    Connection::new(Instant::ZERO, identity(index), &lives(toxics), false)
}

/// What the client gets, each with the millisecond at which it is due, when the server says this.
/// Time goes from one thing that happens to the next.
fn tell(connection: &mut Connection, says: &[(u64, Option<&str>)]) -> String {
    let (mut story, mut now) = (String::new(), Instant::ZERO);
    let mut says = says.iter().peekable();
    loop {
        while let Some((_, words)) = says.next_if(|(at, _)| millis(*at) <= now) {
            match words {
                Some(words) => connection.on_bytes(now, Side::Server, words.as_bytes()),
                None => connection.on_end(now, Side::Server),
            }
        }
        while let Some(item) = connection.take(now, Side::Client) {
            let word = match item {
                Item::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                end @ (Item::Fin | Item::Close | Item::Reset) => format!("{end:?}"),
            };
            let at = now.as_nanos() / 1_000_000;
            write!(story, "{at}:{word} ").unwrap();
        }
        let said = says.peek().map(|(at, _)| millis(*at));
        let due = connection.poll_at().filter(|&at| at < Instant::MAX);
        match [said, due].into_iter().flatten().min() {
            Some(next) => now = next.max(now),
            None => return story.trim_end().to_owned(),
        }
    }
}

/// A server that says `hello` at 0 ms, `world` at 100 ms and ends at 200 ms.
fn answers(connection: &mut Connection) -> String {
    tell(
        connection,
        &[(0, Some("hello")), (100, Some("world")), (200, None)],
    )
}

#[test]
fn what_each_toxic_does() {
    let mut table = String::new();
    for toxic in [
        r#"{"type":"noop"}"#,
        r#"{"type":"latency","attributes":{"latency":30}}"#,
        r#"{"type":"latency","attributes":{"latency":150,"jitter":100}}"#,
        r#"{"type":"bandwidth","attributes":{"rate":1}}"#,
        r#"{"type":"bandwidth"}"#,
        r#"{"type":"slow_close","attributes":{"delay":50}}"#,
        r#"{"type":"timeout","attributes":{"timeout":150}}"#,
        r#"{"type":"timeout","attributes":{"timeout":300}}"#,
        r#"{"type":"reset_peer","attributes":{"timeout":20}}"#,
        r#"{"type":"slicer","attributes":{"average_size":2,"size_variation":1,"delay":10000}}"#,
        r#"{"type":"limit_data","attributes":{"bytes":7}}"#,
        r#"{"type":"limit_data","attributes":{"bytes":5}}"#,
        r#"{"type":"cut","attributes":{"bytes":7}}"#,
        r#"{"type":"latency","stream":"upstream","attributes":{"latency":30}}"#,
        r#"{"type":"latency","toxicity":0,"attributes":{"latency":30}}"#,
    ] {
        let told = answers(&mut connection(0, &[toxic]));
        writeln!(table, "{toxic}\n    {told}").unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn toxics_are_a_chain_in_the_order_of_their_coming() {
    let latency = r#"{"type":"latency","attributes":{"latency":30}}"#;
    let cut = r#"{"type":"cut","attributes":{"bytes":5}}"#;
    assert_eq!(answers(&mut connection(0, &[latency, cut])), "30:hello 30:Reset");
    assert_eq!(answers(&mut connection(0, &[cut, latency])), "30:hello 30:Reset");
    let limit = r#"{"type":"limit_data","attributes":{"bytes":5}}"#;
    let close = r#"{"type":"slow_close","attributes":{"delay":50}}"#;
    assert_eq!(answers(&mut connection(0, &[limit, close])), "0:hello 50:Close");
    assert_eq!(answers(&mut connection(0, &[close, limit])), "0:hello 0:Close");
}

#[test]
fn a_slow_server_takes_longer_in_proportion() {
    let toxic = r#"{"type":"slow","attributes":{"factor":3,"add":5}}"#;
    let mut slow = connection(0, &[toxic]);
    slow.on_bytes(millis(0), Side::Client, b"ask");
    // Only the first byte of an answer is late; what follows keeps its order.
    let told = tell(
        &mut slow,
        &[(10, Some("an")), (12, Some("swer")), (50, Some("more"))],
    );
    assert_eq!(told, "35:an 35:swer 50:more");
}

#[test]
fn a_removed_toxic_lets_go_of_what_it_held() {
    let toxics = lives(&[
        r#"{"type":"latency","attributes":{"latency":500}}"#,
        r#"{"type":"latency","name":"second","attributes":{"latency":500}}"#,
    ]);
    let mut held = Connection::new(Instant::ZERO, identity(0), &toxics, false);
    held.on_bytes(millis(0), Side::Server, b"old");
    assert_eq!(held.take(millis(600), Side::Client), None);
    held.on_bytes(millis(600), Side::Server, b"new");
    // `old` is in the second toxic, `new` in the first. Without the second one `old` goes.
    held.adapt(millis(700), &toxics[..1], false);
    assert_eq!(
        held.take(millis(700), Side::Client),
        Some(Item::Bytes(b"old".to_vec()))
    );
    assert_eq!(held.take(millis(1_099), Side::Client), None);
    assert_eq!(
        held.take(millis(1_100), Side::Client),
        Some(Item::Bytes(b"new".to_vec()))
    );

    let mut both = Connection::new(Instant::ZERO, identity(0), &toxics, false);
    both.on_bytes(millis(0), Side::Server, b"old");
    assert_eq!(both.take(millis(600), Side::Client), None);
    both.on_bytes(millis(600), Side::Server, b"new");
    both.adapt(millis(700), &[], false);
    assert_eq!(
        both.take(millis(700), Side::Client),
        Some(Item::Bytes(b"old".to_vec()))
    );
    assert_eq!(
        both.take(millis(700), Side::Client),
        Some(Item::Bytes(b"new".to_vec()))
    );
}

#[test]
fn a_timeout_that_is_removed_closes_its_connection() {
    let mut silent = connection(0, &[r#"{"type":"timeout"}"#]);
    silent.on_bytes(millis(0), Side::Server, b"lost");
    assert_eq!(silent.poll_at(), None);
    silent.adapt(millis(50), &[], false);
    assert_eq!(silent.take(millis(50), Side::Client), Some(Item::Close));
}

#[test]
fn a_change_leaves_the_state_of_the_others() {
    let mut toxics = lives(&[r#"{"type":"limit_data","attributes":{"bytes":7}}"#]);
    let mut limited = Connection::new(Instant::ZERO, identity(0), &toxics, false);
    limited.on_bytes(millis(0), Side::Server, b"hello");
    toxics.push(live(2, r#"{"type":"latency","attributes":{"latency":10}}"#));
    limited.adapt(millis(0), &toxics, false);
    limited.on_bytes(millis(0), Side::Server, b"world");
    assert_eq!(tell(&mut limited, &[]), "0:hello 10:wo 10:Close");
}

#[test]
fn a_full_link_stops_its_sender() {
    let mut full = connection(0, &[r#"{"type":"bandwidth","attributes":{"rate":1}}"#]);
    let chunk = vec![0; 64 << 10];
    let mut said = 0;
    while full.has_room(Side::Server) {
        full.on_bytes(Instant::ZERO, Side::Server, &chunk);
        said += chunk.len();
    }
    assert_eq!(said, LIMIT);
    assert!(full.has_room(Side::Client));
}

#[test]
fn the_same_seed_and_number_draw_the_same() {
    let jitter = r#"{"type":"latency","attributes":{"latency":500,"jitter":400}}"#;
    let other = r#"{"type":"slicer","stream":"upstream","attributes":{"average_size":1}}"#;
    let told = |index, toxics: &[&str]| answers(&mut connection(index, toxics));
    let alone = told(3, &[jitter]);
    assert_eq!(alone, told(3, &[jitter]));
    assert_eq!(alone, told(3, &[other, jitter]), "another toxic changes nothing");
    assert_ne!(alone, told(4, &[jitter]));
}

#[test]
fn toxicity_is_a_share_of_the_connections_and_fixed_by_their_number() {
    let toxic = live(1, r#"{"type":"refuse","toxicity":0.3}"#);
    let refused = |index| identity(index).admission(std::slice::from_ref(&toxic)) == Admission::Refuse;
    let first: Vec<bool> = (0..1_000).map(refused).collect();
    assert_eq!(first, (0..1_000).map(refused).collect::<Vec<_>>());
    let share = first.iter().filter(|&&refused| refused).count();
    // Three standard deviations of 1000 draws at 0.3 are 43.
    assert!((257..=343).contains(&share), "{share}");
}

#[test]
fn first_and_every_count_connections_since_the_toxic_came() {
    let met = |json: &str, since: u64| -> Vec<u64> {
        let live = Live::new(1, parse_toxic(json).expect(json), since);
        (0..12)
            .filter(|&index| live.meets_connection(7, "proxy", index))
            .collect()
    };
    assert_eq!(met(r#"{"type":"refuse","first":2}"#, 0), [0, 1]);
    assert_eq!(met(r#"{"type":"refuse","first":2}"#, 5), [5, 6]);
    assert_eq!(met(r#"{"type":"refuse","every":3}"#, 5), [7, 10]);
    assert_eq!(met(r#"{"type":"refuse","first":7,"every":3}"#, 0), [2, 5]);
    // Without them, connections that stand already are met as well.
    assert_eq!(met(r#"{"type":"noop"}"#, 5).len(), 12);
}

#[test]
fn requests_count_over_all_connections() {
    let toxics = lives(&[r#"{"type":"http_error","first":2,"attributes":{"status":503}}"#]);
    let mut answered = Vec::new();
    for index in 0..4 {
        let mut one = Connection::new(Instant::ZERO, identity(index), &toxics, false);
        one.on_bytes(Instant::ZERO, Side::Client, b"GET / HTTP/1.1\r\n\r\n");
        answered.push(one.take(Instant::ZERO, Side::Server).is_none());
    }
    assert_eq!(answered, [true, true, false, false]);
}

#[test]
fn a_throttle_answers_what_is_above_its_quota() {
    let json = r#"{"type":"throttle","attributes":{"rate":1,"per":1000000,"burst":2,"retry_after":1}}"#;
    let toxics = lives(&[json]);
    let mut client = Connection::new(Instant::ZERO, identity(0), &toxics, false);
    let mut statuses = String::new();
    for at in [0, 10, 20, 30, 1_000, 1_010] {
        client.on_bytes(millis(at), Side::Client, b"GET / HTTP/1.1\r\n\r\n");
        let passed = client.take(millis(at), Side::Server).is_some();
        let told = client.take(millis(at), Side::Client);
        assert_eq!(passed, told.is_none());
        if let Some(Item::Bytes(bytes)) = told {
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.starts_with("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\n"));
        }
        statuses.push(if passed { '.' } else { 'x' });
    }
    assert_eq!(statuses, "..xx.x");
}

#[test]
fn a_side_that_is_gone_is_heard_of_in_turn() {
    let mut late = connection(0, &[r#"{"type":"latency","attributes":{"latency":30}}"#]);
    late.on_bytes(millis(0), Side::Server, b"last words");
    assert!(late.on_reset(millis(0), Side::Server));
    assert_eq!(tell(&mut late, &[]), "30:last words 30:Reset");
    assert!(
        !late.on_reset(millis(40), Side::Server),
        "it had said its last word"
    );
}

#[test]
fn no_number_is_too_large() {
    let all = u64::MAX;
    for json in [
        format!(r#"{{"type":"latency","attributes":{{"latency":{all},"jitter":{all}}}}}"#),
        format!(r#"{{"type":"bandwidth","attributes":{{"rate":{all}}}}}"#),
        format!(r#"{{"type":"slow_close","attributes":{{"delay":{all}}}}}"#),
        format!(r#"{{"type":"timeout","attributes":{{"timeout":{all}}}}}"#),
        format!(r#"{{"type":"reset_peer","attributes":{{"timeout":{all}}}}}"#),
        format!(
            r#"{{"type":"slicer","attributes":{{"average_size":{all},"size_variation":5,"delay":{all}}}}}"#
        ),
        format!(r#"{{"type":"limit_data","attributes":{{"bytes":{all}}}}}"#),
        format!(r#"{{"type":"slow","attributes":{{"factor":1000000,"add":{all}}}}}"#),
    ] {
        for start in [Instant::ZERO, Instant::MAX] {
            let mut one = Connection::new(start, identity(all), &lives(&[&json]), false);
            one.on_bytes(start, Side::Client, b"ask");
            // A clock that stepped back.
            one.on_bytes(Instant::ZERO, Side::Server, b"answer");
            one.on_bytes(start, Side::Server, b"answer");
            one.on_end(start, Side::Server);
            let _ = (one.take(Instant::MAX, Side::Client), one.poll_at());
        }
    }
}

#[test]
fn the_names_of_effects_are_those_of_the_json() {
    for kind in Effect::TYPES {
        let attributes = match kind {
            "slicer" => r#"{"average_size":1}"#,
            _ => "{}",
        };
        let json = format!(r#"{{"type":"{kind}","attributes":{attributes}}}"#);
        let toxic = parse_toxic(&json).expect(&json);
        let back = serde_json::to_value(&toxic).unwrap();
        assert_eq!(back["type"], *kind);
        assert_eq!(serde_json::from_value::<Toxic>(back).unwrap(), toxic);
    }
    let typo = parse_toxic(r#"{"type":"latency","attributes":{"latncy":5}}"#).unwrap_err();
    assert!(typo.contains("latncy") && typo.contains("latency"), "{typo}");
    assert_eq!(Latency::default().latency, 0);
}
