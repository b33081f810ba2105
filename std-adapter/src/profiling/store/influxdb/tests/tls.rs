//! Requests over TLS, against a server of a few lines.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::tls::testing::{Authority, Identity};

/// Takes one connection and answers one request, both if the client likes the certificate.
fn answering_in_private(identity: &Identity) -> (std::thread::JoinHandle<Option<String>>, u16) {
    let chain = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(crate::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = StreamOwned::new(connection, listener.accept().unwrap().0);
        let mut read = Vec::new();
        let mut chunk = [0; 4096];
        while !read.windows(4).any(|end| end == b"\r\n\r\n") {
            let length = stream.read(&mut chunk).ok().filter(|length| *length > 0)?;
            read.extend_from_slice(&chunk[..length]);
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()?;
        Some(String::from_utf8_lossy(&read).into_owned())
    });
    (server, port)
}

#[test]
fn a_server_over_tls_has_to_prove_its_name() {
    let (ours, stranger) = (Authority::new(), Authority::new());
    let identity = ours.server(&["127.0.0.1"]);
    let mut outcomes = Vec::new();
    for (host, authority) in [
        ("127.0.0.1", &ours),
        ("localhost", &ours),
        ("127.0.0.1", &stranger),
    ] {
        let (server, port) = answering_in_private(&identity);
        let ca = authority.file();
        let text = format!("influxdb+https://ci:hunter2@{host}:{port}/db?ca={}", ca.display());
        let outcome = match unopened(&text).write(&[event("a")], Some(Duration::from_secs(20))) {
            Ok(written) => format!("{} new", written.new),
            Err(error) => told(&error),
        };
        assert!(!outcome.contains("hunter2"), "{outcome}");
        let heard = server.join().unwrap();
        outcomes.push(format!(
            "{outcome}; {}",
            heard.map_or("heard nothing", |_| "heard us")
        ));
    }
    assert_eq!(
        outcomes,
        [
            "1 new; heard us",
            "permanent: write URL: no secure connection: invalid peer certificate: certificate not valid for name \
             \"localhost\"; certificate is only valid for IpAddress(127.0.0.1); heard nothing",
            "permanent: write URL: no secure connection: no authority that is trusted here has signed the \
             server's certificate; heard nothing",
        ]
    );
}

#[test]
fn a_file_without_authorities_is_an_error_at_once() {
    let opened = InfluxStore::open(url("influxdb+https://localhost/db?ca=/nowhere/ca.pem"), None);
    assert_eq!(
        told(&opened.unwrap_err()),
        "permanent: open URL: no secure connection: `/nowhere/ca.pem`: No such file or directory (os error 2)"
    );
}
