//! What a spool keeps, and what it does when it cannot.

use rusqlite::Connection;
use tempfile::TempDir;

use super::{Dead, Spool, SpoolCounts, SpoolError, SpoolPlace, Which};
use crate::profiling::store::Trouble;
use crate::profiling::{Event, EventType, Limits, Millis, Overflow, Seconds};

fn event(number: usize) -> Event {
    let mut event = Event::new(format!("e{number}"), "run", "test", EventType::TestEnd);
    event.start_time = Some(Seconds::new(1_763_745_600.123_456).unwrap());
    event.duration_ms = Some(Millis::new(250.125).unwrap());
    event.created_at = Some("2026-11-21T16:53:04.026751123Z".parse().unwrap());
    event.metadata.insert("ratio", 0.1.into());
    event
}

fn events(numbers: impl Iterator<Item = usize>) -> Vec<Event> {
    numbers.map(event).collect()
}

fn open(directory: &TempDir, limits: Limits) -> Spool {
    Spool::open(directory.path().join("spool/s.db"), limits).unwrap()
}

fn counts(spool: &mut Spool) -> SpoolCounts {
    let counts = spool.counts().unwrap();
    assert!(counts.balance(), "{counts:?}");
    assert_eq!(counts.oldest.is_some(), counts.spooled > 0);
    counts
}

fn ids(spool: &mut Spool) -> Vec<String> {
    let taken = spool.peek().unwrap();
    taken
        .events()
        .iter()
        .map(|event| event.event_id.clone())
        .collect()
}

#[test]
fn what_goes_in_comes_out_in_order_and_unchanged() {
    let directory = TempDir::new().unwrap();
    let mut spool = open(&directory, Limits::DEFAULT);
    let all = events(0..5_000);
    spool.append(&all[..10]).unwrap();
    spool.append(&[]).unwrap();
    spool.append(&all[10..]).unwrap();
    drop(spool);
    let mut spool = open(&directory, Limits::DEFAULT);
    let mut out = Vec::new();
    while let taken = spool.peek().unwrap()
        && !taken.is_empty()
    {
        out.extend_from_slice(taken.events());
        spool.settle(&taken, taken.events().len(), &[]).unwrap();
    }
    assert_eq!(out, all);
    let counts = counts(&mut spool);
    assert_eq!((counts.accepted, counts.stored, counts.bytes), (5_000, 5_000, 0));
}

#[test]
fn settling_is_exact_whatever_happened_meanwhile() {
    let directory = TempDir::new().unwrap();
    let mut one = open(&directory, Limits::DEFAULT);
    let mut other = open(&directory, Limits::DEFAULT);
    one.append(&events(0..10)).unwrap();
    let (first, second) = (one.peek().unwrap(), other.peek().unwrap());
    one.append(&events(10..12)).unwrap();
    one.settle(&first, 4, &[]).unwrap();
    other.settle(&second, 10, &[]).unwrap();
    one.settle(&first, 10, &[]).unwrap();
    assert_eq!(ids(&mut other), ["e10", "e11"]);
    let counts = counts(&mut one);
    assert_eq!((counts.stored, counts.spooled), (10, 2));
    // Numbers are not used again: a late settling hits nothing new.
    let taken = one.peek().unwrap();
    one.settle(&taken, 2, &[]).unwrap();
    one.append(&events(20..30)).unwrap();
    other.settle(&second, 10, &[]).unwrap();
    assert_eq!(one.counts().unwrap().spooled, 10);
}

#[test]
fn dead_letters_are_kept_once_retried_and_purged() {
    let directory = TempDir::new().unwrap();
    let mut spool = open(&directory, Limits::DEFAULT);
    let dead = |place: usize, reason: &str| Dead {
        place,
        reason: reason.to_owned(),
    };
    spool.append(&events(0..6)).unwrap();
    let taken = spool.peek().unwrap();
    spool
        .settle(&taken, 5, &[dead(1, "too odd"), dead(3, "too even")])
        .unwrap();
    assert_eq!(ids(&mut spool), ["e5"]);
    let now = counts(&mut spool);
    assert_eq!((now.stored, now.dead_letters, now.spooled), (3, 2, 1));
    let list = |spool: &mut Spool| {
        let mut list = Vec::new();
        spool
            .dead_letters(|letter| list.push((letter.event_id, letter.reason, letter.attempts)))
            .unwrap();
        list
    };
    let row = |id: &str, reason: &str, attempts| (id.to_owned(), reason.to_owned(), attempts);
    assert_eq!(
        list(&mut spool),
        [row("e1", "too odd", 1), row("e3", "too even", 1)]
    );

    // Back, and refused again: the refusals add up.
    assert_eq!(
        spool
            .retry(Which::Ids(&["e3".to_owned(), "none".to_owned()]))
            .unwrap(),
        1
    );
    assert_eq!(ids(&mut spool), ["e5", "e3"]);
    let taken = spool.peek().unwrap();
    spool.settle(&taken, 2, &[dead(1, "still")]).unwrap();
    assert_eq!(list(&mut spool), [row("e1", "too odd", 1), row("e3", "still", 2)]);

    // The same event once more, by way of the spool and past it: one letter.
    spool.append(&events(1..2)).unwrap();
    let taken = spool.peek().unwrap();
    spool.settle(&taken, 1, &[dead(0, "again")]).unwrap();
    spool.bury_event(&event(1), "and again").unwrap();
    assert_eq!(list(&mut spool)[0], row("e1", "and again", 3));
    assert_eq!(counts(&mut spool).purged, 2);

    assert_eq!(spool.purge(Which::Ids(&["e1".to_owned()])).unwrap(), 1);
    assert_eq!(spool.purge(Which::All).unwrap(), 1);
    let now = counts(&mut spool);
    assert_eq!((now.dead_letters, now.purged, now.accepted), (0, 4, 8));
}

#[test]
fn at_the_bound_the_policy_decides() {
    let two = |overflow| Limits {
        events: 4,
        overflow,
        ..Limits::DEFAULT
    };
    // What is there after three, three more, and then nine at once; and what was lost.
    for (overflow, after, at_once) in [
        (Overflow::DropOldest, "e2 e3 e4 e5", "e25 e26 e27 e28"),
        (Overflow::DropNewest, "e0 e1 e2 e3", "e0 e1 e2 e3"),
    ] {
        let directory = TempDir::new().unwrap();
        let mut spool = open(&directory, two(overflow));
        assert_eq!(spool.append(&events(0..3)).unwrap(), 0);
        assert_eq!(spool.append(&events(3..6)).unwrap(), 2);
        assert_eq!(ids(&mut spool).join(" "), after);
        assert_eq!(spool.append(&events(20..29)).unwrap(), 9);
        assert_eq!(ids(&mut spool).join(" "), at_once);
        let counts = counts(&mut spool);
        assert_eq!((counts.accepted, counts.spooled, counts.lost), (15, 4, 11));
    }
    let directory = TempDir::new().unwrap();
    let mut spool = open(&directory, two(Overflow::Refuse));
    spool.append(&events(0..3)).unwrap();
    let error = spool.append(&events(3..6)).unwrap_err();
    assert!(matches!(error, SpoolError::NoRoom { spooled: 3, .. }), "{error}");
    assert!(error.to_string().contains("full with 3 events, "), "{error}");
    assert!(
        error.to_string().contains("expected at most 4 events, "),
        "{error}"
    );
    // Whoever can wait with the others keeps the first ones.
    assert_eq!(spool.append_front(&events(3..6)).unwrap().done, 1);
    let error = spool.append_front(&events(4..6)).unwrap_err();
    assert!(matches!(error, SpoolError::NoRoom { spooled: 4, .. }), "{error}");
    assert_eq!(ids(&mut spool).join(" "), "e0 e1 e2 e3");
    assert_eq!(counts(&mut spool).accepted, 4);
}

#[test]
fn what_is_on_its_way_to_the_store_is_not_dropped() {
    let directory = TempDir::new().unwrap();
    let limits = Limits {
        events: 4,
        overflow: Overflow::DropOldest,
        ..Limits::DEFAULT
    };
    let mut spool = open(&directory, limits);
    spool.append(&events(0..2)).unwrap();
    let taken = spool.peek().unwrap();
    assert_eq!(spool.append(&events(2..4)).unwrap(), 0);
    // Those behind it make room, ...
    assert_eq!(spool.append(&events(4..5)).unwrap(), 1);
    // ... and of a batch that is larger than the room beside it, the end stays, ...
    assert_eq!(spool.append(&events(10..15)).unwrap(), 5);
    // ... but not where somebody waits for all of it.
    let error = spool.append_or_refuse(&events(20..23)).unwrap_err();
    assert!(matches!(error, SpoolError::NoRoom { spooled: 4, .. }), "{error}");
    assert_eq!(spool.append_or_refuse(&events(20..21)).unwrap(), 1);
    spool.settle(&taken, 2, &[]).unwrap();
    let now = counts(&mut spool);
    assert_eq!((now.stored, now.lost, now.spooled), (2, 7, 2));
    drop(taken);
    assert_eq!(ids(&mut spool), ["e14", "e20"]);
    // A batch that nobody holds any more is as old as it is.
    drop(spool.peek().unwrap());
    assert_eq!(spool.append(&events(30..33)).unwrap(), 1);
    assert_eq!(ids(&mut spool), ["e20", "e30", "e31", "e32"]);
}

#[test]
fn bytes_are_bounded_like_events() {
    let directory = TempDir::new().unwrap();
    let bytes = 2 * super::append::size(&event(0)) + 10;
    let limits = Limits {
        bytes,
        overflow: Overflow::DropOldest,
        ..Limits::DEFAULT
    };
    let mut spool = open(&directory, limits);
    for number in 0..5 {
        spool.append(&[event(number)]).unwrap();
        assert!(counts(&mut spool).bytes <= bytes);
    }
    assert_eq!(ids(&mut spool), ["e3", "e4"]);
}

#[test]
fn a_full_disk_is_said_and_nothing_is_half_written() {
    let directory = TempDir::new().unwrap();
    let mut spool = open(&directory, Limits::DEFAULT);
    spool.append(&events(0..10)).unwrap();
    // What a full disk looks like to SQLite: no page more than there are.
    let pages: i64 = spool
        .connection
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    let most = format!("PRAGMA max_page_count = {}", pages + 3);
    spool.connection.query_row(&most, [], |_| Ok(())).unwrap();
    let error = spool.append(&events(10..2_000)).unwrap_err();
    assert!(
        matches!(&error, SpoolError::File(error) if matches!(error.trouble, Trouble::Full)),
        "{error}"
    );
    assert!(error.to_string().ends_with("s.db: the disk is full"), "{error}");
    assert_eq!(counts(&mut spool).accepted, 10);
    // What is there can be shipped all the same, and then there is room again.
    let taken = spool.peek().unwrap();
    spool.settle(&taken, 10, &[]).unwrap();
    spool.append(&events(10..12)).unwrap();
    assert_eq!(counts(&mut spool).spooled, 2);
}

#[test]
fn a_file_that_is_no_database_is_put_aside_and_said() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("spool/s.db");
    std::fs::create_dir(directory.path().join("spool")).unwrap();
    let text = "not a database at all, but long enough to be taken for one by nobody";
    std::fs::write(&path, text).unwrap();
    let mut place = SpoolPlace::new(directory.path(), "s", Limits::DEFAULT);
    let spool = place.open().unwrap();
    spool.append(&events(0..1)).unwrap();
    let aside = spool.set_aside().to_vec();
    assert_eq!(std::fs::read_to_string(&aside[0]).unwrap(), text);
    assert_eq!(place.damaged(), aside);
}

#[test]
fn damage_found_later_is_put_aside_once_nobody_else_has_the_file() {
    let directory = TempDir::new().unwrap();
    let mut spool = open(&directory, Limits::DEFAULT);
    spool.append(&events(0..2_000)).unwrap();
    let path = spool.path().to_owned();
    drop(spool);
    // The middle of the file: the tables are found, their rows are not.
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = 10 * 4_096;
    bytes[middle..middle + 40 * 4_096].fill(0xAB);
    std::fs::write(&path, &bytes).unwrap();

    let mut spool = open(&directory, Limits::DEFAULT);
    let other = open(&directory, Limits::DEFAULT);
    let error = spool.peek().unwrap_err();
    assert!(matches!(error, SpoolError::DamagedInUse { .. }), "{error}");
    assert!(path.exists());
    drop(other);
    assert!(spool.peek().unwrap().is_empty());
    let [aside] = spool.set_aside() else { panic!() };
    assert_eq!(std::fs::read(aside).unwrap(), bytes);
    spool.append(&events(0..1)).unwrap();
    assert_eq!(counts(&mut spool).spooled, 1);
}

#[test]
fn a_row_that_somebody_has_changed_becomes_a_dead_letter() {
    let directory = TempDir::new().unwrap();
    let mut spool = open(&directory, Limits::DEFAULT);
    spool.append(&events(0..4)).unwrap();
    let plain = Connection::open(spool.path()).unwrap();
    plain
        .execute_batch(
            "UPDATE spooled SET event_type = 'nonsense' WHERE event_id = 'e0'; \
             UPDATE spooled SET metadata = x'00' WHERE event_id = 'e2'",
        )
        .unwrap();
    assert_eq!(ids(&mut spool), ["e1"]);
    let taken = spool.peek().unwrap();
    spool.settle(&taken, 1, &[]).unwrap();
    assert_eq!(ids(&mut spool), ["e3"]);
    let mut reasons = Vec::new();
    spool.dead_letters(|letter| reasons.push(letter.reason)).unwrap();
    assert!(
        reasons[0].contains("unknown event type `nonsense`"),
        "{reasons:?}"
    );
    assert_eq!(counts(&mut spool).dead_letters, 2);
}

#[test]
fn one_at_a_time_has_the_right_to_ship() {
    let directory = TempDir::new().unwrap();
    let (one, other) = (
        open(&directory, Limits::DEFAULT),
        open(&directory, Limits::DEFAULT),
    );
    let held = one.ship_lock().unwrap();
    assert!(held.is_some());
    assert!(other.ship_lock().unwrap().is_none());
    drop(held);
    assert!(other.ship_lock().unwrap().is_some());
}

#[test]
fn a_newer_release_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let spool = open(&directory, Limits::DEFAULT);
    spool.connection.pragma_update(None, "user_version", 99).unwrap();
    let path = spool.path().to_owned();
    drop(spool);
    let error = Spool::open(&path, Limits::DEFAULT).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("schema version 99, expected at most 1"),
        "{error}"
    );
    assert!(path.exists());
}

#[test]
fn there_is_no_spool_before_there_is_something_to_keep() {
    let directory = TempDir::new().unwrap();
    let mut place = SpoolPlace::new(directory.path(), "s", Limits::DEFAULT);
    assert!(place.existing().unwrap().is_none());
    assert!(!directory.path().join("spool").exists());
    place.open().unwrap();
    assert!(place.existing().unwrap().is_some());
}
