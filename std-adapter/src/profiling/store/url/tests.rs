use super::*;

/// What a URL shows and where it leads, or what is wrong with it.
fn told(text: &str) -> String {
    match text.parse::<StoreUrl>() {
        Ok(url) => format!("{url} -> {}", url.destination()),
        Err(error) => format!("{error}; {}", error.hint()),
    }
}

#[test]
fn urls_and_what_they_show() {
    let here = std::env::current_dir().unwrap();
    let table: String = [
        "sqlite:events.db",
        "sqlite:/tmp/a b?mode=ro%20.db",
        "sqlite:",
        "sqlite::memory:",
        "sqlite:///x",
        "jsonl:profiles",
        "jsonl:",
        "postgres://db/metrics",
        "postgresql://ci:hunter2@db.example:6543/metrics",
        "postgres://ci:p%40ss%2Fword@[::1]:5433/metrics",
        "postgres://c%40i@a,b:6000/my%20db?schema=Odd%22Name&application_name=x",
        "postgres://ci:hunter2@db/metrics?sslmode=prefer&target_session_attrs=read-write",
        "postgres://ci:hunter2@db/metrics?sslmode=require",
        "postgres://ci:hunter2@db/metrics?sslmode=verify-full&sslrootcert=/etc/ca.pem",
        "postgres://ci:hunter2@db/metrics?sslmode=verify",
        "postgres://ci:hunter2@db/metrics?sslmode=prefer&sslrootcert=ca.pem",
        "postgres://ci:hunter2@db/metrics?sslmod=require",
        "postgres://ci:hunter2@db/metrics?schema=",
        "postgres://ci:hunter2@db/metrics?password=hunter2",
        "postgres://ci:hunter2@db",
        "postgres://ci:hunter2@db/",
        "postgres://ci:hunter2@/metrics",
        "postgres://ci:hunter2",
        "postgres://ci:hunter2/metrics",
        "postgres://ci:hun/ter2@db/metrics",
        "postgres://db:70000/metrics",
        "postgres://db:/metrics",
        "postgres://ci:%ff@db/metrics",
        "postgres://ci:hun%ter2@db/metrics",
        "postgres://ci@%2Frun%2Fpost%20gres:6000,db/metrics",
        "postgres://ci@%2frun/metrics",
        "postgres://ci@%2Frun%ff/metrics",
        "influxdb://%2Frun/tests",
        "postgres:db",
        "influxdb://localhost/tests",
        "influxdb://ci:hunter2@metrics:9000/tests",
        "influxdb://metrics/?org=qa&bucket=ci%20runs&token=hunter2",
        "influxdb://metrics/tests?identity=tag&read_back=true",
        "influxdb://metrics/?org=qa&bucket=b&token=hunter2&identity=tag",
        "influxdb://metrics/?org=qa&bucket=b&read_back=true",
        "influxdb://[::1]/tests?gzip=true",
        "influxdb://metrics/tests?gzip=no",
        "influxdb://metrics/tests?identity=name",
        "influxdb://metrics/tests?read_back=yes",
        "influxdb+https://ci:hunter2@metrics/tests?ca=/etc/ca.pem",
        "influxdb+https://metrics/?org=qa&bucket=b&token=hunter2",
        "influxdb://metrics/tests?ca=/etc/ca.pem",
        "influxdb://metrics/?org=qa",
        "influxdb://metrics/tests?token=hunter2",
        "influxdb://ci:hunter2@metrics/?org=qa&bucket=b",
        "mysql://ci:hunter2@db/x",
        "events.db",
        "",
    ]
    .into_iter()
    .map(|url| format!("{url}\n    {}\n", told(url)).replace(&*here.to_string_lossy(), "HERE"))
    .collect();
    insta::assert_snapshot!(table);
}

#[test]
fn an_error_repeats_no_secret() {
    for text in [
        "postgres://ci:hunter2",
        "postgres://ci:hunter2/x",
        "postgres://ci:hun/hunter2@db/x",
        "postgres:ci:hunter2@db/x",
        "influxdb:hunter2",
        "postgres://ci:hunter2@db/x?no=1",
        "influxdb://ci:hunter2@db:x/y",
        "influxdb://db/?token=hunter2",
    ] {
        let error = text.parse::<StoreUrl>().unwrap_err();
        assert!(
            !format!("{error} {error:?} {}", error.hint()).contains("hunter2"),
            "{error:?}"
        );
    }
}

#[test]
fn secrets_are_in_no_text() {
    for text in [
        "postgres://ci:hunter2@db/metrics",
        "influxdb://ci:hunter2@metrics:9000/tests",
        "influxdb://metrics/?org=qa&bucket=b&token=hunter2",
    ] {
        let url: StoreUrl = text.parse().unwrap();
        for shown in [
            url.to_string(),
            format!("{url:?}"),
            format!("{url:#?}"),
            url.destination(),
            url.key(),
        ] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}

#[test]
fn a_server_on_this_machine_is_sent_plain_text() {
    for (url, gzip) in [
        ("influxdb://localhost/tests", false),
        ("influxdb://127.0.0.1:9/tests", false),
        ("influxdb://[::1]/tests", false),
        ("influxdb://[::1]/tests?gzip=true", true),
        ("influxdb://localhost.example/tests", true),
        ("influxdb://10.0.0.1/tests", true),
        ("influxdb://10.0.0.1/tests?gzip=false", false),
    ] {
        match url.parse() {
            Ok(StoreUrl::Influx(found)) => assert_eq!(found.gzip(), gzip, "{url}"),
            other => panic!("{other:?}"),
        }
    }
}
