//! The HTTP server behind the proxy: `GET /12000` is answered after 12 000 microseconds.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbridge_core::Sleeper;
use crossbridge_std::sleeper::ThreadSleeper;

/// A server that ends with the value. A connection has one request.
#[derive(Debug)]
pub(super) struct Upstream {
    address: SocketAddr,
    stops: Arc<AtomicBool>,
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
/// How long a client may be silent.
const SILENCE: Duration = Duration::from_secs(10);
const LONGEST_HEAD: usize = 8 << 10;

impl Upstream {
    /// Listens on a free port of this machine.
    pub(super) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let stops = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stops);
        thread::Builder::new()
            .name("upstream".to_owned())
            .spawn(move || {
                while let Ok((stream, _)) = listener.accept() {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    // A client that goes away in the middle is no news; one without a thread is reset.
                    let _ = thread::Builder::new().spawn(move || drop(converse(stream)));
                }
            })?;
        Ok(Self { address, stops })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::Relaxed);
        // The thread waits for a connection.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

fn converse(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_nodelay(true)?;
    let mut heard = Vec::new();
    let mut buffer = [0; 1024];
    while heard.len() <= LONGEST_HEAD {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        heard.extend(buffer.iter().take(length));
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        if let Ok(httparse::Status::Complete(_)) = request.parse(&heard) {
            let micros = request.path.and_then(|path| path.strip_prefix('/')?.parse().ok());
            ThreadSleeper.sleep(Duration::from_micros(micros.unwrap_or(0)));
            return stream.write_all(ANSWER);
        }
    }
    Ok(())
}
