//! TLS to the servers of stores: whose certificates count, and what a server has to prove.
//!
//! The protocol is rustls, over ring. A server's names are those in `subjectAltName` of its
//! certificate; a common name alone is not looked at. Which authorities are trusted is asked of the
//! operating system, or of a file in PEM.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::{CertificateError, RootCertStore};

#[cfg(feature = "postgres")]
mod check;

#[cfg(feature = "postgres")]
pub(crate) use check::{Check, client};

/// Why there is no secure connection. Trying again gives the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsError(String);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

/// What encrypts and signs.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates of the authorities in a file in PEM, at least one; for `None`, those that the
/// operating system trusts.
pub(crate) fn authorities(file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let Some(file) = file else {
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            let why: String = found.errors.iter().map(|error| format!(": {error}")).collect();
            let what = "the system has no certificates of authorities (ca-certificates on Debian)";
            return Err(TlsError(format!("{what}{why}")));
        }
        return Ok(found.certs);
    };
    let wrong = |what: String| TlsError(format!("`{}`: {what}", file.display()));
    let none = || {
        wrong(
            "no certificate in PEM, expected `-----BEGIN CERTIFICATE-----` and what belongs to it".to_owned(),
        )
    };
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let found: Vec<CertificateDer<'static>> = match read {
        Err(pem::Error::Io(error)) => return Err(wrong(error.to_string())),
        Err(_) => return Err(none()),
        Ok(found) => found,
    };
    if found.is_empty() {
        return Err(none());
    }
    let mut store = RootCertStore::empty();
    for (number, certificate) in (1..).zip(&found) {
        let added = store.add(certificate.clone());
        added.map_err(|error| wrong(format!("certificate {number} is of no authority: {error}")))?;
    }
    Ok(found)
}

/// Why a handshake failed, where trying again would not help; `None` for anything else that failed.
pub(crate) fn refusal(error: &(dyn std::error::Error + 'static)) -> Option<TlsError> {
    let inner = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref);
    let tls = match inner {
        Some(inner) => inner.downcast_ref::<rustls::Error>()?,
        None => error.downcast_ref::<rustls::Error>()?,
    };
    let lasts = matches!(
        tls,
        rustls::Error::InvalidCertificate(_)
            | rustls::Error::AlertReceived(_)
            | rustls::Error::PeerIncompatible(_)
            | rustls::Error::NoCertificatesPresented
    );
    lasts.then(|| TlsError(words(tls)))
}

/// What the library says, in words also where that is the name of a variant.
fn words(error: &rustls::Error) -> String {
    let text = error.to_string();
    if let rustls::Error::InvalidCertificate(why) = error {
        if matches!(
            why,
            CertificateError::UnknownIssuer | CertificateError::BadSignature
        ) {
            return "no authority that is trusted here has signed the server's certificate".to_owned();
        }
        if text.contains("CaUsedAsEndEntity") {
            return "the server shows the certificate of an authority (CA:TRUE), expected one of a server"
                .to_owned();
        }
    }
    text
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_authorities_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let told = || {
            let error = authorities(Some(&file)).unwrap_err().to_string();
            error.replace(&*folder.path().to_string_lossy(), "DIR")
        };
        assert_eq!(told(), "`DIR/ca.pem`: No such file or directory (os error 2)");
        let pem =
            |content: &str| format!("-----BEGIN CERTIFICATE-----\n{content}\n-----END CERTIFICATE-----\n");
        let none = "no certificate in PEM, expected `-----BEGIN CERTIFICATE-----` and what belongs to it";
        let bad = "certificate 1 is of no authority: invalid peer certificate: BadEncoding";
        for (content, expected) in [
            (String::new(), none),
            ("no PEM".to_owned(), none),
            (pem("AAAA").replace("-----END", "---"), none),
            (pem("not base64!"), none),
            (pem("AAAA"), bad),
        ] {
            std::fs::write(&file, content).unwrap();
            assert_eq!(told(), format!("`DIR/ca.pem`: {expected}"));
        }
    }
}
