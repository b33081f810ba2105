//! Axes, cells, and what is refused.

use std::fs;

use super::*;

const GRID: &str = "\
scenario: small
duration: 20s
dependencies:
  db: { servers: [1, 2], queue: [10, unbounded], service_time: { constant: 5ms } }
clients:
  c: { path: p, calls: db, arrivals: { poisson: 5/s }, deadline: { from: 1s, to: 2s, steps: 3 } }
policies:
  retry: { retryable_codes: [503, 429], policies: { r: { max_attempts: 3 } } }
  paths: { p: { retry: r } }
faults:
  - { at: 5s, for: 5s, on: db, kind: refuse }
expect:
  - goodput >= 0
";

fn read(text: &str, settings: &[&str]) -> Result<Grid, FileError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("grid.yml");
    fs::write(&path, text).expect("written");
    let settings: Vec<Setting> = settings.iter().map(|s| s.parse().expect("a setting")).collect();
    Grid::read(&path, &settings)
}

fn refused(error: &FileError) -> String {
    let text = error.to_string();
    text.split_once("grid.yml").expect("the file").1.to_owned()
}

#[test]
fn lists_and_ranges_are_axes_and_lists_of_the_language_are_not() {
    let grid = read(GRID, &[]).expect("a grid");
    let axes: Vec<String> = grid.axes().iter().map(|axis| axis.path.to_string()).collect();
    let paths = [
        "dependencies.db.servers",
        "dependencies.db.queue",
        "clients.c.deadline",
    ];
    assert_eq!(axes, paths);
    assert_eq!(grid.cells(), 12);
    let cell: Vec<String> = grid.settings(4).iter().map(ToString::to_string).collect();
    assert_eq!(
        cell,
        [
            "dependencies.db.servers=1",
            "dependencies.db.queue=unbounded",
            "clients.c.deadline=1.5s"
        ]
    );
    let scenario = grid.scenario(11, None, &|_| None).expect("a scenario");
    assert_eq!((scenario.nodes[0].servers, scenario.nodes[0].queue), (2, None));
}

#[test]
fn every_cell_is_there_once_and_its_settings_make_it() {
    let grid = read(GRID, &[]).expect("a grid");
    let cells: std::collections::BTreeSet<String> = (0..grid.cells())
        .map(|cell| {
            let settings: Vec<String> = grid.settings(cell).iter().map(ToString::to_string).collect();
            let given: Vec<&str> = settings.iter().map(String::as_str).collect();
            let alone = read(GRID, &given).expect("a scenario");
            assert_eq!((alone.cells(), alone.axes()), (1, &[][..]));
            let (one, other) = (
                alone.scenario(0, None, &|_| None).expect("a scenario"),
                grid.scenario(cell, None, &|_| None).expect("a scenario"),
            );
            assert_eq!(format!("{one:?}"), format!("{other:?}"));
            settings.join(" ")
        })
        .collect();
    assert_eq!(cells.len(), 12);
}

#[test]
fn a_setting_makes_an_axis_or_takes_one_away() {
    let grid = read(GRID, &["dependencies.db.servers=3", "clients.c.count=[4, 5]"]).expect("a grid");
    assert_eq!(grid.cells(), 12);
    let cell: Vec<String> = grid.settings(0).iter().map(ToString::to_string).collect();
    assert_eq!(cell[0], "dependencies.db.servers=3");
    assert_eq!(cell.last().map(String::as_str), Some("clients.c.count=4"));
}

#[test]
fn mistakes_have_their_place() {
    let grid = read(&GRID.replace("[1, 2]", "[1, 0, many]"), &[]).expect("a grid");
    let cell = |cell| refused(&grid.scenario(cell, None, &|_| None).expect_err("refused"));
    assert!(
        cell(6).starts_with(":4:18: invalid value for `servers`"),
        "{}",
        cell(6)
    );
    assert!(cell(17).starts_with(":4:18: "), "{}", cell(17));
    let replaced = read(GRID, &["policies.retry.policies.r.max_attempts=[1, 2]"]).expect("a grid");
    let replaced = replaced.scenario(0, Some(Path::new("x.yml")), &|_| None);
    let replaced = refused(&replaced.expect_err("refused"));
    assert!(
        replaced.starts_with(":8:72: this value says nothing"),
        "{replaced}"
    );
    let steps = |range: &str| {
        let text = GRID.replace("{ from: 1s, to: 2s, steps: 3 }", range);
        refused(&read(&text, &[]).expect_err("refused"))
    };
    for (range, told) in [
        ("{ from: 1s, steps: 3 }", ":6:66: a range without `to`"),
        ("{ from: 1s, to: 2m, steps: 3 }", ":6:82: a range with two units"),
        (
            "{ from: 1s, to: 2s, steps: 1 }",
            ":6:93: invalid value for `steps`",
        ),
        (
            "{ from: 1s, to: 2s, steps: 400 }",
            ":6:66: the grid has too many cells",
        ),
        (
            "{ from: soon, to: 2s, steps: 4 }",
            ":6:74: invalid value for `from`",
        ),
    ] {
        let found = steps(range);
        assert!(found.starts_with(told), "{range}: {found}");
    }
}
