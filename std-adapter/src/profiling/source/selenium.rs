//! The log of chromedriver: one `driver_command` per command of a Selenium session.
//!
//! ```text
//! [1795309557.423][INFO]: [e860add7f66e9e24d057186b9c20552d] COMMAND Navigate {
//!    "url": "http://127.0.0.1:43063/"
//! }
//! [1795309557.549][INFO]: [e860add7f66e9e24d057186b9c20552d] RESPONSE Navigate
//! ```
//!
//! A command and its response are one event, as long as the time between the two. The test is the
//! session, since the log knows of no tests. `ERROR` in a response gives `failed` and `error`, a
//! command without a response `failed` and a warning. Of the arguments only the address of
//! `Navigate` is kept, without its query: what is typed into a page is nobody's business.
//!
//! The log is written with `--log-level=INFO` or more (`service_args` of Selenium), and with times
//! since 1970 unless `--readable-timestamp` is given; those have no zone and are taken as UTC.

use std::collections::BTreeMap;
use std::io::BufRead;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::Problem;
use super::failure::Failure;
use super::jsonl::{LineEnd, read_line};
use super::report::{Report, Step};
use super::tap::{Position, Tap};
use super::text;
use super::url::Url;
use crate::logging::redact;
use crate::profiling::event::{EventType, MAX_QUOTED, Millis};

/// Reads a whole log.
pub(super) fn parse<R: BufRead>(mut tap: Tap<R>) -> Result<Report, Failure> {
    let start = tap.position();
    let mut report = Report::new("selenium", start);
    let mut log = Log::default();
    let mut buffer = Vec::new();
    loop {
        let at = tap.position();
        let end = read_line(&mut tap, &mut buffer).map_err(|error| Failure {
            at,
            problem: Problem::of(error),
            complete_tests: None,
        })?;
        // A page's text may be in any encoding; what is read here is ASCII.
        log.line(at, &String::from_utf8_lossy(&buffer), &mut report);
        if end == LineEnd::OfFile {
            break;
        }
    }
    for (session, command) in std::mem::take(&mut log.waiting) {
        report
            .warnings
            .push(command.place, format!("`{}` has no response", command.name));
        log.ended(&session, command, None, Some("no response"), &mut report);
    }
    if !log.is_one {
        return Err(Failure {
            at: start,
            problem: Problem::Malformed(
                "found no line that begins with a time and a level, expected a log of chromedriver"
                    .to_owned(),
            ),
            complete_tests: None,
        });
    }
    if report.records.is_empty() {
        report.warn("the log has no command in it; chromedriver writes them with --log-level=INFO");
    }
    report.fingerprint = tap.fingerprint();
    Ok(report)
}

#[derive(Default)]
struct Log {
    /// The command under way, by session. A session has one at a time.
    waiting: BTreeMap<String, Command>,
    /// The session whose arguments the next lines are.
    arguments: Option<String>,
    told_zone: bool,
    /// Whether anything in it says that it is such a log.
    is_one: bool,
}

struct Command {
    name: String,
    place: Position,
    at: Option<Timestamp>,
    url: Option<String>,
}

impl Log {
    fn line(&mut self, place: Position, line: &str, report: &mut Report) {
        let Some((time, rest)) = head(line) else {
            // The greeting of a driver, which comes at every level of logging.
            self.is_one |= line.starts_with("Starting ") && line.contains("Driver");
            self.argument(line);
            return;
        };
        self.is_one = true;
        self.arguments = None;
        let Some((session, rest)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) else {
            return;
        };
        let mut words = rest.splitn(3, ' ');
        let (Some(word), Some(name)) = (words.next(), words.next()) else {
            return;
        };
        let name: String = name.trim().chars().take(MAX_QUOTED).collect();
        match word {
            "COMMAND" => {
                let at = self.time(place, time, report);
                let command = Command {
                    name,
                    place,
                    at,
                    url: None,
                };
                self.arguments = Some(session.to_owned());
                if let Some(before) = self.waiting.insert(session.to_owned(), command) {
                    self.ended(session, before, None, Some("no response"), report);
                }
            }
            "RESPONSE" => {
                let asked = (self.waiting.get(session)).is_some_and(|command| command.name == name);
                let waiting = asked.then(|| self.waiting.remove(session)).flatten();
                let Some(command) = waiting else {
                    let warning = format!("a response to `{name}`, which was not asked for; left out");
                    report.warnings.push(place, warning);
                    return;
                };
                let at = self.time(place, time, report);
                let error = words.next().and_then(|rest| rest.strip_prefix("ERROR "));
                self.ended(session, command, at, error, report);
            }
            _ => {}
        }
    }

    /// A line of the arguments of a command.
    fn argument(&mut self, line: &str) {
        let url = line
            .trim()
            .strip_prefix(r#""url": ""#)
            .and_then(|rest| rest.trim_end_matches(',').strip_suffix('"'));
        if let Some(url) = url
            && let Some(session) = &self.arguments
            && let Some(command) = self.waiting.get_mut(session)
        {
            command.url = Url::parse(url).map(|url| url.without_query());
        }
    }

    fn ended(
        &self,
        session: &str,
        command: Command,
        end: Option<Timestamp>,
        error: Option<&str>,
        report: &mut Report,
    ) {
        let mut step = Step::new(EventType::DriverCommand, Some(command.name.clone()));
        step.at = command.at;
        step.duration = command
            .at
            .zip(end)
            .and_then(|(start, end)| Millis::from_seconds(end.duration_since(start).as_secs_f64()).ok());
        let mut put = |name: &'static str, value: serde_json::Value| step.put(name, value);
        put("command", command.name.into());
        put("failed", error.is_some().into());
        if let Some(error) = error {
            let kind = error.split(':').next().unwrap_or_default();
            put("error", kind.chars().take(MAX_QUOTED).collect::<String>().into());
            if let Some(message) = text::message(error) {
                put("message", redact::text(&message).into());
            }
        }
        if let Some(url) = command.url {
            put("url", url.into());
        }
        report.loose(session.to_owned(), step);
    }

    fn time(&mut self, place: Position, found: &str, report: &mut Report) -> Option<Timestamp> {
        if let Ok(seconds) = found.parse::<f64>() {
            return report.epoch_millis(Some(seconds * 1e3));
        }
        let local = DateTime::strptime("%m-%d-%Y %H:%M:%S%.f", found).ok()?;
        if !std::mem::replace(&mut self.told_zone, true) {
            report
                .warnings
                .push(place, "times have no zone; they are taken as UTC");
        }
        TimeZone::UTC.to_timestamp(local).ok()
    }
}

/// The time and what follows `[time][LEVEL]: `.
pub(super) fn head(line: &str) -> Option<(&str, &str)> {
    let (time, rest) = line.strip_prefix('[')?.split_once("][")?;
    let (level, rest) = rest.split_once("]: ")?;
    let timely = |byte: u8| byte.is_ascii_digit() || b".:- ".contains(&byte);
    let capital = |byte: u8| byte.is_ascii_uppercase();
    let fits = !time.is_empty() && time.bytes().all(timely) && level.bytes().all(capital);
    fits.then_some((time, rest))
}
