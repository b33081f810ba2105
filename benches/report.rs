//! Reports into events, beside a bare pass over the same bytes: typed `serde_json` into structs of
//! the members that are read, `quick-xml` from event to event with the attributes unescaped.
//!
//! The first event is given out once the whole report is read and hashed, so up to there it is what
//! the bare pass does, and the hash; the others are made and given out after that. The bare pass
//! does not hash, and replaces and copies no text of XML: of a report that is little but captured
//! output (`junit_output`) it is done before the hash is.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crossbridge_std::profiling::identity::Fingerprint;
use crossbridge_std::profiling::{Options, source};
use quick_xml::escape::unescape;
use quick_xml::events::Event;
use serde::Deserialize;

fn report(criterion: &mut Criterion) {
    for (name, file, bare) in [
        ("junit_cases", "", xml as fn(&[u8])),
        ("junit_output", "junit/junit5-console-jupiter.xml", xml),
        ("robot", "robot/shop-output.xml", xml),
        ("pytest_json", "pytest/pytest-json-report.json", json::<Pytest>),
        ("playwright", "playwright/shop.json", json::<Playwright>),
        ("jest", "jest/jest.json", json::<Jest>),
        ("har", "har/full.har", json::<Har>),
    ] {
        let bytes = if file.is_empty() {
            cases().into_bytes()
        } else {
            let path = format!("{}/../fixtures/profiling/{file}", env!("CARGO_MANIFEST_DIR"));
            std::fs::read(&path).expect("a fixture")
        };
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

/// JUnit XML of 2,000 tests as pytest writes it: one in 50 failed, nothing captured.
fn cases() -> String {
    let mut text = "<testsuites><testsuite name=\"pytest\" tests=\"2000\" failures=\"40\">".to_owned();
    for number in 0..2_000 {
        let end = match number % 50 {
            0 => {
                "><failure message=\"assert 1 &lt; 0\">def test():\n&gt;  assert 1 &lt; 0</failure></testcase>"
            }
            _ => " />",
        };
        text += &format!(
            "<testcase classname=\"tests.unit.test_cart.TestCart{}\" name=\"test_add[{number}]\" time=\"0.0{number}\"{end}",
            number / 40
        );
    }
    text + "</testsuite></testsuites>"
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
                    let value = attribute.expect("well formed").value;
                    black_box(unescape(&value).expect("well formed"));
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
    Pytest {
        tests: Vec<PytestTest>, created: Option<f64>, duration: Option<f64>, exitcode: Option<i64>,
        summary: Totals, collectors: Vec<Collector>,
    }
    Totals { total: Option<u64>, }
    Collector { nodeid: String, outcome: String, longrepr: Option<String>, }
    PytestTest {
        nodeid: String, lineno: Option<u64>, outcome: String,
        setup: Option<Stage>, call: Option<Stage>, teardown: Option<Stage>,
    }
    Stage { duration: Option<f64>, outcome: Option<String>, crash: Option<Said>, longrepr: Option<String>, }
    Said { message: Option<String>, location: Option<Location>, }
    Location { file: Option<String>, line: Option<u64>, }

    Playwright { suites: Vec<Suite>, errors: Vec<Said>, stats: Stats, }
    Stats {
        start = "startTime": Option<String>, expected: Option<u64>, skipped: Option<u64>,
        unexpected: Option<u64>, flaky: Option<u64>,
    }
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
    Step { title: String, duration: Option<f64>, error: Option<Said>, steps: Vec<Self>, }

    Jest {
        files = "testResults": Vec<JestFile>, start = "startTime": Option<f64>, success: Option<bool>,
        total = "numTotalTests": Option<u64>, failed = "numFailedTests": Option<u64>,
    }
    JestFile {
        name: Option<String>, message: Option<String>, status: Option<String>,
        start = "startTime": Option<f64>, tests = "assertionResults": Vec<JestTest>,
    }
    JestTest {
        titles = "ancestorTitles": Vec<String>, title: Option<String>, full = "fullName": Option<String>,
        status: Option<String>, duration: Option<f64>, start = "startAt": Option<f64>,
        invocations: Option<u64>, location: Option<Location>,
        reasons = "retryReasons": Vec<String>, messages = "failureMessages": Vec<String>,
    }

    Har { log: Log, }
    Log { pages: Vec<Page>, entries: Vec<Entry>, }
    Page {
        id: String, title: Option<String>, start = "startedDateTime": Option<String>,
        timings = "pageTimings": Option<PageTimings>,
    }
    PageTimings { content = "onContentLoad": Option<f64>, load = "onLoad": Option<f64>, }
    Entry {
        pageref: Option<String>, start = "startedDateTime": Option<String>, time: Option<f64>,
        request: Request, response: Response, timings: Option<Timings>,
        resource = "_resourceType": Option<String>,
    }
    Request { method: String, url: String, }
    Response {
        status: Option<i64>, content: Option<Content>, size = "bodySize": Option<i64>,
        transfer = "_transferSize": Option<i64>, failure = "_failureText": Option<String>,
        error = "_error": Option<String>,
    }
    Content { kind = "mimeType": Option<String>, }
    Timings { wait: Option<f64>, }
}

criterion_group!(benches, report);
criterion_main!(benches);
