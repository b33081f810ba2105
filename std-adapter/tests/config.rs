//! `crossbridge.yml`, from the text to the policies.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbridge_core::breaker::{BreakerMode, WindowKind};
use crossbridge_core::{BudgetConfig, Guard, Jitter, OnLimit, PerMille, Quota, RetryPolicy};
use crossbridge_std::config::{Config, Document, FileError, KeyPath, Position, Target, find};
use crossbridge_std::logging::{Category, Format};
use log::LevelFilter;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/config")
}

fn nothing(_: &str) -> Option<String> {
    None
}

fn parse(text: &str) -> Result<Config, FileError> {
    Config::from_document(&Document::parse("crossbridge.yml", text)?, &nothing)
}

fn refused(text: &str) -> String {
    match parse(text) {
        Ok(_) => "accepted\n".to_owned(),
        Err(error) => error.render(),
    }
}

/// The form of the platform's first releases: providers as a list.
const SMALL: &str = "\
runtime:
  rate_limiting:
    enabled: true
    defaults:
      search: {capacity: 30, window_seconds: 60}
  retry:
    default_policy: {max_attempts: 3, base_delay: 0.5, max_delay: 5.0, exponential_base: 2.0, jitter: true}
    retryable_codes: [429, 500, 502, 503, 504]
  health_checks:
    interval: ${HC_INTERVAL:-30}
    failure_threshold: 3
    providers:
      - name: ai_provider
        enabled: true
";

#[test]
fn the_platforms_own_file_loads_as_it_is() {
    let document = Document::read(&fixtures().join("crossbridge.yml")).unwrap();
    let config = Config::from_document(&document, &nothing).unwrap();
    let defaults = Config::default();
    assert_eq!(config.retries(), defaults.retries());
    assert_eq!(config.health(), defaults.health());
    assert_eq!(config.limits().defaults, defaults.limits().defaults);
    assert!(config.paths().eq(defaults.paths()));

    let quota = |subject, operation| config.quota(subject, operation).capacity();
    assert_eq!(quota(None, "search"), 30);
    assert_eq!(quota(Some("user:12345"), "search"), 100);
    assert_eq!(quota(Some("user:12345"), "transform"), 10);
    assert_eq!(quota(Some("org:premium"), "transform"), 50);
    assert_eq!(quota(None, "something_else"), 30);

    let file = config.logging().file.as_ref().unwrap();
    assert_eq!(file.path, Path::new("logs/crossbridge.log"));
    assert_eq!((file.max_bytes, file.backups), (10 << 20, 5));

    let list = |paths: Vec<String>| paths.join("\n");
    insta::assert_snapshot!(list(config.ignored().iter().map(ToString::to_string).collect()), @r"
    execution
    runtime.sidecar
    runtime.semantic_search
    runtime.profiling
    crossbridge.mode
    crossbridge.application
    crossbridge.database
    crossbridge.execution
    crossbridge.flaky_detection
    crossbridge.profiling
    ");
    insta::assert_snapshot!(list(
        config
            .not_in_use()
            .iter()
            .map(|entry| entry.path.to_string())
            .collect()
    ));
}

#[test]
fn every_guard_of_the_fixtures_can_be_built() {
    for file in ["crossbridge.yml", "platform.yml"] {
        let document = Document::read(&fixtures().join(file)).unwrap();
        let config =
            Config::from_document(&document, &nothing).unwrap_or_else(|error| panic!("{}", error.render()));
        for path in config.paths() {
            Guard::new(path.guard).unwrap_or_else(|error| panic!("{file}, {}: {error}", path.name));
        }
    }
}

#[test]
fn bad_files_are_refused_with_their_place() {
    let mut files: Vec<_> = fs::read_dir(fixtures().join("bad"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() > 20);
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let result = Document::from_bytes(name, fs::read(&path).unwrap())
            .and_then(|document| Config::from_document(&document, &nothing));
        let text = match result {
            Ok(_) => "accepted\n".to_owned(),
            Err(error) => error.render(),
        };
        assert!(text.starts_with("error: "), "{name} is accepted");
        insta::assert_snapshot!(format!("bad_{}", name.trim_end_matches(".yml")), text);
    }
}

#[test]
fn the_production_policies_are_what_they_say() {
    let document = Document::read(&fixtures().join("platform.yml")).unwrap();
    let config = Config::from_document(&document, &nothing).unwrap();
    assert_eq!(config.not_in_use(), []);
    assert_eq!(config.ignored(), []);

    let path = config.path("profiling_storage").unwrap();
    let ms = Duration::from_millis;
    assert_eq!(path.guard.retry.attempts, 4);
    assert_eq!(
        (path.guard.retry.base_delay, path.guard.retry.max_delay),
        (ms(100), ms(2_000))
    );
    assert_eq!(path.guard.retry.throttled_base_delay, ms(1_000));
    assert_eq!(
        path.guard.budget,
        BudgetConfig::ratio(PerMille::new(200).unwrap(), 1, 20)
    );
    assert_eq!(path.guard.breaker.window, WindowKind::Time(ms(10_000)));
    assert_eq!(
        (path.guard.deadline, path.guard.attempt_timeout),
        (Some(ms(5_000)), Some(ms(1_000)))
    );
    assert!(path.guard.idempotent);
    assert_eq!(path.log_category, Category::Performance);
    assert_eq!(path.retryable_codes, [429, 500, 502, 503, 504]);
    let worst = path.worst_case();
    assert_eq!(
        (worst.waits, worst.sum, worst.call),
        (ms(700), Some(ms(4_700)), Some(ms(5_000)))
    );
    assert_eq!(path.warnings(), [""; 0]);

    let path = config.path("execution").unwrap();
    assert_eq!(path.guard.breaker.failure_rate, None);
    assert_eq!(path.guard.breaker.consecutive_failures, Some(3));
    assert_eq!(path.guard.bulkhead.limit, 4);
    assert!(!path.guard.idempotent);

    let path = config.path("ai_provider").unwrap();
    assert_eq!(path.guard.on_limit, OnLimit::Wait);
    assert_eq!(path.guard.quota, Quota::per_minute(20).unwrap());
    assert_eq!(path.guard.budget, BudgetConfig::AWS);

    let error = config.path("profilng_storage").unwrap_err();
    assert!(
        error.to_string().ends_with("did you mean `profiling_storage`?"),
        "{error}"
    );
}

#[test]
fn nothing_means_the_defaults() {
    for text in [
        "",
        "# only a comment\n",
        "---\n",
        "runtime:\ncrossbridge:\n",
        "runtime: {}\n",
        "runtime:\n  rate_limiting:\n  retry:\n  health_checks:\n  circuit_breakers:\n  bulkheads:\n  paths:\n",
        "runtime:\n  retry: { default_policy: , policies: , budgets: , network_timeout: }\n",
        "\u{feff}runtime: {}\n",
    ] {
        let config = parse(text).unwrap_or_else(|error| panic!("{text:?}: {}", error.render()));
        assert!(config.paths().eq(Config::default().paths()), "{text:?}");
        assert_eq!(config.retries(), Config::default().retries(), "{text:?}");
    }
}

#[test]
fn variables_are_expanded_and_then_typed() {
    let text = "\
runtime:
  rate_limiting: { enabled: \"${LIMITS:-false}\", defaults: { search: { capacity: \"${CAPACITY}\" } } }
  retry: { network_timeout: \"${TIMEOUT:-}\", default_policy: { jitter: \"${JITTER:-0.25}\" } }
  paths: { \"p\": { retry: \"${POLICY:-qui}ck\", deadline: \"${DEADLINE:-1}m\" } }
";
    let environment = |name: &str| (name == "CAPACITY").then(|| "0x20".to_owned());
    let document = Document::parse("crossbridge.yml", text).unwrap();
    let config = Config::from_document(&document, &environment).unwrap();
    assert!(!config.limits().enabled);
    assert_eq!(config.limits().defaults["search"].capacity, 32);
    assert_eq!(config.retries().network_timeout, Duration::from_secs(30));
    let quarter = PerMille::new(250).unwrap();
    assert_eq!(
        config.retries().policies["default"].jitter,
        Jitter::Proportional(quarter)
    );
    let path = config.path("p").unwrap();
    assert_eq!(
        (path.uses.retry.as_str(), path.guard.deadline),
        ("quick", Some(Duration::from_secs(60)))
    );

    let soon = |name: &str| (name == "HC_INTERVAL").then(|| "soon".to_owned());
    let document = Document::parse("crossbridge.yml", SMALL).unwrap();
    let refused = Config::from_document(&document, &soon).unwrap_err();
    insta::assert_snapshot!(refused.render());
}

#[test]
fn a_partial_policy_is_completed_by_its_own_defaults() {
    let text = "\
runtime:
  retry:
    default_policy: { max_attempts: 7, jitter: equal }
    expensive_policy: { max_delay: 20s }
    policies:
      mine: { base_delay: 2s }
      fast: { base_delay: 10ms, max_delay: 100ms }
";
    let config = parse(text).unwrap();
    let policies = &config.retries().policies;
    let seconds = Duration::from_secs;
    let default = RetryPolicy::DEFAULT.attempts(7).jitter(Jitter::Equal);
    assert_eq!(policies["default"], default);
    assert_eq!(
        policies["expensive"],
        RetryPolicy {
            max_delay: seconds(20),
            ..RetryPolicy::EXPENSIVE
        }
    );
    let mine = RetryPolicy {
        base_delay: seconds(2),
        throttled_base_delay: seconds(2),
        ..default
    };
    assert_eq!(policies["mine"], mine);
    // A throttled call starts from a second, as far as the cap allows.
    assert_eq!(policies["fast"].throttled_base_delay, Duration::from_millis(100));
    assert_eq!(policies["quick"], RetryPolicy::QUICK);
}

#[test]
fn breakers_are_fitted_to_what_is_said() {
    let text = "\
runtime:
  circuit_breakers:
    small: { window: 5 }
    long: { open_wait: 2m, half_open_successes: 6 }
    forced: { mode: forced_open, failure_rate: off, slow_rate: 1, half_open_calls: 1 }
";
    let config = parse(text).unwrap();
    let breakers = config.breakers();
    assert_eq!(breakers["small"].min_calls, 5);
    assert_eq!(breakers["long"].open_wait_max, Duration::from_secs(120));
    assert_eq!(breakers["long"].half_open_calls, 6);
    assert_eq!(breakers["forced"].mode, BreakerMode::ForcedOpen);
    assert_eq!(breakers["forced"].failure_rate, None);
    assert_eq!(breakers["forced"].slow_rate, Some(PerMille::ALL));
    assert_eq!(breakers["forced"].half_open_successes, 1);
    assert!(
        config
            .not_in_use()
            .iter()
            .all(|entry| entry.why == "no path names it")
    );
    assert_eq!(config.not_in_use().len(), 3);
}

#[test]
fn switched_off_is_off() {
    let text = "\
runtime:
  rate_limiting: { enabled: false }
  retry: { enabled: false }
  health_checks: { enabled: false }
";
    let config = parse(text).unwrap();
    assert!(config.quota(None, "search").is_unlimited());
    for path in config.paths() {
        assert!(path.guard.quota.is_unlimited(), "{}", path.name);
        assert_eq!(path.guard.retry.attempts, 1, "{}", path.name);
        assert_eq!(path.guard.health, None, "{}", path.name);
    }
    let one = parse("runtime: { health_checks: { providers: { database: { enabled: false } } } }").unwrap();
    assert_eq!(one.path("database").unwrap().guard.health, None);
}

#[test]
fn providers_may_be_a_list_or_a_mapping() {
    let list =
        parse("runtime: { health_checks: { providers: [{ name: database, interval: 5 }, { name: mine }] } }");
    let mapping = parse("runtime: { health_checks: { providers: { database: { interval: 5 }, mine: {} } } }");
    let (list, mapping) = (list.unwrap(), mapping.unwrap());
    assert_eq!(list.health(), mapping.health());
    assert_eq!(list.health().providers.len(), 5);
    let monitor = list.path("database").unwrap().guard.health.unwrap();
    assert_eq!(
        (monitor.interval, monitor.ttl),
        (Duration::from_secs(5), Duration::from_secs(15))
    );
}

#[test]
fn the_section_goes_before_what_is_built_in_and_a_provider_before_the_section() {
    let times = |text: &str| {
        let config = parse(text).unwrap();
        let monitor = config.path("profiling_storage").unwrap().guard.health.unwrap();
        (monitor.interval.as_secs(), monitor.timeout.as_secs())
    };
    assert_eq!(
        times("runtime: { health_checks: { failure_threshold: 2 } }"),
        (20, 5)
    );
    assert_eq!(
        times("runtime: { health_checks: { interval: 3, timeout: 1 } }"),
        (3, 1)
    );
    let own =
        "runtime: { health_checks: { interval: 3, timeout: 1, providers: { database: { timeout: 2 } } } }";
    assert_eq!(times(own), (3, 2));
}

#[test]
fn a_timeout_of_what_nobody_probes_has_no_effect() {
    let unused = |text: &str| {
        let config = parse(text).unwrap();
        let paths = config.not_in_use().iter().map(|entry| entry.path.to_string());
        paths
            .map(|path| path.replace("runtime.health_checks.", ""))
            .collect::<Vec<_>>()
    };
    let file = |rest: &str| {
        format!(
            "runtime: {{ health_checks: {{ timeout: 1, providers: {{ database: {{ interval: 3 }}, ai_provider: {{ timeout: 2 }}, mine: {{ timeout: 2 }} }} }}, {rest} }}"
        )
    };
    assert_eq!(
        unused(&file("")),
        ["providers.ai_provider.timeout", "providers.mine.timeout"]
    );
    let elsewhere = "paths: { profiling_storage: { health: mine } }";
    assert_eq!(
        unused(&file(elsewhere)),
        ["timeout", "providers.ai_provider.timeout"]
    );
}

#[test]
fn inline_policies_of_another_file_know_their_place() {
    let text = "scenario: x\npolicies:\n  retry: { policies: { r: { max_attempts: 4 } } }\n  paths: { p: { retry: r } }\n";
    let path = KeyPath::root().key("policies");
    let document = Document::parse("scenario.yml", text).unwrap();
    let config = Config::from_policies(&document, &path, &nothing).unwrap();
    let p = config.path("p").unwrap();
    assert_eq!(p.guard.retry.attempts, 4);
    assert_eq!(p.guard.breaker.mode, BreakerMode::Disabled);
    assert!(p.guard.budget == BudgetConfig::UNLIMITED && p.guard.quota.is_unlimited());

    let text = text.replace("retry: r }", "retry: s }") + "  sidecar: {}\n";
    let document = Document::parse("scenario.yml", text).unwrap();
    insta::assert_snapshot!(
        Config::from_policies(&document, &path, &nothing)
            .unwrap_err()
            .render()
    );
}

#[test]
fn an_error_is_an_object_for_programs() {
    let error = parse("runtime:\n  retry: { enabeld: true, network_timeout: -1 }\n").unwrap_err();
    insta::assert_snapshot!(serde_json::to_string_pretty(&error).unwrap());
    let sentence = error.to_string();
    assert!(
        sentence.starts_with("crossbridge.yml:2:12: unknown key `enabeld`, found `enabeld`, expected one of")
    );
    assert!(sentence.ends_with(" (and 1 more)"));
}

#[test]
fn an_explicit_file_beats_the_variable_and_that_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let below = directory.path().join("a/b");
    fs::create_dir_all(&below).unwrap();
    let here = directory.path().join("crossbridge.yml");
    fs::write(&here, SMALL).unwrap();
    let variable = |name: &str| (name == "CROSSBRIDGE_CONFIG").then(|| "/elsewhere.yml".to_owned());
    let empty = |name: &str| (name == "CROSSBRIDGE_CONFIG").then(String::new);
    let explicit = Path::new("/mine.yml");
    assert_eq!(find(Some(explicit), &variable, &below), Some(explicit.to_owned()));
    assert_eq!(
        find(None, &variable, &below),
        Some(PathBuf::from("/elsewhere.yml"))
    );
    assert_eq!(find(None, &empty, &below), Some(here.clone()));
    assert_eq!(
        Config::load_from(None, &nothing, &below).unwrap().source(),
        Some(here.as_path())
    );
    assert_eq!(
        Config::load_from(None, &nothing, Path::new("")).unwrap().source(),
        None
    );

    let missing = Config::load_from(Some(explicit), &nothing, &below).unwrap_err();
    insta::assert_snapshot!(missing.render());
}

#[test]
fn positions_are_found_again() {
    let text = "a:\n  - x\n  - { k: 1, \"q\": { z: [1, 2] } }\nü: é\nm: {<<: &s {p: 1}, r: 2}\n";
    let document = Document::parse("x.yml", text).unwrap();
    let root = KeyPath::root();
    let at = |path: &KeyPath, target| {
        document
            .position(path, target)
            .map(|Position { line, column }| (line, column))
    };
    let inner = root.key("a").index(1).key("q").key("z");
    for (path, target, expected) in [
        (root.clone(), Target::Value, (1, 1)),
        (root.key("a"), Target::Value, (2, 3)),
        (root.key("a").index(1).key("q"), Target::Key, (3, 13)),
        (inner.index(1), Target::Value, (3, 27)),
        (root.key("ü"), Target::Value, (4, 4)),
        // Merged in: where it is written.
        (root.key("m").key("p"), Target::Key, (5, 13)),
        // Not there: the nearest thing around it.
        (inner.index(7), Target::Value, (3, 23)),
        (root.key("m").key("nothing"), Target::Value, (5, 4)),
    ] {
        assert_eq!(at(&path, target), Some(expected), "{path}");
    }
}

#[test]
fn hostile_files_get_an_answer() {
    let deep_flow = "[".repeat(100_000);
    let deep_block: String = (0..2_000)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect();
    let mut billion = String::from("a0: &a0 [x]\n");
    for level in 1..40 {
        billion += &format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1);
    }
    let wide = format!("a: &a [{}]\nb: [{}]\n", "x, ".repeat(5_000), "*a, ".repeat(500));
    let long = "x".repeat(5 << 20);
    for (text, expected) in [
        (deep_flow.as_str(), "nested too deep"),
        (&deep_block, "nested too deep"),
        (&billion, "too many aliases"),
        (&wide, "the document is too large"),
        (&long, "the file is too long"),
        ("a: &a [*a]\n", "nested too deep"),
        ("a: *nowhere\n", "not valid YAML: unknown anchor"),
        (
            "? [complex]\n: 1\n",
            "not valid YAML: invalid type: sequence, expected a key: text or a number",
        ),
        ("\u{1}\u{2}", "a control character"),
    ] {
        let error = refused(text);
        let first = error.lines().next().unwrap_or_default();
        assert_eq!(
            first,
            format!("error: {expected}"),
            "{}",
            &text[..text.len().min(60)]
        );
    }
    let error = Document::from_bytes("x.yml", b"a: 1\nb: \xff\n".to_vec()).unwrap_err();
    insta::assert_snapshot!(error.render());
}

/// Every byte of a good file replaced, removed or doubled: an answer every time, and never a panic.
#[test]
fn damaged_files_get_an_answer() {
    let mut accepted = 0;
    for at in 0..SMALL.len() {
        for replacement in ["", "\n", "{", "*", "&a ", "${", "!", "\"", "\u{0}", "- "] {
            let mut text = SMALL.to_owned();
            text.replace_range(at..=at, replacement);
            match parse(&text) {
                Ok(_) => accepted += 1,
                Err(error) => assert!(!error.problems().is_empty()),
            }
        }
    }
    assert!(accepted > 0);
}

#[test]
fn the_logging_section_is_applied() {
    let text = "\
crossbridge:
  logging:
    level: warning
    format: json
    log_to_file: false
    ai_level: DEBUG
    database_level: null
    levels: { execution: TRACE, observer: off }
";
    let settings = parse(text).unwrap().logging().clone();
    assert_eq!(
        (settings.level, settings.format),
        (LevelFilter::Warn, Format::Json)
    );
    let levels: BTreeMap<_, _> = [
        (Category::Ai, LevelFilter::Debug),
        (Category::Execution, LevelFilter::Trace),
        (Category::Observer, LevelFilter::Off),
    ]
    .into();
    assert_eq!(settings.levels, levels);
    assert_eq!(settings.file, None);
    // Nobody asked for a file.
    assert_eq!(parse("").unwrap().logging().file, None);
}
