//! What an input can be.

/// What an input is: the kinds that are read.
///
/// | kind | made by | known by | events | what it cannot tell |
/// |---|---|---|---|---|
/// | `junit` | pytest 9.2, cargo-nextest 0.9, Ant 1.10, JUnit 5 console, jest-junit, mocha-junit-reporter, behave, `TestNG`; by their form Maven Surefire, `GoogleTest`, Catch2, `CTest`, `PHPUnit`, go-junit-report, `NUnit` | XML, any root but `<robot>` | `test_end`, `retry_event` | pytest: how a repeated attempt went, unexpected passes |
/// | `pytest-json` | pytest-json-report 1.5 | `exitcode`, `collectors` | `setup_end`, `teardown_end`, `test_end`, `retry_event` | how often a test was repeated, and the attempts of one that failed at last |
/// | `robot` | Robot Framework 3 to 7, `output.xml` | `<robot>` | `setup_end`, `step_end`, `teardown_end`, `test_end`, `retry_event` | attempts, unless `rebot --merge` wrote it; the time zone |
/// | `playwright` | Playwright 1.65, reporter `json` | `config`, `suites` | `step_end`, `test_end`, `retry_event` | steps, unless the test uses `test.step` |
/// | `jest` | jest 30 `--json`, vitest 3 reporter `json` | `testResults` | `test_end`, `retry_event` | durations of earlier attempts; vitest: their number |
/// | `mocha` | mocha 10 to 12, reporter `json` | `stats`, `tests` | `test_end`, `retry_event`, `setup_end`, `teardown_end` (hooks that failed) | why an attempt was repeated; when a test began |
/// | `mochawesome` | mochawesome 8 and mochawesome-merge 4, also under Cypress | `stats`, `results` | the same | attempts at all; when a test began |
/// | `cypress` | the result of `cypress.run()` 13 to 15 | `cypressVersion`, `runs` | `test_end`, `retry_event` | durations of earlier attempts; when a test began |
/// | `har` | Playwright `recordHar`, browsers, proxies: HAR 1.2 | `log` | `http_request`, `page_load` | the test that made a call |
/// | `selenium` | the log of chromedriver, `--log-level=INFO` or more | `[time][LEVEL]:` | `driver_command` | the test that gave a command; clicks by JavaScript |
/// | `jsonl` | anything: one JSON event per line | any other object | the seventeen | |
///
/// Versions are those whose files the tests read, or for `cypress` and Robot Framework 3 to 6 those
/// whose documentation was followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceKind {
    /// To be found out by the content.
    #[default]
    Auto,
    /// One JSON object per line.
    Jsonl,
    /// JUnit XML, of pytest or of anything else.
    Junit,
    /// The JSON of pytest-json-report.
    PytestJson,
    /// `output.xml` of Robot Framework.
    Robot,
    /// The JSON of Playwright's own reporter.
    Playwright,
    /// The JSON of jest or vitest.
    Jest,
    /// The JSON of mocha's own reporter.
    Mocha,
    /// The JSON of mochawesome.
    Mochawesome,
    /// The result of a run of Cypress's module API.
    Cypress,
    /// HTTP archive 1.2.
    Har,
    /// The log of chromedriver: the commands of Selenium sessions.
    Selenium,
}

impl SourceKind {
    /// Every kind but [`Auto`](Self::Auto).
    pub const ALL: [Self; 11] = [
        Self::Jsonl,
        Self::Junit,
        Self::PytestJson,
        Self::Robot,
        Self::Playwright,
        Self::Jest,
        Self::Mocha,
        Self::Mochawesome,
        Self::Cypress,
        Self::Har,
        Self::Selenium,
    ];

    /// The name in messages and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Jsonl => "jsonl",
            Self::Junit => "junit",
            Self::PytestJson => "pytest-json",
            Self::Robot => "robot",
            Self::Playwright => "playwright",
            Self::Jest => "jest",
            Self::Mocha => "mocha",
            Self::Mochawesome => "mochawesome",
            Self::Cypress => "cypress",
            Self::Har => "har",
            Self::Selenium => "selenium",
        }
    }

    /// The name for people: `JUnit XML`, `Playwright JSON`, …
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Auto => "unknown",
            Self::Jsonl => "JSON lines",
            Self::Junit => "JUnit XML",
            Self::PytestJson => "pytest-json-report",
            Self::Robot => "Robot output.xml",
            Self::Playwright => "Playwright JSON",
            Self::Jest => "jest JSON",
            Self::Mocha => "mocha JSON",
            Self::Mochawesome => "mochawesome JSON",
            Self::Cypress => "Cypress results",
            Self::Har => "HTTP archive",
            Self::Selenium => "chromedriver log",
        }
    }

    /// Whether an input of this kind is one run, read as a whole or not at all.
    #[must_use]
    pub const fn is_report(self) -> bool {
        !matches!(self, Self::Auto | Self::Jsonl)
    }
}
