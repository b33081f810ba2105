//! What went wrong with a server, by its codes.

use std::fmt;
use std::io;

use crossbridge_core::FaultKind;

use super::connection::Failure;
use crate::classify;
use crate::profiling::store::{StoreError, Trouble};
use crate::tls;

/// How far an attempt had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No session yet: no event has left.
    Connecting,
    /// In a session, before its COMMIT was sent: whatever was sent is rolled back.
    Working,
    /// COMMIT was sent.
    Committing,
}

/// The same as an error of the store of that name.
pub(super) fn wrap(doing: &'static str, name: &str, failure: Failure, phase: Phase) -> StoreError {
    let (kind, trouble) = explain(failure, phase);
    StoreError {
        doing,
        place: Some(name.to_owned()),
        kind,
        trouble,
    }
}

/// The kind and the words for a failure. One without an answer is [`FaultKind::Unknown`] only when
/// the answer to COMMIT is what is missing: before it, a transaction that breaks off is rolled back.
fn explain(failure: Failure, phase: Phase) -> (FaultKind, Trouble) {
    let silent = match phase {
        Phase::Connecting => FaultKind::NotSent,
        Phase::Working => FaultKind::Transient,
        Phase::Committing => FaultKind::Unknown,
    };
    let error = match failure {
        Failure::TimedOut(after) => return (silent, Trouble::TimedOut(after)),
        Failure::Runtime(error) => return (FaultKind::NotSent, Trouble::Backend(Box::new(error))),
        Failure::Tls(error) => return (FaultKind::Permanent, Trouble::Insecure(Box::new(error))),
        Failure::Client(error) => error,
    };
    if let Some(answer) = error.as_db_error() {
        let code = answer.code().code();
        let mut kind = classify::sql::sqlstate(code);
        // The code says that a connection broke; we know how far it had come.
        if kind == FaultKind::Unknown {
            kind = silent;
        }
        let trouble = match code {
            "25006" => Trouble::ReadOnly,
            "53100" => Trouble::Full,
            "3D000" => Trouble::NoDatabase,
            _ => {
                let said = Box::new(Answer {
                    code: code.to_owned(),
                    message: answer.message().to_owned(),
                });
                if kind == FaultKind::Permanent && is_about_store(code) {
                    Trouble::Unfit(said)
                } else {
                    Trouble::Backend(said)
                }
            }
        };
        return (kind, trouble);
    }
    let closed = error.is_closed();
    let text = error.to_string();
    // The library's own words say little; what is behind them says what happened.
    let source = error.into_source();
    if phase == Phase::Connecting
        && let Some(refusal) = source.as_deref().and_then(|source| tls::refusal(source))
    {
        return (FaultKind::Permanent, Trouble::Insecure(Box::new(refusal)));
    }
    let io = source
        .as_deref()
        .and_then(|source| source.downcast_ref::<io::Error>());
    let wanted_another = io.is_some_and(|io| io.kind() == io::ErrorKind::PermissionDenied);
    let network = closed || io.is_some();
    let source = source.unwrap_or_else(|| text.into());
    match (network, phase) {
        // What the client library makes of a server that takes no writes where one is wanted that does.
        (true, Phase::Connecting) if wanted_another => (FaultKind::Transient, Trouble::ReadOnly),
        (true, _) => (silent, Trouble::Unreachable(source)),
        // Not about the network: a password is missing, an answer makes no sense.
        (false, _) => (FaultKind::Permanent, Trouble::Backend(source)),
    }
}

/// Whether a refusal is about tables, rights or settings, by the class of its SQLSTATE: whatever is
/// written meets it.
fn is_about_store(code: &str) -> bool {
    let class = code.get(..2).unwrap_or_default();
    ["08", "0A", "25", "28", "3D", "3F", "42", "53", "55", "57"].contains(&class)
}

/// Whether a refusal is about a row, by the class of its SQLSTATE: data, constraints, a limit of the
/// server's own, an exception of a trigger.
pub(super) fn is_about_rows(code: &str) -> bool {
    let class = code.get(..2).unwrap_or_default();
    ["22", "23", "44", "54", "P0"].contains(&class)
}

/// What the server said, with its code. The values of a row, which are in its details, stay out.
#[derive(Debug)]
struct Answer {
    code: String,
    message: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)
    }
}

impl std::error::Error for Answer {}
