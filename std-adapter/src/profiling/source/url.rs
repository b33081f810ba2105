//! Addresses without what may be a secret.

/// The parts of an address that are no secret.
pub(super) struct Url<'u> {
    pub(super) scheme: &'u str,
    pub(super) host: &'u str,
    pub(super) path: &'u str,
}

impl<'u> Url<'u> {
    pub(super) fn parse(text: &'u str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if scheme.is_empty() || !scheme.bytes().all(plain) {
            return None;
        }
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = authority.rsplit('@').next().unwrap_or_default();
        // A path may carry what belongs into a query: `/login;jsessionid=…`.
        let path = path.split(';').next().unwrap_or_default();
        Some(Self {
            scheme,
            host,
            path: if path.is_empty() { "/" } else { path },
        })
    }

    pub(super) fn without_query(&self) -> String {
        [self.scheme, "://", self.host, self.path].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn secrets_of_an_address_are_left_out() {
        for (url, kept) in [
            (
                "https://u:p@h.example:8080/a/b?token=x#y",
                "https://h.example:8080/a/b",
            ),
            ("http://h?token=x", "http://h/"),
            ("http://h/login;jsessionid=1?x", "http://h/login"),
            ("http://a:b@c@h/x", "http://h/x"),
            ("ws://h/socket", "ws://h/socket"),
        ] {
            assert_eq!(
                Url::parse(url).map(|url| url.without_query()).as_deref(),
                Some(kept)
            );
        }
        assert!(Url::parse("data:text/plain,http://x").is_none());
        assert!(Url::parse("about:blank").is_none());
    }
}
