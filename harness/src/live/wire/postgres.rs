//! A session of PostgreSQL with one query.

use std::io::Write as _;
use std::time::Duration;

use bytes::BytesMut;
use crossbridge_core::FaultKind;
use crossbridge_std::classify::sql::sqlstate;
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::message::backend::{ErrorResponseBody, Message};
use postgres_protocol::message::frontend;

use super::{Line, Trouble};

/// A server of ours trusts its superuser.
const PARAMETERS: [(&str, &str); 2] = [("user", "postgres"), ("database", "postgres")];

/// Starts a session and has the server sleep.
pub(super) fn exchange(line: &mut Line<'_>, work: Duration) -> Result<(), Trouble> {
    let mut said = BytesMut::new();
    frontend::startup_message(PARAMETERS, &mut said)?;
    line.write_all(&said)?;
    let mut heard = BytesMut::new();
    until_ready(line, &mut heard)?;

    line.request_follows();
    said.clear();
    let query = format!("select pg_sleep({:.6})", work.as_secs_f64());
    frontend::query(&query, &mut said)?;
    line.write_all(&said)?;
    until_ready(line, &mut heard)?;

    said.clear();
    frontend::terminate(&mut said);
    // It has its answer; that it leaves is a courtesy.
    let _ = line.write_all(&said);
    Ok(())
}

/// Reads up to the next `ReadyForQuery`. An error is told there, or where the server hangs up after it.
fn until_ready(line: &mut Line<'_>, heard: &mut BytesMut) -> Result<(), Trouble> {
    let mut failed = None;
    loop {
        let message = Message::parse(heard)?;
        if let Some(Message::ReadyForQuery(_)) = message {
            return failed.map_or(Ok(()), Err);
        } else if let Some(Message::ErrorResponse(body)) = message {
            failed = Some(Trouble::answered(kind(&body)));
        } else if message.is_none()
            && let Err(error) = line.more(heard)
        {
            return Err(failed.unwrap_or(Trouble::Line(error)));
        }
    }
}

fn kind(body: &ErrorResponseBody) -> FaultKind {
    let code = body.fields().find(|field| Ok(field.type_() == b'C'));
    let code = code.ok().flatten();
    code.map_or(FaultKind::Unknown, |field| {
        sqlstate(str::from_utf8(field.value_bytes()).unwrap_or_default())
    })
}
