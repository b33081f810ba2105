//! Where HTTP/1 requests begin and end in a stream of bytes (RFC 9112).
//!
//! The heads are read by `httparse`; what is left to do here is to find the end of the body. The
//! bytes themselves stay with the caller, so that they can be forwarded as they come.
//!
//! ```text
//!   Head ──▶ (body of a known length | chunks) ──▶ End ──▶ Head ...
//!     └──▶ Opaque: not HTTP/1, or no longer (CONNECT, Upgrade)
//! ```

/// A reader of one stream of requests.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    state: State,
    /// The part of a head, or of a chunk's line, that has come.
    partial: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    Body(u64),
    ChunkLine,
    /// The data of a chunk and the line break after it.
    Chunk(u64),
    ChunkBreak,
    Trailer,
    End,
    Opaque,
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// More of a head that is not complete.
    Partial,
    /// The end of a head.
    Head(Head),
    /// Data of the body.
    Data,
    /// What frames the data.
    Framing,
    /// No bytes: the request is complete.
    End,
    /// Not HTTP/1, for the rest of the stream.
    Opaque,
}

/// The head of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) user_agent: String,
    /// What tells a repeated request from a new one; empty where there is none.
    pub(crate) idempotency_key: String,
    /// Who sends it; empty where that is not said.
    pub(crate) authorization: Secret,
    /// How the body is packed; empty where it is not.
    pub(crate) content_encoding: String,
    /// How long the body is, where that is said before it comes.
    pub(crate) length: Option<u64>,
    /// The client waits for `100 Continue` before it sends the body.
    pub(crate) expects_continue: bool,
    /// The connection ends with this request.
    pub(crate) last: bool,
}

/// A value that is in no text of ours.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// What it is.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The longest head.
const LONGEST_HEAD: usize = 64 << 10;
/// The longest line of a chunk or a trailer.
const LONGEST_LINE: usize = 8 << 10;

impl Requests {
    /// Whether the next byte begins a request.
    pub(crate) fn at_start(&self) -> bool {
        self.state == State::Head && self.partial.is_empty()
    }

    /// What the first so many of `bytes` are; call it again with the others. `bytes` must hold at
    /// least one, unless a head or a body has just been completed.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> (usize, Part) {
        match self.state {
            State::Head => self.head(bytes),
            State::Body(0) => self.end(),
            State::Body(left) => {
                let (used, left) = take(left, bytes);
                self.state = State::Body(left);
                (used, Part::Data)
            }
            State::Chunk(left) => {
                let (used, left) = take(left, bytes);
                self.state = if left == 0 {
                    State::ChunkBreak
                } else {
                    State::Chunk(left)
                };
                (used, Part::Data)
            }
            State::ChunkLine | State::ChunkBreak | State::Trailer => self.line(bytes),
            State::End => self.end(),
            State::Opaque => (bytes.len(), Part::Opaque),
        }
    }

    /// Whether [`next`](Self::next) has something to say without another byte.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.state, State::Body(0) | State::End)
    }

    fn end(&mut self) -> (usize, Part) {
        self.state = State::Head;
        (0, Part::End)
    }

    fn opaque(&mut self, used: usize) -> (usize, Part) {
        self.state = State::Opaque;
        self.partial = Vec::new();
        (used, Part::Opaque)
    }

    fn head(&mut self, bytes: &[u8]) -> (usize, Part) {
        let before = self.partial.len();
        self.partial.extend_from_slice(bytes);
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut request = httparse::Request::new(&mut headers);
        let parsed = request.parse(&self.partial);
        let Ok(httparse::Status::Complete(length)) = parsed else {
            return if parsed.is_err() || self.partial.len() > LONGEST_HEAD {
                self.opaque(bytes.len())
            } else {
                (bytes.len(), Part::Partial)
            };
        };
        let used = length.saturating_sub(before).min(bytes.len());
        let Some((head, state)) = understand(&request) else {
            return self.opaque(used);
        };
        self.partial.clear();
        self.state = state;
        (used, Part::Head(head))
    }

    fn line(&mut self, bytes: &[u8]) -> (usize, Part) {
        let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
            self.partial.extend_from_slice(bytes);
            return if self.partial.len() > LONGEST_LINE {
                self.opaque(bytes.len())
            } else {
                (bytes.len(), Part::Framing)
            };
        };
        let (line, _) = bytes.split_at(end);
        self.partial.extend_from_slice(line);
        let line = std::mem::take(&mut self.partial);
        let next = match self.state {
            State::ChunkBreak => Some(State::ChunkLine),
            State::Trailer if line.trim_ascii().is_empty() => Some(State::End),
            State::Trailer => Some(State::Trailer),
            State::Head
            | State::Body(_)
            | State::ChunkLine
            | State::Chunk(_)
            | State::End
            | State::Opaque => match chunk_size(&line) {
                Some(0) => Some(State::Trailer),
                size => size.map(State::Chunk),
            },
        };
        match next {
            Some(state) => {
                self.state = state;
                (end + 1, Part::Framing)
            }
            None => self.opaque(end + 1),
        }
    }
}

/// The phrase of a status (RFC 9110, section 15), where it has a common one.
pub(crate) const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}

/// How many of `bytes` belong to `left`, and what is left of it then.
fn take(left: u64, bytes: &[u8]) -> (usize, u64) {
    let used = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    (used, left.saturating_sub(used as u64))
}

/// A number without a sign, which `parse` would take.
fn decimal(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// The size of a chunk, up to its extensions (RFC 9112, section 7.1).
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|&byte| byte == b';').next()?.trim_ascii();
    let digits = std::str::from_utf8(digits).ok()?;
    // `from_str_radix` would take a sign.
    if !digits.starts_with(|digit: char| digit.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

/// What a head says about itself and about the body; `None` where no request follows it in HTTP/1.
fn understand(request: &httparse::Request<'_, '_>) -> Option<(Head, State)> {
    let method = request.method.unwrap_or_default().to_owned();
    let mut head = Head {
        target: request.path.unwrap_or_default().to_owned(),
        user_agent: String::new(),
        idempotency_key: String::new(),
        authorization: Secret::default(),
        content_encoding: String::new(),
        length: None,
        expects_continue: false,
        last: request.version == Some(0),
        method,
    };
    let (mut length, mut is_chunked) = (None, false);
    for header in request.headers.iter() {
        let value = std::str::from_utf8(header.value).unwrap_or_default().trim();
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let lists = |word: &str| value.split(',').any(|one| one.trim().eq_ignore_ascii_case(word));
        if is("content-length") {
            // Two that differ are one for us and the other for whoever forwards the request.
            let told = decimal(value)?;
            if length.replace(told).is_some_and(|before| before != told) {
                return None;
            }
        } else if is("transfer-encoding") {
            if is_chunked || !value.eq_ignore_ascii_case("chunked") {
                return None;
            }
            is_chunked = true;
        } else if is("connection") {
            if lists("close") {
                head.last = true;
            } else if lists("keep-alive") {
                head.last = false;
            }
        } else if is("expect") {
            head.expects_continue = value.eq_ignore_ascii_case("100-continue");
        } else if is("user-agent") {
            value.clone_into(&mut head.user_agent);
        } else if is("idempotency-key") {
            value.clone_into(&mut head.idempotency_key);
        } else if is("authorization") {
            head.authorization = Secret(value.to_owned());
        } else if is("content-encoding") && !value.eq_ignore_ascii_case("identity") {
            value.clone_into(&mut head.content_encoding);
        } else if is("upgrade") {
            return None;
        }
    }
    let body = if is_chunked {
        // Chunks win over a length, and nothing is read behind them (RFC 9112, section 6.3).
        head.last |= length.is_some();
        State::ChunkLine
    } else {
        let length = length.unwrap_or(0);
        head.length = Some(length);
        State::Body(length)
    };
    (head.method != "CONNECT").then_some((head, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a stream holds, however it is cut: heads by method, bodies, ends.
    fn story(stream: &[u8], piece: usize) -> Vec<String> {
        let mut requests = Requests::default();
        let mut story: Vec<String> = Vec::new();
        let mut data = String::new();
        for bytes in stream.chunks(piece) {
            let mut rest = bytes;
            while !rest.is_empty() || requests.is_complete() {
                let (used, part) = requests.next(rest);
                let (these, after) = rest.split_at(used);
                rest = after;
                match part {
                    Part::Head(head) => story.push(format!("{} {}", head.method, head.target)),
                    Part::Data => data += std::str::from_utf8(these).unwrap(),
                    Part::End => story.push(format!("end {}", std::mem::take(&mut data))),
                    Part::Opaque => story.push(format!("opaque {}", these.len())),
                    Part::Partial | Part::Framing => {}
                }
            }
        }
        story
    }

    #[test]
    fn requests_are_found_however_the_stream_is_cut() {
        let stream = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n\
            POST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello\
            POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nT: 1\r\n\r\n\
            GET /d HTTP/1.1\r\n\r\n";
        let whole = story(stream, stream.len());
        assert_eq!(
            whole,
            [
                "GET /a",
                "end ",
                "POST /b",
                "end hello",
                "POST /c",
                "end abcd",
                "GET /d",
                "end "
            ]
        );
        for piece in 1..stream.len() {
            assert_eq!(story(stream, piece), whole, "in pieces of {piece}");
        }
    }

    #[test]
    fn what_is_not_http_is_opaque_for_good() {
        for stream in [
            &b"*1\r\n$4\r\nPING\r\nGET / HTTP/1.1\r\n\r\n"[..],
            b"CONNECT x:1 HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\nxyz",
            b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\nxyz",
            b"POST / HTTP/1.1\r\nContent-Length: +3\r\n\r\nxyz",
            b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 2\r\n\r\nxyz",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\nxyz",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n",
            b"\0\0\0\x08\x04\xd2\x16\x2f",
        ] {
            let story = story(stream, stream.len());
            assert!(story.iter().all(|line| line.starts_with("opaque")), "{story:?}");
        }
        let both = b"POST /a HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        let (used, part) = Requests::default().next(both);
        assert!(
            matches!(
                part,
                Part::Head(Head {
                    last: true,
                    length: None,
                    ..
                })
            ),
            "{part:?} after {used}"
        );
        let signed = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nabc";
        assert_eq!(story(signed, signed.len()), ["POST /", "opaque 4", "opaque 3"]);
    }
}
