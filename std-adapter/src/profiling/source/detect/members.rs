//! The names of the members of a JSON object, as far as it is there, and what they give away.

use crate::profiling::source::SourceKind;

/// What the members say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It is of this kind.
    Kind(SourceKind),
    /// The text ends before they say anything.
    CutOff,
    /// They say nothing, or this is no object.
    Nothing,
}

/// Looks at the object that `text` begins with.
pub(super) fn look(text: &[u8]) -> Said {
    let mut scan = Scan { rest: text };
    match members(&mut scan) {
        Ok(said) => said,
        Err(CutOff) => Said::CutOff,
    }
}

struct CutOff;

fn members(scan: &mut Scan<'_>) -> Result<Said, CutOff> {
    scan.rest = scan.rest.get(1..).unwrap_or_default();
    let mut names: Vec<&[u8]> = Vec::new();
    loop {
        if scan.blank()? != b'"' {
            return Ok(Said::Nothing);
        }
        let name = scan.text()?;
        if scan.blank()? != b':' {
            return Ok(Said::Nothing);
        }
        scan.rest = scan.rest.get(1..).unwrap_or_default();
        if names.len() < MAX_MEMBERS {
            names.push(name);
        }
        if let Some(kind) = decide(&names) {
            return Ok(Said::Kind(kind));
        }
        scan.value()?;
        match scan.blank()? {
            b',' => scan.rest = scan.rest.get(1..).unwrap_or_default(),
            _ => return Ok(Said::Nothing),
        }
    }
}

/// The members of the reports, in the order their tools write them and in that of the alphabet.
fn decide(names: &[&[u8]]) -> Option<SourceKind> {
    let has = |name: &str| names.contains(&name.as_bytes());
    let any = |list: &[&str]| list.iter().copied().any(has);
    let first = |name: &str| names.first() == Some(&name.as_bytes());
    if any(&["test_id", "event_type", "event_id", "run_id"]) {
        return Some(SourceKind::Jsonl);
    }
    if first("log") {
        return Some(SourceKind::Har);
    }
    if first("config") || has("suites") && has("config") {
        return Some(SourceKind::Playwright);
    }
    if any(&[
        "testResults",
        "numTotalTests",
        "numTotalTestSuites",
        "numFailedTestSuites",
    ]) {
        return Some(SourceKind::Jest);
    }
    if any(&["cypressVersion", "startedTestsAt", "totalSuites"]) {
        return Some(SourceKind::Cypress);
    }
    if any(&["exitcode", "collectors"]) {
        return Some(SourceKind::PytestJson);
    }
    if has("results") && any(&["stats", "meta"]) {
        return Some(SourceKind::Mochawesome);
    }
    if has("stats") && any(&["tests", "passes"]) || has("failures") && has("passes") {
        return Some(SourceKind::Mocha);
    }
    None
}

/// JSON that is only skimmed.
struct Scan<'t> {
    rest: &'t [u8],
}

impl<'t> Scan<'t> {
    /// The next byte that is not white space, which stays where it is.
    fn blank(&mut self) -> Result<u8, CutOff> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied().ok_or(CutOff)
    }

    /// What is between the quotes, escapes as they are.
    fn text(&mut self) -> Result<&'t [u8], CutOff> {
        let inside = self.rest.get(1..).ok_or(CutOff)?;
        let mut escaped = false;
        for (at, &byte) in inside.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    let (found, rest) = inside.split_at(at);
                    self.rest = rest.get(1..).unwrap_or_default();
                    return Ok(found);
                }
                _ => {}
            }
        }
        Err(CutOff)
    }

    /// Passes over a value, whatever is in it.
    fn value(&mut self) -> Result<(), CutOff> {
        let mut depth = 0_u32;
        loop {
            match self.blank()? {
                b'"' => {
                    self.text()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.rest = self.rest.get(1..).unwrap_or_default();
                }
                b'}' | b']' | b',' if depth == 0 => return Ok(()),
                byte => {
                    depth -= u32::from(matches!(byte, b'}' | b']'));
                    self.rest = self.rest.get(1..).unwrap_or_default();
                    if depth == 0 && matches!(byte, b'}' | b']') {
                        return Ok(());
                    }
                    continue;
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

/// How many names are remembered; a report has a dozen.
const MAX_MEMBERS: usize = 64;
