//! A PostgreSQL server.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::process::{Process, until};
use super::{ServerError, Signal, on_free_port, tail};

/// What a server is started with; [`Postgres::start`] takes the default.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether commits reach the disk. Off, a crash of the machine loses data; one of the server does
    /// not. On by default.
    pub fsync: bool,
    /// Further settings, as after `postgres -c`: `("max_connections", "5")`.
    pub settings: Vec<(String, String)>,
    /// Where its directory is made; `None` is the system's temporary directory.
    pub parent: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            fsync: true,
            settings: Vec::new(),
            parent: None,
        }
    }
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
    /// [`ServerError`]: PostgreSQL is not installed, or does not come up within a minute.
    pub fn start(self) -> Result<Postgres, ServerError> {
        Postgres::with(self)
    }
}

/// A server of its own, which ends with the value. The superuser is `postgres` and needs no password;
/// so is the first database. See the [module](super).
#[derive(Debug)]
pub struct Postgres {
    /// Before the directory, which must outlive it.
    process: Process,
    bin: PathBuf,
    port: u16,
    options: Options,
    folder: TempDir,
}

impl Postgres {
    /// Starts a server of the newest version installed, with commits that reach the disk.
    ///
    /// # Errors
    ///
    /// [`ServerError`]: PostgreSQL is not installed, or does not come up within a minute.
    pub fn start() -> Result<Self, ServerError> {
        Self::with(Options::default())
    }

    /// Starts a standby of this one, with the same options: a copy that follows every commit and takes no
    /// writes until `select pg_promote()`. Commits wait for it once this one's `synchronous_standby_names`
    /// is `*`.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start).
    pub fn standby(&self) -> Result<Self, ServerError> {
        let port = self.port.to_string();
        let of = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres"];
        let how = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"];
        Self::filled(
            self.options.clone(),
            "pg_basebackup",
            &[of.as_slice(), &how].concat(),
        )
    }

    fn with(options: Options) -> Result<Self, ServerError> {
        let how = ["-A", "trust", "-U", "postgres", "-N", "-E", "UTF8", "--locale=C"];
        Self::filled(options, "initdb", &how)
    }

    /// A server on the data that this program makes.
    fn filled(options: Options, program: &'static str, arguments: &[&str]) -> Result<Self, ServerError> {
        let bin = bin()?;
        let parent = options.parent.clone().unwrap_or_else(std::env::temp_dir);
        let folder = tempfile::Builder::new()
            .prefix("crossbridge-postgres-")
            .tempdir_in(parent)
            .map_err(ServerError::io("make a directory for PostgreSQL"))?;
        let user = User::of_server()?;
        if let Some(user) = user {
            chown(folder.path(), Some(user.uid), Some(user.gid))
                .map_err(ServerError::io("give a directory to the user postgres"))?;
        }
        let mut fill = user_command(&bin, program, folder.path(), user);
        fill.args(arguments).arg("-D").arg(folder.path().join("data"));
        let output = fill
            .output()
            .map_err(ServerError::io("make the data of PostgreSQL"))?;
        if !output.status.success() {
            return Err(ServerError::Failed {
                program,
                said: tail(&[output.stdout, output.stderr].concat()),
            });
        }
        let (process, port) = on_free_port(|port| launch(&bin, folder.path(), port, &options))?;
        Ok(Self {
            process,
            bin,
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

    /// The URL of a database of it: `postgres://postgres@127.0.0.1:5432/db`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@{}/{database}", self.address())
    }

    /// The pid of its first process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The folder of its programs: `psql`, `pgbench`, …
    #[must_use]
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// Sends a signal and does not wait for what follows. [`Signal::STOP`] and [`Signal::CONT`] go to
    /// the sessions as well, every other one to the first process alone. Nothing happens once it has
    /// ended.
    ///
    /// # Errors
    ///
    /// [`ServerError::Io`] when the signal cannot be sent.
    pub fn signal(&mut self, signal: Signal) -> Result<(), ServerError> {
        self.process.signal(signal)
    }

    /// Sends a signal that ends it and waits until it has ended: KILL is a crash, QUIT an immediate
    /// shutdown, INT a fast one. Sessions that are left after KILL end on their own soon afterwards.
    ///
    /// # Errors
    ///
    /// [`ServerError::TimedOut`] when it has not ended after half a minute.
    pub fn kill(&mut self, signal: Signal) -> Result<(), ServerError> {
        self.process.kill(signal)
    }

    /// Starts it again, on the same data and the same port; kills it before if it still runs. Waits
    /// until it has recovered and takes sessions.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start).
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.process.kill(Signal::KILL)?;
        self.process = launch(&self.bin, self.folder.path(), self.port, &self.options)?;
        Ok(())
    }

    /// What psql prints of these statements in the database `postgres`: columns separated by `|`, no
    /// header, no end of line at the end.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] with what psql said.
    pub fn sql(&self, statements: &str) -> Result<String, ServerError> {
        self.sql_in("postgres", statements)
    }

    /// The same in another database.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] with what psql said.
    pub fn sql_in(&self, database: &str, statements: &str) -> Result<String, ServerError> {
        let output = Command::new(self.bin.join("psql"))
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database)])
            .args(["-c", statements])
            .stdin(Stdio::null())
            .output()
            .map_err(ServerError::io("run psql"))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
        } else {
            Err(ServerError::Failed {
                program: "psql",
                said: tail(&output.stderr),
            })
        }
    }
}

/// Starts the server and waits until it takes sessions.
fn launch(bin: &Path, folder: &Path, port: u16, options: &Options) -> Result<Process, ServerError> {
    let log = folder.join("log");
    let said = || tail(&fs::read(&log).unwrap_or_default());
    let mut process = spawn(bin, folder, port, options)?;
    let mut ended = false;
    let ready = until(START_TIMEOUT, || {
        if process.ended()?.is_some() {
            // After a crash, sessions of the one before may still hold its memory.
            if !said().contains("pre-existing shared memory block") {
                ended = true;
                return Ok(true);
            }
            process = spawn(bin, folder, port, options)?;
        }
        Ok(takes_sessions(port))
    })?;
    if ended {
        return Err(ServerError::Failed {
            program: "postgres",
            said: said(),
        });
    }
    if ready {
        Ok(process)
    } else {
        Err(ServerError::TimedOut {
            program: "postgres",
            what: "take sessions",
            waited: START_TIMEOUT,
            said: said(),
        })
    }
}

fn spawn(bin: &Path, folder: &Path, port: u16, options: &Options) -> Result<Process, ServerError> {
    let doing = "start PostgreSQL";
    let mut open = OpenOptions::new();
    let log: File = open
        .create(true)
        .write(true)
        .truncate(true)
        .open(folder.join("log"))
        .map_err(ServerError::io(doing))?;
    let mut command = user_command(bin, "postgres", folder, User::of_server()?);
    command.arg("-D").arg(folder.join("data"));
    let mut set = |name: &str, value: &str| {
        command.args(["-c", &format!("{name}={value}")]);
    };
    set("listen_addresses", "127.0.0.1");
    set("port", &port.to_string());
    set("unix_socket_directories", "");
    set("fsync", if options.fsync { "on" } else { "off" });
    for (name, value) in &options.settings {
        set(name, value);
    }
    let child = command
        .stdout(log.try_clone().map_err(ServerError::io(doing))?)
        .stderr(log)
        .spawn()
        .map_err(ServerError::io(doing))?;
    // An immediate shutdown: its sessions end, and its shared memory is given back.
    Ok(Process::new(child, "postgres", Signal::QUIT))
}

/// Whether a session is let in, which is as far as it has to be asked.
fn takes_sessions(port: u16) -> bool {
    let ask = || -> io::Result<u8> {
        let mut stream = TcpStream::connect_timeout(&address(port), ASK_TIMEOUT)?;
        stream.set_read_timeout(Some(ASK_TIMEOUT))?;
        stream.write_all(STARTUP)?;
        let mut kind = [0];
        stream.read_exact(&mut kind)?;
        stream.write_all(b"X\0\0\0\x04")?;
        Ok(kind[0])
    };
    // `R` asks for authentication or says that there is none; `E` says that it is not there yet.
    ask().is_ok_and(|kind| kind == b'R')
}

const fn address(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// A program of the server, which refuses to run as root.
fn user_command(bin: &Path, program: &str, folder: &Path, user: Option<User>) -> Command {
    let mut command = Command::new(bin.join(program));
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
        .current_dir(folder)
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    command
}

/// Whom the server runs as when we are root.
#[derive(Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

impl User {
    fn of_server() -> Result<Option<Self>, ServerError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let id = |which: &str| -> Result<u32, ServerError> {
            let output = Command::new("id")
                .args([which, "postgres"])
                .output()
                .map_err(ServerError::io("run id"))?;
            str::from_utf8(output.stdout.trim_ascii())
                .ok()
                .and_then(|id| id.parse().ok())
                .ok_or(ServerError::Missing {
                    program: "user postgres",
                    package: PACKAGE,
                })
        };
        Ok(Some(Self {
            uid: id("-u")?,
            gid: id("-g")?,
        }))
    }
}

/// Where the newest version's programs are: Debian keeps them off the PATH.
fn bin() -> Result<PathBuf, ServerError> {
    let missing = ServerError::Missing {
        program: "initdb",
        package: PACKAGE,
    };
    let has_server = |bin: &PathBuf| bin.join("initdb").exists() && bin.join("postgres").exists();
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().filter_map(|entry| {
        let path = entry.ok()?.path();
        let version: u32 = path.file_name()?.to_str()?.parse().ok()?;
        Some((version, path.join("bin")))
    });
    if let Some((_, bin)) = versions.filter(|(_, bin)| has_server(bin)).max() {
        return Ok(bin);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).find(has_server).ok_or(missing)
}

const DEBIAN: &str = "/usr/lib/postgresql";
const PACKAGE: &str = "postgresql";

/// The first message of a session: version 3.0, user and database `postgres`.
const STARTUP: &[u8] = b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0";

/// How long the server may take to answer a session's first message.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the server may take to come up: recovery after a crash replays its log.
const START_TIMEOUT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_says_how_long_it_is() {
        assert_eq!(usize::from(STARTUP[3]), STARTUP.len());
    }

    /// The whole life of a server: everything that tests do to one.
    #[test]
    fn a_server_is_frozen_killed_and_started_again() {
        let mut server = Postgres::start().unwrap();
        let port = server.port();
        assert_eq!(
            server
                .sql("create table t (n int); insert into t values (7)")
                .unwrap(),
            ""
        );
        server.signal(Signal::STOP).unwrap();
        assert!(!takes_sessions(port));
        server.signal(Signal::CONT).unwrap();
        assert!(takes_sessions(port));
        for signal in [Signal::KILL, Signal::QUIT, Signal::INT] {
            server.kill(signal).unwrap();
            assert!(!takes_sessions(port));
            server.restart().unwrap();
            assert_eq!(server.sql("select n from t").unwrap(), "7");
        }
        assert_eq!((server.port(), server.address().port()), (port, port));
        let error = server.sql("select no").unwrap_err().to_string();
        assert!(error.contains("column \"no\" does not exist"), "{error}");
        // One that is frozen ends as well, and its directory with it.
        server.signal(Signal::STOP).unwrap();
        let folder = server.folder.path().to_owned();
        drop(server);
        assert!(!folder.exists());
        assert!(!takes_sessions(port));
    }

    #[test]
    fn a_setting_that_is_none_is_said_by_the_server() {
        let error = Options::default().setting("no_such", "1").start().unwrap_err();
        assert!(error.to_string().contains("no_such"), "{error}");
    }
}
