use std::io::Write as _;

use crossbridge_core::Fault as _;

use super::*;
use crate::profiling::EventType;

fn event(id: &str) -> Event {
    Event::new(id, "run", "test", EventType::TestEnd)
}

/// A directory with the events `a` and `b` in its first file.
fn two() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    JsonlStore::open(folder.path(), None)
        .unwrap()
        .write(&[event("a"), event("b")], None)
        .unwrap();
    let file = folder.path().join("events-000001.jsonl");
    (folder, file)
}

fn append(file: &Path, text: &str) {
    let mut file = File::options().append(true).open(file).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// The last line cut after each of its bytes: whatever is left, the events before it are there, and the
/// batch, written again, makes the file what it would have been.
#[test]
fn a_torn_line_is_mended_wherever_it_was_torn() {
    let (folder, file) = two();
    let whole = fs::read(&file).unwrap();
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for end in first..=whole.len() {
        fs::write(&file, &whole[..end]).unwrap();
        let mut store = JsonlStore::open(folder.path(), None).unwrap();
        let complete = end >= whole.len() - 1;
        assert_eq!(
            store.count().unwrap(),
            if complete { 2 } else { 1 },
            "cut at {end}"
        );
        assert_eq!(store.get("a").unwrap(), Some(event("a")));
        let done = store.write(&[event("b")], None).unwrap();
        assert_eq!(done.already_there, u64::from(complete));
        assert_eq!(fs::read(&file).unwrap(), whole, "cut at {end}");
    }
}

#[test]
fn files_follow_one_another() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = JsonlStore::with_file_size(folder.path(), None, 100).unwrap();
    for number in 0..5 {
        store.write(&[event(&number.to_string())], None).unwrap();
    }
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = [
        "events-000001.jsonl",
        "events-000002.jsonl",
        "events-000003.jsonl",
        "lock",
    ];
    assert_eq!(names, expected);
    let mut again = JsonlStore::open(folder.path(), None).unwrap();
    assert_eq!(again.count().unwrap(), 5);
    assert_eq!(again.get("4").unwrap(), Some(event("4")));
    assert_eq!(again.write(&[event("0")], None).unwrap().already_there, 1);
}

#[test]
fn a_line_of_somebody_else_is_told_with_its_place() {
    let (folder, file) = two();
    let length = fs::metadata(&file).unwrap().len();
    append(&file, "{\"event_id\":7}\n");
    let error = JsonlStore::open(folder.path(), None).unwrap_err();
    assert_eq!(error.kind(), FaultKind::Permanent);
    let place = folder.path().display();
    assert_eq!(
        error.to_string(),
        format!(
            "open {place}: {place}/events-000001.jsonl: the line at byte {length}: no event: \
             invalid type: integer `7`, expected a string at line 1 column 13"
        )
    );
    assert_eq!(
        fs::metadata(&file).unwrap().len(),
        length + 15,
        "it is left as it is"
    );
}

/// What another program does to the files while a store is open.
#[test]
fn files_that_change_meanwhile_are_read_again() {
    let (folder, file) = two();
    let mut store = JsonlStore::open(folder.path(), None).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    append(&file, &text.replace("\"a\"", "\"c\"").replace("\"b\"", "\"d\""));
    assert_eq!(store.count().unwrap(), 4);
    fs::write(&file, &text).unwrap();
    assert_eq!(store.count().unwrap(), 2);
    fs::remove_file(&file).unwrap();
    assert_eq!(store.count().unwrap(), 0);
    assert_eq!(store.write(&[event("a")], None).unwrap().new, 1);
    assert_eq!(store.count().unwrap(), 1);
}

#[test]
fn a_lock_that_somebody_holds_is_waited_for_as_long_as_there_is_time() {
    let (folder, _) = two();
    let mut store = JsonlStore::open(folder.path(), None).unwrap();
    let other = File::options()
        .write(true)
        .open(folder.path().join("lock"))
        .unwrap();
    other.lock().unwrap();
    let error = store
        .write(&[event("c")], Some(Duration::from_millis(20)))
        .unwrap_err();
    assert!(matches!(error.trouble, Trouble::Locked));
    assert_eq!(error.kind(), FaultKind::Transient);
    other.unlock().unwrap();
    assert_eq!(store.write(&[event("c")], Some(Duration::ZERO)).unwrap().new, 1);
}

#[test]
fn a_place_where_nothing_can_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let open = |path: PathBuf| JsonlStore::open(path, None).unwrap_err();
    let missing = open(folder.path().join("no/such"));
    assert!(matches!(missing.trouble, Trouble::NoDirectory));
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = open(file);
    assert!(matches!(error.trouble, Trouble::Io(_)), "{error:?}");
    assert_eq!(error.kind(), FaultKind::Permanent);
}

/// Every write to `/dev/full` fails as on a full disk, and it cannot be cut back either.
#[test]
fn a_full_disk_loses_nothing_and_counts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = JsonlStore::open(folder.path(), None).unwrap();
    let file = folder.path().join("events-000001.jsonl");
    std::os::unix::fs::symlink("/dev/full", &file).unwrap();
    let error = store.folder.append(b"{}\n").unwrap_err();
    let error = refused("write", folder.path(), error);
    assert!(matches!(error.trouble, Trouble::Full), "{error:?}");
    assert_eq!(error.kind(), FaultKind::Overloaded);
    fs::remove_file(&file).unwrap();
    assert_eq!(store.write(&[event("a")], None).unwrap().new, 1);
    assert_eq!(store.count().unwrap(), 1);
}
