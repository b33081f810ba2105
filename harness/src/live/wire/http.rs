//! One exchange of HTTP/1.1. The head of the answer says all there is to know.

use std::io::{Error, ErrorKind, Write as _};
use std::time::Duration;

use crossbridge_core::retry::Failure;
use crossbridge_std::classify::http::{retry_after, status_kind};
use crossbridge_std::clock::wall_clock;
use jiff::Timestamp;

use super::{Line, Trouble};

/// Asks the server to answer after a while.
pub(super) fn exchange(line: &mut Line<'_>, work: Duration, codes: &[u16]) -> Result<(), Trouble> {
    line.request_follows();
    let target = work.as_micros();
    let request = format!("GET /{target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    line.write_all(request.as_bytes())?;
    let mut heard = Vec::new();
    loop {
        line.more(&mut heard)?;
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(&heard);
        match parsed.map_err(|error| Error::new(ErrorKind::InvalidData, error))? {
            httparse::Status::Partial => {}
            httparse::Status::Complete(_) => return judge(&response, codes),
        }
    }
}

fn judge(response: &httparse::Response<'_, '_>, codes: &[u16]) -> Result<(), Trouble> {
    let is_hint = |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case("retry-after");
    let hint = response.headers.iter().find(is_hint);
    let now = Timestamp::try_from(wall_clock()).unwrap_or_default();
    let wait = hint
        .and_then(|header| str::from_utf8(header.value).ok())
        .and_then(|value| retry_after(value, now));
    match status_kind(response.code.unwrap_or_default(), codes, wait.is_some()) {
        Some(kind) => Err(Trouble::Answered(Failure {
            kind,
            retry_after: wait,
        })),
        None => Ok(()),
    }
}
