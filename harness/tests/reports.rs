//! The files a replay writes: they are golden, well-formed, and need nothing but themselves.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use support::{crossbridge, fixture};

const BLIP: &str = "fixtures/scenarios/postgres-blip.yml";
const THROTTLE: &str = "fixtures/scenarios/ai-throttle.yml";

/// Replays and returns the file that `flag` wrote.
fn written(flag: &str, args: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("report");
    let mut all = vec!["replay", flag, path.to_str().expect("UTF-8")];
    all.extend(args);
    let run = crossbridge(all);
    assert!(
        run.status.code().is_some_and(|code| code <= 1),
        "{args:?}: {}",
        run.stderr
    );
    fs::read_to_string(path).expect("the report")
}

/// A copy of the scenario whose name, sentence and promise are markup, and whose promise is broken.
fn hostile(folder: &Path) -> String {
    let text = fs::read_to_string(fixture("scenarios/postgres-blip.yml")).expect("the fixture");
    let config = fixture("config/platform.yml");
    let text = text
        .replace("../config/platform.yml", config.to_str().expect("UTF-8"))
        .replace(
            "scenario: postgres-blip",
            r#"scenario: "<a b='c'>&\x07 \"]]>\"\nd""#,
        )
        .replace("about: PostgreSQL", "about: <script>alert(1)</script> PostgreSQL")
        .replace("amplification <= 1.5", "goodput>=99%");
    let path = folder.join("hostile.yml");
    fs::write(&path, text).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

/// Reads the whole document: every tag closed, every attribute quoted, nothing unescaped.
fn elements(xml: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut reader = Reader::from_str(xml);
    let mut found = Vec::new();
    let mut open = 0_i32;
    let element = |tag: &BytesStart<'_>| {
        let attributes = tag.attributes().map(|attribute| {
            let attribute = attribute.expect("an attribute");
            let key = attribute.key.as_ref().to_owned();
            let value = attribute.value.into_owned();
            (
                key,
                quick_xml::escape::unescape(&value).expect("escaped").into_owned(),
            )
        });
        let name = tag.name().as_ref().to_owned();
        (name, attributes.collect())
    };
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Start(tag) => {
                open += 1;
                found.push(element(&tag));
            }
            Event::Empty(tag) => found.push(element(&tag)),
            Event::End(_) => open -= 1,
            Event::Eof => break,
            Event::Text(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::GeneralRef(_) => {}
        }
    }
    assert_eq!(open, 0);
    found
}

#[test]
fn the_page() {
    let page = written("--html", &[BLIP, "--seeds", "5"]);
    let version = concat!("crossbridge ", env!("CARGO_PKG_VERSION"), "</dd>");
    assert!(page.contains(version));
    insta::assert_snapshot!(page.replace(version, "crossbridge VERSION</dd>"));
}

#[test]
fn the_picture() {
    insta::assert_snapshot!(written("--svg", &["fixtures/scenarios/influxdb-retry-after.yml"]));
}

#[test]
fn the_promises() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let scenario = hostile(folder.path());
    let xml = written(
        "--junit",
        &[&scenario, "fixtures/scenarios/runner-hang.yml", "--seeds", "3"],
    );
    insta::assert_snapshot!(xml.replace(&scenario, "hostile.yml"));

    let elements = elements(&xml);
    let count = |wanted: &str| {
        elements
            .iter()
            .filter(|(name, _)| name == wanted)
            .count()
            .to_string()
    };
    let attribute = |index: usize, wanted: &str| {
        let (_, attributes) = &elements[index];
        attributes
            .iter()
            .find(|(key, _)| key == wanted)
            .map(|(_, value)| value.clone())
    };
    assert_eq!(elements[0].0, "testsuites");
    assert_eq!(attribute(0, "tests"), Some(count("testcase")));
    assert_eq!(attribute(0, "failures"), Some(count("failure")));
    assert_eq!(
        attribute(1, "name").as_deref(),
        Some("<a b='c'>&\u{FFFD} \"]]>\" d")
    );
}

/// Nothing is fetched, nothing runs, and every name an element gives for another one is there once.
#[test]
fn a_page_is_whole_by_itself() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let scenario = hostile(folder.path());
    let page = written("--html", &[&scenario, THROTTLE, BLIP, "--seeds", "2"]);
    let addresses = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for foreign in ["http:", "https:", "<script", "<link", "@import", "src=", "<a b="] {
        assert!(!addresses.contains(foreign), "{foreign}");
    }
    // Apart from its first lines the page is also XML.
    let body = &page[page.find("<body>").expect("a body")..page.find("</html>").expect("an end")];
    let mut ids = BTreeSet::new();
    let mut wanted = Vec::new();
    let elements = elements(body);
    for (name, attributes) in &elements {
        for (key, value) in attributes {
            match key.as_str() {
                "id" => assert!(ids.insert(value.clone()), "{value} twice"),
                "aria-labelledby" => wanted.extend(value.split(' ').map(str::to_owned)),
                "href" => wanted.push(value.trim_start_matches('#').to_owned()),
                "fill" => wanted.push(value.trim_start_matches("url(#").trim_end_matches(')').to_owned()),
                _ => {}
            }
        }
        if name == "table" {
            assert!(attributes.is_empty());
        }
    }
    assert!(wanted.len() > 10);
    for id in wanted {
        assert!(ids.contains(&id), "{id} is not there");
    }
    let count = |wanted: &str| elements.iter().filter(|(name, _)| name == wanted).count();
    assert_eq!(count("table"), count("caption"));
    assert_eq!(count("svg"), count("desc"));
    assert_eq!((count("h1"), count("article")), (1, 3));
}

/// The verdict comes before everything else, with the promise that was broken.
#[test]
fn a_broken_promise_comes_first() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = written("--html", &[&hostile(folder.path())]);
    let text = "<p class=\"lead\">1 of 5 promises was broken: goodput&gt;=99% (observed 0.781532). \
                The faults lasted from 30s to 50s; the goodput was back at its level 11 s later.</p>";
    assert!(page.contains(text), "{page}");
    assert!(page.find(text) < page.find("<svg"));
    assert!(page.contains("<title>FAIL: "));
}

#[test]
fn the_picture_is_the_one_of_the_page() {
    let (page, picture) = (written("--html", &[BLIP]), written("--svg", &[BLIP]));
    elements(&picture);
    let paths = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with("<path class"));
        lines.map(str::to_owned).collect()
    };
    assert!(paths(&picture).len() > 10);
    assert_eq!(paths(&page), paths(&picture));
}

/// Two pixels to a unit, the same twice, and drawn: paper, ink and the red of a fault are all there.
#[test]
fn the_picture_in_pixels() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let draw = |scenario: &str| {
        let path = folder.path().join("picture.png");
        let run = crossbridge(["replay", scenario, "--png", path.to_str().expect("UTF-8")]);
        assert_eq!(run.status.code(), Some(0), "{}", run.stderr);
        fs::read(path).expect("the picture")
    };
    for (scenario, height) in [(BLIP, 508), ("fixtures/scenarios/grids/metastable.yml", 228)] {
        let png = draw(scenario);
        assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
        let number = |at: usize| u32::from_be_bytes([png[at], png[at + 1], png[at + 2], png[at + 3]]);
        assert_eq!((number(16), number(20)), (1_800, 2 * height), "{scenario}");
        assert!(png.len() > 10_000, "{} bytes", png.len());
    }
    assert_eq!(draw(BLIP), draw(BLIP));
}

#[test]
fn reports_change_nothing_of_what_is_printed_and_are_the_same_twice() {
    let plain = crossbridge(["replay", BLIP]).stdout;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [html, svg, junit] = ["a.html", "a.svg", "a.xml"].map(|name| folder.path().join(name));
    let file = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let args = [
        "replay",
        BLIP,
        "--html",
        &file(&html),
        "--svg",
        &file(&svg),
        "--junit",
        &file(&junit),
    ];
    let read = || [&html, &svg, &junit].map(|path| fs::read_to_string(path).expect("a report"));
    assert_eq!(crossbridge(args).stdout, plain);
    let first = read();
    crossbridge(args);
    assert_eq!(read(), first);
}

#[test]
fn a_report_that_cannot_be_written_is_known_before_the_run() {
    for flag in ["--html", "--svg", "--png", "--junit"] {
        let run = crossbridge(["replay", BLIP, flag, "/nowhere/at/all"]);
        assert_eq!(run.status.code(), Some(4), "{}", run.stderr);
        assert!(run.stderr.contains("nothing was run"), "{}", run.stderr);
        assert_eq!(run.stdout, "");
    }
    let run = crossbridge(["replay", BLIP, THROTTLE, "--svg", "/tmp/never-written.svg"]);
    assert_eq!(run.status.code(), Some(2), "{}", run.stderr);
    assert_eq!(run.stdout, "");
}
