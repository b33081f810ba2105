//! Test elements into tests: which of them are attempts of one and the same.

use std::collections::HashMap;

use super::report::{Case, Report};
use crate::profiling::source::Position;

/// One test: its attempts in the order of the file, the last one being the one that counts.
#[derive(Debug)]
pub(super) struct Test {
    pub(super) earlier: Vec<Case>,
    pub(super) last: Case,
    /// What broke in teardown after the test had failed already.
    pub(super) teardown: Option<String>,
    /// Which of the tests of this class and name, from 1.
    pub(super) occurrence: u64,
}

/// Puts the attempts of a test together and compares the totals with what the file says of itself.
pub(super) fn group(report: &mut Report) -> Vec<Test> {
    let cases = std::mem::take(&mut report.cases);
    let elements = cases.len();
    // By suite, class and name: number among the different ones, and how many there were.
    let mut known = HashMap::with_capacity(elements);
    let places: Vec<(usize, u64)> = cases
        .iter()
        .map(|case| {
            let next = known.len();
            let key = (case.suite, case.classname.as_str(), case.name.as_str());
            let (slot, occurrence) = known.entry(key).or_insert((next, 0));
            *occurrence += 1;
            (*slot, *occurrence)
        })
        .collect();
    let mut tests: Vec<Test> = Vec::with_capacity(elements);
    let mut same = 0u64;
    let mut same_at = None;
    for (case, (slot, occurrence)) in cases.into_iter().zip(places) {
        if occurrence > 1
            && report.pytest
            && let Some(test) = tests.get_mut(slot)
        {
            test.add(case);
            continue;
        }
        if occurrence > 1 {
            same += 1;
            same_at.get_or_insert(case.at);
        }
        tests.push(Test {
            earlier: Vec::new(),
            last: case,
            teardown: None,
            occurrence,
        });
    }
    if let Some(at) = same_at {
        report.warnings.push(
            at,
            format!("tests that have the class and name of another one: {same}; kept apart, since nothing says that they are attempts"),
        );
    }
    compare(report, elements, &tests);
    tests
}

impl Test {
    fn add(&mut self, case: Case) {
        if self.last.failures > 0 && case.errors > 0 {
            // pytest opens a second element when a failed test breaks in teardown as well; an
            // attempt that was repeated never has a failure.
            self.last.errors += case.errors;
            self.teardown = case.attempt.message;
            if let (Some(first), Some(more)) = (self.last.attempt.time, case.attempt.time) {
                self.last.attempt.time = first.checked_add(more);
            }
            return;
        }
        let earlier = std::mem::replace(&mut self.last, case);
        self.earlier.push(earlier);
    }

    fn failed(&self) -> bool {
        self.last.failures > 0
    }
}

/// The attributes of suites are another count of the same thing; tools disagree with themselves.
fn compare(report: &mut Report, elements: usize, tests: &[Test]) {
    let at = report.root_at.unwrap_or(Position::START);
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let declared = report.declared;
    let [failures, errors, skipped] = report.elements;
    let count = |wanted: &dyn Fn(&Test) -> bool| number(tests.iter().filter(|test| wanted(test)).count());
    let pairs = [
        (
            "tests",
            declared.tests,
            "<testcase>",
            number(elements),
            number(tests.len()),
        ),
        (
            "failures",
            declared.failures,
            "<failure>",
            failures,
            count(&Test::failed),
        ),
        (
            "errors",
            declared.errors,
            "<error>",
            errors,
            count(&|test| !test.failed() && test.last.errors > 0),
        ),
        (
            "skipped",
            declared.skipped,
            "<skipped>",
            skipped,
            count(&|test| test.last.skip.is_some()),
        ),
    ];
    for (name, declared, element, elements, tests) in pairs {
        if let Some(declared) = declared.filter(|declared| *declared != elements && *declared != tests) {
            report.warnings.push(
                at,
                format!("attribute `{name}` says {declared}, the file has {elements} {element} elements of {tests} tests; the elements count"),
            );
        }
    }
    if tests.is_empty() {
        report.warnings.push(at, "the report has no test in it");
    }
}
