//! `output.xml` of Robot Framework 3 to 7: tests, and the keywords that they call themselves.
//!
//! | in the file | read as |
//! |---|---|
//! | `<test>` | a test `Suite.Inner::Name` |
//! | `PASS`, `FAIL`, `SKIP`, `NOT RUN` (3: `NOT_RUN`) | passed, failed, skipped, skipped |
//! | `<kw>`, `<for>`, `<while>`, `<if>`, `<try>`, `<group>` right below a test | `step_end`; its setup and teardown `setup_end`, `teardown_end` |
//! | a suite teardown that failed | every test of the suite failed that was not skipped |
//! | a suite teardown that was skipped | every test of the suite is skipped |
//! | a message that `rebot --merge` wrote | the attempts before the last |
//!
//! `<test><status>` says PASS even where the teardown of the suite failed afterwards: Robot counts
//! such tests as failed, and so does this. What a keyword calls in turn is not read. Times have no
//! zone and are taken as UTC. What [JUnit](super::junit) says of safety holds here; elements may be
//! nested 1,000 deep.

use std::io::BufRead;

use jiff::Timestamp;
use jiff::civil::DateTime;
use quick_xml::events::BytesStart;

use super::attributes::{Attributes, wanted};
use super::failure::{Failure, short};
use super::report::{Report, Step, Test};
use super::tap::Tap;
use super::xml::{self, Here, Places};
use super::{Found, Problem, text};
use crate::profiling::event::{EventType, Millis, Status};

mod ended;
mod merged;

use ended::Ended;

wanted! {
    /// What is read of tags.
    Attribute {
        Name = "name",
        Type = "type",
        Line = "line",
        Status = "status",
        Start = "start",
        Elapsed = "elapsed",
        StartTime = "starttime",
        EndTime = "endtime",
        Generated = "generated",
        Pass = "pass",
        Fail = "fail",
        Skip = "skip",
    }
}

/// Reads a whole `output.xml`.
pub(super) fn parse<R: BufRead>(tap: Tap<R>) -> Result<Report, Failure> {
    let mut walk = Walk {
        report: Report::new("robot", tap.position()),
        stack: Vec::new(),
        total: None,
        rooted: false,
    };
    walk.report.fingerprint = xml::walk(tap, &mut walk)?;
    Ok(walk.report)
}

struct Walk {
    report: Report,
    /// What the open elements are to us.
    stack: Vec<Frame>,
    /// Passed, failed and skipped tests by the statistics at the end.
    total: Option<[Option<u64>; 3]>,
    /// The root element has begun.
    rooted: bool,
}

/// What an open element is to us.
enum Frame {
    Root,
    Suite {
        /// With the names of those around it.
        name: String,
        /// The first record that is in it.
        first: usize,
        /// How its teardown ended.
        teardown: Option<Ended>,
    },
    Test(Box<Test>),
    /// A keyword right below a test, or the setup or teardown of a suite.
    Step(Box<Step>, Option<Ended>),
    Status(Ended, String),
    /// The tags of a test, where they are in a list.
    Tags(Vec<serde_json::Value>),
    Tag(String),
    Statistics,
    Total,
    Other,
}

impl xml::Walk for Walk {
    fn start(&mut self, here: &mut Here<'_, '_>, tag: &BytesStart<'_>) -> Result<(), Problem> {
        let local = tag.local_name();
        let name = local.as_ref();
        if self.stack.len() >= MAX_DEPTH {
            return Err(Problem::TooDeep { limit: MAX_DEPTH });
        }
        // Below a keyword nothing is read, and most of a file is there.
        let inside = self.stack.last();
        if matches!((inside, name), (Some(Frame::Other), _)) {
            self.stack.push(Frame::Other);
            return Ok(());
        }
        let mut attributes = Attributes::new();
        attributes.read(tag).map_err(Problem::Malformed)?;
        let mut take = |wanted| attributes.take_owned(wanted);
        let frame = match (name, inside) {
            (_, None) if self.rooted => {
                let second = format!("a second root element <{}>", short(name));
                return Err(Problem::Malformed(second));
            }
            ("robot", None) => {
                self.rooted = true;
                if let Some(generated) = take(Attribute::Generated) {
                    self.report.run_at = self.time(&generated);
                }
                Frame::Root
            }
            (_, None) => return Err(Problem::WrongKind(Found::OtherXml(short(name).into_owned()))),
            ("suite", Some(Frame::Root)) => self.suite(None, take(Attribute::Name)),
            ("suite", Some(Frame::Suite { name: outer, .. })) => {
                let outer = outer.clone();
                self.suite(Some(outer), take(Attribute::Name))
            }
            ("test", Some(Frame::Suite { name: suite, .. })) => {
                let name = take(Attribute::Name).unwrap_or_default();
                let mut test = Test {
                    id: format!("{suite}::{name}"),
                    ..Test::default()
                };
                test.note("name", Some(name));
                test.note("suite", Some(suite.as_str()));
                test.note(
                    "line",
                    take(Attribute::Line).and_then(|line| line.parse::<u64>().ok()),
                );
                Frame::Test(Box::new(test))
            }
            ("kw", Some(Frame::Test(_) | Frame::Suite { .. })) => {
                let kind = match take(Attribute::Type).as_deref() {
                    Some("SETUP" | "setup") => EventType::SetupEnd,
                    Some("TEARDOWN" | "teardown") => EventType::TeardownEnd,
                    Some(_) | None => EventType::StepEnd,
                };
                Frame::Step(Box::new(Step::new(kind, take(Attribute::Name))), None)
            }
            ("for" | "while" | "if" | "try" | "group", Some(Frame::Test(_))) => {
                let named = take(Attribute::Name).filter(|name| !name.is_empty());
                let step = Step::new(EventType::StepEnd, named.or_else(|| Some(name.to_uppercase())));
                Frame::Step(Box::new(step), None)
            }
            ("status", Some(Frame::Test(_) | Frame::Suite { .. } | Frame::Step(..))) => {
                let ended = self.ended(here, &mut attributes);
                Frame::Status(ended, String::new())
            }
            // Robot 3 has them in a list.
            ("tags", Some(Frame::Test(_))) => Frame::Tags(Vec::new()),
            ("tag", Some(Frame::Test(_) | Frame::Tags(_))) => Frame::Tag(String::new()),
            ("statistics", Some(Frame::Root)) => Frame::Statistics,
            ("total", Some(Frame::Statistics)) => Frame::Total,
            ("stat", Some(Frame::Total)) => {
                let mut count = |name| take(name).and_then(|count| count.parse().ok());
                self.total = Some([
                    count(Attribute::Pass),
                    count(Attribute::Fail),
                    count(Attribute::Skip),
                ]);
                Frame::Other
            }
            (_, Some(_)) => Frame::Other,
        };
        if matches!(frame, Frame::Test(_) | Frame::Suite { .. } | Frame::Step(..)) {
            // A warning about its status tells this place.
            here.at();
        }
        self.stack.push(frame);
        Ok(())
    }

    fn text(&mut self, raw: &str) -> Result<(), Problem> {
        match self.stack.last_mut() {
            Some(Frame::Status(_, kept) | Frame::Tag(kept)) => {
                let room = MAX_TEXT.saturating_sub(kept.len());
                kept.push_str(raw.get(..raw.floor_char_boundary(room)).unwrap_or_default());
                Ok(())
            }
            None if !raw.trim_ascii().is_empty() => Err(Problem::Malformed(format!(
                "text outside of the root element: `{}`",
                short(raw.trim())
            ))),
            Some(_) | None => Ok(()),
        }
    }

    fn close(&mut self) {
        let Some(frame) = self.stack.pop() else {
            return;
        };
        let outermost = self.stack.len() == ROOT_SUITE;
        let outer = self.stack.last_mut();
        match (frame, outer) {
            (Frame::Status(mut ended, message), Some(outer)) => {
                ended.message = message;
                match outer {
                    Frame::Test(test) => ended.test(test),
                    Frame::Step(_, slot) => *slot = Some(ended),
                    Frame::Suite { .. } if outermost => {
                        self.report.run_at = ended.at.or(self.report.run_at);
                    }
                    Frame::Suite { .. }
                    | Frame::Root
                    | Frame::Status(..)
                    | Frame::Tags(_)
                    | Frame::Tag(_)
                    | Frame::Statistics
                    | Frame::Total
                    | Frame::Other => {}
                }
            }
            (Frame::Step(step, Some(ended)), Some(Frame::Test(test))) => ended.step(*step, test),
            (Frame::Step(step, ended), Some(Frame::Suite { teardown, .. })) => {
                if step.kind == EventType::TeardownEnd {
                    *teardown = ended;
                }
            }
            (Frame::Tag(tag), Some(Frame::Tags(tags))) => tags.push(text::visible(tag.trim()).into()),
            (Frame::Tags(tags), Some(Frame::Test(test))) => {
                test.note("tags", (!tags.is_empty()).then_some(tags));
            }
            (Frame::Tag(tag), Some(Frame::Test(test))) => {
                let tag = text::visible(tag.trim()).into_owned();
                match test.metadata.iter_mut().find(|(name, _)| *name == "tags") {
                    Some((_, serde_json::Value::Array(tags))) => tags.push(tag.into()),
                    _ => test.note("tags", Some(vec![tag])),
                }
            }
            (Frame::Test(test), _) => self.report.push(*test),
            (Frame::Suite { first, teardown, .. }, _) => {
                if let Some(teardown) = teardown {
                    teardown.teardown(&mut self.report, first);
                }
            }
            (
                Frame::Root
                | Frame::Status(..)
                | Frame::Step(..)
                | Frame::Tags(_)
                | Frame::Tag(_)
                | Frame::Statistics
                | Frame::Total
                | Frame::Other,
                _,
            ) => {}
        }
    }

    fn end(&mut self, _: &Places<'_>) -> Result<(), Problem> {
        if !self.rooted {
            return Err(Problem::Malformed("no root element".to_owned()));
        }
        let [passed, failed, skipped] = self.total.unwrap_or_default();
        for (what, told, status) in [
            ("pass", passed, Status::Passed),
            ("fail", failed, Status::Failed),
            ("skip", skipped, Status::Skipped),
        ] {
            let found = self.report.count(&[status]);
            self.report.compare(what, told, found);
        }
        if self.report.records.is_empty() {
            self.report.warn("the report has no test in it");
        }
        Ok(())
    }

    fn complete_tests(&self) -> Option<u64> {
        u64::try_from(self.report.tests().count()).ok()
    }
}

impl Walk {
    fn suite(&self, outer: Option<String>, name: Option<String>) -> Frame {
        let name = name.unwrap_or_default();
        Frame::Suite {
            name: match outer {
                Some(outer) => format!("{outer}.{name}"),
                None => name,
            },
            first: self.report.records.len(),
            teardown: None,
        }
    }

    fn ended(&mut self, here: &Here<'_, '_>, attributes: &mut Attributes<'_, Attribute>) -> Ended {
        // Robot 7 and later; before that, the two times.
        let start = attributes
            .take(Attribute::Start)
            .or_else(|| attributes.take(Attribute::StartTime));
        let at = start.and_then(|start| self.time(&start));
        let elapsed = attributes.take(Attribute::Elapsed);
        let duration = match elapsed {
            Some(elapsed) => {
                let millis = elapsed
                    .parse()
                    .ok()
                    .and_then(|seconds| Millis::from_seconds(seconds).ok());
                if millis.is_none() {
                    let open = here.outer_at().unwrap_or(self.report.at);
                    self.report.warnings.push(
                        open,
                        format!(
                            "`elapsed` is `{}`, expected seconds from 0 to 1e9; taken as not measured",
                            short(&elapsed)
                        ),
                    );
                }
                millis
            }
            None => attributes
                .take(Attribute::EndTime)
                .and_then(|end| self.time(&end))
                .zip(at)
                .and_then(|(end, at)| Millis::from_seconds(end.duration_since(at).as_secs_f64()).ok()),
        };
        Ended {
            how: attributes.take_owned(Attribute::Status).unwrap_or_default(),
            at,
            duration,
            message: String::new(),
        }
    }

    fn time(&mut self, found: &str) -> Option<Timestamp> {
        // Before Robot 7 there is a space between date and time.
        if found.contains('T') {
            return self.report.time(found);
        }
        match DateTime::strptime("%Y%m%d %H:%M:%S%.f", found) {
            Ok(old) => self.report.local_time(old),
            // What Robot writes where there is none.
            Err(_) if found == "N/A" => None,
            Err(_) => self.report.time(found),
        }
    }
}

/// How deep elements may nest. Robot itself stops at 100 keywords in each other; each may stand in
/// loops and conditions of several elements.
const MAX_DEPTH: usize = 1_000;
/// How many elements are open in the outermost suite.
const ROOT_SUITE: usize = 2;
/// What is kept of a message, in bytes.
const MAX_TEXT: usize = 16 << 10;
