//! How long things take and when they come, trace files included.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use crossbridge_core::time::nanos;
use crossbridge_std::config::{KeyPath, Problem, parse_span};

use super::Resolver;
use crate::distribution::Distribution;
use crate::scenario::Arrivals;
use crate::scenario::format::{ArrivalsFile, SpanFile};
use crate::scenario::limits::{ALL_TRACE_TIMES, TRACE_BYTES, TRACE_TIMES};

impl Resolver<'_> {
    /// `None` where it is refused.
    pub(super) fn span(&mut self, at: &KeyPath, file: &SpanFile) -> Option<Distribution> {
        Some(match file {
            SpanFile::Constant(span) => Distribution::Constant(nanos(span.get())),
            SpanFile::Exponential(mean) => Distribution::Exponential(as_f64(nanos(mean.get()))),
            SpanFile::Uniform(bounds) => {
                let (from, to) = (nanos(bounds.from.get()), nanos(bounds.to.get()));
                if from > to {
                    self.refuse(
                        at.key("uniform").key("to"),
                        format!("{:?}", bounds.to.get()),
                        "at least `from`",
                    );
                }
                Distribution::Uniform(from, to)
            }
            SpanFile::Lognormal(shape) => {
                let (median, p99) = (nanos(shape.median.get()), nanos(shape.p99.get()));
                let at = at.key("lognormal");
                if median == 0 {
                    self.refuse(at.key("median"), "0s", "more than 0");
                }
                if p99 < median {
                    self.refuse(
                        at.key("p99"),
                        format!("{:?}", shape.p99.get()),
                        "at least the median",
                    );
                }
                Distribution::lognormal(median, p99)
            }
            SpanFile::Normal(shape) => Distribution::Normal {
                mean: as_f64(nanos(shape.mean.get())),
                sd: as_f64(nanos(shape.sd.get())),
            },
            SpanFile::Pareto(file) => {
                let at = at.key("pareto");
                let min = nanos(file.min.get());
                if min == 0 {
                    self.refuse(at.key("min"), "0s", "more than 0");
                }
                if !(0.1..=100.0).contains(&file.shape) {
                    self.refuse(at.key("shape"), file.shape, "0.1 to 100");
                }
                Distribution::Pareto {
                    min: as_f64(min),
                    shape: file.shape,
                }
            }
            SpanFile::Trace(file) => Distribution::Trace(self.trace(&at.key("trace"), file)?),
        })
    }

    /// `None` where it is refused.
    pub(super) fn arrivals(&mut self, at: &KeyPath, file: &ArrivalsFile) -> Option<Arrivals> {
        Some(match file {
            ArrivalsFile::Every(period) => {
                if nanos(period.get()) == 0 {
                    self.refuse(at.key("every"), "0s", "more than 0");
                }
                Arrivals::Every(nanos(period.get()))
            }
            ArrivalsFile::Poisson(rate) => Arrivals::Poisson(1e9 / rate.per_second()),
            ArrivalsFile::Closed(closed) => Arrivals::Closed {
                think: nanos(closed.think.get()),
            },
            ArrivalsFile::Burst(burst) => {
                let at = at.key("burst");
                let every = burst.every.map(|every| nanos(every.get()));
                if burst.size == 0 {
                    self.refuse(at.key("size"), 0, "at least 1");
                }
                if every == Some(0) {
                    self.refuse(at.key("every"), "0s", "more than 0");
                }
                let duration = self.file.duration.get();
                if burst.at.get() >= duration {
                    let expected = format!("before the end of the run at {duration:?}");
                    self.refuse(at.key("at"), format!("{:?}", burst.at.get()), expected);
                }
                Arrivals::Burst {
                    size: burst.size,
                    at: nanos(burst.at.get()),
                    every,
                }
            }
            ArrivalsFile::Trace(file) => {
                let at = at.key("trace");
                let instants = self.trace(&at, file)?;
                if let Some(line) = instants.windows(2).position(|pair| pair[0] > pair[1]) {
                    let found = format!("`{file}`, its time {} is before the one above it", line + 2);
                    self.problems
                        .push(Problem::new(at, "the calls are not in order").found(found));
                    return None;
                }
                Arrivals::Trace(instants)
            }
        })
    }

    /// The times of a trace file.
    fn trace(&mut self, at: &KeyPath, name: &str) -> Option<Arc<[u64]>> {
        let path = self.folder.join(name);
        let times = read(&path).and_then(|text| trace_times(&text));
        match times {
            Ok(times) if self.trace_times + times.len() > ALL_TRACE_TIMES => {
                let expected = format!("at most {ALL_TRACE_TIMES} times in all trace files together");
                self.refuse(at.clone(), self.trace_times + times.len(), expected);
                None
            }
            Ok(times) => {
                self.trace_times += times.len();
                Some(times.into())
            }
            Err(found) => {
                let problem = Problem::new(at.clone(), format!("trace `{}` cannot be used", path.display()))
                    .found(found)
                    .expected("a text of at most 256 MiB with a time a line");
                self.problems.push(problem);
                None
            }
        }
    }
}

/// The text of a trace file. It is cut off above its limit whatever its size is said to be: a device
/// has none, and no end either.
fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    let read = file.take(TRACE_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > TRACE_BYTES {
        return Err(format!("more than {TRACE_BYTES} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| format!("no UTF-8: {}", error.utf8_error()))
}

/// The times of the text of a trace file, one a line, in nanoseconds; at least one.
///
/// # Errors
/// The first line that is no time, or that there is none, or too many.
pub fn trace_times(text: &str) -> Result<Vec<u64>, String> {
    let mut times = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if line.is_empty() {
            continue;
        }
        let seconds = line.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let read = if seconds {
            parse_span(&format!("{line}s"))
        } else {
            parse_span(line)
        };
        let span =
            read.map_err(|expected| format!("`{line}` in line {}, expected {expected}", number + 1))?;
        if times.len() == TRACE_TIMES {
            return Err(format!("more than {TRACE_TIMES} times"));
        }
        times.push(nanos(span));
    }
    if times.is_empty() {
        return Err("no time in it".to_owned());
    }
    Ok(times)
}

/// Exact below 2^53 nanoseconds (104 days).
#[expect(clippy::cast_precision_loss)]
const fn as_f64(nanos: u64) -> f64 {
    nanos as f64
}
