//! Exit codes: what a script may rely on.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done, and every expectation held |
//! | 1 | an expectation, or a test, failed |
//! | 2 | wrong usage |
//! | 3 | an input file or the configuration is invalid |
//! | 4 | a dependency could not be used; the message says what was kept |
//! | 70 | a bug of ours |

use std::process::ExitCode;

use serde_json::{Value, json};

/// Why a command ends without having done all it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An expectation did not hold. The report has been printed.
    Expectation,
    /// The command line asks for something that cannot be.
    Usage {
        /// For people.
        text: String,
        /// For programs.
        json: Value,
    },
    /// An input file or the configuration is invalid.
    Input {
        /// For people.
        text: String,
        /// For programs.
        json: Value,
    },
    /// A dependency could not be used.
    Dependency {
        /// For people: what failed, and what was kept.
        text: String,
        /// For programs.
        json: Value,
    },
    /// A bug of ours.
    Internal(String),
}

impl Failure {
    /// An input that is refused with a sentence.
    pub(crate) fn input(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::Input {
            json: json!({ "message": text }),
            text: format!("error: {text}"),
        }
    }

    /// A command line that cannot be, told in a sentence and a hint.
    pub(crate) fn usage(text: impl Into<String>, hint: impl Into<String>) -> Self {
        let (text, hint) = (text.into(), hint.into());
        let json = json!({ "message": text, "hint": hint });
        Self::Usage {
            text: format!("error: {text}\nhint: {hint}"),
            json,
        }
    }

    /// A dependency that could not be used, told in a sentence and a hint.
    pub(crate) fn dependency(text: impl Into<String>, hint: impl Into<String>) -> Self {
        let (text, hint) = (text.into(), hint.into());
        let json = json!({ "message": text, "hint": hint });
        Self::Dependency {
            text: format!("error: {text}\nhint: {hint}"),
            json,
        }
    }

    /// The process's exit code.
    #[must_use]
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Expectation => 1,
            Self::Usage { .. } => 2,
            Self::Input { .. } => 3,
            Self::Dependency { .. } => 4,
            Self::Internal(_) => 70,
        })
    }

    /// What goes to stderr; nothing where the report has said it all.
    #[must_use]
    pub(crate) fn message(&self, json: bool) -> Option<String> {
        match self {
            Self::Expectation => None,
            Self::Usage { json: object, .. }
            | Self::Input { json: object, .. }
            | Self::Dependency { json: object, .. }
                if json =>
            {
                Some(object.to_string())
            }
            Self::Usage { text, .. } | Self::Input { text, .. } | Self::Dependency { text, .. } => {
                Some(text.clone())
            }
            Self::Internal(text) => Some(format!(
                "error: {text}\nhint: this is a bug of crossbridge, please report it"
            )),
        }
    }
}
