//! Codes of databases into [`FaultKind`]: SQLSTATE as PostgreSQL uses it, result codes of SQLite.
//!
//! # Full disks
//!
//! `53100`, `SQLITE_FULL` and their like are [`Overloaded`](FaultKind::Overloaded): the statement
//! was rolled back, but a repetition within seconds cannot help and adds to what is written. It
//! counts against the server; the caller spools or drops.

use crossbridge_core::FaultKind;

/// What kind of failure a SQLSTATE is, in the meaning of PostgreSQL 17 (appendix A).
///
/// | SQLSTATE | kind | why |
/// |---|---|---|
/// | `08001`, `08004` | not sent | the connection was not established, or refused |
/// | `08003` | transient | the connection was gone before the statement; nothing was executed |
/// | `08P01` | permanent | the protocol was violated, which it will be again |
/// | other `08` (`08006`, `08007`) | unknown | the connection broke with the answer outstanding |
/// | `40003` | unknown | the server says itself that it does not know |
/// | `40002` | permanent | a constraint checked at commit |
/// | other `40` (`40001`, `40P01`) | transient | rolled back to let another one through; the same again succeeds |
/// | `25006` | transient | read-only: a standby, or a primary being demoted; a new connection finds the new one |
/// | `25P03` | transient | the session idled too long and was closed with its transaction rolled back |
/// | `53100` | overloaded | disk full, see the [module](self) |
/// | `53400` | permanent | a limit of the configuration, met again by the same statement |
/// | other `53` (`53300` connections, `53200` memory) | throttled | the server has too much to do |
/// | `55P03`, `55006` | transient | a lock or an object held by somebody else |
/// | `57014` | transient | cancelled, as by `statement_timeout`; rolled back, so nothing took effect |
/// | `57P01`, `57P02`, `57P03`, `57P05` | transient | shutting down, crashed, starting up, idled out |
/// | `58030` | transient | an I/O error of the server |
/// | anything else: `22`, `23`, `28`, `42`, `XX` … | permanent | about the statement, the data or the rights |
/// | not five letters and digits | unknown | no SQLSTATE, so no answer of a database |
///
/// ```
/// use crossbridge_core::FaultKind;
/// use crossbridge_std::classify::sql::sqlstate;
///
/// assert_eq!(sqlstate("40P01"), FaultKind::Transient);
/// assert_eq!(sqlstate("23505"), FaultKind::Permanent);
/// ```
#[must_use]
pub fn sqlstate(code: &str) -> FaultKind {
    if code.len() != 5
        || !code
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
    {
        return FaultKind::Unknown;
    }
    match code {
        "08001" | "08004" => FaultKind::NotSent,
        "08003" => FaultKind::Transient,
        "08P01" | "40002" | "53400" => FaultKind::Permanent,
        "40003" => FaultKind::Unknown,
        "53100" => FaultKind::Overloaded,
        "25006" | "25P03" | "55P03" | "55006" | "57014" | "57P01" | "57P02" | "57P03" | "57P05" | "58030" => {
            FaultKind::Transient
        }
        _ if code.starts_with("08") => FaultKind::Unknown,
        _ if code.starts_with("40") => FaultKind::Transient,
        _ if code.starts_with("53") => FaultKind::Throttled,
        _ => FaultKind::Permanent,
    }
}

/// What kind of failure a result code of SQLite is, primary or extended
/// (<https://www.sqlite.org/rescode.html>). Only the primary part, the low byte, decides.
///
/// | code | kind | why |
/// |---|---|---|
/// | 5 `BUSY`, 6 `LOCKED` | transient | another connection holds the lock |
/// | 15 `PROTOCOL` | transient | lost the race for the lock of the write-ahead log |
/// | 17 `SCHEMA` | transient | the schema changed in between; the statement is prepared anew |
/// | 4 `ABORT`, 9 `INTERRUPT` | transient | stopped from outside and rolled back |
/// | 7 `NOMEM` | transient | no memory just now |
/// | 10 `IOERR` | unknown | a failed sync may have reached the disk or not |
/// | 13 `FULL` | overloaded | disk full, see the [module](self) |
/// | 3 `PERM`, 8 `READONLY`, 11 `CORRUPT`, 14 `CANTOPEN`, 19 `CONSTRAINT`, 26 `NOTADB`, any other | permanent | the file, the rights, the data or the statement |
#[must_use]
pub const fn sqlite_code(code: i32) -> FaultKind {
    match code & 0xff {
        4 | 5 | 6 | 7 | 9 | 15 | 17 => FaultKind::Transient,
        10 => FaultKind::Unknown,
        13 => FaultKind::Overloaded,
        _ => FaultKind::Permanent,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn sqlstates() {
        let codes = [
            "08000", "08001", "08003", "08004", "08006", "08007", "08P01", "22001", "22P02", "23502",
            "23503", "23505", "25001", "25006", "25P02", "25P03", "28000", "28P01", "3D000", "40001",
            "40002", "40003", "40P01", "42501", "42601", "42P01", "53000", "53100", "53200", "53300",
            "53400", "54000", "55000", "55006", "55P03", "57014", "57P01", "57P02", "57P03", "57P04",
            "57P05", "58000", "58030", "P0001", "XX000", "XX001", "99999", "", "4000", "40p01", "400011",
        ];
        let mut table = String::new();
        for code in codes {
            writeln!(table, "{code:<6} {}", sqlstate(code).name()).unwrap();
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn sqlite_codes_primary_and_extended() {
        let table = [
            (5, FaultKind::Transient),
            (5 | 2 << 8, FaultKind::Transient),
            (6, FaultKind::Transient),
            (8, FaultKind::Permanent),
            (10 | 4 << 8, FaultKind::Unknown),
            (11, FaultKind::Permanent),
            (13, FaultKind::Overloaded),
            (14, FaultKind::Permanent),
            (19 | 6 << 8, FaultKind::Permanent),
            (26, FaultKind::Permanent),
        ];
        for (code, kind) in table {
            assert_eq!(sqlite_code(code), kind, "{code}");
        }
    }
}
