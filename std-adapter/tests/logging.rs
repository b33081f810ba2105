//! Records, from the facade to the line.

use std::collections::BTreeMap;
use std::fs;

use crossbridge_core::breaker::BreakerState;
use crossbridge_core::event::LogObserver;
use crossbridge_core::{Event, FaultKind, Instant, Observer};
use crossbridge_std::logging::{self, Category, FileSettings, Format, LogSettings};
use jiff::Timestamp;
use log::kv::{ToValue, Value};
use log::{Level, LevelFilter, Log, Record};

/// 2026-02-04, 10:11:12.013014 UTC.
fn at() -> Timestamp {
    Timestamp::new(1_770_199_872, 13_014_999).unwrap()
}

fn line(format: Format, target: &str, message: &str, fields: &[(&str, Value<'_>)]) -> String {
    let mut record = Record::builder();
    record.level(Level::Warn).target(target).key_values(&fields);
    format.line(at(), &record.args(format_args!("{message}")).build())
}

fn example(format: Format) -> String {
    let target = Category::Persistence.target();
    let fields = [
        ("path", "profiling_storage".to_value()),
        ("attempts", 4.to_value()),
        ("took_us", 5_000_000_u64.to_value()),
        ("lag", (-3).to_value()),
        ("share", 0.25.to_value()),
        ("nan", f64::NAN.to_value()),
        ("idempotent", true.to_value()),
        ("cause", "no \"route\" to host".to_value()),
        ("level", "not the level".to_value()),
        ("nothing", Value::null()),
    ];
    line(format, target, "call failed", &fields)
}

#[test]
fn each_format_keeps_the_fields_apart() {
    insta::assert_snapshot!(
        [
            example(Format::Simple),
            example(Format::Detailed),
            example(Format::Json)
        ]
        .join("\n")
    );
    let object: serde_json::Value = serde_json::from_str(&example(Format::Json)).unwrap();
    assert_eq!(object["attempts"], 4);
    assert_eq!(object["category"], "persistence");
    assert_eq!(object["level"], "WARN");
    assert_eq!(object["message"], "call failed");
}

#[test]
fn a_record_is_one_line() {
    let message = "first\nsecond\r\n\u{1b}[31mred";
    let fields = [("text", "a\nb".to_value())];
    for format in [Format::Simple, Format::Detailed, Format::Json] {
        let line = line(format, "hyper::client", message, &fields);
        assert!(!line.chars().any(char::is_control), "{line}");
    }
    let line = line(Format::Detailed, "hyper::client", "x", &[]);
    assert_eq!(line, "2026-02-04T10:11:12.013014Z WARN hyper::client x");
}

#[test]
fn secrets_are_left_out_of_every_format() {
    let fields = [
        ("password", "hunter2".to_value()),
        ("apiKey", 424_242.to_value()),
        ("Authorization", "Bearer hunter2".to_value()),
        ("url", "postgres://ci:hunter2@db/x".to_value()),
        ("query", "SELECT 1 /* password=hunter2 */".to_value()),
        ("prompt_tokens", 17.to_value()),
    ];
    for format in [Format::Simple, Format::Detailed, Format::Json] {
        let line = line(
            format,
            "crossbridge::ai",
            "to http://me:hunter2@host, token='hunter2'",
            &fields,
        );
        assert!(!line.contains("hunter2") && !line.contains("424242"), "{line}");
        assert!(line.contains("prompt_tokens") && line.contains("17"), "{line}");
    }
}

#[test]
fn texts_are_masked_where_it_matters_and_nowhere_else() {
    for (text, masked) in [
        // A password with the characters that end other things.
        ("redis://:p/w@x?:1@host/0", "redis://:***@host/0"),
        ("amqp://u:a@b@host", "amqp://u:***@host"),
        ("http://host:80/path?mail=a@b", "http://host:80/path?mail=a@b"),
        (
            "two postgres://a:1@x and postgres://b:2@y",
            "two postgres://a:***@x and postgres://b:***@y",
        ),
        (
            "dbname=x password='two words' user=y",
            "dbname=x password='***' user=y",
        ),
        ("?api_key=abc&q=1", "?api_key=***&q=1"),
        ("budget_tokens=500 key=value", "budget_tokens=500 key=value"),
        (
            "the basic profiler and bearer of news",
            "the basic profiler and bearer of news",
        ),
        ("Basic dXNlcjpwYXNzd29yZA==", "Basic ***"),
        ("password=", "password="),
        ("größe=ü token=ß✓", "größe=ü token=***"),
        ("://", "://"),
        ("", ""),
    ] {
        assert_eq!(logging::redact::text(text), masked, "{text}");
    }
}

#[test]
fn levels_follow_the_category() {
    let levels: BTreeMap<_, _> = [
        (Category::Ai, LevelFilter::Debug),
        (Category::Execution, LevelFilter::Off),
    ]
    .into();
    let settings = LogSettings {
        level: LevelFilter::Warn,
        levels,
        console: false,
        ..LogSettings::default()
    };
    let (logger, _guard) = logging::build(&settings).unwrap();
    for (target, level) in [
        ("crossbridge::ai", LevelFilter::Debug),
        ("crossbridge::ai::openai", LevelFilter::Debug),
        ("crossbridge::execution", LevelFilter::Off),
        ("crossbridge::testing", LevelFilter::Warn),
        ("crossbridge_std::config", LevelFilter::Warn),
        ("hyper", LevelFilter::Warn),
    ] {
        assert_eq!(settings.level_of(target), level, "{target}");
        for asked in Level::iter() {
            let metadata = log::Metadata::builder().target(target).level(asked).build();
            assert_eq!(logger.enabled(&metadata), asked <= level, "{target} {asked}");
        }
    }
}

/// Sends what a core guard reports through a logger, as an application would.
fn report(logger: &dyn Log, count: u32) {
    for number in 1..=count {
        let fields = [("attempt", number)];
        let mut record = Record::builder();
        record
            .level(Level::Info)
            .target("crossbridge::persistence")
            .key_values(&fields);
        logger.log(&record.args(format_args!("attempt failed")).build());
    }
}

#[test]
fn a_full_file_is_put_aside_and_no_record_is_split_or_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("logs/crossbridge.log");
    let file = FileSettings {
        path: path.clone(),
        max_bytes: 1_000,
        backups: 3,
    };
    let settings = LogSettings {
        format: Format::Json,
        console: false,
        file: Some(file),
        ..LogSettings::default()
    };
    let (logger, guard) = logging::build(&settings).unwrap();
    // About 150 bytes each: six to a file, so that the three before it are full too.
    report(&*logger, 40);
    guard.flush();

    let mut seen = Vec::new();
    for name in [
        "crossbridge.log.3",
        "crossbridge.log.2",
        "crossbridge.log.1",
        "crossbridge.log",
    ] {
        let text = fs::read_to_string(path.with_file_name(name)).unwrap();
        assert!(
            text.len() <= 1_000 && text.ends_with('\n'),
            "{name}: {}",
            text.len()
        );
        for line in text.lines() {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            seen.push(object["attempt"].as_u64().unwrap());
        }
    }
    // The oldest are gone, the others are all there and in order.
    assert!(seen.len() >= 15, "{seen:?}");
    let expected: Vec<u64> = (seen[0]..=40).collect();
    assert_eq!(seen, expected);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 4);

    // The next process goes on in the same file.
    drop((logger, guard));
    let before = fs::metadata(&path).unwrap().len();
    let (logger, guard) = logging::build(&settings).unwrap();
    report(&*logger, 1);
    guard.flush();
    assert_ne!(fs::metadata(&path).unwrap().len(), before);
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let file = FileSettings {
        path: directory.path().to_owned(),
        max_bytes: 1_000,
        backups: 0,
    };
    let settings = LogSettings {
        file: Some(file),
        ..LogSettings::default()
    };
    let error = logging::build(&settings).err().unwrap();
    assert_eq!(
        error.to_string(),
        format!("cannot log to `{}`", directory.path().display())
    );
    assert!(std::error::Error::source(&error).is_some());
}

/// The only test that installs a logger: the whole way from a core event to the file.
#[test]
fn the_cores_events_arrive_with_their_fields() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("crossbridge.log");
    let settings = LogSettings {
        format: Format::Json,
        console: false,
        file: Some(FileSettings {
            path: path.clone(),
            max_bytes: 1 << 20,
            backups: 1,
        }),
        ..LogSettings::default()
    };
    let guard = logging::install(&settings).unwrap();
    let observer = LogObserver {
        target: Category::Persistence.target(),
        path: "profiling_storage",
    };
    observer.on_event(
        Instant::from_nanos(5_000_000),
        &Event::BreakerChanged {
            from: BreakerState::Closed,
            to: BreakerState::Open,
        },
    );
    observer.on_event(
        Instant::from_nanos(6_000_000),
        &Event::RetryScheduled {
            number: 2,
            at: Instant::from_nanos(9_000_000),
            fault: FaultKind::Transient,
        },
    );
    guard.flush();
    let text = fs::read_to_string(&path).unwrap();
    let objects: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let field = |index: usize, name: &str| objects[index][name].clone();
    assert_eq!(objects.len(), 2);
    assert_eq!(
        (field(0, "message"), field(0, "to")),
        ("breaker changed".into(), "open".into())
    );
    assert_eq!(
        (field(1, "wait_us"), field(1, "fault")),
        (3_000.into(), "transient".into())
    );
    assert_eq!(field(1, "path"), "profiling_storage");
    let stamp: Timestamp = field(1, "timestamp").as_str().unwrap().parse().unwrap();
    assert!(stamp > Timestamp::UNIX_EPOCH);

    let again = logging::install(&settings).err().unwrap();
    assert_eq!(again.to_string(), "a logger is installed already");
}
