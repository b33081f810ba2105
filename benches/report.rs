//! Reports into events, beside a bare pass over the same bytes: typed `serde_json` into structs of
//! the members that are read, `quick-xml` from event to event with the attributes unescaped.
//!
//! The first event is given out once the whole report is read, checked and fingerprinted and its tests
//! are known: up to there it is what the bare pass does, and more. The events are made and given out
//! after that, which of a dense report (`junit_cases`: 90 bytes a test) is most of the work.
//!
//! Last come the ratios: of the fastest of many passes that take turns, so that what else the machine
//! does meanwhile falls on all of them.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group};
use crossbridge_core::Clock as _;
use crossbridge_std::clock::SystemClock;
use crossbridge_std::profiling::identity::Fingerprint;
use crossbridge_std::profiling::{Options, source};
use quick_xml::escape::unescape;
use quick_xml::events::Event;
use serde::Deserialize;

/// A report, and a bare pass over it.
struct Workload {
    name: &'static str,
    bytes: Vec<u8>,
    bare: fn(&[u8]),
}

impl Workload {
    fn all() -> Vec<Self> {
        [
            ("junit_cases", "", xml as fn(&[u8])),
            ("junit_output", "junit/junit5-console-jupiter.xml", xml),
            ("robot", "robot/shop-output.xml", xml),
            ("pytest_json", "pytest/pytest-json-report.json", json::<Pytest>),
            ("playwright", "playwright/shop.json", json::<Playwright>),
            ("jest", "jest/jest.json", json::<Jest>),
            ("har", "har/full.har", json::<Har>),
        ]
        .into_iter()
        .map(|(name, file, bare)| {
            let bytes = if file.is_empty() {
                cases().into_bytes()
            } else {
                let path = format!("{}/../fixtures/profiling/{file}", env!("CARGO_MANIFEST_DIR"));
                std::fs::read(&path).expect("a fixture")
            };
            Self { name, bytes, bare }
        })
        .collect()
    }

    /// How many of the events are asked for.
    fn read(&self, events: usize) {
        let source = source::open(black_box(&self.bytes[..]), Options::named(self.name)).expect("a report");
        for item in source.take(events) {
            black_box(item.expect("read to its end"));
        }
    }

    fn bare(&self) {
        (self.bare)(black_box(&self.bytes));
    }
}

fn report(criterion: &mut Criterion) {
    for workload in Workload::all() {
        let Workload { name, bytes, .. } = &workload;
        let mut group = criterion.benchmark_group(format!("report parsing/{name}"));
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("bare", |bench| bench.iter(|| workload.bare()));
        group.bench_function("hash", |bench| bench.iter(|| Fingerprint::of(black_box(bytes))));
        group.bench_function("first event", |bench| bench.iter(|| workload.read(1)));
        group.bench_function("events", |bench| bench.iter(|| workload.read(usize::MAX)));
        group.finish();
    }
}

/// The bare pass's time in ours: 1 is as fast, 0.5 takes twice as long.
#[expect(clippy::print_stdout, reason = "what is printed is the result")]
fn ratios() {
    let clock = SystemClock::new();
    println!("\nreport parsing, fastest of {PASSES} passes    bare   first event    all events");
    for workload in Workload::all() {
        let mut fastest = [Duration::MAX; 3];
        for _ in 0..PASSES {
            let passes: [&dyn Fn(); 3] = [&|| workload.bare(), &|| workload.read(1), &|| {
                workload.read(usize::MAX);
            }];
            for (fastest, pass) in fastest.iter_mut().zip(passes) {
                let begun = clock.now();
                pass();
                *fastest = clock.now().saturating_duration_since(begun).min(*fastest);
            }
        }
        let [bare, first, all] = fastest.map(|time| time.as_secs_f64() * 1e6);
        println!(
            "{:36} {bare:7.0} us {first:7.0} us {:.2} {all:6.0} us {:.2}",
            workload.name,
            bare / first,
            bare / all
        );
    }
}

const PASSES: u32 = 500;

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

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    // Not where benchmarks are only tried out, as tests.
    if std::env::args().any(|argument| argument == "--bench") {
        ratios();
    }
}
