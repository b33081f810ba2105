//! The kinds of files on the command line.

use clap::ValueEnum;
use crossbridge_std::profiling::SourceKind;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// By its content
    Auto,
    /// One JSON event per line
    Jsonl,
    /// JUnit XML of pytest, nextest, JUnit, Ant, jest-junit and others
    Junit,
    /// pytest-json-report
    PytestJson,
    /// output.xml of Robot Framework
    Robot,
    /// Playwright, reporter json
    Playwright,
    /// jest --json; vitest, reporter json
    Jest,
    /// mocha, reporter json
    Mocha,
    /// mochawesome, also under Cypress
    Mochawesome,
    /// The result of cypress.run() as JSON
    Cypress,
    /// HTTP archive: calls and page loads
    Har,
    /// Log of chromedriver: commands of Selenium sessions
    Selenium,
}

impl Kind {
    pub(crate) const fn source(self) -> SourceKind {
        match self {
            Self::Auto => SourceKind::Auto,
            Self::Jsonl => SourceKind::Jsonl,
            Self::Junit => SourceKind::Junit,
            Self::PytestJson => SourceKind::PytestJson,
            Self::Robot => SourceKind::Robot,
            Self::Playwright => SourceKind::Playwright,
            Self::Jest => SourceKind::Jest,
            Self::Mocha => SourceKind::Mocha,
            Self::Mochawesome => SourceKind::Mochawesome,
            Self::Cypress => SourceKind::Cypress,
            Self::Har => SourceKind::Har,
            Self::Selenium => SourceKind::Selenium,
        }
    }
}
