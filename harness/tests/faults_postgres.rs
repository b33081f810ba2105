//! `crossbridge faults` between PostgreSQL's own clients and a real server.

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crossbridge_std::servers::Postgres;
use crossbridge_std::servers::postgres::Options;
use serde_json::Value;

use support::{command, root};

/// A proxy before the server.
struct Faults {
    child: Child,
    port: String,
    api: String,
    /// Of the server's programs.
    bin: PathBuf,
}

impl Faults {
    fn start(server: &Postgres, args: &[&str]) -> Self {
        let upstream = server.address().to_string();
        let mut child = command(&root())
            .args(["faults", "--listen", "127.0.0.1:0", "--upstream", &upstream])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("piped"))
            .read_line(&mut line)
            .expect("a line");
        let said: Value = serde_json::from_str(&line).expect("one object");
        let listen = said["listen"].as_str().expect("an address");
        let port = listen.rsplit(':').next().expect("a port").to_owned();
        let api = said["api"].as_str().unwrap_or_default().to_owned();
        Self {
            child,
            port,
            api,
            bin: server.bin().to_owned(),
        }
    }

    /// Adds a toxic through the API.
    fn add(&self, toxic: &str) {
        let length = toxic.len();
        let request =
            format!("POST /proxies/proxy/toxics HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{toxic}");
        let mut stream = TcpStream::connect(&self.api).expect("an API");
        stream.write_all(request.as_bytes()).expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    /// What psql prints of a session of these statements, each sent alone.
    fn psql(&self, statements: &[&str]) -> String {
        let mut command = Command::new(self.bin.join("psql"));
        command.args([
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
            "-XAtq",
            "-v",
            "VERBOSITY=verbose",
            "-p",
        ]);
        command.arg(&self.port);
        for statement in statements {
            command.args(["-c", statement]);
        }
        let output = command.output().expect("it starts");
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8(text).expect("UTF-8")
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn script(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("written");
    path.display().to_string()
}

#[test]
fn postgres_clients_see_real_errors() {
    let options = Options {
        fsync: false,
        ..Options::default()
    };
    let server = options.start().unwrap_or_else(|error| panic!("{error}"));
    let folder = tempfile::tempdir().expect("a folder");

    // Nothing is in the way of a session, encrypted where both want it.
    let plain = Faults::start(&server, &[]);
    assert_eq!(plain.psql(&["select 1", "select 2"]), "1\n2\n");

    // The first two queries of all fail, outside a transaction; the session goes on.
    let toxic = r#"{"type":"sql_error","first":2,"attributes":{"sqlstate":"55P03","message":"it's locked"}}"#;
    let first = Faults::start(&server, &["--toxic", toxic]);
    let told = first.psql(&["select 1", "select 2", "select 3"]);
    assert_eq!(told.matches("ERROR:  55P03: it's locked").count(), 2, "{told}");
    assert!(told.starts_with("3\n"), "{told}");

    // Inside a transaction the server knows that it failed: COMMIT rolls back.
    let toxic = r#"{"type":"sql_error","every":3}"#;
    let inside = Faults::start(&server, &["--toxic", toxic]);
    assert_eq!(plain.psql(&["create table t (n int)"]), "");
    let told = inside.psql(&[
        "begin",
        "insert into t values (1)",
        "insert into t values (2)",
        "select 9",
        "commit",
    ]);
    assert!(
        told.contains("ERROR:  40001: raised by crossbridge faults"),
        "{told}"
    );
    assert!(told.contains("25P02"), "the transaction is aborted: {told}");
    assert_eq!(plain.psql(&["select count(*) from t"]), "0\n");

    // A startup that is refused, in words the client shows.
    let toxic = r#"{"type":"sql_error","first":1,"attributes":{"sqlstate":"53300","message":"too many","at":"startup"}}"#;
    let startup = Faults::start(&server, &["--toxic", toxic]);
    let told = startup.psql(&["select 1"]);
    assert!(told.contains("FATAL") && told.contains("too many"), "{told}");
    assert_eq!(startup.psql(&["select 1"]), "1\n");

    // A client that retries serialization failures gets through, by the extended protocol as well.
    let file = script(
        folder.path(),
        "insert.sql",
        "begin;\ninsert into t values (7);\ncommit;\n",
    );
    for (mode, toxic) in [
        ("simple", r#"{"type":"sql_error","every":5}"#),
        ("extended", r#"{"type":"sql_error","every":5}"#),
        ("prepared", r#"{"type":"sql_error","every":7}"#),
    ] {
        assert_eq!(plain.psql(&["truncate t"]), "");
        let faults = Faults::start(&server, &["--toxic", toxic]);
        let output = Command::new(server.bin().join("pgbench"))
            .args(["-h", "127.0.0.1", "-U", "postgres", "-p", &faults.port])
            .args([
                "-n",
                "-t",
                "20",
                "--max-tries",
                "10",
                "-M",
                mode,
                "-f",
                &file,
                "postgres",
            ])
            .output()
            .expect("it starts");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{mode}: {output:?}");
        assert!(
            told.contains("number of failed transactions: 0 "),
            "{mode}: {told}"
        );
        assert!(
            told.contains("transactions retried: ") && !told.contains("retried: 0 "),
            "{mode}: {told}"
        );
        assert_eq!(
            plain.psql(&["select count(*) from t"]),
            "20\n",
            "{mode}: each exactly once"
        );
    }

    // A pooled session that stands when the fault comes meets it as well.
    let pooled = Faults::start(&server, &["--api", "127.0.0.1:0"]);
    let mut psql = Command::new(server.bin().join("psql"))
        .args(["-h", "127.0.0.1", "-U", "postgres", "-XAtq", "-p", &pooled.port])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = psql.stdin.take().expect("piped");
    let mut output = BufReader::new(psql.stdout.take().expect("piped"));
    let mut answer = String::new();
    input.write_all(b"select 1;\n").expect("written");
    output.read_line(&mut answer).expect("a line");
    assert_eq!(answer, "1\n");
    pooled.add(r#"{"type":"sql_error","first":1}"#);
    input.write_all(b"select 2;\nselect 3;\n").expect("written");
    drop(input);
    let rest: Vec<String> = output.lines().map(|line| line.expect("a line")).collect();
    assert_eq!(rest, ["3"]);
    let ended = psql.wait_with_output().expect("it ends");
    let told = String::from_utf8(ended.stderr).expect("UTF-8");
    assert!(told.contains("raised by crossbridge faults"), "{told}");
}
