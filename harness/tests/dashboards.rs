//! The dashboards in `dashboards/` ask for what is there.

#[path = "dashboards/influxql.rs"]
mod influxql;
#[path = "support/profile.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::Path;

use crossbridge_std::servers::Postgres;
use serde_json::Value;
use support::{Place, fixture};

fn dashboard(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../dashboards")
        .join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn list<'v>(of: &'v Value, key: &str) -> &'v [Value] {
    of[key]
        .as_array()
        .unwrap_or_else(|| panic!("no list `{key}` in {of}"))
}

/// Title, format and query of every target.
fn queries<'v>(dashboard: &'v Value, key: &str) -> Vec<(&'v str, &'v str, &'v str)> {
    let text = |value: &'v Value| value.as_str().unwrap();
    let mut queries = Vec::new();
    for panel in list(dashboard, "panels") {
        for target in list(panel, "targets") {
            let format = target.get("format").unwrap_or(&target["resultFormat"]);
            queries.push((text(&panel["title"]), text(format), text(&target[key])));
        }
    }
    queries
}

/// What Grafana makes of the macros and variables of its PostgreSQL data source, for these runs.
fn expanded(query: &str, runs: &str) -> String {
    let mut query = query.replace("$__interval", "1h");
    while let Some((before, rest)) = query.split_once("$__timeGroupAlias(") {
        let (column, after) = rest.split_once(", 1h)").unwrap();
        query = format!("{before}floor(extract(epoch from {column})/3600)*3600 AS \"time\"{after}");
    }
    while let Some((before, rest)) = query.split_once("$__timeFilter(") {
        let (column, after) = rest.split_once(')').unwrap();
        let span = "'2026-02-01T00:00:00Z' AND '2026-03-01T00:00:00Z'";
        query = format!("{before}{column} BETWEEN {span}{after}");
    }
    let query = query
        .replace("${run:sqlstring}", runs)
        .replace("${test:sqlstring}", "'test_'");
    assert!(!query.contains('$'), "something is left: {query}");
    query
}

#[test]
fn every_query_on_postgresql_has_an_answer() {
    let server = Postgres::start().unwrap_or_else(|error| panic!("{error}"));
    let place = Place::new();
    let url = server.url("postgres");
    let ran = place.ingest(&[&fixture("jsonl/shop.jsonl"), "--store", &url]);
    assert_eq!(ran.code, Some(0), "{ran:?}");

    let dashboard = dashboard("crossbridge-postgresql.json");
    let variable = &list(&dashboard["templating"], "list")[0];
    let runs = server
        .sql(&expanded(variable["query"].as_str().unwrap(), ""))
        .unwrap();
    assert_eq!(runs.lines().count(), 12, "{runs}");
    let runs: Vec<_> = runs.lines().map(|run| format!("'{run}'")).collect();
    let runs = runs.join(",");

    let queries = queries(&dashboard, "rawSql");
    assert!(queries.len() >= 15, "{}", queries.len());
    for (title, format, query) in &queries {
        let counted = if *format == "time_series" {
            "\"time\""
        } else {
            "panel"
        };
        let query = format!(
            "SELECT count({counted}) FROM ({}) AS panel",
            expanded(query, &runs)
        );
        let answer = server
            .sql(&query)
            .unwrap_or_else(|error| panic!("{title}: {error}\n{query}"));
        let rows: u64 = answer.parse().unwrap();
        assert!(rows > 0, "{title}: no rows\n{query}");
    }

    // The same question has the same answer on the dashboard and in the terminal.
    for (title, question, columns) in [
        (
            "Slowest tests",
            "slow-tests",
            &["test_id", "runs", "failed", "median_ms", "p90_ms", "max_ms"][..],
        ),
        (
            "Flaky tests",
            "flaky",
            &["test_id", "runs", "failed", "flips", "retried"],
        ),
        (
            "Slowest endpoints",
            "slow-endpoints",
            &["method", "endpoint", "calls", "errors", "median_ms"],
        ),
    ] {
        let (_, _, query) = queries.iter().find(|(found, ..)| *found == title).unwrap();
        let panel = server.sql(&expanded(query, &runs)).unwrap();
        let (ran, object) = place.query_json(&[question, "--store", &url]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let row = |row: &Value| columns.iter().map(|name| cell(&row[*name])).collect::<Vec<_>>();
        let told: Vec<_> = list(&object, "rows").iter().map(row).collect();
        let shown = panel.lines().map(|line| line.split('|').take(columns.len()));
        let shown: Vec<Vec<_>> = shown.map(|line| line.map(str::to_owned).collect()).collect();
        assert_eq!(shown, told, "{title}");
    }
}

#[test]
fn they_can_be_imported() {
    for (name, input) in [
        ("crossbridge-postgresql.json", "DS_POSTGRESQL"),
        ("crossbridge-influxdb.json", "DS_INFLUXDB"),
    ] {
        let dashboard = dashboard(name);
        assert_eq!(dashboard["schemaVersion"], 39, "{name}");
        assert_eq!(dashboard["id"], Value::Null, "{name}: Grafana gives it one");
        assert_eq!(format!("{}.json", dashboard["uid"].as_str().unwrap()), name);
        // Asked for at import, and then put in wherever it is named.
        let source = &list(&dashboard, "__inputs")[0];
        assert_eq!(source["name"], input);
        let reference = serde_json::json!({ "type": source["pluginId"], "uid": format!("${{{input}}}") });
        let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
        for panel in list(&dashboard, "panels") {
            assert!(
                ids.insert(panel["id"].as_u64().unwrap()),
                "{name}: an id twice: {panel}"
            );
            assert_eq!(panel["datasource"], reference, "{name}");
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{name}: wider than the grid: {panel}");
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(cells.insert((x, y)), "{name}: over another one: {panel}");
                }
            }
            for target in list(panel, "targets") {
                assert_eq!(target["datasource"], reference, "{name}");
            }
        }
        let variables = list(&dashboard["templating"], "list");
        let names: Vec<_> = variables.iter().map(|variable| &variable["name"]).collect();
        assert_eq!(names, ["run", "test"], "{name}");
        assert_eq!(variables[0]["datasource"], reference, "{name}");
    }
}
