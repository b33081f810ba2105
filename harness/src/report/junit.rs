//! Promises as JUnit XML, for the CI systems that read it.
//!
//! | element | stands for |
//! |---|---|
//! | `testsuite` | a scenario; its properties are the seed, the hash of the trace and the command |
//! | `testcase` | a promise; where several seeds were run, also each seed that broke one |
//! | `failure` | what was observed instead, and the command that repeats it |
//! | `time` | virtual seconds |

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::Replay;
use super::markup::printable;
use super::text::observed;
use crate::result::ExpectationResult;

type Xml = Writer<Vec<u8>>;

/// A test case: its name, and why it failed.
struct Case {
    name: String,
    failure: Option<Failure>,
}

struct Failure {
    message: String,
    repeat: String,
}

/// The document of these replays.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn xml(replays: &[Replay<'_>]) -> io::Result<String> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let suites: Vec<(&Replay<'_>, Vec<Case>)> =
        replays.iter().map(|replay| (replay, cases(replay))).collect();
    let all = || suites.iter().flat_map(|(_, cases)| cases);
    let seconds: f64 = replays.iter().map(|replay| replay.result.virtual_seconds).sum();
    writer
        .create_element("testsuites")
        .with_attribute(("name", "crossbridge replay"))
        .with_attribute(("tests", all().count().to_string().as_str()))
        .with_attribute(("failures", failures(all()).as_str()))
        .with_attribute(("errors", "0"))
        .with_attribute(("time", time(seconds).as_str()))
        .write_inner_content(|writer| {
            suites
                .iter()
                .try_for_each(|(replay, cases)| suite(writer, replay, cases))
        })?;
    let mut text = String::from_utf8(writer.into_inner()).map_err(io::Error::other)?;
    text.push('\n');
    Ok(text)
}

fn suite(writer: &mut Xml, replay: &Replay<'_>, cases: &[Case]) -> io::Result<()> {
    let name = printable(&replay.scenario.name);
    let time = time(replay.result.virtual_seconds);
    writer
        .create_element("testsuite")
        .with_attribute(("name", name.as_str()))
        .with_attribute(("tests", cases.len().to_string().as_str()))
        .with_attribute(("failures", failures(cases.iter()).as_str()))
        .with_attribute(("errors", "0"))
        .with_attribute(("skipped", "0"))
        .with_attribute(("time", time.as_str()))
        .write_inner_content(|writer| {
            properties(writer, replay)?;
            for case in cases {
                let element = writer
                    .create_element("testcase")
                    .with_attribute(("classname", name.as_str()))
                    .with_attribute(("name", case.name.as_str()))
                    .with_attribute(("time", time.as_str()));
                match &case.failure {
                    None => element.write_empty()?,
                    Some(failure) => element.write_inner_content(|writer| failed(writer, failure))?,
                };
            }
            Ok(())
        })?;
    Ok(())
}

fn properties(writer: &mut Xml, replay: &Replay<'_>) -> io::Result<()> {
    let seed = replay.result.seed.to_string();
    let (trace, command) = (&replay.result.trace_sha256, printable(&replay.command));
    let all = [("seed", &seed), ("trace_sha256", trace), ("command", &command)];
    writer
        .create_element("properties")
        .write_inner_content(|writer| {
            for (name, value) in all {
                let property = writer.create_element("property").with_attribute(("name", name));
                property.with_attribute(("value", value.as_str())).write_empty()?;
            }
            Ok(())
        })?;
    Ok(())
}

fn failed(writer: &mut Xml, failure: &Failure) -> io::Result<()> {
    let element = writer
        .create_element("failure")
        .with_attribute(("type", "promise"));
    let element = element.with_attribute(("message", failure.message.as_str()));
    element.write_text_content(BytesText::new(&failure.repeat))?;
    Ok(())
}

fn cases(replay: &Replay<'_>) -> Vec<Case> {
    let result = &replay.result;
    let repeat = |command: &str| format!("repeat: {}", printable(command));
    let promises = result.expectations.iter().map(|promise| Case {
        name: printable(&promise.text),
        failure: (!promise.held).then(|| Failure {
            message: format!("observed {}", observed(promise.observed)),
            repeat: repeat(&replay.command),
        }),
    });
    let failing = result.seeds.iter().flat_map(|seeds| &seeds.failing);
    let seeds = failing.map(|failing| Case {
        name: format!("seed {}", failing.seed),
        failure: Some(Failure {
            message: failing.broken.iter().map(broken).collect::<Vec<_>>().join("; "),
            repeat: repeat(&failing.command),
        }),
    });
    promises.chain(seeds).collect()
}

fn broken(promise: &ExpectationResult) -> String {
    format!(
        "{}: observed {}",
        printable(&promise.text),
        observed(promise.observed)
    )
}

fn failures<'c>(cases: impl Iterator<Item = &'c Case>) -> String {
    cases.filter(|case| case.failure.is_some()).count().to_string()
}

fn time(seconds: f64) -> String {
    format!("{seconds:.3}")
}
