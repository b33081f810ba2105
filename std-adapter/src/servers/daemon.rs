//! A server of one process that speaks HTTP: what InfluxDB and VictoriaMetrics have in common.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::process::{Process, until};
use super::{ServerError, Signal, on_free_port, tail};

/// How one is started and asked whether it is there.
#[derive(Debug)]
pub(super) struct Kind {
    /// The program, found on the PATH.
    pub(super) program: &'static str,
    /// The Debian package it is in.
    pub(super) package: &'static str,
    /// Answers with a status below 300 once it takes requests.
    pub(super) ready: &'static str,
    /// Writes what it needs into its folder and says what it is called with.
    pub(super) arguments: fn(&Path, u16) -> io::Result<Vec<String>>,
}

/// One that runs.
#[derive(Debug)]
pub(super) struct Daemon {
    /// Before the directory, which must outlive it.
    process: Process,
    kind: &'static Kind,
    port: u16,
    folder: TempDir,
}

impl Daemon {
    pub(super) fn start(kind: &'static Kind) -> Result<Self, ServerError> {
        let folder = tempfile::Builder::new()
            .prefix(&format!("crossbridge-{}-", kind.program))
            .tempdir()
            .map_err(ServerError::io("make a directory for a server"))?;
        let (process, port) = on_free_port(|port| launch(kind, folder.path(), port))?;
        Ok(Self {
            process,
            kind,
            port,
            folder,
        })
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) const fn address(&self) -> SocketAddr {
        address(self.port)
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(super) fn signal(&mut self, signal: Signal) -> Result<(), ServerError> {
        self.process.signal(signal)
    }

    pub(super) fn kill(&mut self, signal: Signal) -> Result<(), ServerError> {
        self.process.kill(signal)
    }

    pub(super) fn restart(&mut self) -> Result<(), ServerError> {
        self.process.kill(Signal::KILL)?;
        self.process = launch(self.kind, self.folder.path(), self.port)?;
        Ok(())
    }

    /// The body of an answer with a status below 300; any other is an error.
    pub(super) fn ask(&self, method: &str, target: &str) -> Result<String, ServerError> {
        let (status, body) =
            exchange(self.port, method, target, QUERY_TIMEOUT).map_err(ServerError::io("ask a server"))?;
        if status < 300 {
            Ok(body)
        } else {
            Err(ServerError::Failed {
                program: self.kind.program,
                said: format!("{status}: {}", tail(body.as_bytes())),
            })
        }
    }
}

/// Starts the program and waits until it answers.
fn launch(kind: &Kind, folder: &Path, port: u16) -> Result<Process, ServerError> {
    let doing = "start a server";
    let log = folder.join("log");
    let said = || tail(&fs::read(&log).unwrap_or_default());
    let arguments = (kind.arguments)(folder, port).map_err(ServerError::io(doing))?;
    let mut open = OpenOptions::new();
    let file = open
        .create(true)
        .write(true)
        .truncate(true)
        .open(&log)
        .map_err(ServerError::io(doing))?;
    let child = Command::new(kind.program)
        .args(arguments)
        .current_dir(folder)
        .env("HOME", folder)
        .stdin(Stdio::null())
        .stdout(file.try_clone().map_err(ServerError::io(doing))?)
        .stderr(file)
        .spawn()
        .map_err(|error| match error.kind() == io::ErrorKind::NotFound {
            true => ServerError::Missing {
                program: kind.program,
                package: kind.package,
            },
            false => ServerError::io(doing)(error),
        })?;
    // Nothing is left behind but the directory. QUIT would be ignored by those who inherited that, as
    // what a shell runs in the background does.
    let mut process = Process::new(child, kind.program, Signal::KILL);
    let mut ended = false;
    let ready = until(START_TIMEOUT, || {
        ended = process.ended()?.is_some();
        let answer = exchange(port, "GET", kind.ready, ASK_TIMEOUT);
        Ok(ended || answer.is_ok_and(|(status, _)| status < 300))
    })?;
    match (ended, ready) {
        (true, _) => Err(ServerError::Failed {
            program: kind.program,
            said: said(),
        }),
        (false, true) => Ok(process),
        (false, false) => Err(ServerError::TimedOut {
            program: kind.program,
            what: "take requests",
            waited: START_TIMEOUT,
            said: said(),
        }),
    }
}

/// One request without a body; version 1.0, so that the answer ends with the connection.
fn exchange(port: u16, method: &str, target: &str, timeout: Duration) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address(port), ASK_TIMEOUT)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let request = format!("{method} {target} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok((status, body.to_owned()))
}

const fn address(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// How long a server that comes up may take to answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a query may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a server may take to come up: after a crash it replays its log.
const START_TIMEOUT: Duration = Duration::from_secs(60);
