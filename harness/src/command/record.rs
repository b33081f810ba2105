//! `crossbridge record`: a production log becomes a scenario.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use crossbridge_harness::record::log::Log;
use crossbridge_harness::record::outage::{Cause, Outage};
use crossbridge_harness::record::{Options, PathRecording, Recording, Service};
use crossbridge_std::config::Config;
use serde_json::json;

use super::{invalid, print};
use crate::cli::{RecordArgs, ServiceTimes};
use crate::exit::Failure;

/// Reads all logs, then writes the scenario and its trace files.
pub(crate) fn run(
    args: &RecordArgs,
    config: Option<&Path>,
    json: bool,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let config = Config::load(config).map_err(invalid)?;
    let mut log = Log::default();
    for path in &args.logs {
        let name = path.display().to_string();
        let file =
            File::open(path).map_err(|error| Failure::input(format!("cannot read {name}: {error}")))?;
        log.read(&name, BufReader::with_capacity(READ_AHEAD, file))
            .map_err(|error| Failure::input(format!("cannot read {name}: {error}")))?;
    }
    if !json {
        tell_bad_lines(&log);
    }
    let recording = Recording::new(&log, &config).map_err(|nothing| {
        let text = format!("nothing to record: {}", nothing.0);
        let hint = "the log is that of crossbridge.logging with format: json";
        let bad = format!("{} of {} lines cannot be read", log.bad, log.lines);
        Failure::Input {
            json: json!({
                "message": text, "hint": hint,
                "lines": log.lines, "bad_lines": log.bad, "bad": log.bad_lines,
            }),
            text: format!("error: {text}\n  {bad}\nhint: {hint}"),
        }
    })?;
    let options = Options {
        clients: args.clients,
        service: match args.service_times {
            ServiceTimes::Replayed => Service::Replayed,
            ServiceTimes::Fitted => Service::Fitted,
        },
    };
    let files = recording
        .write(&args.output, config.source(), &options)
        .map_err(|(file, error)| {
            let text = format!("cannot write {}: {error}", file.display());
            Failure::dependency(text, "nothing refers to what was written beside it so far")
        })?;
    let text = if json {
        object(&log, &recording, &files)
    } else {
        page(&log, &recording, &files, &args.output)
    };
    print(output, &text)
}

/// On stderr, as `file:line: reason`.
fn tell_bad_lines(log: &Log) {
    let mut text = String::new();
    for bad in &log.bad_lines {
        // Writing to a `String` does not fail.
        let _ = writeln!(text, "{}", bad.to_string().escape_debug());
    }
    let kept = u64::try_from(log.bad_lines.len()).unwrap_or(u64::MAX);
    if log.bad > kept {
        let _ = writeln!(text, "and {} more lines that cannot be read", log.bad - kept);
    }
    // Nothing is left to be done about a closed stderr.
    let _ = anstream::stderr().write_all(text.as_bytes());
}

fn object(log: &Log, recording: &Recording, files: &[PathBuf]) -> String {
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let object = json!({
        "schema": 1,
        "scenario": files.last(),
        "files": files,
        "lines": { "read": log.lines, "other": log.other, "bad": log.bad },
        "bad": log.bad_lines,
        "recording": recording,
    });
    format!("{object}\n")
}

fn page(log: &Log, recording: &Recording, files: &[PathBuf], scenario: &Path) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} lines, of which {} are about something else and {} cannot be read",
        log.lines, log.other, log.bad
    );
    let _ = writeln!(out, "{} s of calls", recording.duration_seconds);
    for (name, path) in &recording.paths {
        let PathRecording {
            calls,
            succeeded,
            attempts,
            ..
        } = path;
        let _ = writeln!(
            out,
            "\n  {name}: {calls} calls, {succeeded} succeeded, {attempts} attempts"
        );
        for outage in &path.outages {
            let _ = writeln!(out, "    {}", outage_in_words(outage));
        }
    }
    if !recording.warnings.is_empty() {
        out.push_str("\nwarnings\n");
    }
    for warning in &recording.warnings {
        let _ = writeln!(out, "  {warning}");
    }
    out.push_str("\nwritten\n");
    for file in files {
        let _ = writeln!(out, "  {}", file.display());
    }
    let _ = writeln!(out, "\nnext: crossbridge replay {}", scenario.display());
    out
}

fn outage_in_words(outage: &Outage) -> String {
    let what = match &outage.cause {
        Cause::Refuse => "refused".to_owned(),
        Cause::Hang => "no answer".to_owned(),
        Cause::Reset => "connection broken".to_owned(),
        Cause::Error { code } => format!("error {code}"),
        Cause::Throttle { rate } => format!("throttled to {rate}/s"),
    };
    let at = |us: u64| format!("{}.{} s", us / 1_000_000, us / 100_000 % 10);
    let when = match outage.until_us {
        Some(until) => format!("{} to {}", at(outage.from_us), at(until)),
        None => "now and then".to_owned(),
    };
    format!("{when}: {what}, {} of {} attempts", outage.failed, outage.of)
}

/// Bytes read at once.
const READ_AHEAD: usize = 1 << 16;
