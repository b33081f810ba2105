//! Bytes as what a client and a server say to each other through the fault proxy.
//!
//! ```text
//!   how │ length, what the client says │ length, what the server says │ length, what the client says │ …
//! ```
//!
//! Without toxics every byte arrives. With errors for requests, the two sides hear the same whether
//! the bytes come at once or one by one; but for a PostgreSQL session that ends in something else,
//! which passes unread from the piece on that shows it.

#![no_main]

use std::sync::Arc;

use crossbridge_core::Instant;
use crossbridge_harness::proxy::api::parse_toxic;
use crossbridge_harness::proxy::connection::{Connection, Identity, Side};
use crossbridge_harness::proxy::link::Item;
use crossbridge_harness::proxy::live::Live;
use libfuzzer_sys::fuzz_target;

const TOXICS: [&str; 3] = [
    r#"{"type":"http_error","every":2,"attributes":{"status":503,"retry_after":1}}"#,
    r#"{"type":"sql_error","every":2,"attributes":{"sqlstate":"40001"}}"#,
    r#"{"type":"sql_error","every":3,"attributes":{"sqlstate":"57P01"}}"#,
];

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = parse_toxic(text);
    }
    let Some((&how, bytes)) = bytes.split_first() else {
        return;
    };
    let said = turns(bytes);
    if how % 4 == 0 {
        let heard = converse(&said, &[], usize::MAX, false);
        let from_client: Vec<u8> = said
            .iter()
            .step_by(2)
            .flat_map(|turn| turn.iter().copied())
            .collect();
        assert_eq!(heard.server, from_client);
        return;
    }
    let toxics: Vec<Arc<Live>> = (1..)
        .zip(TOXICS)
        .map(|(number, json)| Arc::new(Live::new(number, parse_toxic(json).expect(json), 0)))
        .collect();
    let declines = how % 2 == 0;
    let at_once = converse(&said, &toxics, usize::MAX, declines);
    let again: Vec<Arc<Live>> = (1..)
        .zip(TOXICS)
        .map(|(number, json)| Arc::new(Live::new(number, parse_toxic(json).expect(json), 0)))
        .collect();
    let one_by_one = converse(&said, &again, 1, declines);
    let [client, server] = [0, 1].map(|side| {
        said.iter()
            .skip(side)
            .step_by(2)
            .copied()
            .collect::<Vec<_>>()
            .concat()
    });
    let is_session = client.get(4..6) == Some(&[0, 3]) && client.len() >= 8;
    let startup = client
        .first_chunk()
        .map_or(0, |length| u32::from_be_bytes(*length) as usize);
    let sound = is_session && are_messages(client.get(startup..).unwrap_or(&[])) && are_messages(&server);
    if client.first() != Some(&0) || sound {
        assert_eq!(at_once, one_by_one);
    }
});

/// Whether these are messages of PostgreSQL, the last of which may break off.
fn are_messages(mut bytes: &[u8]) -> bool {
    while let Some([_, a, b, c, d]) = bytes.first_chunk() {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        if length < 4 {
            return false;
        }
        bytes = bytes.get(1 + length..).unwrap_or(&[]);
    }
    true
}

/// What each side hears.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    client: Vec<u8>,
    server: Vec<u8>,
    closed: bool,
}

/// A length of one byte before each turn.
fn turns(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut turns = Vec::new();
    while let Some((&length, rest)) = bytes.split_first() {
        let (turn, rest) = rest.split_at(usize::from(length).min(rest.len()));
        turns.push(turn);
        bytes = rest;
    }
    turns
}

/// The turns, in pieces of so many bytes, all at the same instant.
fn converse(said: &[&[u8]], toxics: &[Arc<Live>], piece: usize, declines: bool) -> Heard {
    let now = Instant::ZERO;
    let identity = Identity {
        seed: 7,
        proxy: "proxy".to_owned(),
        index: 0,
    };
    let mut connection = Connection::new(now, identity, toxics, declines);
    let mut heard = Heard::default();
    for (number, turn) in said.iter().enumerate() {
        let side = [Side::Client, Side::Server][number % 2];
        for bytes in turn.chunks(piece) {
            connection.on_bytes(now, side, bytes);
            hear(&mut connection, now, &mut heard);
            if heard.closed {
                return heard;
            }
        }
    }
    connection.on_end(now, Side::Client);
    hear(&mut connection, now, &mut heard);
    heard
}

fn hear(connection: &mut Connection, now: Instant, heard: &mut Heard) {
    for side in [Side::Client, Side::Server] {
        while let Some(item) = connection.take(now, side) {
            match (item, side) {
                (Item::Bytes(bytes), Side::Client) => heard.client.extend(bytes),
                (Item::Bytes(bytes), Side::Server) => heard.server.extend(bytes),
                (Item::Close | Item::Reset, _) => heard.closed = true,
                (Item::Fin, _) => {}
            }
        }
    }
}
