//! [`std::io::ErrorKind`] into [`FaultKind`], depending on how far the call had come.

use std::io::ErrorKind;

use crossbridge_core::FaultKind;

/// How far a call had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No connection yet: nothing can have been sent.
    Connecting,
    /// Connected: some or all of the request may have arrived.
    Exchanging,
}

/// What kind of failure an I/O error is.
///
/// | error | while connecting | later |
/// |---|---|---|
/// | refused, unreachable, no such address, network down | not sent | not sent: these come from connecting |
/// | reset, aborted, broken pipe, unexpected end, timed out | not sent | unknown: the request may have arrived |
/// | not connected | not sent | not sent: nothing was written |
/// | would block, interrupted, busy, deadlock, out of memory, stale handle | transient | transient |
/// | disk or quota full | overloaded | overloaded: a repetition cannot help and makes it worse |
/// | everything else: not found, denied, read-only, invalid | permanent | permanent |
///
/// ```
/// use std::io::ErrorKind;
/// use crossbridge_core::FaultKind;
/// use crossbridge_std::classify::io::{Phase, error_kind};
///
/// assert_eq!(error_kind(ErrorKind::ConnectionReset, Phase::Connecting), FaultKind::NotSent);
/// assert_eq!(error_kind(ErrorKind::ConnectionReset, Phase::Exchanging), FaultKind::Unknown);
/// ```
#[must_use]
// The enum may grow in any release of the standard library.
#[expect(clippy::wildcard_enum_match_arm)]
pub const fn error_kind(kind: ErrorKind, phase: Phase) -> FaultKind {
    match kind {
        ErrorKind::ConnectionRefused
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown
        | ErrorKind::AddrNotAvailable
        | ErrorKind::NotConnected => FaultKind::NotSent,
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof
        | ErrorKind::WriteZero
        | ErrorKind::TimedOut => match phase {
            Phase::Connecting => FaultKind::NotSent,
            Phase::Exchanging => FaultKind::Unknown,
        },
        ErrorKind::WouldBlock
        | ErrorKind::Interrupted
        | ErrorKind::ResourceBusy
        | ErrorKind::ExecutableFileBusy
        | ErrorKind::Deadlock
        | ErrorKind::StaleNetworkFileHandle
        | ErrorKind::OutOfMemory => FaultKind::Transient,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => FaultKind::Overloaded,
        _ => FaultKind::Permanent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        let row = |kind| {
            (
                error_kind(kind, Phase::Connecting),
                error_kind(kind, Phase::Exchanging),
            )
        };
        assert_eq!(
            row(ErrorKind::ConnectionRefused),
            (FaultKind::NotSent, FaultKind::NotSent)
        );
        assert_eq!(row(ErrorKind::TimedOut), (FaultKind::NotSent, FaultKind::Unknown));
        assert_eq!(
            row(ErrorKind::BrokenPipe),
            (FaultKind::NotSent, FaultKind::Unknown)
        );
        assert_eq!(
            row(ErrorKind::WouldBlock),
            (FaultKind::Transient, FaultKind::Transient)
        );
        assert_eq!(
            row(ErrorKind::StorageFull),
            (FaultKind::Overloaded, FaultKind::Overloaded)
        );
        assert_eq!(
            row(ErrorKind::PermissionDenied),
            (FaultKind::Permanent, FaultKind::Permanent)
        );
    }
}
