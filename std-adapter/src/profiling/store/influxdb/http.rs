//! Requests to the server: each ends within the time it is given.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crossbridge_core::{Clock as _, FaultKind, Instant};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Timeout};

use super::answer::{self, Answer, Rows};
use crate::classify;
use crate::clock::SystemClock;
use crate::profiling::store::Trouble;
use crate::profiling::store::url::{InfluxApi, InfluxUrl};
use crate::tls::{self, TlsError};

/// Asks one server, over connections that it keeps. Debug shows no secret.
pub(super) struct Client {
    agent: Agent,
    write: String,
    query: String,
    /// The value of the header that says who we are.
    login: Option<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("write", &self.write)
            .finish_non_exhaustive()
    }
}

/// Why a request did not get what it asked for.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: FaultKind,
    pub(super) trouble: Trouble,
    /// The status of the answer, if there was one.
    pub(super) status: Option<u16>,
}

impl Failure {
    pub(super) const fn new(kind: FaultKind, trouble: Trouble) -> Self {
        Self {
            kind,
            trouble,
            status: None,
        }
    }
}

/// Lines, as they are or compressed.
pub(super) enum Body<'l> {
    Plain(&'l [u8]),
    Gzip(Vec<u8>),
}

/// When an attempt is over.
pub(super) struct Limit {
    clock: SystemClock,
    started: Instant,
    whole: Duration,
}

impl Limit {
    pub(super) fn after(whole: Duration) -> Self {
        let clock = SystemClock::new();
        let started = clock.now();
        Self {
            clock,
            started,
            whole: whole.min(LONGEST),
        }
    }

    fn left(&self) -> Duration {
        let gone = self.clock.now().saturating_duration_since(self.started);
        self.whole.saturating_sub(gone)
    }
}

impl Client {
    pub(super) fn new(url: &InfluxUrl) -> Result<Self, TlsError> {
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let server = url.origin();
        let (write, query, login) = match url.api() {
            InfluxApi::V1 { database, login } => (
                format!("{server}/write?db={}&precision=ns", encoded(database)),
                format!("{server}/query?db={}&epoch=ns", encoded(database)),
                login.as_ref().map(|(user, password)| {
                    let pair = format!("{user}:{}", password.reveal());
                    format!("Basic {}", STANDARD.encode(pair))
                }),
            ),
            InfluxApi::V2 { org, bucket, token } => {
                let (org, bucket) = (encoded(org), encoded(bucket));
                (
                    format!("{server}/api/v2/write?org={org}&bucket={bucket}&precision=ns"),
                    String::new(),
                    token.as_ref().map(|token| format!("Token {}", token.reveal())),
                )
            }
        };
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // A write that a proxy of the environment answers would count as stored.
            .proxy(None)
            .user_agent("crossbridge");
        let agent = match url.secure() {
            false => agent,
            true => agent.tls_config(secure(url)?),
        };
        Ok(Self {
            agent: agent.build().new_agent(),
            write,
            query,
            login,
        })
    }

    /// Has the server store a body.
    pub(super) fn write(&self, body: Body<'_>, limit: &Limit) -> Result<(), Failure> {
        let (encoding, body) = match &body {
            Body::Plain(lines) => (None, *lines),
            Body::Gzip(packed) => (Some(("Content-Encoding", "gzip")), &**packed),
        };
        let answer = self.post(&self.write, encoding, body, limit, ERROR_BYTES)?;
        match answer.status {
            204 => Ok(()),
            _ => Err(answer::refusal(answer)),
        }
    }

    /// Asks in the language of version 1, `InfluxQL`.
    pub(super) fn query(&self, text: &str, limit: &Limit) -> Result<Rows, Failure> {
        let form = ("Content-Type", "application/x-www-form-urlencoded");
        let body = format!("q={}", utf8_percent_encode(text, NON_ALPHANUMERIC));
        let answer = self.post(&self.query, Some(form), body.as_bytes(), limit, QUERY_BYTES)?;
        match answer.status {
            200 => answer::rows(answer),
            _ => Err(answer::refusal(answer)),
        }
    }

    fn post(
        &self,
        url: &str,
        header: Option<(&str, &str)>,
        body: &[u8],
        limit: &Limit,
        most: u64,
    ) -> Result<Answer, Failure> {
        let left = limit.left();
        if left < SHORTEST {
            return Err(Failure::new(FaultKind::NotSent, Trouble::TimedOut(limit.whole)));
        }
        // A little earlier for the connection, so that a connection that never came about is told from
        // an answer that did not come.
        let mut request = (self.agent.post(url).config())
            .timeout_global(Some(left))
            .timeout_connect(Some(left - left / 8))
            .build();
        let login = self.login.as_deref().map(|login| ("Authorization", login));
        for (name, value) in header.into_iter().chain(login) {
            request = request.header(name, value);
        }
        let failed = |error| failure(error, limit);
        let mut response = request.send(body).map_err(failed)?;
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            Some(value.to_str().unwrap_or_default().to_owned())
        };
        let now = jiff::Timestamp::try_from(crate::clock::wall_clock()).unwrap_or_default();
        let retry_after = header("Retry-After").and_then(|value| classify::http::retry_after(&value, now));
        let kind = header("Content-Type").unwrap_or_default();
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(most).read_to_vec();
        let body = match body {
            // What is wrong stands in its first words.
            Err(ureq::Error::BodyExceedsLimit(_)) if status >= 300 => Vec::new(),
            body => body.map_err(failed)?,
        };
        Ok(Answer {
            status,
            html: kind.contains("html"),
            body,
            retry_after,
        })
    }
}

/// The server has to prove its name to the authorities of the URL.
fn secure(url: &InfluxUrl) -> Result<TlsConfig, TlsError> {
    let authorities = tls::authorities(url.ca())?;
    let authorities = authorities
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned());
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::Specific(Arc::new(authorities.collect())))
        .unversioned_rustls_crypto_provider(tls::provider())
        .build())
}

/// Why there is no answer, or none that can be read. A write that may have arrived is unknown.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enum may grow, and has variants of other features"
)]
fn failure(error: ureq::Error, limit: &Limit) -> Failure {
    let (kind, trouble) = match error {
        ureq::Error::Timeout(step) => {
            let kind = match step {
                Timeout::Resolve | Timeout::Connect => FaultKind::NotSent,
                _ => FaultKind::Unknown,
            };
            (kind, Trouble::TimedOut(limit.whole))
        }
        ureq::Error::Rustls(error) if tls::refusal(&error).is_some() => refused(&error),
        ureq::Error::Io(error) if tls::refusal(&error).is_some() => refused(&error),
        ureq::Error::Io(error) => {
            let kind = match classify::io::error_kind(error.kind(), classify::io::Phase::Exchanging) {
                FaultKind::NotSent => FaultKind::NotSent,
                _ => FaultKind::Unknown,
            };
            (kind, Trouble::Unreachable(Box::new(error)))
        }
        error @ (ureq::Error::ConnectionFailed | ureq::Error::HostNotFound) => {
            (FaultKind::NotSent, Trouble::Unreachable(Box::new(error)))
        }
        error @ ureq::Error::BodyExceedsLimit(_) => {
            let what = format!("the answer is longer than expected: {error}");
            (FaultKind::Permanent, Trouble::Unreadable(what))
        }
        error => {
            let what = format!("the answer is not one of InfluxDB: {error}");
            (FaultKind::Unknown, Trouble::Unreadable(what))
        }
    };
    Failure::new(kind, trouble)
}

/// Nothing of the request was sent: there is nobody to send it to.
fn refused(error: &(dyn std::error::Error + 'static)) -> (FaultKind, Trouble) {
    let why = tls::refusal(error).map_or_else(|| error.to_string(), |why| why.to_string());
    (FaultKind::Permanent, Trouble::Insecure(why.into()))
}

/// Less is no time to ask anybody.
const SHORTEST: Duration = Duration::from_millis(1);

/// As long as for ever.
const LONGEST: Duration = Duration::from_secs(86_400);

/// How much of the answer to a write is read.
const ERROR_BYTES: u64 = 64 << 10;

/// How much of the answer to a query is read.
const QUERY_BYTES: u64 = 64 << 20;
