//! Reading a promise: a recursive descent over its characters.

use super::{Comparison, ExpectError, Expectation, Expr, Name, Operator, Vocabulary};

/// Deeper nesting than this is a mistake, or an attack on the stack.
const MAX_DEPTH: u32 = 32;

pub(super) fn expectation(text: &str, vocabulary: &Vocabulary) -> Result<Expectation, ExpectError> {
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
        vocabulary,
        millis: false,
        seconds: false,
    };
    // Literals are read in the unit of the names around them, so the names come first.
    parser.survey_units();
    if parser.millis && parser.seconds {
        return Err(
            parser.unexpected("one kind of time: names in milliseconds or names in seconds, not both")
        );
    }
    let left = parser.sum()?;
    let comparison = parser.comparison()?;
    let right = parser.sum()?;
    if parser.peek().is_some() {
        return Err(parser.unexpected("the end"));
    }
    Ok(Expectation {
        text: text.trim().to_owned(),
        left,
        comparison,
        right,
    })
}

struct Parser<'a> {
    text: &'a str,
    /// In bytes, always on a character boundary.
    at: usize,
    depth: u32,
    vocabulary: &'a Vocabulary,
    /// Whether a name counts in milliseconds.
    millis: bool,
    /// Whether a name counts in seconds.
    seconds: bool,
}

impl Parser<'_> {
    fn survey_units(&mut self) {
        self.millis = self.text.contains("latency_ms");
        self.seconds = ["recovery_", "virtual_seconds"]
            .iter()
            .any(|name| self.text.contains(name));
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next character that is no space, which becomes the present one.
    fn peek(&mut self) -> Option<char> {
        let spaces = self.rest().len() - self.rest().trim_start().len();
        self.at += spaces;
        self.rest().chars().next()
    }

    fn eat(&mut self, token: &str) -> bool {
        self.peek();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> String {
        let taken: String = self.rest().chars().take_while(|&c| accept(c)).collect();
        self.at += taken.len();
        taken
    }

    fn unexpected(&mut self, expected: &str) -> ExpectError {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(_) => format!(
                "`{}`",
                self.rest().chars().take(20).collect::<String>().trim_end()
            ),
        };
        self.error(found, expected)
    }

    fn error(&self, found: String, expected: &str) -> ExpectError {
        let at = self
            .text
            .get(..self.at)
            .map_or(0, |before| before.chars().count());
        ExpectError {
            at,
            found,
            expected: expected.to_owned(),
            nearest: None,
        }
    }

    fn comparison(&mut self) -> Result<Comparison, ExpectError> {
        let tokens = [
            ("<=", Comparison::AtMost),
            (">=", Comparison::AtLeast),
            ("==", Comparison::Equal),
            ("!=", Comparison::Different),
            ("<", Comparison::Less),
            (">", Comparison::More),
        ];
        for (token, comparison) in tokens {
            if self.eat(token) {
                return Ok(comparison);
            }
        }
        Err(self.unexpected("one of <=, >=, <, >, ==, !="))
    }

    fn sum(&mut self) -> Result<Expr, ExpectError> {
        let mut left = self.product()?;
        loop {
            let operator = match self.peek() {
                Some('+') => Operator::Add,
                Some('-') => Operator::Subtract,
                _ => return Ok(left),
            };
            self.at += 1;
            left = Expr::Binary(Box::new(left), operator, Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Result<Expr, ExpectError> {
        let mut left = self.factor()?;
        loop {
            let operator = match self.peek() {
                Some('*') => Operator::Multiply,
                Some('/') => Operator::Divide,
                _ => return Ok(left),
            };
            self.at += 1;
            left = Expr::Binary(Box::new(left), operator, Box::new(self.factor()?));
        }
    }

    fn factor(&mut self) -> Result<Expr, ExpectError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.unexpected("at most 32 levels of nesting"));
        }
        let factor = match self.peek() {
            Some('-') => {
                self.at += 1;
                Expr::Negative(Box::new(self.factor()?))
            }
            Some('(') => {
                self.at += 1;
                let inner = self.sum()?;
                if !self.eat(")") {
                    return Err(self.unexpected("`)`"));
                }
                inner
            }
            Some(c) if c.is_ascii_digit() => self.quantity()?,
            Some(c) if c.is_ascii_alphabetic() => Expr::Name(self.name()?),
            _ => return Err(self.unexpected("a number or a name")),
        };
        self.depth -= 1;
        Ok(factor)
    }

    /// A number, with a unit where it has one.
    fn quantity(&mut self) -> Result<Expr, ExpectError> {
        let number = self.number()?;
        let before_unit = self.at;
        let unit = self.take_while(|c| c.is_ascii_alphabetic() || c == '%');
        let scale = match unit.as_str() {
            "" => return Ok(Expr::Number(number)),
            "%" => return Ok(Expr::Number(number / 100.0)),
            unit => seconds_per(unit),
        };
        let Some(seconds) = scale else {
            self.at = before_unit;
            return Err(self.unexpected("a unit (%, ns, us, ms, s, m, h) or none"));
        };
        let own_unit = if self.millis { 1_000.0 } else { 1.0 };
        Ok(Expr::Number(number * seconds * own_unit))
    }

    fn number(&mut self) -> Result<f64, ExpectError> {
        let start = self.at;
        let mut digits = self.take_while(|c| c.is_ascii_digit());
        // Two dots are a window's, not a fraction's.
        if self.rest().starts_with('.') && !self.rest().starts_with("..") {
            self.at += 1;
            digits.push('.');
            digits.push_str(&self.take_while(|c| c.is_ascii_digit()));
        }
        digits.parse().map_err(|_| {
            self.at = start;
            self.unexpected("a number")
        })
    }

    fn name(&mut self) -> Result<Name, ExpectError> {
        let start = self.at;
        let word = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
        let path = match word.strip_prefix("seeds.recovery_time.") {
            Some(quantile) => format!("seeds.recovery_seconds.{quantile}"),
            None if word == "recovery_time" => "recovery_seconds".to_owned(),
            None if word == "recovery_lasts" => "recovery_lasts_seconds".to_owned(),
            None => word,
        };
        if !self.vocabulary.names.contains(&path) {
            self.at = start;
            let names = &self.vocabulary.names;
            let nearest = names
                .iter()
                .min_by_key(|name| strsim::damerau_levenshtein(name, &path))
                .cloned();
            let mut error = self.error(format!("unknown name `{path}`"), "a number of the result");
            error.nearest = nearest;
            return Err(error);
        }
        if !self.rest().starts_with('(') {
            return Ok(Name { path, window: None });
        }
        if !self.vocabulary.windowed.contains(&path) {
            let expected = format!("no window: only {} have one", self.vocabulary.windowed.join(", "));
            return Err(self.unexpected(&expected));
        }
        self.at += 1;
        let from = self.second()?;
        if !self.eat("..") {
            return Err(self.unexpected("`..`"));
        }
        let to = self.second()?;
        if !self.eat(")") {
            return Err(self.unexpected("`)`"));
        }
        if from >= to || to > self.vocabulary.seconds {
            self.at = start;
            let found = format!("the window {from}s..{to}s");
            let expected = format!("from < to, within the run of {}s", self.vocabulary.seconds);
            return Err(self.error(found, &expected));
        }
        Ok(Name {
            path,
            window: Some((from, to)),
        })
    }

    /// A bound of a window: whole seconds of the run.
    fn second(&mut self) -> Result<u64, ExpectError> {
        self.peek();
        let start = self.at;
        let number = self.number()?;
        let unit = self.take_while(|c| c.is_ascii_alphabetic());
        let scale = if unit.is_empty() {
            Some(1.0)
        } else {
            seconds_per(&unit)
        };
        let seconds = scale.map_or(f64::NAN, |scale| number * scale);
        // Exactly representable, and far below 2^53.
        if seconds.fract() == 0.0 && (0.0..=1e9).contains(&seconds) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            return Ok(seconds as u64);
        }
        self.at = start;
        Err(self.unexpected("whole seconds of the run, such as 60s"))
    }
}

fn seconds_per(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return None,
    })
}
