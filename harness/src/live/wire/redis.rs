//! A connection to Redis with one command. Its answers are a line each, which is as much of the
//! protocol (RESP2) as is read here.

use std::io::Write as _;
use std::time::Duration;

use crossbridge_core::FaultKind;

use super::{Line, Trouble};

/// Pushed to by nobody.
const LIST: &str = "crossbridge:stays:empty";
/// A timeout of nothing is without end.
const LEAST: Duration = Duration::from_millis(1);

/// Greets the server and has it wait.
pub(super) fn exchange(line: &mut Line<'_>, work: Duration) -> Result<(), Trouble> {
    command(line, &["PING"])?;
    line.request_follows();
    let seconds = format!("{:.3}", work.max(LEAST).as_secs_f64());
    command(line, &["BLPOP", LIST, &seconds])
}

fn command(line: &mut Line<'_>, words: &[&str]) -> Result<(), Trouble> {
    let mut said = format!("*{}\r\n", words.len());
    for word in words {
        said += &format!("${}\r\n{word}\r\n", word.len());
    }
    line.write_all(said.as_bytes())?;
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n") {
        line.more(&mut heard)?;
    }
    match heard.strip_prefix(b"-") {
        Some(error) => Err(Trouble::answered(kind(error))),
        None => Ok(()),
    }
}

/// By the first word, which is the code.
fn kind(error: &[u8]) -> FaultKind {
    let code = error.split(u8::is_ascii_whitespace).next();
    match code {
        // It reads its data, runs a script, or waits for its primary.
        Some(b"LOADING" | b"BUSY" | b"TRYAGAIN" | b"MASTERDOWN" | b"CLUSTERDOWN") => FaultKind::Transient,
        Some(_) | None => FaultKind::Permanent,
    }
}
