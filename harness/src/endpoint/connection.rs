//! One client: requests one after the other, each with a deadline of its own.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crossbridge_core::{Clock, Instant};

use super::answer::Answer;
use super::server::{Hold, Server};
use super::unpack;
use crate::http1::{Head, Part, Requests};

/// Serves a client until it goes, is silent for too long or is told that this was the last answer.
///
/// # Errors
/// The connection broke.
pub(super) fn converse(server: &Server<'_>, stream: &TcpStream) -> io::Result<()> {
    let settings = server.settings();
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(settings.request))?;
    let mut client = Client {
        server,
        stream,
        requests: Requests::default(),
        request: None,
        began: None,
    };
    let mut buffer = vec![0; READ];
    loop {
        let length = match client.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if is_timeout(&error) => return client.too_slow(),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        if client.take(bytes)?.is_last {
            return Ok(());
        }
    }
}

struct Client<'c> {
    server: &'c Server<'c>,
    stream: &'c TcpStream,
    requests: Requests,
    /// The request whose head is there.
    request: Option<Request<'c>>,
    /// When the first byte of the request came that is not complete yet.
    began: Option<Instant>,
}

struct Request<'c> {
    head: Head,
    body: Vec<u8>,
    /// The space that the body takes.
    hold: Hold<'c>,
}

impl Request<'_> {
    /// Unpacks the body, where it is packed in a way that is known.
    fn unpack(&mut self, most: u64) -> Result<(), Answer> {
        if unpack::is_known(&self.head.content_encoding) {
            self.body = unpack::gzip(&self.body, most, &mut self.hold)?;
            self.head.content_encoding.clear();
        }
        Ok(())
    }
}

/// What was done with the bytes.
struct Done {
    is_last: bool,
}

impl Client<'_> {
    /// Reads for as long as the request, or the next one, may take.
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let settings = self.server.settings();
        let left = match self.began {
            None => settings.idle,
            Some(began) => settings.request.saturating_sub(self.since(began)),
        };
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut stream = self.stream;
        stream.read(buffer)
    }

    fn since(&self, began: Instant) -> Duration {
        self.server.clock().now().saturating_duration_since(began)
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<Done> {
        let mut rest = bytes;
        while !rest.is_empty() || self.requests.is_complete() {
            if self.began.is_none() {
                self.began = Some(self.server.clock().now());
            }
            let (used, part) = self.requests.next(rest);
            let (these, after) = rest.split_at(used.min(rest.len()));
            rest = after;
            let refusal = match part {
                Part::Partial | Part::Framing => None,
                Part::Head(head) => self.begin(head)?,
                Part::Data => self.more(these),
                Part::End => {
                    let is_last = self.finish()?;
                    if is_last {
                        return Ok(Done { is_last });
                    }
                    None
                }
                Part::Opaque => Some(Answer::error(400, "expected HTTP/1.1")),
            };
            if let Some(answer) = refusal {
                answer.write(self.stream, true)?;
                self.let_go();
                return Ok(Done { is_last: true });
            }
        }
        Ok(Done { is_last: false })
    }

    fn begin(&mut self, head: Head) -> io::Result<Option<Answer>> {
        // Before the body comes: strangers take no memory.
        if let Some(answer) = self.server.unauthorised(&head) {
            return Ok(Some(answer));
        }
        let most = self.server.settings().body;
        if head.length.is_some_and(|length| length > most) {
            return Ok(Some(too_large(most)));
        }
        if head.expects_continue {
            let mut stream = self.stream;
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        self.request = Some(Request {
            head,
            body: Vec::new(),
            hold: self.server.hold(),
        });
        Ok(None)
    }

    fn more(&mut self, bytes: &[u8]) -> Option<Answer> {
        let most = self.server.settings().body;
        let request = self.request.as_mut()?;
        let length = u64::try_from(request.body.len() + bytes.len()).unwrap_or(u64::MAX);
        if length > most {
            return Some(too_large(most));
        }
        if !request.hold.grow(bytes.len()) {
            return Some(Answer::error(503, "too many bytes at once").retry_after(1));
        }
        request.body.extend_from_slice(bytes);
        None
    }

    /// Answers; whether it was the last answer.
    fn finish(&mut self) -> io::Result<bool> {
        self.began = None;
        let Some(mut request) = self.request.take() else {
            return Ok(true);
        };
        let peer = self.stream.peer_addr().ok().map(|peer| peer.ip());
        let answer = match request.unpack(self.server.settings().body) {
            Ok(()) => self.server.answer(&request.head, &request.body, peer),
            Err(answer) => answer,
        };
        let answer = answer.answering(&request.head.method);
        drop(request.hold);
        let is_last = request.head.last || self.server.is_stopping();
        answer.write(self.stream, is_last)?;
        Ok(is_last)
    }

    /// The deadline of the request is over, or nobody has begun one.
    fn too_slow(&mut self) -> io::Result<()> {
        if self.began.is_none() {
            return Ok(());
        }
        let text = format!("not complete within {:?}", self.server.settings().request);
        Answer::error(408, &text).write(self.stream, true)
    }

    /// Reads on for a moment after a refusal: a client that still writes would lose the answer to
    /// the reset that unread bytes lead to.
    fn let_go(&self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        let _ = self.stream.set_read_timeout(Some(LINGER));
        let mut stream = self.stream;
        let began = self.server.clock().now();
        let mut buffer = [0; 8 << 10];
        while self.since(began) < LINGER && matches!(stream.read(&mut buffer), Ok(1..)) {}
    }
}

fn too_large(most: u64) -> Answer {
    Answer::error(413, &format!("expected a body of at most {most} bytes"))
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Bytes read at a time.
const READ: usize = 32 << 10;
/// How long a client that was refused is listened to.
const LINGER: Duration = Duration::from_secs(1);
