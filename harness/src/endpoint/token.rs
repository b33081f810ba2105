//! The token that clients show (RFC 6750).

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::answer::Answer;
use crate::http1::Head;

/// A token that clients have to show as `Authorization: Bearer TOKEN`.
///
/// Only its SHA-256 is kept, and two of those are compared in the same time whatever is in them, so
/// that neither a dump nor a clock tells anything of the token.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

impl Token {
    /// The token of this text; `None` where no client could show it: it is empty, or has blanks, control
    /// characters or others than those of ASCII in it.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(Sha256::digest(text).into()))
    }

    /// The answer to a request that does not show it. Who asks for `/health` need not: what watches over
    /// a service should have no rights in it.
    pub(super) fn missing(&self, head: &Head) -> Option<Answer> {
        let path = head.target.split('?').next().unwrap_or_default();
        let shown = head
            .authorization
            .reveal()
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .is_some_and(|(_, token)| self.is(token.trim()));
        (path != "/health" && !shown).then(|| {
            Answer::error(
                401,
                "expected the token of this endpoint: Authorization: Bearer TOKEN",
            )
            .with("WWW-Authenticate", "Bearer")
        })
    }

    fn is(&self, shown: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown).into();
        self.0.ct_eq(&shown).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_what_a_header_can_have() {
        for text in ["", " ", "a b", "a\n", "größe", "\u{7f}"] {
            assert!(Token::new(text).is_none(), "{text:?}");
        }
        let token = Token::new("c2VjcmV0").unwrap();
        assert_eq!(format!("{token:?}"), "Token(***)");
        for (shown, right) in [
            ("c2VjcmV0", true),
            ("c2VjcmV1", false),
            ("c2VjcmV0A", false),
            ("", false),
        ] {
            assert_eq!(token.is(shown), right, "{shown}");
        }
    }
}
