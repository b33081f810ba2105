//! The files of a recording: the scenario, and beside it a text for each path's arrivals and service
//! times.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crossbridge_std::config::Seconds;
use jiff::Timestamp;

use super::outage::{Cause, Outage};
use super::{Options, PathRecording, Recording, Service};

/// So many service times say what all of them say.
const MAX_SAMPLES: usize = 100_000;
/// Where no attempt succeeded, nobody knows how long one takes.
const SOME_SERVICE_TIME: &str = "{ constant: 1ms }";
/// A share of failures above this is all of them.
const ALL: f64 = 0.95;

type Failed = (PathBuf, io::Error);

pub(super) fn write(
    recording: &Recording,
    target: &Path,
    config: Option<&Path>,
    options: &Options,
) -> Result<Vec<PathBuf>, Failed> {
    let folder = target.parent().unwrap_or(Path::new(""));
    if !folder.as_os_str().is_empty() {
        fs::create_dir_all(folder).map_err(|error| (folder.to_owned(), error))?;
    }
    let stem = target.file_stem().unwrap_or_default().to_string_lossy();
    let mut files = Vec::new();
    let mut names = Vec::new();
    for (index, (path, recorded)) in recording.paths.iter().enumerate() {
        // Two paths of one name but for signs that a file name had better not have stay apart.
        let mut part = plain(path);
        if part != *path {
            let _ = write!(part, "-{index}");
        }
        let name = |what: &str| format!("{stem}.{part}.{what}.txt");
        let arrivals = name("arrivals");
        save(folder.join(&arrivals), &arrivals_text(recorded), &mut files)?;
        let service = match options.service {
            Service::Replayed if !recorded.service_us.is_empty() => {
                let service = name("service");
                save(folder.join(&service), &service_text(recorded), &mut files)?;
                format!("{{ trace: {} }}", quoted(&service))
            }
            Service::Replayed | Service::Fitted => fitted(recorded),
        };
        names.push((arrivals, service));
    }
    let config = config.map(|config| relative(folder, config));
    let text = scenario_text(recording, &stem, config.as_deref(), options, &names);
    save(target.to_owned(), &text, &mut files)?;
    Ok(files)
}

fn save(file: PathBuf, text: &str, files: &mut Vec<PathBuf>) -> Result<(), Failed> {
    match fs::write(&file, text) {
        Ok(()) => {
            files.push(file);
            Ok(())
        }
        Err(error) => Err((file, error)),
    }
}

fn arrivals_text(path: &PathRecording) -> String {
    let mut text = "# When calls began, in seconds of the run.\n".to_owned();
    for at in &path.arrivals {
        // Writing to a `String` does not fail.
        let _ = writeln!(text, "{}.{:06}", at / 1_000_000, at % 1_000_000);
    }
    text
}

fn service_text(path: &PathRecording) -> String {
    let mut text = "# How long attempts took that succeeded, in order.\n".to_owned();
    let all = path.service_us.len();
    let kept = all.min(MAX_SAMPLES);
    for index in 0..kept {
        // Evenly spaced in their order, so that every quantile stays what it is.
        if let Some(span) = path.service_us.get(index * all / kept) {
            let _ = writeln!(text, "{span}us");
        }
    }
    text
}

fn fitted(path: &PathRecording) -> String {
    let quantile = |percent: usize| {
        let index = (path.service_us.len() * percent / 100).min(path.service_us.len().saturating_sub(1));
        path.service_us.get(index).copied()
    };
    match (quantile(50), quantile(99)) {
        (Some(median), Some(p99)) => {
            let span = |us: u32| Seconds(Duration::from_micros(u64::from(us.max(1))));
            format!(
                "{{ lognormal: {{ median: {}, p99: {} }} }}",
                span(median),
                span(p99)
            )
        }
        _ => SOME_SERVICE_TIME.to_owned(),
    }
}

fn scenario_text(
    recording: &Recording,
    stem: &str,
    config: Option<&str>,
    options: &Options,
    names: &[(String, String)],
) -> String {
    let mut text = String::new();
    let begin = Timestamp::from_microsecond(recording.start_us).unwrap_or(Timestamp::UNIX_EPOCH);
    let _ = writeln!(text, "scenario: {}", quoted(stem));
    let _ = writeln!(text, "about: Recorded from a log that begins at {begin}.");
    let _ = writeln!(text, "duration: {}s", recording.duration_seconds);
    if let Some(config) = config {
        let _ = writeln!(text, "config: {}", quoted(config));
    }
    text.push_str("dependencies:\n");
    for ((path, recorded), (_, service)) in recording.paths.iter().zip(names) {
        let most = recorded.most_at_once;
        let _ = writeln!(
            text,
            "  # At most {most} were answered at once, and there is room for twice as many."
        );
        let servers = most.saturating_mul(2).max(1);
        let name = quoted(path);
        let _ = writeln!(
            text,
            "  {name}: {{ servers: {servers}, service_time: {service} }}"
        );
    }
    text.push_str("clients:\n");
    for ((path, recorded), (arrivals, _)) in recording.paths.iter().zip(names) {
        let PathRecording {
            calls,
            succeeded,
            attempts,
            ..
        } = recorded;
        let _ = writeln!(
            text,
            "  # In the log: {calls} calls, {succeeded} of them succeeded, {attempts} attempts."
        );
        let (client, name, arrivals) = (quoted(&format!("{path}_callers")), quoted(path), quoted(arrivals));
        let count = options.clients;
        let _ = writeln!(
            text,
            "  {client}: {{ count: {count}, path: {name}, calls: {name}, arrivals: {{ trace: {arrivals} }} }}"
        );
    }
    if recording.paths.values().any(|path| !path.outages.is_empty()) {
        text.push_str("faults:\n");
    }
    for (path, recorded) in &recording.paths {
        for outage in &recorded.outages {
            text.push_str(&fault(path, outage, recording.duration_seconds));
        }
    }
    text
}

fn fault(path: &str, outage: &Outage, duration_seconds: u64) -> String {
    let span = |us: u64| Seconds(Duration::from_micros(us));
    let end = duration_seconds.saturating_mul(1_000_000);
    let until = outage.until_us.unwrap_or(end).min(end);
    // An outage of one instant still is one.
    let lasts = until.saturating_sub(outage.from_us).max(1);
    let mut keys = match &outage.cause {
        Cause::Refuse => "kind: refuse".to_owned(),
        Cause::Hang => "kind: hang".to_owned(),
        Cause::Reset => "kind: reset".to_owned(),
        Cause::Error { code } => format!("kind: error, code: {}", quoted(code)),
        Cause::Throttle { rate } => {
            // A second's worth at once, as most servers allow.
            let burst = rate.ceil();
            format!("kind: throttle, rate: {rate}/s, burst: {burst}")
        }
    };
    let share = share(outage.failed, outage.of);
    if share < ALL && !matches!(outage.cause, Cause::Throttle { .. }) {
        let _ = write!(keys, ", probability: {share}");
    }
    let (failed, of) = (outage.failed, outage.of);
    format!(
        "  # {failed} of {of} attempts.\n  - {{ at: {}, for: {}, on: {}, {keys} }}\n",
        span(outage.from_us),
        span(lasts),
        quoted(path)
    )
}

/// In steps of a ten-thousandth, and never nothing.
#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
fn share(part: u64, whole: u64) -> f64 {
    let share = part as f64 / whole.max(1) as f64;
    ((share * 1e4).round() / 1e4).max(0.0001)
}

/// A text as YAML has it: bare where it cannot be taken for anything else.
fn quoted(text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let special = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    if begins && text.chars().all(word) && !special.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    // What JSON writes, YAML reads.
    serde_json::Value::from(text).to_string()
}

/// A name that any file system takes.
fn plain(name: &str) -> String {
    let keep = |c: char| {
        if c.is_ascii_alphanumeric() || "_-".contains(c) {
            c
        } else {
            '_'
        }
    };
    name.chars().map(keep).collect()
}

/// How `file` is reached from `folder`.
fn relative(folder: &Path, file: &Path) -> String {
    // The working directory, where nothing is said.
    let folder = Path::new(".").join(folder);
    let (Ok(folder), Ok(file)) = (folder.canonicalize(), file.canonicalize()) else {
        return file.display().to_string();
    };
    let (from, to): (Vec<_>, Vec<_>) = (folder.components().collect(), file.components().collect());
    let same = from
        .iter()
        .zip(&to)
        .take_while(|(one, other)| one == other)
        .count();
    let up = from.iter().skip(same).map(|_| Component::ParentDir);
    let path: PathBuf = up.chain(to.into_iter().skip(same)).collect();
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_yaml_would_take_them_for_something_else() {
        for (name, written) in [
            ("storage", "storage"),
            ("../config/platform.yml", "\"../config/platform.yml\""),
            ("off", "\"off\""),
            ("a: b", "\"a: b\""),
            ("40001", "\"40001\""),
            ("", "\"\""),
        ] {
            assert_eq!(quoted(name), written);
        }
    }
}
