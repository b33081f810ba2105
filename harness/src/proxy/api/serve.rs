//! The API's connections: one thread each, requests one after the other.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbridge_core::Sleeper;
use crossbridge_std::logging::Category;
use crossbridge_std::sleeper::ThreadSleeper;

use super::{Answer, Refusal, Registry};
use crate::http1::{Head, Part, Requests, reason};

/// How long a client may be silent, as toxiproxy's.
const SILENCE: Duration = Duration::from_secs(60);
/// The longest body: a thousand proxies are 100 kB.
const LONGEST_BODY: usize = 1 << 20;

/// Accepts clients of the API for as long as the process lives.
///
/// # Errors
/// The listener cannot accept any more.
pub fn serve(listener: &TcpListener, registry: &Arc<Registry>) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let registry = Arc::clone(registry);
                let thread = thread::Builder::new().name("api".to_owned());
                // A client that goes away in the middle is no news.
                if let Err(error) = thread.spawn(move || drop(converse(stream, &registry))) {
                    log::warn!(target: Category::Testing.target(), error:%; "no thread for the API");
                }
            }
            Err(error) if error.kind() == ErrorKind::InvalidInput => return Err(error),
            // Out of sockets: others have to end first.
            Err(_) => ThreadSleeper.sleep(Duration::from_millis(20)),
        }
    }
}

fn converse(mut stream: TcpStream, registry: &Registry) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_nodelay(true)?;
    let mut requests = Requests::default();
    let mut request = Request::default();
    let mut buffer = [0; 8 << 10];
    loop {
        let length = stream.read(&mut buffer)?;
        let (mut rest, _) = buffer.split_at(length.min(buffer.len()));
        if rest.is_empty() {
            return Ok(());
        }
        while !rest.is_empty() || requests.is_complete() {
            let (used, part) = requests.next(rest);
            let (these, after) = rest.split_at(used);
            rest = after;
            match part {
                Part::Partial | Part::Framing => {}
                Part::Head(head) => {
                    if head.expects_continue {
                        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                    }
                    request.head = Some(head);
                }
                Part::Data => {
                    request.body.extend_from_slice(these);
                    if request.body.len() > LONGEST_BODY {
                        let answer = Refusal::new(413, "request body too large").into();
                        return write(&mut stream, &answer, true);
                    }
                }
                Part::End => {
                    let (answer, last) = std::mem::take(&mut request).answer(registry);
                    write(&mut stream, &answer, last)?;
                    if last {
                        return Ok(());
                    }
                }
                Part::Opaque => {
                    let answer = Refusal::new(400, "this is not HTTP/1.1").into();
                    return write(&mut stream, &answer, true);
                }
            }
        }
    }
}

#[derive(Debug, Default)]
struct Request {
    head: Option<Head>,
    body: Vec<u8>,
}

impl Request {
    /// The answer, and whether it is the connection's last.
    fn answer(self, registry: &Registry) -> (Answer, bool) {
        let Some(head) = self.head else {
            return (Refusal::new(400, "this is not HTTP/1.1").into(), true);
        };
        let answer = if head.user_agent.starts_with("Mozilla/") {
            Refusal::new(403, "User agent not allowed").into()
        } else {
            registry.answer(&head.method, &head.target, &self.body)
        };
        (answer, head.last)
    }
}

fn write(stream: &mut TcpStream, answer: &Answer, last: bool) -> io::Result<()> {
    let mut text = format!("HTTP/1.1 {} {}\r\n", answer.status, reason(answer.status));
    if answer.status != 204 {
        let length = answer.body.len();
        text += &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
    }
    if last {
        text += "Connection: close\r\n";
    }
    text += "\r\n";
    text += &answer.body;
    stream.write_all(text.as_bytes())
}
