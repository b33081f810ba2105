//! Errors of backends into [`FaultKind`](crossbridge_core::FaultKind)s: by codes, never by text.
//!
//! A message changes with the release, the language of the server and the data of the user; a code
//! does not. Each module is a table of one kind of code with the reason beside every row:
//!
//! | module | codes |
//! |---|---|
//! | [`sql`] | SQLSTATE of PostgreSQL, result codes of SQLite |
//! | [`http`] | HTTP status, and the header `Retry-After` |
//! | [`io`] | [`std::io::ErrorKind`], before and after something was sent |

pub mod http;
pub mod io;
pub mod sql;
