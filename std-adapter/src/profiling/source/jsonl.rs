//! JSON lines: one event per line.
//!
//! | field | type | |
//! |---|---|---|
//! | `test_id`, `event_type` | text | required |
//! | `run_id` | text | else the one of the caller, else one made from the first line |
//! | `event_id` | text of at most 512 bytes | else made from content and position |
//! | `start_time`, `end_time` | number, seconds | `end_time` not before `start_time` |
//! | `duration_ms` | number, milliseconds | else the span between the two times, if both are there |
//! | `created_at` | text, RFC 3339; without a zone it is UTC, with a warning | else the one of the caller |
//! | `framework`, `step_name` | text | |
//! | `metadata` | object | |
//!
//! A `null` is as good as no field. Any other field is kept in `metadata` under its own name (under
//! `event.<name>` where metadata has that name already) and counted in the summary.
//!
//! A line that is no event is [rejected](super::Rejected) with its place, and reading goes on: not
//! JSON, no object, a required field missing, a wrong type, a field given twice, a number that is
//! no time, bytes that are not UTF-8, more than 16 MiB. So is a last line that was cut off. Blank
//! lines are nothing. CR LF, and a last line without an end, are fine.

use std::collections::VecDeque;
use std::io::BufRead;

use super::tap::{Position, Tap};
use super::{Item, Options, Problem, Rejected, SourceError, Summary, Warning};
use crate::profiling::event::{Event, UNKNOWN_FRAMEWORK};
use crate::profiling::identity::{self, Fingerprint};

pub(in crate::profiling) mod line;

use line::Line;

/// The reader of JSON lines.
#[derive(Debug)]
pub(super) struct Jsonl<R> {
    tap: Tap<R>,
    options: Options,
    buffer: Vec<u8>,
    /// Lines that are not blank, so far.
    position: u64,
    /// Made from the first line.
    fingerprint: Option<Fingerprint>,
    /// Whether the use of a made-up run was already said.
    told_run: bool,
    /// Whether it was said that times have no zone.
    told_zone: bool,
    /// What comes after a warning: another one, or the event it is about.
    waiting: VecDeque<Item>,
}

impl<R: BufRead> Jsonl<R> {
    pub(super) fn new(mut tap: Tap<R>, options: Options) -> Self {
        tap.stop_hashing();
        Self {
            tap,
            options,
            buffer: Vec::new(),
            position: 0,
            fingerprint: None,
            told_run: false,
            told_zone: false,
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn next(&mut self, summary: &mut Summary) -> Option<Result<Item, SourceError>> {
        if let Some(item) = self.waiting.pop_front() {
            return Some(Ok(item));
        }
        loop {
            let start = self.tap.position();
            let end = match read_line(&mut self.tap, &mut self.buffer) {
                Ok(end) => end,
                Err(error) => {
                    return Some(Err(SourceError {
                        name: self.options.name.clone(),
                        at: Some(self.tap.position()),
                        problem: Problem::of(error),
                        complete_tests: None,
                    }));
                }
            };
            // Taken out for the time of the borrow, and put back so that its memory is used again.
            let buffer = std::mem::take(&mut self.buffer);
            let text = buffer.trim_ascii();
            let item = if text.is_empty() && end != LineEnd::TooLong {
                None
            } else {
                Some(self.item(start, &buffer, text, end, summary))
            };
            self.buffer = buffer;
            match item {
                Some(item) => return Some(Ok(item)),
                None if end == LineEnd::OfFile => return None,
                None => {}
            }
        }
    }

    fn item(
        &mut self,
        start: Position,
        raw: &[u8],
        text: &[u8],
        end: LineEnd,
        summary: &mut Summary,
    ) -> Item {
        let position = self.position;
        self.position += 1;
        let fingerprint = *self.fingerprint.get_or_insert_with(|| Fingerprint::of(text));
        let reject = |offset: usize, reason: String| {
            let column = start
                .column
                .saturating_add(u64::try_from(offset).unwrap_or(u64::MAX));
            Item::Rejected(Rejected {
                at: Position {
                    line: start.line,
                    column,
                },
                reason,
            })
        };
        if end == LineEnd::TooLong {
            return reject(MAX_LINE, format!("a line of more than {MAX_LINE} bytes"));
        }
        let blanks = raw.len() - raw.trim_ascii_start().len();
        let line = match line::parse(text) {
            Ok(line) => line,
            Err(bad) => {
                let cut = if bad.at_end && end == LineEnd::OfFile {
                    "; the file ends inside this line"
                } else {
                    ""
                };
                return reject(blanks + bad.offset, format!("{}{cut}", bad.reason));
            }
        };
        for name in &line.unknown {
            summary.unknown_field(name);
        }
        let made_up = line.run_id.is_none() && self.options.run_id.is_none();
        let assumed_utc = line.assumed_utc;
        let event = self.event(line, fingerprint, position, text);
        let mut warn = |text| self.waiting.push_back(Item::Warning(Warning { at: start, text }));
        if made_up && !std::mem::replace(&mut self.told_run, true) {
            warn(format!(
                "no `run_id`: taken for run {}, made from the first line of the file",
                event.run_id
            ));
        }
        if assumed_utc && !std::mem::replace(&mut self.told_zone, true) {
            warn("`created_at` has no zone; this and the others are taken as UTC".to_owned());
        }
        match self.waiting.pop_front() {
            None => Item::Event(event),
            Some(warning) => {
                self.waiting.push_back(Item::Event(event));
                warning
            }
        }
    }

    fn event(&self, line: Line, fingerprint: Fingerprint, position: u64, text: &[u8]) -> Event {
        let run_id = line
            .run_id
            .or_else(|| self.options.run_id.clone())
            .unwrap_or_else(|| identity::run_id(fingerprint));
        let event_id = line
            .event_id
            .unwrap_or_else(|| identity::event_id(&run_id, fingerprint, position, text));
        Event {
            event_id,
            run_id,
            test_id: line.test_id,
            event_type: line.event_type,
            framework: line
                .framework
                .or_else(|| self.options.framework.clone())
                .unwrap_or_else(|| UNKNOWN_FRAMEWORK.to_owned()),
            step_name: line.step_name,
            start_time: line.start_time,
            end_time: line.end_time,
            duration_ms: line.duration_ms,
            created_at: line.created_at.or(self.options.created_at),
            metadata: line.metadata.into(),
        }
    }
}

/// How a line ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnd {
    Newline,
    OfFile,
    /// Cut at the limit; the rest was skipped up to the newline or the end of the file.
    TooLong,
}

/// Reads up to and without the newline, holding at most [`MAX_LINE`] bytes.
pub(super) fn read_line<R: BufRead>(input: &mut R, into: &mut Vec<u8>) -> std::io::Result<LineEnd> {
    into.clear();
    let mut too_long = false;
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() {
            return Ok(if too_long {
                LineEnd::TooLong
            } else {
                LineEnd::OfFile
            });
        }
        let newline = available.iter().position(|&byte| byte == b'\n');
        let content = newline.and_then(|end| available.get(..end)).unwrap_or(available);
        if too_long || into.len() + content.len() > MAX_LINE {
            too_long = true;
            into.clear();
        } else {
            into.extend_from_slice(content);
        }
        let used = content.len() + usize::from(newline.is_some());
        input.consume(used);
        if newline.is_some() {
            return Ok(if too_long {
                LineEnd::TooLong
            } else {
                LineEnd::Newline
            });
        }
    }
}

/// The longest line that is read: 16 MiB. Events are hundreds of bytes; this is a file without
/// line ends, or not a file of events.
const MAX_LINE: usize = 16 << 20;

#[cfg(test)]
mod tests;
