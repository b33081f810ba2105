//! Sessions over TLS, against a real server.

use super::*;
use crate::tls::testing::{Authority, Identity};

/// Has the server show this certificate from now on. Its user owns the files because it writes them.
fn show(server: &mut Postgres, identity: &Identity) {
    for (file, content) in [
        ("server.crt", &identity.certificate),
        ("server.key", &identity.key),
    ] {
        let copy = format!(
            "COPY (SELECT unnest(string_to_array('{}', E'\\n'))) TO PROGRAM 'umask 077; rm -f {file}; cat > {file}'",
            content.trim_end()
        );
        server.sql(&copy).unwrap();
    }
    server.sql("ALTER SYSTEM SET ssl = on").unwrap();
    server.restart().unwrap();
}

/// How a session came about, or why none did. The server asks for no password, and no error has it.
fn outcome(server: &Postgres, host: &str, mode: &str) -> String {
    let port = server.port();
    let text = format!("postgres://postgres:hunter2@{host}:{port}/postgres?{mode}");
    match PostgresStore::open(url(&text), Some(Duration::from_secs(20))) {
        Ok(mut store) => {
            store.write(&[event(mode)], None).unwrap();
            // The newest one: the server may not have noticed yet that the one before it has ended.
            let query = "SELECT CASE WHEN ssl THEN 'encrypted' ELSE 'plain' END \
                         FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                         WHERE application_name = 'crossbridge' ORDER BY backend_start DESC LIMIT 1";
            server.sql(query).unwrap()
        }
        Err(error) => {
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            told(&error)
        }
    }
}

#[test]
fn the_modes_of_libpq_mean_what_they_mean_there() {
    let ours = Authority::new();
    let mut server = options().start().unwrap();
    let trusted = format!("sslrootcert={}", ours.file().display());
    let without = "permanent: open URL: the database refused: server does not support TLS";
    let plain = "plain";
    assert_eq!(outcome(&server, "127.0.0.1", "sslmode=require"), without);
    assert_eq!(outcome(&server, "127.0.0.1", "sslmode=prefer"), plain);

    show(&mut server, &ours.server(&["127.0.0.1"]));
    let encrypted = "encrypted";
    assert_eq!(outcome(&server, "127.0.0.1", "sslmode=disable"), plain);
    for mode in ["prefer", "allow", "require"] {
        assert_eq!(
            outcome(&server, "127.0.0.1", &format!("sslmode={mode}")),
            encrypted
        );
    }
    for (host, mode) in [
        ("127.0.0.1", "verify-full"),
        ("localhost", "verify-ca"),
        ("localhost", "require"),
    ] {
        assert_eq!(
            outcome(&server, host, &format!("sslmode={mode}&{trusted}")),
            encrypted
        );
    }
    assert_eq!(
        outcome(&server, "localhost", &format!("sslmode=verify-full&{trusted}")),
        "permanent: open URL: no secure connection: invalid peer certificate: certificate not valid for name \
         \"localhost\"; certificate is only valid for IpAddress(127.0.0.1)"
    );
    let stranger = Authority::new();
    for mode in ["verify-full", "verify-ca", "require"] {
        let mode = format!("sslmode={mode}&sslrootcert={}", stranger.file().display());
        assert_eq!(
            outcome(&server, "127.0.0.1", &mode),
            "permanent: open URL: no secure connection: no authority that is trusted here has signed the \
             server's certificate"
        );
    }
    assert_eq!(
        outcome(
            &server,
            "127.0.0.1",
            "sslmode=verify-ca&sslrootcert=/nowhere/ca.pem"
        ),
        "permanent: open URL: no secure connection: `/nowhere/ca.pem`: No such file or directory (os error 2)"
    );

    show(&mut server, &ours.itself());
    assert_eq!(
        outcome(&server, "127.0.0.1", &format!("sslmode=verify-full&{trusted}")),
        "permanent: open URL: no secure connection: the server shows the certificate of an authority (CA:TRUE), \
         expected one of a server"
    );
}
