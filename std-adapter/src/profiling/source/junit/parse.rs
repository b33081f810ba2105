//! The walk over the XML, element by element and without a tree.

use std::io::BufRead;

use quick_xml::events::BytesStart;

use super::attributes::Attribute;
use super::group;
use super::report::{Attempt, Case, Outcome, Report, SEPARATOR, Skip, Span, Suite};
use crate::profiling::source::failure::{Failure, short};
use crate::profiling::source::tap::{Position, Tap};
use crate::profiling::source::text;
use crate::profiling::source::xml::{self, Here, Places};
use crate::profiling::source::{Found, Problem};

type Attributes<'t> = crate::profiling::source::attributes::Attributes<'t, Attribute>;

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
    /// The last of the report's cases.
    Case,
    Verdict(Box<Told>),
    Other,
}

/// A child of a test that says how it went, or how an attempt of it did.
struct Told {
    verdict: Verdict,
    attempt: Attempt,
    /// Its text, from which the message is made if no attribute has one.
    text: String,
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
        let mut attributes = Attributes::new();
        attributes.read(tag).map_err(Problem::Malformed)?;
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
                self.suite(here, &mut attributes, None)
            }
            ("testsuite", Some(Frame::Root { counted })) => {
                let counted = *counted;
                self.suite(here, &mut attributes, Some((None, counted)))
            }
            ("testsuite", Some(&Frame::Suite(around))) => {
                self.suite(here, &mut attributes, Some((Some(around), false)))
            }
            ("testcase", Some(Frame::Root { .. })) => self.case(here, &mut attributes, None),
            ("testcase", Some(&Frame::Suite(suite))) => self.case(here, &mut attributes, Some(suite)),
            ("failure" | "error", Some(Frame::Root { .. } | Frame::Suite(_))) => {
                let message = attributes
                    .take(Attribute::Message)
                    .and_then(|text| text::first_line(&text));
                let message = message.unwrap_or_else(|| "no message".to_owned());
                self.report.warnings.push(
                    here.at(),
                    format!("<{name}> of a suite, not of a test: {message}"),
                );
                Frame::Other
            }
            ("testcase" | "testsuite", Some(Frame::Case | Frame::Verdict(_) | Frame::Other)) => {
                let inside = here.outer().unwrap_or_default().to_owned();
                self.report
                    .warnings
                    .push(here.at(), format!("<{name}> inside <{inside}>: left out"));
                Frame::Other
            }
            (_, Some(Frame::Case)) => self.verdict(name, &mut attributes),
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
            Some(Frame::Verdict(told)) if told.attempt.message.is_none() => {
                let kept = &mut told.text;
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
            Frame::Case => self.close_case(),
            Frame::Verdict(told) => {
                let Told {
                    verdict,
                    mut attempt,
                    text,
                } = *told;
                if attempt.message.is_none() {
                    attempt.message = text::first_line(&text);
                }
                self.judge(verdict, attempt);
            }
            Frame::Root { .. } | Frame::Suite(_) | Frame::Other => {}
        }
    }

    fn end(&mut self, places: &Places<'_>) -> Result<(), Problem> {
        if !self.closed {
            return Err(Problem::Malformed("no root element".to_owned()));
        }
        group::group(&mut self.report, places);
        Ok(())
    }

    fn complete_tests(&self) -> Option<u64> {
        let begun = u64::try_from(self.report.cases.len()).unwrap_or(u64::MAX);
        let open = self.stack.iter().any(|frame| matches!(frame, Frame::Case));
        let complete = begun - u64::from(open);
        self.report.root_at.map(|_| complete)
    }
}

impl Walk {
    fn root(&mut self, attributes: &mut Attributes<'_>) -> Frame {
        let name = attributes.take(Attribute::Name).unwrap_or_default();
        self.report.pytest |= name == "pytest tests";
        let declared = attributes.declared();
        self.report.declared.add(declared);
        Frame::Root {
            counted: declared.any(),
        }
    }

    fn suite(
        &mut self,
        here: &mut Here<'_, '_>,
        attributes: &mut Attributes<'_>,
        around: Option<(Option<usize>, bool)>,
    ) -> Frame {
        let name = attributes.take_owned(Attribute::Name).unwrap_or_default();
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
        let timestamp = self.timestamp(here, attributes).or(inherited);
        self.report.suites.push(Suite {
            name,
            timestamp,
            counted: counted || declared.any(),
        });
        Frame::Suite(self.report.suites.len() - 1)
    }

    fn case(
        &mut self,
        here: &mut Here<'_, '_>,
        attributes: &mut Attributes<'_>,
        suite: Option<usize>,
    ) -> Frame {
        let class = attributes.take(Attribute::Classname).unwrap_or_default();
        let name = attributes.take(Attribute::Name).unwrap_or_default();
        if class.is_empty() && name.is_empty() {
            // A warning tells this place.
            here.at();
        }
        let separator = if class.is_empty() { "" } else { SEPARATOR };
        let id = self.report.texts.add(&[&class, separator, &name]);
        let file = attributes.take(Attribute::File).map(|file| self.file(&file));
        let line = attributes.take(Attribute::Line);
        let case = Case {
            index: self.cases,
            at: here.mark(),
            suite,
            id,
            class: class.len(),
            file,
            line: line.and_then(|line| line.trim().parse().ok()),
            failures: 0,
            errors: 0,
            skip: None,
            timestamp: self.timestamp(here, attributes),
            time: attributes.time(),
            said: attributes.said(),
            occurrence: 1,
            more: None,
        };
        self.cases += 1;
        self.report.cases.push(case);
        Frame::Case
    }

    /// The file of a test, which is often that of the test before.
    fn file(&mut self, file: &str) -> Span {
        let texts = &mut self.report.texts;
        let before = self.report.cases.last().and_then(|case| case.file);
        before
            .filter(|&before| texts.get(before) == file)
            .unwrap_or_else(|| texts.add(&[file]))
    }

    fn verdict(&mut self, name: &str, attributes: &mut Attributes<'_>) -> Frame {
        let error_type = attributes
            .take_owned(Attribute::Type)
            .filter(|kind| !kind.is_empty());
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
            .take(Attribute::Message)
            .and_then(|text| text::first_line(&text));
        let timestamp = attributes.timestamp().map(|(at, _)| at);
        let attempt = Attempt {
            outcome,
            time: attributes.time(),
            timestamp,
            message,
            error_type,
        };
        Frame::Verdict(Box::new(Told {
            verdict,
            attempt,
            text: String::new(),
        }))
    }

    fn timestamp(
        &mut self,
        here: &mut Here<'_, '_>,
        attributes: &mut Attributes<'_>,
    ) -> Option<jiff::Timestamp> {
        let (timestamp, assumed) = attributes.timestamp()?;
        if assumed && !std::mem::replace(&mut self.told_zone, true) {
            self.report.warnings.push(
                here.at(),
                "`timestamp` has no zone; this and the others are taken as UTC",
            );
        }
        Some(timestamp)
    }

    fn judge(&mut self, verdict: Verdict, attempt: Attempt) {
        // Whose child it is: verdicts are children of tests only.
        let Some(case) = self.report.cases.last_mut() else {
            return;
        };
        let [failures, errors, skipped] = &mut self.report.elements;
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
            Verdict::Before => return case.more().before.push(attempt),
            Verdict::After => return case.more().after.push(attempt),
        }
        // The first message is the one that tells; a later one may be "contains 1 failed subtest".
        let more = case.more();
        if more.message.is_none() && more.error_type.is_none() {
            more.message = attempt.message;
            more.error_type = attempt.error_type;
        }
    }

    fn close_case(&mut self) {
        let Some(case) = self.report.cases.last_mut() else {
            return;
        };
        case.end();
        if self.report.texts.get(case.id).is_empty() {
            let why = case.more().message.take();
            let why = why.map_or_else(String::new, |message| format!(": {message}"));
            self.report.warnings.push(
                case.at.at.unwrap_or(Position::START),
                format!("<testcase> without a name: not a test, the run was interrupted here{why}"),
            );
            self.report.cases.pop();
        }
    }
}

/// How deep elements may nest: a suite of suites of suites is five.
const MAX_DEPTH: usize = 128;
