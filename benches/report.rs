//! Reports into events, beside a bare pass over the same bytes: typed `serde_json` into structs of
//! what is kept, `quick-xml` from event to event with the attributes looked at.
//!
//! The first event is given out once the whole report is read and hashed, so up to there it is what
//! the bare pass does, and the hash; the others are made and given out after that. The bare pass
//! does not hash, replaces no reference and copies no text of XML.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crossbridge_std::profiling::identity::Fingerprint;
use crossbridge_std::profiling::{Options, source};
use quick_xml::events::Event;
use serde::Deserialize;

fn report(criterion: &mut Criterion) {
    for (name, file, bare) in [
        ("junit", "junit/junit5-console-jupiter.xml", xml as fn(&[u8])),
        ("robot", "robot/shop-output.xml", xml),
        ("pytest_json", "pytest/pytest-json-report.json", json::<Pytest>),
        ("playwright", "playwright/shop.json", json::<Playwright>),
        ("jest", "jest/jest.json", json::<Jest>),
        ("har", "har/full.har", json::<Har>),
    ] {
        let path = format!("{}/../fixtures/profiling/{file}", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(&path).expect("a fixture");
        let mut group = criterion.benchmark_group(format!("report parsing/{name}"));
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("bare", |bench| bench.iter(|| bare(black_box(&bytes))));
        group.bench_function("hash", |bench| bench.iter(|| Fingerprint::of(black_box(&bytes))));
        let open = || source::open(black_box(&bytes[..]), Options::named(name)).expect("a report");
        group.bench_function("first event", |bench| {
            bench.iter(|| black_box(open().next().expect("an event").expect("read to its end")));
        });
        group.bench_function("events", |bench| {
            bench.iter(|| {
                open()
                    .map(|item| item.expect("read to its end"))
                    .for_each(|item| {
                        black_box(item);
                    });
            });
        });
        group.finish();
    }
}

fn json<T: for<'de> Deserialize<'de>>(bytes: &[u8]) {
    black_box(serde_json::from_slice::<T>(bytes).expect("of its kind"));
}

fn xml(bytes: &[u8]) {
    let mut reader = quick_xml::Reader::from_reader(bytes);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).expect("well formed") {
            Event::Start(tag) | Event::Empty(tag) => {
                for attribute in tag.attributes() {
                    black_box(attribute.expect("well formed").value);
                }
            }
            Event::Eof => return,
            Event::End(_)
            | Event::Text(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::GeneralRef(_) => {}
        }
    }
}

macro_rules! kept {
    ($($name:ident { $($field:ident $(= $key:literal)?: $kind:ty,)* })*) => {
        $(
            #[derive(Default, Deserialize)]
            #[allow(dead_code, reason = "that they are read is all that is measured")]
            struct $name {
                $(#[serde(default $(, rename = $key)?)] $field: $kind,)*
            }
        )*
    };
}

kept! {
    Pytest { tests: Vec<PytestTest>, created: Option<f64>, }
    PytestTest {
        nodeid: String, lineno: Option<u64>, outcome: String,
        setup: Option<Stage>, call: Option<Stage>, teardown: Option<Stage>,
    }
    Stage { duration: Option<f64>, outcome: Option<String>, crash: Option<Said>, longrepr: Option<String>, }
    Said { message: Option<String>, }

    Playwright { suites: Vec<Suite>, errors: Vec<Said>, }
    Suite { title: String, specs: Vec<Spec>, suites: Vec<Self>, }
    Spec { title: String, file: Option<String>, line: Option<u64>, tags: Vec<String>, tests: Vec<SpecTest>, }
    SpecTest {
        expected = "expectedStatus": Option<String>, status: Option<String>,
        project = "projectName": Option<String>, results: Vec<Attempt>,
    }
    Attempt {
        status: Option<String>, duration: Option<f64>, start = "startTime": Option<String>,
        error: Option<Said>, steps: Vec<Step>,
    }
    Step { title: String, duration: Option<f64>, }

    Jest { files = "testResults": Vec<JestFile>, }
    JestFile { name: Option<String>, message: Option<String>, tests = "assertionResults": Vec<JestTest>, }
    JestTest {
        titles = "ancestorTitles": Vec<String>, title: Option<String>, full = "fullName": Option<String>,
        status: Option<String>, duration: Option<f64>, start = "startAt": Option<f64>,
        reasons = "retryReasons": Vec<String>, messages = "failureMessages": Vec<String>,
    }

    Har { log: Log, }
    Log { pages: Vec<Page>, entries: Vec<Entry>, }
    Page { id: String, title: Option<String>, }
    Entry {
        pageref: Option<String>, start = "startedDateTime": Option<String>, time: Option<f64>,
        request: Request, response: Response,
    }
    Request { method: String, url: String, }
    Response { status: Option<i64>, size = "bodySize": Option<i64>, }
}

criterion_group!(benches, report);
criterion_main!(benches);
