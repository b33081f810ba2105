//! What a client is told.

use std::io::{self, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::http1::reason;

/// An answer with a JSON object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Seconds.
    pub(super) retry_after: Option<u64>,
    header: Option<(&'static str, &'static str)>,
    pub(super) body: String,
    /// To a `HEAD`: the length of a body that does not come.
    is_head: bool,
}

impl Answer {
    pub(super) fn new(status: u16, object: &Value) -> Self {
        Self {
            status,
            retry_after: None,
            header: None,
            body: format!("{object}\n"),
            is_head: false,
        }
    }

    /// Nothing was kept, and why.
    pub(super) fn error(status: u16, text: &str) -> Self {
        Self::new(status, &json!({ "error": text, "accepted": 0 }))
    }

    pub(super) const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The same with one more header.
    pub(super) const fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }

    /// Without its body, where the method is `HEAD`.
    pub(super) fn answering(mut self, method: &str) -> Self {
        self.is_head = method == "HEAD";
        self
    }

    /// Writes it; `last` where the connection ends with it.
    pub(super) fn write(&self, mut stream: &TcpStream, last: bool) -> io::Result<()> {
        let mut text = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            self.status,
            reason(self.status),
            self.body.len()
        );
        if let Some(seconds) = self.retry_after {
            text += &format!("Retry-After: {seconds}\r\n");
        }
        if let Some((name, value)) = self.header {
            text += &format!("{name}: {value}\r\n");
        }
        if last {
            text += "Connection: close\r\n";
        }
        text += "\r\n";
        if !self.is_head {
            text += &self.body;
        }
        stream.write_all(text.as_bytes())
    }
}
