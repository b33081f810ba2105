//! Decodes the defmt frames of the image and compares them with the same replay here.

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::time::Duration;

use crossbridge_core::{Event, Instant, Observer};
use crossbridge_firmware::drive::Record;
use crossbridge_firmware::ticks;
use defmt_decoder::{DecodeError, Table};

type Error = Box<dyn std::error::Error>;

/// The lines the frames should decode to.
#[derive(Clone, Copy)]
struct Expected<'a>(&'a RefCell<Vec<String>>);

impl Debug for Expected<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Expected")
    }
}

impl Observer for Expected<'_> {
    fn on_event(&self, now: Instant, event: &Event) {
        let level = match event {
            Event::RetryScheduled { .. } | Event::BreakerChanged { .. } | Event::HealthChanged { .. } => {
                "warn"
            }
            Event::AttemptStarted { .. }
            | Event::AttemptEnded { .. }
            | Event::WaitingForLimit { .. }
            | Event::CallEnded { .. } => "trace",
        };
        self.0.borrow_mut().push(format!("{level} {now:?} {event:?}"));
    }
}

impl Record for Expected<'_> {
    fn answer(&self, _: Instant, _: usize, _: &dyn Debug) {}
    fn state(&self, _: Instant, _: &dyn Debug) {}
}

/// Compares; the answer is a sentence about what was compared.
///
/// # Errors
/// Frames that cannot be decoded, or the first line that differs.
pub(crate) fn compare(elf: &[u8], frames: &[u8]) -> Result<String, Error> {
    let expected = RefCell::new(Vec::new());
    let wraps = ticks::replay(Expected(&expected)).map_err(|refused| refused.to_string())?;
    let mut expected = expected.into_inner();
    let level = "info";
    expected.push(format!("{level} the counter started over {wraps} times"));
    if wraps < 3 {
        return Err(format!("the counter started over {wraps} times only").into());
    }

    let decoded = decode(elf, frames)?;
    for (number, (want, got)) in expected.iter().zip(&decoded).enumerate() {
        if want != got {
            return Err(format!("frame {number}:\n  host:   {want}\n  target: {got}").into());
        }
    }
    if expected.len() != decoded.len() {
        return Err(format!("{} frames expected, {} decoded", expected.len(), decoded.len()).into());
    }
    Ok(format!(
        "{} frames, {} bytes, equal to the host's events; the counter started over {wraps} times",
        decoded.len(),
        frames.len()
    ))
}

fn decode(elf: &[u8], frames: &[u8]) -> Result<Vec<String>, Error> {
    let table = Table::parse(elf)?.ok_or("the image holds no defmt strings")?;
    let mut decoder = table.new_stream_decoder();
    decoder.received(frames);
    let mut lines = Vec::new();
    let stopped = Cell::new(false);
    while !stopped.get() {
        match decoder.decode() {
            Ok(frame) => {
                let level = frame.level().map_or("none", |level| level.as_str());
                let message = frame.display_message().to_string();
                lines.push(format!("{level} {}", in_rusts_words(&message)));
            }
            Err(DecodeError::UnexpectedEof) => stopped.set(true),
            Err(DecodeError::Malformed) => {
                return Err(format!("frame {} is malformed", lines.len()).into());
            }
        }
    }
    Ok(lines)
}

/// defmt shows the fields of a `Duration`, Rust its value.
fn in_rusts_words(message: &str) -> String {
    const OPEN: &str = "Duration { secs: ";
    let mut text = String::new();
    let mut rest = message;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let span = after.split_once(" }").and_then(|(fields, after)| {
            let (secs, nanos) = fields.split_once(", nanos: ")?;
            Some((Duration::new(secs.parse().ok()?, nanos.parse().ok()?), after))
        });
        let Some((span, after)) = span else { break };
        text += &format!("{before}{span:?}");
        rest = after;
    }
    text + rest
}
