//! What the commands do.

pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod explore;
pub(crate) mod faults;
pub(crate) mod profile;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod schema;
pub(crate) mod tune;

use std::io::{ErrorKind, Write};

use crossbridge_std::config::FileError;

use crate::exit::Failure;

/// A file that says something that cannot be.
pub(crate) fn invalid(error: FileError) -> Failure {
    let json = serde_json::to_value(&error).unwrap_or_default();
    Failure::Input {
        text: error.render(),
        json,
    }
}

/// Writes to standard output. A reader that has seen enough (`| head`) is no error.
pub(crate) fn print(output: &mut dyn Write, text: &str) -> Result<(), Failure> {
    let written = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::dependency(
            format!("cannot write to standard output: {error}"),
            "is the disk full?",
        )),
        _ => Ok(()),
    }
}

/// What the process environment says.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// An address that cannot be listened on.
pub(crate) fn unbound(option: &str, address: &str, error: &std::io::Error) -> Failure {
    use std::io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};

    let text = format!("{option} {address}: {error}");
    if matches!(error.kind(), AddrInUse | AddrNotAvailable | PermissionDenied) {
        Failure::dependency(text, "port 0 is any free one")
    } else {
        Failure::usage(text, "an address is HOST:PORT, such as 127.0.0.1:0")
    }
}
