//! Promises as JUnit XML, for the CI systems that read it.
//!
//! | element | stands for |
//! |---|---|
//! | `testsuite` | a scenario, or a cell of a grid; its properties are the seed, the hash of the trace and the command |
//! | `testcase` | a promise; where several seeds were run, also each seed that broke one |
//! | `failure` | what was observed instead, and the command that repeats it |
//! | `skipped` | a promise about many seeds, where one was run |
//! | `time` | virtual seconds |

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::Replay;
use super::markup::printable;
use super::text::observed;
use crate::result::{Cell, ExpectationResult, GridResult, SeedsResult};

type Xml = Writer<Vec<u8>>;

/// A test case: its name, and why it failed.
struct Case {
    name: String,
    failure: Option<Failure>,
    /// Why it is neither.
    skipped: Option<&'static str>,
}

struct Failure {
    message: String,
    repeat: String,
}

/// A run: a replay, or a cell of a grid.
struct Suite<'r> {
    name: String,
    virtual_seconds: f64,
    seed: u64,
    trace_sha256: &'r str,
    command: &'r str,
    cases: Vec<Case>,
}

/// The document of these replays, and of the cells of these grids.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn xml(replays: &[Replay<'_>], grids: &[GridResult]) -> io::Result<String> {
    let cells = grids
        .iter()
        .flat_map(|grid| grid.cells.iter().map(move |cell| of_cell(grid, cell)));
    let suites: Vec<Suite<'_>> = replays.iter().map(of_replay).chain(cells).collect();
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let all = || suites.iter().flat_map(|suite| &suite.cases);
    let seconds: f64 = suites.iter().map(|suite| suite.virtual_seconds).sum();
    writer
        .create_element("testsuites")
        .with_attribute(("name", "crossbridge replay"))
        .with_attribute(("tests", all().count().to_string().as_str()))
        .with_attribute(("failures", failures(all()).as_str()))
        .with_attribute(("errors", "0"))
        .with_attribute(("time", time(seconds).as_str()))
        .write_inner_content(|writer| suites.iter().try_for_each(|suite| write(writer, suite)))?;
    let mut text = String::from_utf8(writer.into_inner()).map_err(io::Error::other)?;
    text.push('\n');
    Ok(text)
}

fn of_replay<'r>(replay: &'r Replay<'_>) -> Suite<'r> {
    let result = &replay.result;
    let promises = (&result.expectations[..], &result.not_judged[..]);
    Suite {
        name: printable(&replay.scenario.name),
        virtual_seconds: result.virtual_seconds,
        seed: result.seed,
        trace_sha256: &result.trace_sha256,
        command: &replay.command,
        cases: cases(promises, result.seeds.as_ref(), &replay.command),
    }
}

fn of_cell<'r>(grid: &'r GridResult, cell: &'r Cell) -> Suite<'r> {
    let values = grid.axes.iter().zip(&cell.labels);
    let values: Vec<String> = values
        .map(|(axis, label)| format!("{}={label}", axis.path))
        .collect();
    let promises = (&cell.expectations[..], &grid.not_judged[..]);
    Suite {
        name: printable(&format!("{} with {}", grid.scenario, values.join(", "))),
        virtual_seconds: cell.virtual_seconds,
        seed: cell.seed,
        trace_sha256: &cell.trace_sha256,
        command: &cell.command,
        cases: cases(promises, cell.seeds.as_ref(), &cell.command),
    }
}

fn write(writer: &mut Xml, suite: &Suite<'_>) -> io::Result<()> {
    let (name, cases) = (suite.name.as_str(), &suite.cases);
    let time = time(suite.virtual_seconds);
    writer
        .create_element("testsuite")
        .with_attribute(("name", name))
        .with_attribute(("tests", cases.len().to_string().as_str()))
        .with_attribute(("failures", failures(cases.iter()).as_str()))
        .with_attribute(("errors", "0"))
        .with_attribute(("skipped", skipped(cases).as_str()))
        .with_attribute(("time", time.as_str()))
        .write_inner_content(|writer| {
            properties(writer, suite)?;
            for case in cases {
                let element = writer
                    .create_element("testcase")
                    .with_attribute(("classname", name))
                    .with_attribute(("name", case.name.as_str()))
                    .with_attribute(("time", time.as_str()));
                match (&case.failure, case.skipped) {
                    (Some(failure), _) => element.write_inner_content(|writer| failed(writer, failure))?,
                    (None, Some(why)) => element.write_inner_content(|writer| {
                        let skipped = writer.create_element("skipped");
                        skipped.with_attribute(("message", why)).write_empty()?;
                        Ok(())
                    })?,
                    (None, None) => element.write_empty()?,
                };
            }
            Ok(())
        })?;
    Ok(())
}

fn properties(writer: &mut Xml, suite: &Suite<'_>) -> io::Result<()> {
    let (seed, command) = (suite.seed.to_string(), printable(suite.command));
    let all = [
        ("seed", seed.as_str()),
        ("trace_sha256", suite.trace_sha256),
        ("command", &command),
    ];
    writer
        .create_element("properties")
        .write_inner_content(|writer| {
            for (name, value) in all {
                let property = writer.create_element("property").with_attribute(("name", name));
                property.with_attribute(("value", value)).write_empty()?;
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

/// A case for each promise, then one for each seed that broke any.
fn cases(
    (judged, not_judged): (&[ExpectationResult], &[String]),
    seeds: Option<&SeedsResult>,
    command: &str,
) -> Vec<Case> {
    let repeat = |command: &str| format!("repeat: {}", printable(command));
    let together = seeds.iter().flat_map(|seeds| &seeds.promises);
    let promises = judged.iter().chain(together).map(|promise| Case {
        name: printable(&promise.text),
        failure: (!promise.held).then(|| Failure {
            message: format!("observed {}", observed(promise.observed)),
            repeat: repeat(command),
        }),
        skipped: None,
    });
    let not_judged = not_judged.iter().map(|promise| Case {
        name: printable(promise),
        failure: None,
        skipped: Some("about many seeds, and this is one: see --seeds"),
    });
    let failing = seeds.iter().flat_map(|seeds| &seeds.failing);
    let seeds = failing.map(|failing| Case {
        name: format!("seed {}", failing.seed),
        failure: Some(Failure {
            message: failing.broken.iter().map(broken).collect::<Vec<_>>().join("; "),
            repeat: repeat(&failing.command),
        }),
        skipped: None,
    });
    promises.chain(not_judged).chain(seeds).collect()
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

fn skipped(cases: &[Case]) -> String {
    let skipped = cases.iter().filter(|case| case.skipped.is_some());
    skipped.count().to_string()
}

fn time(seconds: f64) -> String {
    format!("{seconds:.3}")
}
