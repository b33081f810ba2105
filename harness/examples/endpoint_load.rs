//! Load for `crossbridge serve`: how many events it takes, and how long a 202 takes.
//!
//! ```text
//! crossbridge serve --listen 127.0.0.1:8765 --store sqlite:/tmp/load.db
//! cargo run --release -p crossbridge-harness --example endpoint_load -- 127.0.0.1:8765 64 10 1
//! ```
//!
//! The arguments: the address, connections, seconds, events in a request (1 is `POST /events`). Each
//! connection sends the next request when the last one is answered.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crossbridge_core::Clock;
use crossbridge_std::clock::SystemClock;
use hdrhistogram::Histogram;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, connections, seconds, events] = arguments.as_slice() else {
        return Err("expected ADDR CONNECTIONS SECONDS EVENTS".into());
    };
    let (connections, events): (usize, usize) = (connections.parse()?, events.parse()?);
    let span = Duration::from_secs(seconds.parse()?);
    let mut all = Histogram::<u64>::new(3)?;
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..connections)
            .map(|client| scope.spawn(move || send(address, client, events, span).map_err(|e| e.to_string())))
            .collect();
        for client in clients {
            all.add(client.join().map_err(|_| "a client panicked")??)?;
        }
        Ok::<(), Box<dyn Error>>(())
    })?;
    let requests = all.len();
    let milliseconds = |quantile| Duration::from_micros(all.value_at_quantile(quantile)).as_secs_f64() * 1e3;
    writeln!(
        std::io::stdout(),
        "{connections} connections, {events} events each: {} requests/s, {} events/s, p50 {:.1} ms, p99 {:.1} ms, \
         max {:.1} ms",
        requests / span.as_secs().max(1),
        requests * u64::try_from(events)? / span.as_secs().max(1),
        milliseconds(0.5),
        milliseconds(0.99),
        milliseconds(1.0)
    )?;
    Ok(())
}

/// The microseconds that each answer took.
fn send(
    address: &str,
    client: usize,
    events: usize,
    span: Duration,
) -> Result<Histogram<u64>, Box<dyn Error>> {
    let clock = SystemClock::new();
    let began = clock.now();
    let mut took = Histogram::new(3)?;
    let mut stream = BufReader::new(TcpStream::connect(address)?);
    stream.get_ref().set_nodelay(true)?;
    let event = format!(
        r#"{{"run_id":"load","test_id":"client-{client}::test","event_type":"http_request","duration_ms":12.5,"metadata":{{"endpoint":"/api/orders","method":"GET","status_code":200}}}}"#
    );
    let (path, body) = match events {
        1 => ("/events", event),
        _ => ("/events/batch", format!("[{}]", vec![event; events].join(","))),
    };
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut line = String::new();
    loop {
        let sent = clock.now();
        if sent.saturating_duration_since(began) >= span {
            return Ok(took);
        }
        stream.get_mut().write_all(request.as_bytes())?;
        let mut length = 0;
        line.clear();
        stream.read_line(&mut line)?;
        if !line.starts_with("HTTP/1.1 202 ") {
            return Err(format!("found `{}`, expected 202", line.trim_end()).into());
        }
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line)?;
            if let Some(digits) = line.strip_prefix("Content-Length: ") {
                length = digits.trim_end().parse()?;
            }
        }
        stream.read_exact(&mut vec![0; length])?;
        let micros = clock.now().saturating_duration_since(sent).as_micros();
        took.record(u64::try_from(micros)?)?;
    }
}
