//! What `<status>` says, and what it makes of a test, of a step, and of a whole suite.

use jiff::Timestamp;

use super::merged;
use crate::profiling::event::{Millis, Status};
use crate::profiling::source::report::{Report, Step, Test};
use crate::profiling::source::text;

/// How something ended.
#[derive(Default)]
pub(super) struct Ended {
    pub(super) how: String,
    pub(super) at: Option<Timestamp>,
    pub(super) duration: Option<Millis>,
    /// All of the message, up to a limit.
    pub(super) message: String,
}

impl Ended {
    fn status(&self) -> Status {
        match self.how.as_str() {
            "PASS" => Status::Passed,
            "FAIL" => Status::Failed,
            "SKIP" | "NOT RUN" | "NOT_RUN" => Status::Skipped,
            _ => Status::Unknown,
        }
    }

    /// A test ended so.
    pub(super) fn test(self, test: &mut Test) {
        test.status = Some(self.status());
        (test.at, test.duration) = (self.at, self.duration);
        match merged::read(&self.message) {
            Some((retries, message)) => {
                let failed_before = retries.iter().any(|retry| retry.status == "failed");
                test.flaky = test.status == Some(Status::Passed) && failed_before;
                (test.retries, test.message) = (retries, message);
            }
            None => test.message = text::message(&self.message),
        }
    }

    /// A step ended so, unless it was passed over.
    pub(super) fn step(self, mut step: Step, test: &mut Test) {
        if matches!(self.how.as_str(), "NOT RUN" | "NOT_RUN") {
            return;
        }
        (step.at, step.duration) = (self.at, self.duration);
        step.put("status", self.status().as_str());
        test.steps.push(step);
    }

    /// The teardown of a suite ended so, whose tests are the records from `first` on.
    pub(super) fn teardown(&self, report: &mut Report, first: usize) {
        let what = match self.status() {
            Status::Failed => "suite teardown failed",
            Status::Skipped if self.how == "SKIP" => "suite teardown skipped",
            Status::Passed
            | Status::Error
            | Status::Skipped
            | Status::Xfailed
            | Status::Xpassed
            | Status::Timeout
            | Status::Unknown => return,
        };
        let status = Some(self.status());
        let why = text::message(&self.message).unwrap_or_default();
        for test in report.tests_since(first) {
            if test.status == Some(Status::Skipped) {
                continue;
            }
            test.note("teardown", Some(why.as_str()));
            if test.status != status {
                (test.status, test.flaky) = (status, false);
                test.message = Some(format!("{what}: {why}"));
            }
        }
    }
}
