use jiff::Timestamp;

use super::*;
use crate::profiling::store::StoreError;
use crate::profiling::store::reader::{self, Call, EventReader, TestEnd};

/// Rows in the order they are in.
#[derive(Default)]
struct Rows {
    tests: Vec<TestEnd>,
    calls: Vec<Call>,
}

impl EventReader for Rows {
    fn tests(
        &mut self,
        _: &Filter,
        _: reader::Groups,
        each: &mut dyn FnMut(TestEnd),
    ) -> Result<(), StoreError> {
        self.tests.iter().cloned().for_each(each);
        Ok(())
    }

    fn calls(&mut self, _: &Filter, each: &mut dyn FnMut(Call)) -> Result<(), StoreError> {
        self.calls.iter().cloned().for_each(each);
        Ok(())
    }
}

/// A test, run after run: `p`assed, `f`ailed, `s`kipped, `r`etried and passed.
fn history(test: &str, ends: &str, duration: f64) -> Vec<TestEnd> {
    let end = |(second, letter): (i64, char)| TestEnd {
        test_id: test.to_owned(),
        run_id: format!("run-{second}"),
        framework: "pytest".to_owned(),
        status: match letter {
            'f' => Status::Failed,
            's' => Status::Skipped,
            _ => Status::Passed,
        },
        // A report may say 0 of what was not run.
        duration_ms: Some(if letter == 's' { 0.0 } else { duration }),
        retried: letter == 'r',
        message: (letter == 'f').then(|| format!("\n in run {second} \nand more")),
        created_at: Timestamp::from_second(second).ok(),
    };
    (0..).zip(ends.chars()).map(end).collect()
}

#[test]
fn flips_skip_what_was_skipped() {
    let tests = [
        history("calm", "ppspp", 1.0),
        history("fixed", "fffpp", 1.0),
        history("flaky", "pfspfsf", 1.0),
        history("retried", "prp", 1.0),
    ];
    let mut rows = Rows {
        tests: tests.concat(),
        ..Rows::default()
    };
    let answer = flaky(&mut rows, &Scope::default()).unwrap();
    let found: Vec<_> = answer
        .rows
        .iter()
        .map(|test| {
            (
                test.test_id.as_str(),
                test.runs,
                test.failed,
                test.flips,
                test.retried,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("flaky", 5, 3, 3, 0),
            ("fixed", 5, 3, 1, 0),
            ("retried", 3, 0, 0, 1)
        ]
    );
}

#[test]
fn a_test_with_unsteady_durations_is_flaky_too() {
    let mut tests = history("steady", "pppppp", 10.0);
    let mut unsteady = history("unsteady", "pppppp", 10.0);
    unsteady[5].duration_ms = Some(100.0);
    tests.append(&mut unsteady);
    let mut rows = Rows {
        tests,
        ..Rows::default()
    };
    let answer = flaky(&mut rows, &Scope::default()).unwrap();
    assert_eq!(answer.of, 1);
    assert_eq!(answer.rows[0].test_id, "unsteady");
    assert_eq!(answer.rows[0].time.outliers, 1);
}

#[test]
fn failures_tell_the_last_one() {
    let tests = [
        history("often", "ffp", 1.0),
        history("once", "ppf", 1.0),
        history("never", "pp", 1.0),
    ];
    let mut rows = Rows {
        tests: tests.concat(),
        ..Rows::default()
    };
    let answer = failures(&mut rows, &Scope::default()).unwrap();
    let found: Vec<_> = answer
        .rows
        .iter()
        .map(|test| {
            let message = test.message.as_deref().unwrap_or_default();
            (
                test.test_id.as_str(),
                test.failed,
                test.last_run.as_str(),
                message,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("often", 2, "run-1", "in run 1"),
            ("once", 1, "run-2", "in run 2")
        ]
    );
}

#[test]
fn the_slowest_come_first_and_so_many_of_them() {
    let tests: Vec<_> = [("a", 5.0), ("b", 250.125), ("c", 7.0)]
        .iter()
        .flat_map(|(test, duration)| history(test, "ppf", *duration))
        .collect();
    let scope = Scope {
        limit: 2,
        ..Scope::default()
    };
    let mut rows = Rows {
        tests,
        ..Rows::default()
    };
    let answer = slow_tests(&mut rows, &scope).unwrap();
    let ids: Vec<_> = answer.rows.iter().map(|test| test.test_id.as_str()).collect();
    assert_eq!((ids, answer.of), (vec!["b", "c"], 3));
    assert_eq!(answer.rows[0].time.max_ms, Some(250.125));
    assert_eq!((answer.rows[0].runs, answer.rows[0].failed), (3, 1));
}

#[test]
fn endpoints_count_calls_and_errors() {
    let call = |method: &str, failed, duration_ms| Call {
        method: method.to_owned(),
        endpoint: "/cart".to_owned(),
        failed,
        duration_ms,
    };
    let mut rows = Rows {
        calls: vec![
            call("GET", false, Some(3.0)),
            call("GET", true, None),
            call("POST", false, Some(9.0)),
            call("PUT", false, None),
        ],
        ..Rows::default()
    };
    let answer = slow_endpoints(&mut rows, &Scope::default()).unwrap();
    let found: Vec<_> = answer
        .rows
        .iter()
        .map(|one| (one.method.as_str(), one.calls, one.errors, one.time.median_ms))
        .collect();
    assert_eq!(found, [("POST", 1, 0, Some(9.0)), ("GET", 2, 1, Some(3.0))]);
}

#[test]
fn runs_the_latest_first() {
    let mut tests = history("a", "pf", 1.5);
    tests.extend(history("b", "sr", 1.5));
    tests.sort_by(|one, other| one.run_id.cmp(&other.run_id));
    let mut rows = Rows {
        tests,
        ..Rows::default()
    };
    let answer = runs(&mut rows, &Scope::default()).unwrap();
    let found: Vec<_> = answer
        .rows
        .iter()
        .map(|run| {
            (
                run.run_id.as_str(),
                run.tests,
                run.failed,
                run.skipped,
                run.retried,
                run.total_ms,
            )
        })
        .collect();
    assert_eq!(found, [("run-1", 2, 1, 0, 1, 3.0), ("run-0", 2, 0, 1, 0, 1.5)]);
}

#[test]
fn the_time_of_a_run_is_the_same_in_any_order() {
    let total = |durations: &[f64]| {
        let tests = durations.iter().flat_map(|ms| history("a", "p", *ms)).collect();
        let mut rows = Rows {
            tests,
            ..Rows::default()
        };
        runs(&mut rows, &Scope::default()).unwrap().rows[0].total_ms
    };
    // As floats, 0.1 + 0.2 + 0.3 is 0.6000000000000001.
    assert_eq!(total(&[0.1, 0.2, 0.3]), 0.6);
    assert_eq!(total(&[0.3, 0.2, 0.1]), 0.6);
}
