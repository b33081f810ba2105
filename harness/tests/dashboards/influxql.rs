//! The dashboard of InfluxDB on a real server, beside the same events in SQLite.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crossbridge_std::profiling::Status;
use crossbridge_std::servers::InfluxDb;
use serde_json::Value;

use super::support::{Place, fixture};
use super::{dashboard, list, queries};

/// What Grafana makes of the macros and variables of its InfluxDB data source, for February.
fn expanded(query: &str, run: &str, test: &str) -> String {
    let february = "time >= 1769904000000ms and time <= 1772323200000ms";
    let query = query
        .replace("$timeFilter", february)
        .replace("$__interval", "1h")
        .replace("${run:regex}", run)
        .replace("${test:regex}", test);
    let left = ["${", "$_", "$t", "$i"].iter().any(|mark| query.contains(mark));
    assert!(!left, "something is left: {query}");
    query
}

/// One answer: no table when nothing matches.
#[derive(Debug, Default)]
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Table {
    fn ask(server: &InfluxDb, database: &str, query: &str) -> Self {
        let answer = server
            .query(database, query)
            .unwrap_or_else(|error| panic!("{error}\n{query}"));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let result = &answer["results"][0];
        assert_eq!(result["error"], Value::Null, "{query}");
        let Some(series) = result["series"].as_array() else {
            return Self::default();
        };
        assert_eq!(series.len(), 1, "one line or table per query: {query}");
        let columns = list(&series[0], "columns").iter();
        Self {
            columns: columns.map(|name| name.as_str().unwrap().to_owned()).collect(),
            rows: list(&series[0], "values")
                .iter()
                .map(|row| row.as_array().unwrap().clone())
                .collect(),
        }
    }

    fn column(&self, name: &str) -> impl Iterator<Item = &Value> {
        let at = self.columns.iter().position(|column| column == name);
        let at = at.unwrap_or_else(|| panic!("no column `{name}` in {:?}", self.columns));
        self.rows.iter().map(move |row| &row[at])
    }

    /// The numbers of the last column, as a line or a single number has them.
    fn numbers(&self) -> impl Iterator<Item = f64> {
        let last = self.columns.last().map(|name| self.column(name));
        last.into_iter().flatten().map(|value| value.as_f64().unwrap())
    }

    /// Grafana's transformation *Group by* with count and maximum of `duration_ms`, as `sqlite3` prints it.
    fn grouped(&self, by: &[&str]) -> BTreeSet<String> {
        let mut groups: BTreeMap<String, (u32, f64)> = BTreeMap::new();
        let durations = self.column("duration_ms").map(|value| value.as_f64().unwrap());
        for (row, duration) in durations.enumerate() {
            let cell = |name: &&str| self.column(name).nth(row).unwrap().as_str().unwrap().to_owned();
            let key = by.iter().map(cell).collect::<Vec<_>>().join("|");
            let group = groups.entry(key).or_default();
            *group = (group.0 + 1, group.1.max(duration));
        }
        let told = groups.into_iter();
        told.map(|(key, (count, most))| format!("{key}|{count}|{most:?}"))
            .collect()
    }
}

/// A test for every way to end, in the first run, and one whose source does not say how.
fn ends() -> String {
    let mut text = String::from(
        r#"{"run_id":"nightly-01","test_id":"tests/ends.py::somehow","event_type":"test_end","created_at":"2026-02-02T01:31:00Z","duration_ms":9}"#,
    );
    text.push('\n');
    for (number, status) in Status::ALL.into_iter().enumerate() {
        writeln!(
            text,
            r#"{{"run_id":"nightly-01","test_id":"tests/ends.py::{status}","event_type":"test_end","framework":"pytest","duration_ms":{number}.5,"created_at":"2026-02-02T01:31:00Z","metadata":{{"status":"{status}"}}}}"#
        )
        .unwrap();
    }
    text
}

#[test]
fn every_query_of_influxql_says_what_sql_says() {
    let server = InfluxDb::start().unwrap_or_else(|error| panic!("{error}"));
    let place = Place::new();
    place.write("ends.jsonl", &ends());
    let store = |url: &str| {
        let ran = place.ingest(&[&fixture("jsonl/shop.jsonl"), "ends.jsonl", "--store", url]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    };
    store("sqlite:events.db");
    // Runs and tests are fields in the one and tags in the other.
    for identity in ["time", "tag"] {
        server.create_database(identity).unwrap();
        store(&format!("{}?identity={identity}", server.url(identity)));
        compare(&server, identity, &place);
    }
}

fn compare(server: &InfluxDb, database: &str, place: &Place) {
    let dashboard = dashboard("crossbridge-influxdb.json");
    let sqlite = |question: &str| place.sqlite3("events.db", question);
    let ask = |query: &str, run: &str, test: &str| Table::ask(server, database, &expanded(query, run, test));

    // The variable offers every run.
    let variable = &list(&dashboard["templating"], "list")[0];
    let runs = ask(variable["query"].as_str().unwrap(), "", "");
    let runs: BTreeSet<_> = runs.column("distinct").map(|run| run.as_str().unwrap()).collect();
    let stored = sqlite("select distinct run_id from profiling_events");
    assert_eq!(runs, stored.lines().collect());

    // Every query has rows, of which a panel's lines make up the whole.
    let all = variable["allValue"].as_str().unwrap();
    let mut panels: BTreeMap<&str, Vec<Table>> = BTreeMap::new();
    for (title, _, query) in queries(&dashboard, "query") {
        assert!(query.contains("$timeFilter"), "without bounds: {query}");
        let table = ask(query, all, "");
        assert!(!table.rows.is_empty(), "{database}: {title}: no rows\n{query}");
        panels.entry(title).or_default().push(table);
    }
    let said = "select count(metadata ->> '$.status') from profiling_events where event_type = 'test_end'";
    for (title, question) in [
        ("Tests", "select count(*) from tests"),
        (
            "Failed",
            "select count(*) from tests where status in ('failed', 'error', 'timeout')",
        ),
        (
            "Failed calls",
            "select count(*) from http_calls where status_code >= 400",
        ),
        ("Tests by how they ended", said),
        ("Calls", "select count(*) from http_calls"),
    ] {
        let told: f64 = panels[title].iter().flat_map(Table::numbers).sum();
        assert_eq!(told.to_string(), sqlite(question), "{database}: {title}");
    }
    for (title, most) in [("Processor", "cpu_percent"), ("Memory", "memory_mb")] {
        let told = panels[title].iter().flat_map(Table::numbers).fold(0.0, f64::max);
        let question = format!("select max({most}) from system_metrics");
        assert_eq!(told.to_string(), sqlite(&question), "{database}: {title}");
    }
    for (title, by, table) in [
        ("Slowest tests", &["test_id"][..], "tests"),
        ("Slowest endpoints", &["method", "endpoint"], "http_calls"),
        ("Slowest steps", &["step_name"], "steps"),
        ("Driver commands", &["command"], "driver_commands"),
    ] {
        let columns = by.join(", ");
        let question =
            format!("select {columns}, count(*), max(duration_ms) from {table} group by {columns}");
        let stored = sqlite(&question).lines().map(str::to_owned).collect();
        assert_eq!(panels[title][0].grouped(by), stored, "{database}: {title}");
    }

    // What is chosen is what is counted, as Grafana writes it: one run, two, and a part of a test's id.
    let tests = queries(&dashboard, "query")[0].2;
    for (run, test, what) in [
        ("nightly-02", "", "run_id = 'nightly-02'"),
        (
            "(nightly-01|nightly-02)",
            "",
            "run_id in ('nightly-01', 'nightly-02')",
        ),
        (
            all,
            r"test_cart\.py::test_a",
            "test_id like '%test_cart.py::test_a%'",
        ),
        (all, r"pay\[visa\]", "test_id like '%pay[visa]%'"),
        (all, r"tests\/ends", "test_id like '%tests/ends%'"),
    ] {
        let told: f64 = ask(tests, run, test).numbers().sum();
        let stored = sqlite(&format!("select count(*) from tests where {what}"));
        assert_eq!(told.to_string(), stored, "{database}: {run} {test}");
    }
}

/// A transformation that names a column which is not there leaves the panel empty, in silence.
#[test]
fn transformations_name_columns_that_are_there() {
    let dashboard = dashboard("crossbridge-influxdb.json");
    for panel in list(&dashboard, "panels")
        .iter()
        .filter(|panel| panel["transformations"].is_array())
    {
        let title = &panel["title"];
        let query = panel["targets"][0]["query"].as_str().unwrap();
        let [group, sort] = list(panel, "transformations") else {
            panic!("{title}: other transformations than before");
        };
        let fields = group["options"]["fields"].as_object().unwrap();
        let selected = query.split(" FROM ").next().unwrap();
        let mut shown = BTreeSet::new();
        for (field, how) in fields {
            assert!(selected.contains(&format!("\"{field}\"")), "{title}: {field}");
            for aggregation in list(how, "aggregations") {
                shown.insert(format!("{field} ({})", aggregation.as_str().unwrap()));
            }
        }
        let sorted = sort["options"]["sort"][0]["field"].as_str().unwrap();
        assert!(shown.contains(sorted), "{title}: {sorted}");
        for matcher in list(&panel["fieldConfig"], "overrides")
            .iter()
            .map(|one| &one["matcher"])
        {
            if matcher["id"] == "byName" {
                let named = matcher["options"].as_str().unwrap();
                assert!(shown.contains(named), "{title}: {named}");
            }
        }
    }
}
