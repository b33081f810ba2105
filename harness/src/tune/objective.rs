//! What is wanted: `least amplification with goodput >= 0.99 and recovery_time <= 15s`.
//!
//! ```text
//! objective = ("least" | "most") sum ["with" condition ("and" condition)*]
//! condition = "promises" | expectation
//! ```
//!
//! A sum and an expectation are those of a scenario's promises: see [`crate::expect`]. `promises` are
//! all promises of the scenario itself.

use crate::expect::{ExpectError, Expectation, Vocabulary};

/// What a search looks for.
#[derive(Clone, Debug)]
pub struct Objective {
    text: String,
    /// Whether more is better.
    pub(super) most: bool,
    /// The number that counts, as the left side of a comparison.
    pub(super) number: Expectation,
    /// What has to hold.
    pub(super) conditions: Vec<Expectation>,
    /// Whether the scenario's promises have to hold as well.
    pub(super) promises: bool,
}

impl Objective {
    /// What is wanted where nobody says.
    pub const DEFAULT: &'static str = "least amplification with goodput >= 0.99";

    /// Reads an objective and checks its names and windows.
    ///
    /// # Errors
    /// Where it goes wrong, what stands there, and what would be right.
    pub fn parse(text: &str, vocabulary: &Vocabulary) -> Result<Self, ExpectError> {
        let begins = text.len() - text.trim_start().len();
        let rest = text.trim_start();
        let (most, word) = if rest.starts_with("least ") {
            (false, "least ")
        } else if rest.starts_with("most ") {
            (true, "most ")
        } else {
            return Err(ExpectError {
                at: begins,
                found: format!("`{rest}`"),
                expected: "`least` or `most`, such as `least amplification with goodput >= 0.99`".to_owned(),
                nearest: None,
            });
        };
        let from = begins + word.len();
        let (number, conditions) = match text.get(from..).and_then(|rest| rest.find(WITH)) {
            Some(at) => (from..from + at, Some(from + at + WITH.len())),
            None => (from..text.len(), None),
        };
        // Any comparison makes a promise of it; only the number on its left counts.
        let compared = format!("{} >= 0", text.get(number.clone()).unwrap_or_default());
        let number = parse(&compared, text, number.start, vocabulary)?;
        let (mut found, mut promises) = (Vec::new(), false);
        let mut at = conditions;
        while let Some(from) = at {
            let rest = text.get(from..).unwrap_or_default();
            let length = rest.find(AND).unwrap_or(rest.len());
            match rest.get(..length).unwrap_or_default() {
                one if one.trim() == "promises" => promises = true,
                one => found.push(parse(one, text, from, vocabulary)?),
            }
            at = (length < rest.len()).then_some(from + length + AND.len());
        }
        Ok(Self {
            text: text.to_owned(),
            most,
            number,
            conditions: found,
            promises,
        })
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn parse(part: &str, whole: &str, from: usize, vocabulary: &Vocabulary) -> Result<Expectation, ExpectError> {
    Expectation::parse(part, vocabulary).map_err(|error| ExpectError {
        // Places are in characters, the offset is in bytes.
        at: whole.get(..from).map_or(0, |before| before.chars().count()) + error.at,
        ..error
    })
}

const WITH: &str = " with ";
const AND: &str = " and ";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::result::vocabulary;

    fn read(text: &str) -> Result<Objective, ExpectError> {
        let vocabulary = vocabulary(&["c".to_owned()], &["db".to_owned()], Duration::from_secs(60));
        Objective::parse(text, &vocabulary)
    }

    #[test]
    fn objectives_are_read() {
        let objective = read(Objective::DEFAULT).expect("the default");
        assert_eq!((objective.most, objective.conditions.len()), (false, 1));
        let objective = read("most goodput(10s..20s) with recovery_time <= 15s and amplification <= 1.2");
        let objective = objective.expect("an objective");
        assert_eq!((objective.most, objective.conditions.len()), (true, 2));
        let objective = read("least amplification with promises and goodput >= 0.5").expect("an objective");
        assert_eq!((objective.promises, objective.conditions.len()), (true, 1));
        assert_eq!(
            read("least dependencies.db.received")
                .expect("no condition")
                .conditions,
            []
        );
    }

    #[test]
    fn mistakes_have_a_place() {
        for (text, at) in [
            ("amplification", 0),
            ("least amplificatoin", 6),
            ("least amplification with gootput >= 1", 25),
            ("least amplification with goodput >= 1 and x < 1", 42),
        ] {
            assert_eq!(read(text).expect_err(text).at, at, "{text}");
        }
    }
}
