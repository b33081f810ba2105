//! Events on their way to a server, and the question whether each has arrived once.

use std::fmt::Write as _;
use std::ops::Range;
use std::process::{Child, Command};
use std::time::Duration;

use crossbridge_core::Sleeper as _;
use crossbridge_harness::proxy::Proxy;
use crossbridge_std::profiling::StoreUrl;
use crossbridge_std::servers::Postgres;
use crossbridge_std::servers::postgres::Options;
use crossbridge_std::sleeper::ThreadSleeper;

use crate::support::{Place, Ran, config};

/// A folder with the state of the program, and the server it writes to.
pub(crate) struct Delivery {
    pub(crate) place: Place,
    pub(crate) server: Postgres,
    /// How many events there are, the next one's number.
    pub(crate) events: u32,
    /// Where the program looks for the server: itself, or a proxy.
    url: String,
}

impl Delivery {
    /// A server that keeps what it commits, with the tables in it.
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let server = options.start().unwrap_or_else(|error| panic!("{error}"));
        let url = server.url("postgres");
        let parsed: StoreUrl = url.parse().unwrap();
        drop(parsed.open(None).unwrap());
        let place = Place::new();
        place.write("hasty.yml", &hasty("20s"));
        place.write("brief.yml", &hasty("3s"));
        place.write("patient.yml", &config("5s", "120s", "OFF"));
        place.write("chatty.yml", &config("5s", "120s", "TRACE"));
        place.write("once.yml", ONCE);
        Self {
            place,
            server,
            events: 0,
            url,
        }
    }

    /// The same by way of a proxy.
    pub(crate) fn through(&mut self, proxy: &Proxy) {
        self.url = self
            .server
            .url("postgres")
            .replace(&self.server.address().to_string(), &proxy.address().to_string());
    }

    /// The next events.
    pub(crate) fn next(&mut self, count: u32) -> Range<u32> {
        let first = self.events;
        self.events += count;
        first..self.events
    }

    /// As at the beginning: no events.
    pub(crate) fn clear(&mut self) {
        self.server.sql("truncate profiling.events").unwrap();
        self.events = 0;
    }

    /// The file with these events.
    pub(crate) fn file(&self, events: Range<u32>) -> String {
        let name = format!("{}-{}.jsonl", events.start, events.end);
        self.place.write(&name, &lines(events));
        name
    }

    /// Starts writing these events. What the server has not taken at the second attempt, a hasty writer
    /// spools; a brief one gives an attempt 3 s, for servers that do not answer. A patient one goes on for
    /// two minutes, and a chatty one also logs that.
    pub(crate) fn start(&self, events: Range<u32>, writer: &str) -> Child {
        let file = self.file(events);
        let config = format!("{writer}.yml");
        let arguments = [&file, "--store", &self.url, "--config", &config];
        self.place.command(&arguments).spawn().unwrap()
    }

    /// Writes them, and says how that ended.
    pub(crate) fn write(&self, events: Range<u32>, writer: &str) -> Ran {
        self.start(events, writer).wait_with_output().unwrap().into()
    }

    /// `crossbridge profile` with the store.
    pub(crate) fn command(&self, arguments: &[&str], writer: &str) -> Command {
        let config = format!("{writer}.yml");
        let rest = ["--store", &self.url, "--config", &config];
        self.place.profile(&[arguments, &rest].concat())
    }

    /// The same, and what came of it.
    pub(crate) fn profile(&self, arguments: &[&str], writer: &str) -> Ran {
        self.command(arguments, writer).output().unwrap().into()
    }

    /// `crossbridge profile` with its state somewhere else, and one attempt for everything.
    pub(crate) fn command_in(&self, home: &str, arguments: &[&str]) -> Command {
        let rest = ["--store", &self.url, "--config", "once.yml"];
        let mut command = self.place.profile(&[arguments, &rest].concat());
        command.env("CROSSBRIDGE_HOME", self.place.path(home));
        command
    }

    /// The same, and what came of it.
    pub(crate) fn run_in(&self, home: &str, arguments: &[&str]) -> Ran {
        self.command_in(home, arguments).output().unwrap().into()
    }

    /// Ships what is spooled, all of it.
    pub(crate) fn drain(&self) {
        let ran = self.profile(&["drain"], "patient");
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }

    /// How many events wait in the spool.
    pub(crate) fn spooled(&self) -> u32 {
        let ran = self.profile(&["status", "--format", "json"], "hasty");
        let status: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        u32::try_from(status["spooled"].as_u64().unwrap()).unwrap()
    }

    /// All events so far are there, each once and as it was, and nothing else is.
    pub(crate) fn exactly_once(&self, what: &str) {
        exactly_once(&self.server, self.events, what);
    }

    /// How many events are there.
    pub(crate) fn stored(&self) -> u32 {
        let found = self.server.sql("select count(*) from profiling.events").unwrap();
        found.parse().unwrap()
    }

    /// Makes the server stop at one event, in the middle of its batch, for as long as that takes.
    pub(crate) fn stop_at(&self, event: u32) {
        let statements = format!(
            "create function stop() returns trigger language plpgsql as $$ begin \
             perform pg_sleep(600); return new; end $$; \
             create trigger stop before insert on profiling.events for each row \
             when (new.metadata @> '{{\"n\": {event}}}') execute function stop()"
        );
        self.server.sql(&statements).unwrap();
    }

    /// Waits until it has come to that one.
    pub(crate) fn has_stopped(&self) {
        self.wait_until("select count(*) > 0 from pg_stat_activity where wait_event = 'PgSleep'");
    }

    /// From now on it does not stop there.
    pub(crate) fn stop_no_more(&self) {
        let end = "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'";
        self.server.sql(end).unwrap();
        self.server
            .sql("drop trigger stop on profiling.events; drop function stop()")
            .unwrap();
    }

    /// Asks until the server lets us in and says yes.
    pub(crate) fn wait_until(&self, question: &str) {
        for _ in 0..1_200 {
            if self.server.sql(question).is_ok_and(|answer| answer == "t") {
                return;
            }
            // To ask takes a process on either side.
            ThreadSleeper.sleep(Duration::from_millis(50));
        }
        panic!("never: {question}");
    }
}

/// A server that only has to survive its own deaths, not the machine's.
pub(crate) fn quick() -> Options {
    Options {
        fsync: false,
        ..Options::default()
    }
}

/// The check itself. What is expected is made by the server from the numbers alone, so nothing of ours
/// is on both sides.
pub(crate) fn exactly_once(server: &Postgres, events: u32, what: &str) {
    let question = format!(
        "with expected as (select \
           case when n % 2 = 0 then lpad(to_hex(n), 32, '0')::uuid::text else 'event ' || n end as event_id, \
           'run ' || n % 3 as run_id, 'tests/\u{3c0}.py::case[' || n % 13 || ']' as test_id, \
           case n % 4 when 0 then 'test_end' when 1 then 'step_end' when 2 then 'http_request' \
             else 'driver_command' end as event_type, 'pytest' as framework, \
           case when n % 5 > 0 then 'step ' || n % 7 end as step_name, \
           n % 1000 + 0.125::float8 as duration_ms, n * 0.5::float8 as start_time, \
           '2026-01-25 10:00:00.123456+00'::timestamptz as created_at, \
           jsonb_build_object('n', n, 'status', 'passed', 'text', 'a \"b\"') as metadata \
         from generate_series(0, {events} - 1) n), \
         found as (select event_id, run_id, test_id, event_type, framework, step_name, duration_ms, \
           start_time, created_at, metadata from profiling.profiling_events) \
         select (select count(*) from found), (select count(distinct event_id) from found), \
           (select md5(string_agg(f::text, E'\\n' order by event_id)) from found f) \
           is not distinct from (select md5(string_agg(e::text, E'\\n' order by event_id)) from expected e)"
    );
    assert_eq!(
        server.sql(&question).unwrap(),
        format!("{events}|{events}|t"),
        "{what}"
    );
}

/// These events as lines of JSON.
fn lines(events: Range<u32>) -> String {
    let mut text = String::new();
    for n in events {
        let id = if n % 2 == 0 { uuid(n) } else { format!("event {n}") };
        let kind =
            ["test_end", "step_end", "http_request", "driver_command"][usize::try_from(n % 4).unwrap()];
        let step = match n % 5 {
            0 => "null".to_owned(),
            _ => format!("\"step {}\"", n % 7),
        };
        writeln!(
            text,
            r#"{{"event_id":"{id}","run_id":"run {run}","test_id":"tests/π.py::case[{case}]","event_type":"{kind}","framework":"pytest","step_name":{step},"start_time":{start},"duration_ms":{duration}.125,"created_at":"2026-01-25T10:00:00.123456Z","metadata":{{"status":"passed","n":{n},"text":"a \"b\""}}}}"#,
            run = n % 3,
            case = n % 13,
            start = f64::from(n) * 0.5,
            duration = n % 1000,
        )
        .unwrap();
    }
    text
}

/// Two attempts, so that what refuses is left at once, and what hangs after this time.
fn hasty(attempt: &str) -> String {
    format!(
        "runtime:
  retry:
    policies:
      twice: {{ max_attempts: 2, base_delay: 50ms }}
  paths:
    profiling_storage: {{ retry: twice, attempt_timeout: {attempt}, deadline: 60s }}
crossbridge:
  logging: {{ level: OFF, log_to_file: false }}
"
    )
}

/// One attempt for everything, so that a store that is down costs no time.
const ONCE: &str = "runtime:
  retry:
    policies:
      once: { max_attempts: 1 }
  paths:
    profiling_storage: { retry: once, attempt_timeout: 20s, deadline: 60s }
crossbridge:
  logging: { level: OFF, log_to_file: false }
";

/// The seed of a test that draws: this one, or `ZERO_LOSS_SEED`.
pub(crate) fn seed(usual: u64) -> u64 {
    std::env::var("ZERO_LOSS_SEED").map_or(usual, |seed| seed.parse().expect("a number"))
}

/// The key of an event with an even number.
pub(crate) fn uuid(n: u32) -> String {
    format!("00000000-0000-0000-0000-{n:012x}")
}
