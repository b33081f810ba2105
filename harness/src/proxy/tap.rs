//! What client and server say to each other, followed so far that single requests can be answered
//! with an error.
//!
//! ```text
//!   client ──▶ tap ──▶ upstream link ──▶ server
//!               │ answer
//!               └────▶ downstream link ──▶ client
//! ```
//!
//! The first bytes tell HTTP/1 and PostgreSQL from everything else, which passes unread. Bytes that are
//! not part of an answered request are forwarded as they come.
//!
//! - An HTTP request that is answered here is read to its end, then answered; the connection goes
//!   on. With pipelining the answer may overtake one of the server's.
//! - A PostgreSQL query is a simple query, or all messages up to a `Sync`. One that is sent before the
//!   last is answered is forwarded.
//! - Inside a transaction the server is made to raise the error itself, so that it knows as well as
//!   the client that the transaction failed. In a failed transaction queries are forwarded.
//! - `57P01` to `57P03` end the session, as the server does when it shuts down.

use super::postgres::{Messages, Opening, error_response, failing_query, ready_for_query};
use super::toxic::{HttpError, SqlError, SqlPlace};
use crate::http1::{Part, Requests, reason};

/// Who decides which request is answered with an error.
pub(super) trait Judge {
    /// A request begins: the error it is answered with.
    fn http(&mut self) -> Option<HttpError>;
    /// A startup or a query begins: the error it is answered with.
    fn sql(&mut self, place: SqlPlace) -> Option<SqlError>;
    /// Whether sessions stay readable: a request for encryption is declined.
    fn declines_encryption(&self) -> bool;
}

/// What follows from bytes of the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Goes to the server.
    Forward(Vec<u8>),
    /// Goes to the client.
    Answer(Vec<u8>),
    /// The connection is closed after that.
    Close,
}

/// A follower of one connection.
#[derive(Debug)]
pub(super) enum Tap {
    /// Too little has been said.
    Unknown(Vec<u8>),
    /// HTTP/1.
    Http(Http),
    /// PostgreSQL.
    Postgres(Postgres),
    /// Anything else, or encrypted.
    Opaque,
}

/// Methods that open an HTTP connection.
const METHODS: [&[u8]; 8] = [
    b"GET ",
    b"POST ",
    b"PUT ",
    b"HEAD ",
    b"DELETE ",
    b"PATCH ",
    b"OPTIONS ",
    b"TRACE ",
];

impl Tap {
    pub(super) const fn new() -> Self {
        Self::Unknown(Vec::new())
    }

    /// The client said something.
    pub(super) fn on_client(&mut self, bytes: &[u8], judge: &mut dyn Judge) -> Vec<Act> {
        let mut acts = Vec::new();
        match self {
            Self::Unknown(said) => {
                said.extend_from_slice(bytes);
                let said = std::mem::take(said);
                let undecided = |full: &&[u8]| full.starts_with(&said);
                if METHODS.iter().any(|method| said.starts_with(method)) {
                    *self = Self::Http(Http::default());
                } else if said.iter().take(2).all(|&byte| byte == 0) {
                    *self = Self::Postgres(Postgres::default());
                } else if METHODS.iter().any(undecided) {
                    *self = Self::Unknown(said);
                    return acts;
                } else {
                    *self = Self::Opaque;
                }
                return self.on_client(&said, judge);
            }
            Self::Http(http) => http.on_client(bytes, judge, &mut acts),
            Self::Postgres(postgres) => {
                if !postgres.on_client(bytes, judge, &mut acts) {
                    *self = Self::Opaque;
                }
            }
            Self::Opaque => acts.push(Act::Forward(bytes.to_vec())),
        }
        acts
    }

    /// The client has nothing more to say: what was held back goes on.
    pub(super) fn on_client_end(&mut self) -> Option<Vec<u8>> {
        let held = match self {
            Self::Unknown(said) => std::mem::take(said),
            Self::Postgres(postgres) => postgres.held(),
            Self::Http(_) | Self::Opaque => Vec::new(),
        };
        (!held.is_empty()).then_some(held)
    }

    /// The server said something, which is forwarded in any case. Where it shows that this is no
    /// PostgreSQL, what was held back of the client goes on.
    pub(super) fn on_server(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let Self::Postgres(postgres) = self else {
            return None;
        };
        if postgres.on_server(bytes) {
            return None;
        }
        let held = postgres.held();
        *self = Self::Opaque;
        (!held.is_empty()).then_some(held)
    }
}

/// A connection that speaks HTTP/1.
#[derive(Debug, Default)]
pub(super) struct Http {
    requests: Requests,
    /// The request that is passing is answered with this.
    error: Option<HttpError>,
    /// It has no body in its answer.
    is_head: bool,
    /// It is the last of its connection.
    last: bool,
}

impl Http {
    fn on_client(&mut self, bytes: &[u8], judge: &mut dyn Judge, acts: &mut Vec<Act>) {
        let mut rest = bytes;
        let mut forward = Vec::new();
        while !rest.is_empty() || self.requests.is_complete() {
            if self.requests.at_start() {
                self.error = judge.http();
            }
            let (used, part) = self.requests.next(rest);
            let (these, after) = rest.split_at(used);
            rest = after;
            if self.error.is_none() {
                forward.extend_from_slice(these);
                continue;
            }
            let answered = match part {
                Part::Head(head) => {
                    self.is_head = head.method == "HEAD";
                    // A client that waits for `100 Continue` is told the answer instead.
                    self.last = head.last || head.expects_continue;
                    head.expects_continue
                }
                Part::End => true,
                Part::Opaque => {
                    self.last = true;
                    true
                }
                Part::Partial | Part::Data | Part::Framing => false,
            };
            if answered && let Some(error) = self.error.take() {
                if !forward.is_empty() {
                    acts.push(Act::Forward(std::mem::take(&mut forward)));
                }
                acts.push(Act::Answer(answer(&error, self.is_head, self.last)));
                if self.last {
                    acts.push(Act::Close);
                    return;
                }
            }
        }
        if !forward.is_empty() {
            acts.push(Act::Forward(forward));
        }
    }
}

/// The answer of an error (RFC 9112, section 4).
fn answer(error: &HttpError, is_head: bool, last: bool) -> Vec<u8> {
    use std::fmt::Write as _;

    let body = error
        .body
        .as_deref()
        .unwrap_or("answered by crossbridge faults\n");
    let mut text = format!("HTTP/1.1 {} {}\r\n", error.status, reason(error.status));
    if let Some(seconds) = error.retry_after {
        let _ = write!(text, "Retry-After: {seconds}\r\n");
    }
    if last {
        text += "Connection: close\r\n";
    }
    // These have no body, and 204 no length either (RFC 9110, section 8.6).
    if !matches!(error.status, 204 | 304) {
        let length = body.len();
        let _ = write!(
            text,
            "Content-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n"
        );
    }
    text += "\r\n";
    if !is_head && !matches!(error.status, 204 | 304) {
        text += body;
    }
    text.into_bytes()
}

/// A connection that speaks PostgreSQL's protocol.
#[derive(Debug)]
pub(super) struct Postgres {
    stage: Stage,
    client: Messages,
    server: Messages,
    /// How many `ReadyForQuery` the server owes.
    owed: u64,
    /// What the server is saying is a `ReadyForQuery`: one byte, not a longer message of its kind.
    ready: bool,
    /// The state of the transaction, as the server last said.
    transaction: u8,
    /// Inside messages that end with a `Sync`.
    in_batch: bool,
    /// The last `ReadyForQuery` is owed for a `Sync`.
    synced: bool,
    /// The query that is passing is answered with this.
    error: Option<SqlError>,
}

#[derive(Debug)]
enum Stage {
    /// The first eight bytes, as far as they have come.
    Opening(Vec<u8>),
    /// The server's byte about encryption is awaited.
    Encryption,
    /// So many bytes of the startup are yet to come.
    Startup(u32),
    Session,
    /// The startup was answered with an error.
    Refused,
}

impl Default for Postgres {
    fn default() -> Self {
        Self {
            stage: Stage::Opening(Vec::new()),
            client: Messages::default(),
            server: Messages::default(),
            // The one that ends the startup.
            owed: 1,
            ready: false,
            transaction: b'I',
            in_batch: false,
            synced: false,
            error: None,
        }
    }
}

impl Postgres {
    /// False: the connection is opaque from here on; everything has been forwarded.
    fn on_client(&mut self, bytes: &[u8], judge: &mut dyn Judge, acts: &mut Vec<Act>) -> bool {
        match &mut self.stage {
            Stage::Opening(said) => {
                let (these, rest) = bytes.split_at((8 - said.len().min(8)).min(bytes.len()));
                said.extend_from_slice(these);
                let Ok(opening) = <[u8; 8]>::try_from(said.as_slice()) else {
                    // What begins with zeros only is held until it is long enough to be told apart.
                    return true;
                };
                let passes = self.open(opening, judge, acts);
                if !passes && !rest.is_empty() {
                    acts.push(Act::Forward(rest.to_vec()));
                }
                passes && (rest.is_empty() || self.on_client(rest, judge, acts))
            }
            // Nobody speaks before the server's answer, except a client that is no PostgreSQL client.
            Stage::Encryption => {
                acts.push(Act::Forward(bytes.to_vec()));
                false
            }
            Stage::Startup(left) => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                let (these, rest) = bytes.split_at(length);
                *left = left.saturating_sub(u32::try_from(length).unwrap_or(u32::MAX));
                if *left == 0 {
                    self.stage = Stage::Session;
                }
                acts.push(Act::Forward(these.to_vec()));
                rest.is_empty() || self.on_client(rest, judge, acts)
            }
            Stage::Refused => true,
            Stage::Session => {
                let held = self.client.held().to_vec();
                let Some(pieces) = self.client.cut(bytes) else {
                    acts.push(Act::Forward([&held, bytes].concat()));
                    return false;
                };
                let mut forward = Vec::new();
                for piece in pieces {
                    if piece.first {
                        self.begin(piece.kind, judge);
                    }
                    if self.error.is_none() {
                        forward.extend_from_slice(&piece.bytes);
                    }
                    if piece.last
                        && matches!(piece.kind, b'Q' | b'F' | b'S')
                        && let Some(error) = self.error.take()
                    {
                        if !forward.is_empty() {
                            acts.push(Act::Forward(std::mem::take(&mut forward)));
                        }
                        self.fail(&error, acts);
                    }
                }
                if !forward.is_empty() {
                    acts.push(Act::Forward(forward));
                }
                true
            }
        }
    }

    fn open(&mut self, said: [u8; 8], judge: &mut dyn Judge, acts: &mut Vec<Act>) -> bool {
        self.stage = Stage::Opening(Vec::new());
        match Opening::read(said) {
            Some(Opening::Encryption) if judge.declines_encryption() => {
                acts.push(Act::Answer(b"N".to_vec()));
                return true;
            }
            Some(Opening::Encryption) => self.stage = Stage::Encryption,
            Some(Opening::Startup(length)) => {
                if let Some(error) = judge.sql(SqlPlace::Startup) {
                    let message = said_by(&error);
                    acts.push(Act::Answer(error_response("FATAL", &error.sqlstate, message)));
                    acts.push(Act::Close);
                    self.stage = Stage::Refused;
                    return true;
                }
                self.stage = Stage::Startup(length.saturating_sub(8));
            }
            Some(Opening::Cancel(_)) | None => {
                acts.push(Act::Forward(said.to_vec()));
                return false;
            }
        }
        acts.push(Act::Forward(said.to_vec()));
        true
    }

    /// A message of the client begins.
    fn begin(&mut self, kind: u8, judge: &mut dyn Judge) {
        let begins_query = matches!(kind, b'Q' | b'F' | b'P' | b'B') && !self.in_batch;
        // Only a server that has answered everything is sure to be in the state it last said.
        if begins_query && self.owed == 0 && matches!(self.transaction, b'I' | b'T') {
            self.error = judge.sql(SqlPlace::Query);
        }
        match kind {
            b'Q' | b'F' | b'S' => {
                self.in_batch = false;
                if self.error.is_none() {
                    self.owed = self.owed.saturating_add(1);
                    self.synced = kind == b'S';
                }
            }
            b'P' | b'B' | b'D' | b'E' | b'C' => self.in_batch = true,
            _ => {}
        }
    }

    /// A query that is answered with an error has been read to its end.
    fn fail(&mut self, error: &SqlError, acts: &mut Vec<Act>) {
        let message = said_by(error);
        if matches!(error.sqlstate.as_str(), "57P01" | "57P02" | "57P03") {
            acts.push(Act::Answer(error_response("FATAL", &error.sqlstate, message)));
            acts.push(Act::Close);
        } else if self.transaction == b'T' {
            self.owed = self.owed.saturating_add(1);
            acts.push(Act::Forward(failing_query(&error.sqlstate, message)));
        } else {
            let mut answer = error_response("ERROR", &error.sqlstate, message);
            answer.extend(ready_for_query(self.transaction));
            acts.push(Act::Answer(answer));
        }
    }

    fn on_server(&mut self, bytes: &[u8]) -> bool {
        match self.stage {
            Stage::Encryption => {
                let declined = bytes == b"N";
                self.stage = Stage::Opening(Vec::new());
                declined
            }
            Stage::Opening(_) | Stage::Startup(_) | Stage::Session | Stage::Refused => {
                let Some(pieces) = self.server.cut(bytes) else {
                    return false;
                };
                for piece in pieces {
                    if piece.first {
                        self.ready = *piece.bytes == *b"Z\0\0\0\x05";
                        // A server that waits for the data of a COPY passes over the `Sync` that
                        // clients send with the command; they send another one behind the data.
                        if piece.kind == b'G' && std::mem::take(&mut self.synced) {
                            self.owed = self.owed.saturating_sub(1);
                        }
                    } else if self.ready
                        && let [transaction] = *piece.bytes
                    {
                        self.owed = self.owed.saturating_sub(1);
                        self.transaction = transaction;
                    }
                }
                true
            }
        }
    }

    fn held(&mut self) -> Vec<u8> {
        match &mut self.stage {
            Stage::Opening(said) => std::mem::take(said),
            Stage::Session => self.client.held().to_vec(),
            Stage::Encryption | Stage::Startup(_) | Stage::Refused => Vec::new(),
        }
    }
}

/// What an error says.
fn said_by(error: &SqlError) -> &str {
    error.message.as_deref().unwrap_or("raised by crossbridge faults")
}

#[cfg(test)]
mod tests;
