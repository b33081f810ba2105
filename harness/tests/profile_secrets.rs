//! Passwords and tokens are in no output, however much is logged.

#[path = "support/profile.rs"]
mod support;

use std::path::Path;

use crossbridge_std::servers::Postgres;
use support::{Place, Ran};

/// In every URL and every event below, and nowhere in this program.
const SECRET: &str = "hunter2-Zx9qWv";

/// Everything is logged, to stderr and to a file; what fails, fails soon.
fn config(format: &str) -> String {
    format!(
        "runtime:
  retry:
    policies:
      short: {{ max_attempts: 2, base_delay: 1ms, max_delay: 1ms }}
  paths:
    profiling_storage: {{ retry: short, attempt_timeout: 5s, deadline: 20s }}
crossbridge:
  logging: {{ level: TRACE, format: {format}, log_to_file: true, log_file_path: logs/all.log }}
"
    )
}

/// Good events with secrets in their metadata, and lines that are refused, each for another reason.
fn events() -> String {
    let metadata = format!(
        r#"{{"status":"failed","message":"401","authorization":"Bearer {SECRET}","password":"{SECRET}","token":"{SECRET}","headers":{{"cookie":"sid={SECRET}"}}}}"#
    );
    let event = |extra: &str| {
        format!(
            r#"{{"run_id":"r","test_id":"t","event_type":"test_end","metadata":{metadata},"api_token":"{SECRET}"{extra}}}"#
        )
    };
    [
        event(""),
        event(r#","duration_ms":-1"#),
        event(r#","created_at":"never""#),
        event(r#","start_time":"NaN""#),
        event(r#","metadata":7"#),
        format!(r#"{{"password":"{SECRET}""#),
    ]
    .join("\n")
}

/// Everything the program has written, logs included; without the secret.
fn check(place: &Place, ran: &Ran, what: &str) -> String {
    let mut all = format!("{}{}", ran.stdout, ran.stderr);
    if let Ok(logs) = std::fs::read_dir(place.path("logs")) {
        for log in logs {
            all += &std::fs::read_to_string(log.unwrap().path()).unwrap();
        }
    }
    for line in all.lines() {
        assert!(!line.contains(SECRET), "{what}: {line}");
    }
    all
}

#[test]
fn no_output_has_a_secret_in_it() {
    let server = Postgres::start().unwrap_or_else(|error| panic!("{error}"));
    server
        .sql(&format!("create role ci login superuser password '{SECRET}'"))
        .unwrap();
    server
        .sql("create role other login superuser password 'right'")
        .unwrap();
    let rules = server.sql("show hba_file").unwrap();
    let passwords = "host all ci,other 127.0.0.1/32 scram-sha-256\n";
    let before = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(Path::new(&rules), format!("{passwords}{before}")).unwrap();
    server.sql("select pg_reload_conf()").unwrap();
    let port = server.address().port();

    let urls = [
        (format!("postgres://ci:{SECRET}@127.0.0.1:{port}/postgres"), None),
        (
            format!("postgres://other:{SECRET}@127.0.0.1:{port}/postgres"),
            Some("password"),
        ),
        (
            format!("postgres://ci:{SECRET}@127.0.0.1:{port}/nowhere"),
            Some("no such database"),
        ),
        (
            format!("postgres://ci:{SECRET}@no-such-host.invalid/db"),
            Some("cannot be reached"),
        ),
        (
            format!("postgres://ci:{SECRET}@127.0.0.1:1/db"),
            Some("cannot be reached"),
        ),
        (format!("postgres://ci:{SECRET}@127.0.0.1:http/db"), Some("port")),
        (format!("postgres://ci:a/{SECRET}@127.0.0.1/db"), Some("port")),
        (format!("postgres://ci:{SECRET}"), Some("not a host and a port")),
        (
            format!("postgres://ci@127.0.0.1/db?password={SECRET}"),
            Some("unknown parameter"),
        ),
        (
            format!("mysql://ci:{SECRET}@127.0.0.1/db"),
            Some("not a store we know"),
        ),
        (format!("influxdb://ci:{SECRET}@127.0.0.1:1/db"), Some("influxdb")),
        (
            format!("influxdb://127.0.0.1:1/?org=o&bucket=b&token={SECRET}"),
            Some("influxdb"),
        ),
    ];
    for format in ["json", "detailed"] {
        for (url, expected) in &urls {
            let place = Place::new();
            place.write("c.yml", &config(format));
            place.write("e.jsonl", &events());
            for machine in [
                &["--config", "c.yml"][..],
                &["--config", "c.yml", "--format", "json"],
            ] {
                let ran = place.ingest(&[&["e.jsonl", "--store", url], machine].concat());
                let all = check(&place, &ran, url);
                let asked = place.query(&[&["failures", "--store", url], machine].concat());
                check(&place, &asked, url);
                match expected {
                    // The password is right, the lines are refused, and every attempt is in the log.
                    None => {
                        assert_eq!((ran.code, asked.code), (Some(3), Some(0)), "{ran:?} {asked:?}");
                        assert!(all.contains("call succeeded") && all.contains("TRACE"), "{all}");
                        assert!(place.path("logs/all.log").metadata().unwrap().len() > 0);
                    }
                    Some(expected) => {
                        assert!(matches!(ran.code, Some(2 | 4)), "{ran:?}");
                        assert!(all.contains(expected), "{url}: {all}");
                    }
                }
            }
        }
    }
    // It was kept all the same: metadata is the user's.
    let kept =
        format!("select count(*) from profiling.profiling_events where metadata ->> 'token' = '{SECRET}'");
    assert_eq!(server.sql(&kept).unwrap(), "1");

    // What PostgreSQL refuses, it quotes as a whole.
    let rule = "alter table profiling.events add constraint no_poison check (test_id <> 'poison')";
    server.sql(rule).unwrap();
    let place = Place::new();
    place.write("c.yml", &config("detailed"));
    place.write(
        "e.jsonl",
        &events().replace(r#""test_id":"t""#, r#""test_id":"poison""#),
    );
    let url = &urls[0].0;
    let ran = place.ingest(&["e.jsonl", "--store", url, "--config", "c.yml"]);
    let all = check(&place, &ran, "refused by the server");
    assert!(all.contains("violates check constraint"), "{all}");
}
