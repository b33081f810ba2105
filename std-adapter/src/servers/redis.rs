//! A Redis server.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::process::{Process, until};
use super::{ServerError, Signal, on_free_port, tail};

/// A server of its own, which ends with the value. It keeps everything in memory and needs no
/// password: after [`kill`](Self::kill) and [`restart`](Self::restart) it is empty. See the
/// [module](super).
#[derive(Debug)]
pub struct Redis {
    /// Before the directory, which must outlive it.
    process: Process,
    port: u16,
    options: Options,
    folder: TempDir,
}

/// What a server is started with; [`Redis::start`] takes the default.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Further settings, as on its command line: `("hz", "500")`.
    pub settings: Vec<(String, String)>,
}

impl Options {
    /// The same with one more setting.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts a server with these.
    ///
    /// # Errors
    ///
    /// [`ServerError`]: Redis is not installed, or does not come up within a minute.
    pub fn start(self) -> Result<Redis, ServerError> {
        Redis::with(self)
    }
}

impl Redis {
    /// Starts a server.
    ///
    /// # Errors
    ///
    /// [`ServerError`]: Redis is not installed, or does not come up within a minute.
    pub fn start() -> Result<Self, ServerError> {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Result<Self, ServerError> {
        let folder = tempfile::Builder::new()
            .prefix("crossbridge-redis-")
            .tempdir()
            .map_err(ServerError::io("make a directory for Redis"))?;
        let (process, port) = on_free_port(|port| launch(folder.path(), port, &options))?;
        Ok(Self {
            process,
            port,
            options,
            folder,
        })
    }

    /// Its port on 127.0.0.1, the same for as long as the value lives.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        address(self.port)
    }

    /// The URL of a database of it: `redis://127.0.0.1:6379/0`.
    #[must_use]
    pub fn url(&self, database: u32) -> String {
        format!("redis://{}/{database}", self.address())
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends a signal and does not wait for what follows. Nothing happens once it has ended.
    ///
    /// # Errors
    ///
    /// [`ServerError::Io`] when the signal cannot be sent.
    pub fn signal(&mut self, signal: Signal) -> Result<(), ServerError> {
        self.process.signal(signal)
    }

    /// Sends a signal that ends it and waits until it has ended.
    ///
    /// # Errors
    ///
    /// [`ServerError::TimedOut`] when it has not ended after half a minute.
    pub fn kill(&mut self, signal: Signal) -> Result<(), ServerError> {
        self.process.kill(signal)
    }

    /// Starts it again, empty, on the same port; kills it before if it still runs. Waits until it
    /// answers.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start).
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.process.kill(Signal::KILL)?;
        self.process = launch(self.folder.path(), self.port, &self.options)?;
        Ok(())
    }
}

/// Starts the server and waits until it answers.
fn launch(folder: &Path, port: u16, options: &Options) -> Result<Process, ServerError> {
    let log = folder.join("log");
    let said = || tail(&fs::read(&log).unwrap_or_default());
    let mut process = spawn(folder, &log, port, options)?;
    let mut ended = false;
    let ready = until(START_TIMEOUT, || {
        ended = process.ended()?.is_some();
        Ok(ended || answers(port))
    })?;
    if ended {
        return Err(ServerError::Failed {
            program: PROGRAM,
            said: said(),
        });
    }
    if ready {
        Ok(process)
    } else {
        Err(ServerError::TimedOut {
            program: PROGRAM,
            what: "answer",
            waited: START_TIMEOUT,
            said: said(),
        })
    }
}

fn spawn(folder: &Path, log: &Path, port: u16, options: &Options) -> Result<Process, ServerError> {
    let doing = "start Redis";
    let log = File::create(log).map_err(ServerError::io(doing))?;
    let mut command = Command::new(PROGRAM);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    // Nothing is written to the disk.
    command
        .args(["--save", "", "--appendonly", "no", "--dir"])
        .arg(folder);
    for (name, value) in &options.settings {
        command.args([&format!("--{name}"), value]);
    }
    let child = command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(ServerError::io(doing))?)
        .stderr(log)
        .spawn()
        .map_err(|source| {
            if source.kind() == io::ErrorKind::NotFound {
                ServerError::Missing {
                    program: PROGRAM,
                    package: PROGRAM,
                }
            } else {
                ServerError::Io { doing, source }
            }
        })?;
    // Redis ignores QUIT where it inherited that, as what a shell runs in the background does.
    Ok(Process::new(child, PROGRAM, Signal::KILL))
}

/// Whether it answers, with data or without.
fn answers(port: u16) -> bool {
    let ask = || -> io::Result<[u8; 5]> {
        let mut stream = TcpStream::connect_timeout(&address(port), ASK_TIMEOUT)?;
        stream.set_read_timeout(Some(ASK_TIMEOUT))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| &answer == b"+PONG")
}

const fn address(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// The program, and Debian's package of it.
const PROGRAM: &str = "redis-server";

/// How long the server may take to answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the server may take to come up.
const START_TIMEOUT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_frozen_killed_and_started_again() {
        let mut server = Redis::start().unwrap();
        let port = server.port();
        server.signal(Signal::STOP).unwrap();
        server.signal(Signal::CONT).unwrap();
        assert!(answers(port));
        server.kill(Signal::KILL).unwrap();
        assert!(!answers(port));
        server.restart().unwrap();
        assert!(answers(port) && server.port() == port);
        let folder = server.folder.path().to_owned();
        drop(server);
        assert!(!folder.exists() && !answers(port));
    }

    #[test]
    fn a_setting_that_is_none_is_said_by_the_server() {
        let error = Options::default().setting("no-such", "1").start().unwrap_err();
        assert!(error.to_string().contains("no-such"), "{error}");
    }
}
