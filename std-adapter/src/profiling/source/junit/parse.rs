//! The walk over the XML, element by element and without a tree.

use std::io::BufRead;

use quick_xml::events::BytesStart;

use super::attributes::KNOWN;
use super::report::{Attempt, Case, Outcome, Report, Skip, Suite};
use crate::profiling::source::attributes::Attributes;
use crate::profiling::source::failure::{Failure, short};
use crate::profiling::source::tap::{Position, Tap};
use crate::profiling::source::text;
use crate::profiling::source::xml::{self, Here};
use crate::profiling::source::{Found, Problem};

/// Reads a whole report.
pub(super) fn parse<R: BufRead>(tap: Tap<R>) -> Result<Report, Failure> {
    let mut walk = Walk::default();
    let fingerprint = xml::walk(tap, &mut walk)?;
    Ok(Report {
        fingerprint,
        ..walk.report
    })
}

/// Where the walk is and what it has seen.
#[derive(Default)]
struct Walk {
    report: Report,
    /// What the open elements are to us.
    stack: Vec<Frame>,
    /// The root element was closed.
    closed: bool,
    /// Elements `<testcase>` begun so far.
    cases: u64,
    /// Times without a zone were already mentioned.
    told_zone: bool,
}

/// What an open element is to us.
enum Frame {
    Root {
        counted: bool,
    },
    Suite(usize),
    Case(Box<Case>),
    /// A child of a test that says how it went, or how an attempt of it did.
    Verdict(Verdict, Attempt, String),
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Failure,
    Error,
    Skipped(Skip),
    Before,
    After,
}

impl xml::Walk for Walk {
    fn start(&mut self, here: &mut Here<'_, '_>, tag: &BytesStart<'_>) -> Result<(), Problem> {
        let local = tag.local_name();
        let name = local.as_ref();
        if self.stack.len() >= MAX_DEPTH {
            return Err(Problem::TooDeep { limit: MAX_DEPTH });
        }
        let parent = self.stack.last();
        let told = matches!(parent, None | Some(Frame::Case(_)));
        let attributes = if told || matches!(name, "testsuite" | "testcase" | "failure" | "error") {
            Attributes::read(tag, &KNOWN)
        } else {
            // Properties and the like.
            Attributes::pass_over(tag, &KNOWN)
        };
        let mut attributes = attributes.map_err(Problem::Malformed)?;
        let frame = match (name, parent) {
            (_, None) if self.closed => {
                return Err(Problem::Malformed(format!(
                    "a second root element <{}>",
                    short(name)
                )));
            }
            ("testsuites", None) => {
                self.report.root_at = Some(here.at());
                self.root(&mut attributes)
            }
            ("testsuite", None) => {
                self.report.root_at = Some(here.at());
                self.suite(here.at(), &mut attributes, None)
            }
            ("testsuite", Some(Frame::Root { counted })) => {
                let counted = *counted;
                self.suite(here.at(), &mut attributes, Some((None, counted)))
            }
            ("testsuite", Some(&Frame::Suite(around))) => {
                self.suite(here.at(), &mut attributes, Some((Some(around), false)))
            }
            ("testcase", Some(Frame::Root { .. })) => self.case(here.at(), &mut attributes, None),
            ("testcase", Some(&Frame::Suite(suite))) => self.case(here.at(), &mut attributes, Some(suite)),
            ("failure" | "error", Some(Frame::Root { .. } | Frame::Suite(_))) => {
                let message = attributes
                    .take("message")
                    .and_then(|text| text::first_line(&text));
                let message = message.unwrap_or_else(|| "no message".to_owned());
                self.report.warnings.push(
                    here.at(),
                    format!("<{name}> of a suite, not of a test: {message}"),
                );
                Frame::Other
            }
            ("testcase" | "testsuite", Some(Frame::Case(_) | Frame::Verdict(..) | Frame::Other)) => {
                let inside = here.outer().unwrap_or_default().to_owned();
                self.report
                    .warnings
                    .push(here.at(), format!("<{name}> inside <{inside}>: left out"));
                Frame::Other
            }
            (_, Some(Frame::Case(_))) => self.verdict(name, &mut attributes),
            (_, None) if name.eq_ignore_ascii_case("html") => return Err(Problem::WrongKind(Found::Html)),
            (_, None) => return Err(Problem::WrongKind(Found::OtherXml(short(name).into_owned()))),
            (_, Some(_)) => Frame::Other,
        };
        for odd in attributes.odd {
            self.report.warnings.push(here.at(), odd);
        }
        self.stack.push(frame);
        Ok(())
    }

    fn text(&mut self, raw: &str) -> Result<(), Problem> {
        match self.stack.last_mut() {
            None if raw.trim_ascii().is_empty() => Ok(()),
            None => {
                let side = if self.closed { "after" } else { "before" };
                Err(Problem::Malformed(format!(
                    "text {side} the root element: `{}`",
                    short(raw.trim())
                )))
            }
            Some(Frame::Verdict(_, Attempt { message: None, .. }, kept)) => {
                // Leading blank lines are dropped and what is kept stays small.
                let raw = if kept.is_empty() { raw.trim_start() } else { raw };
                if kept.len() < text::MAX_MESSAGE * 4 && !kept.contains('\n') {
                    let part: String = raw.chars().take(text::MAX_MESSAGE + 1).collect();
                    text::push_visible(kept, &part);
                }
                Ok(())
            }
            Some(_) => Ok(()),
        }
    }

    fn close(&mut self) {
        let Some(frame) = self.stack.pop() else {
            return;
        };
        self.closed = self.stack.is_empty();
        match frame {
            Frame::Case(case) => self.close_case(*case),
            Frame::Verdict(verdict, mut attempt, kept) => {
                if attempt.message.is_none() {
                    attempt.message = text::first_line(&kept);
                }
                if let Some(Frame::Case(case)) = self.stack.last_mut() {
                    Self::judge(&mut self.report, case, verdict, attempt);
                }
            }
            Frame::Root { .. } | Frame::Suite(_) | Frame::Other => {}
        }
    }

    fn end(&mut self) -> Result<(), Problem> {
        if !self.closed {
            return Err(Problem::Malformed("no root element".to_owned()));
        }
        Ok(())
    }

    fn complete_tests(&self) -> Option<u64> {
        let complete = u64::try_from(self.report.cases.len()).unwrap_or(u64::MAX);
        self.report.root_at.map(|_| complete)
    }
}

impl Walk {
    fn root(&mut self, attributes: &mut Attributes<'_>) -> Frame {
        let name = attributes.take("name").unwrap_or_default();
        self.report.pytest |= name == "pytest tests";
        let declared = attributes.declared();
        self.report.declared.add(declared);
        Frame::Root {
            counted: declared.any(),
        }
    }

    fn suite(
        &mut self,
        at: Position,
        attributes: &mut Attributes<'_>,
        around: Option<(Option<usize>, bool)>,
    ) -> Frame {
        let name = attributes.take_owned("name").unwrap_or_default();
        self.report.pytest |= name == "pytest";
        let outer = around
            .and_then(|(suite, _)| suite)
            .and_then(|suite| self.report.suites.get(suite));
        let inherited = outer.and_then(|suite| suite.timestamp);
        let counted = around.is_some_and(|(_, counted)| counted) || outer.is_some_and(|suite| suite.counted);
        let declared = attributes.declared();
        if !counted {
            self.report.declared.add(declared);
        }
        let timestamp = self.timestamp(at, attributes).or(inherited);
        self.report.suites.push(Suite {
            name,
            timestamp,
            counted: counted || declared.any(),
        });
        Frame::Suite(self.report.suites.len() - 1)
    }

    fn case(&mut self, at: Position, attributes: &mut Attributes<'_>, suite: Option<usize>) -> Frame {
        let classname = attributes.take_owned("classname").unwrap_or_default();
        let name = attributes.take_owned("name").unwrap_or_default();
        let timestamp = self.timestamp(at, attributes);
        let time = attributes.time();
        let line = attributes.take("line").and_then(|line| line.trim().parse().ok());
        let said = attributes.said();
        let index = self.cases;
        self.cases += 1;
        Frame::Case(Box::new(Case {
            index,
            at,
            suite,
            classname,
            name,
            file: attributes.take_owned("file"),
            line,
            failures: 0,
            errors: 0,
            skip: None,
            said,
            attempt: Attempt {
                outcome: Outcome::Untold,
                time,
                timestamp,
                message: None,
                error_type: None,
            },
            before: Vec::new(),
            after: Vec::new(),
        }))
    }

    fn verdict(&mut self, name: &str, attributes: &mut Attributes<'_>) -> Frame {
        let error_type = attributes.take_owned("type").filter(|kind| !kind.is_empty());
        self.report.pytest |= error_type
            .as_deref()
            .is_some_and(|kind| kind.starts_with("pytest."));
        let (verdict, outcome) = match name {
            "failure" => (Verdict::Failure, Outcome::Failed),
            "error" => (Verdict::Error, Outcome::Error),
            "skipped" if error_type.as_deref() == Some("pytest.xfail") => {
                (Verdict::Skipped(Skip::Xfailed), Outcome::Untold)
            }
            "skipped" | "ignored" | "disabled" => (Verdict::Skipped(Skip::Skipped), Outcome::Untold),
            "flakyFailure" => (Verdict::Before, Outcome::Failed),
            "flakyError" => (Verdict::Before, Outcome::Error),
            "rerunFailure" => (Verdict::After, Outcome::Failed),
            "rerunError" => (Verdict::After, Outcome::Error),
            _ => return Frame::Other,
        };
        let message = attributes
            .take("message")
            .and_then(|text| text::first_line(&text));
        let timestamp = attributes.timestamp().map(|(at, _)| at);
        let attempt = Attempt {
            outcome,
            time: attributes.time(),
            timestamp,
            message,
            error_type,
        };
        Frame::Verdict(verdict, attempt, String::new())
    }

    fn timestamp(&mut self, at: Position, attributes: &mut Attributes<'_>) -> Option<jiff::Timestamp> {
        let (timestamp, assumed) = attributes.timestamp()?;
        if assumed && !std::mem::replace(&mut self.told_zone, true) {
            self.report.warnings.push(
                at,
                "`timestamp` has no zone; this and the others are taken as UTC",
            );
        }
        Some(timestamp)
    }

    fn judge(report: &mut Report, case: &mut Case, verdict: Verdict, attempt: Attempt) {
        let [failures, errors, skipped] = &mut report.elements;
        match verdict {
            Verdict::Failure => {
                case.failures += 1;
                *failures += 1;
            }
            Verdict::Error => {
                case.errors += 1;
                *errors += 1;
            }
            Verdict::Skipped(skip) => {
                case.skip = Some(skip);
                *skipped += 1;
            }
            Verdict::Before => return case.before.push(attempt),
            Verdict::After => return case.after.push(attempt),
        }
        // The first message is the one that tells; a later one may be "contains 1 failed subtest".
        if case.attempt.message.is_none() && case.attempt.error_type.is_none() {
            case.attempt.message = attempt.message;
            case.attempt.error_type = attempt.error_type;
        }
    }

    fn close_case(&mut self, mut case: Case) {
        case.end();
        if case.name.is_empty() && case.classname.is_empty() {
            let why = case
                .attempt
                .message
                .map_or_else(String::new, |message| format!(": {message}"));
            self.report.warnings.push(
                case.at,
                format!("<testcase> without a name: not a test, the run was interrupted here{why}"),
            );
            return;
        }
        self.report.cases.push(case);
    }
}

/// How deep elements may nest: a suite of suites of suites is five.
const MAX_DEPTH: usize = 128;
