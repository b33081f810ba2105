//! Test elements into tests: which of them are attempts of one and the same.

use std::collections::HashMap;
use std::hash::BuildHasher as _;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::report::{Case, Report};
use crate::profiling::source::Position;
use crate::profiling::source::xml::Places;

/// Puts the attempts of a test together and compares the totals with what the file says of itself.
pub(super) fn group(report: &mut Report, places: &Places<'_>) {
    let elements = report.cases.len();
    let repeated = number(report);
    let first = repeated.first().and_then(|first| report.cases.get(first.place));
    if let Some(at) = first.map(|case| places.of(case.at)) {
        if report.pytest {
            merge(&mut report.cases, repeated);
        } else {
            report.warnings.push(
                at,
                format!(
                    "tests that have the class and name of another one: {}; kept apart, since nothing says that they are attempts",
                    repeated.len()
                ),
            );
        }
    }
    compare(report, elements);
}

/// An element of a suite, class and name that an element before it has.
struct Repeated {
    place: usize,
    /// The place of the first of them.
    first: usize,
}

/// Numbers the elements of each suite, class and name. All but the first ones, in their order.
fn number(report: &mut Report) -> Vec<Repeated> {
    let mut repeated = Vec::new();
    // Places of first elements: smaller, and so faster, than a map of the names themselves.
    let mut known = HashTable::with_capacity(report.cases.len());
    let hashes = DefaultHashBuilder::default();
    let key = |case: &Case| (case.suite, case.class, report.texts.get(case.id));
    for (place, case) in report.cases.iter().enumerate() {
        let hash = |case| hashes.hash_one(key(case));
        let at = |place: &usize| report.cases.get(*place);
        let same = |place: &usize| at(place).is_some_and(|first| key(first) == key(case));
        match known.entry(hash(case), same, |place| at(place).map_or(0, hash)) {
            Entry::Occupied(first) => repeated.push(Repeated {
                place,
                first: *first.get(),
            }),
            Entry::Vacant(slot) => {
                slot.insert(place);
            }
        }
    }
    let mut occurrences = HashMap::new();
    for Repeated { place, first } in &repeated {
        let occurrence = occurrences.entry(*first).or_insert(1);
        *occurrence += 1;
        if let Some(case) = report.cases.get_mut(*place) {
            case.occurrence = *occurrence;
        }
    }
    repeated
}

/// pytest: the elements of one suite, class and name are attempts of one test.
fn merge(cases: &mut Vec<Case>, repeated: Vec<Repeated>) {
    for Repeated { place, first } in repeated {
        // What is left there has no occurrence.
        let case = cases.get_mut(place).map(std::mem::take);
        if let Some((test, case)) = cases.get_mut(first).zip(case) {
            test.add(case);
        }
    }
    cases.retain(|case| case.occurrence > 0);
}

impl Case {
    /// What is known of the test so far, and its next element.
    fn add(&mut self, mut case: Self) {
        if self.failures > 0 && case.errors > 0 {
            // pytest opens a second element when a failed test breaks in teardown as well; an
            // attempt that was repeated never has a failure.
            self.errors += case.errors;
            if let (Some(first), Some(more)) = (self.time, case.time) {
                self.time = first.checked_add(more);
            }
            self.more().teardown = case.more().message.take();
            return;
        }
        case.occurrence = self.occurrence;
        let mut attempt = std::mem::replace(self, case);
        let (earlier, teardown) = attempt
            .more
            .as_deref_mut()
            .map(|more| (std::mem::take(&mut more.earlier), more.teardown.take()))
            .unwrap_or_default();
        let more = self.more();
        (more.earlier, more.teardown) = (earlier, teardown);
        more.earlier.push(attempt);
    }

    fn failed(&self) -> bool {
        self.failures > 0
    }
}

/// The attributes of suites are another count of the same thing; tools disagree with themselves.
fn compare(report: &mut Report, elements: usize) {
    let tests = &report.cases;
    let at = report.root_at.unwrap_or(Position::START);
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let declared = report.declared;
    let [failures, errors, skipped] = report.elements;
    let count = |wanted: &dyn Fn(&Case) -> bool| number(tests.iter().filter(|test| wanted(test)).count());
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
            count(&Case::failed),
        ),
        (
            "errors",
            declared.errors,
            "<error>",
            errors,
            count(&|test| !test.failed() && test.errors > 0),
        ),
        (
            "skipped",
            declared.skipped,
            "<skipped>",
            skipped,
            count(&|test| test.skip.is_some()),
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
    if report.cases.is_empty() {
        report.warnings.push(at, "the report has no test in it");
    }
}
