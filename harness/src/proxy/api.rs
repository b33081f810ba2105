//! toxiproxy's HTTP API, so that its clients work.
//!
//! | request | does | answers |
//! |---|---|---|
//! | `GET /proxies` | | 200, an object of proxies by name |
//! | `POST /proxies` | creates one: `name`, `upstream`, `listen`, `enabled` | 201, the proxy |
//! | `POST /populate` | creates or replaces a list of them | 201, `{"proxies": [...]}` |
//! | `GET`, `POST`, `PATCH`, `DELETE /proxies/{proxy}` | shows, changes, changes, removes it | 200 or 204 |
//! | `GET`, `POST /proxies/{proxy}/toxics` | lists them, adds one | 200 |
//! | `GET`, `POST`, `PATCH`, `DELETE /proxies/{proxy}/toxics/{toxic}` | shows, changes, changes, removes it | 200 or 204 |
//! | `POST /reset` | enables all proxies, removes all toxics | 204 |
//! | `GET /version` | | 200, `{"version": "..."}` |
//!
//! Errors are `{"error": "proxy not found", "status": 404}`. Where toxiproxy ignores a misspelt
//! attribute, or takes a number that cannot be, the answer here is 400. Browsers are turned away, as by
//! toxiproxy: no web page gets to change a machine's proxies.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::server::{Proxy, View};
use super::toxic::{Direction, Effect, Toxic};

mod serve;

pub use serve::serve;

/// The proxies of a process, by name.
#[derive(Debug)]
pub struct Registry {
    seed: u64,
    proxies: Mutex<BTreeMap<String, Proxy>>,
}

/// What a request is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// JSON; nothing with status 204.
    pub body: String,
}

impl Answer {
    fn json(status: u16, value: &impl Serialize) -> Self {
        match serde_json::to_string(value) {
            Ok(body) => Self { status, body },
            Err(error) => Refusal::new(500, error.to_string()).into(),
        }
    }

    const fn nothing() -> Self {
        Self {
            status: 204,
            body: String::new(),
        }
    }
}

/// An error in toxiproxy's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Refusal {
    error: String,
    status: u16,
}

impl Refusal {
    fn new(status: u16, error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            status,
        }
    }

    fn bad_body(error: impl std::fmt::Display) -> Self {
        Self::new(400, format!("bad request body: {error}"))
    }

    fn missing(field: impl std::fmt::Display) -> Self {
        Self::new(400, format!("missing required field: {field}"))
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::new(500, error.to_string())
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let body = json!({ "error": refusal.error, "status": refusal.status }).to_string();
        Self {
            status: refusal.status,
            body,
        }
    }
}

/// A proxy as a request words it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ProxyBody {
    name: String,
    listen: Option<String>,
    upstream: Option<String>,
    enabled: Option<bool>,
}

/// A toxic as a request words it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ToxicBody {
    name: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    stream: Option<String>,
    toxicity: Option<f64>,
    attributes: Option<Value>,
    first: Option<u64>,
    every: Option<u64>,
}

type Outcome<T> = Result<T, Refusal>;
type Proxies<'r> = MutexGuard<'r, BTreeMap<String, Proxy>>;

impl Registry {
    /// No proxies yet; `seed` is where the draws of all of them come from.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            proxies: Mutex::new(BTreeMap::new()),
        }
    }

    /// Starts a proxy.
    ///
    /// # Errors
    /// Its address cannot be bound.
    pub fn start(&self, name: &str, listen: &str, upstream: &str) -> io::Result<View> {
        let proxy = Proxy::start(self.seed, name, listen, upstream, true)?;
        let view = proxy.view();
        self.lock().insert(name.to_owned(), proxy);
        Ok(view)
    }

    /// Does something with a proxy; `None` where it is gone.
    pub fn with<T>(&self, name: &str, act: impl FnOnce(&Proxy) -> T) -> Option<T> {
        self.lock().get(name).map(act)
    }

    /// Ends every proxy.
    pub fn stop(&self) {
        self.lock().clear();
    }

    /// Answers a request.
    pub fn answer(&self, method: &str, target: &str, body: &[u8]) -> Answer {
        let path = target.split('?').next().unwrap_or_default();
        let parts: Vec<String> = path.split('/').skip(1).map(decode).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let known: &[&str] = match parts.as_slice() {
            ["version"] => &["GET"],
            ["reset" | "populate"] => &["POST"],
            ["proxies"] | ["proxies", _, "toxics"] => &["GET", "POST"],
            ["proxies", _] | ["proxies", _, "toxics", _] => &["GET", "POST", "PATCH", "DELETE"],
            _ => return Refusal::new(404, "page not found").into(),
        };
        if !known.contains(&method) {
            return Refusal::new(405, "method not allowed").into();
        }
        self.route(method, &parts, body).unwrap_or_else(Answer::from)
    }

    fn route(&self, method: &str, parts: &[&str], body: &[u8]) -> Outcome<Answer> {
        let mut proxies = self.lock();
        match (method, parts) {
            (_, ["version"]) => {
                let version = concat!("crossbridge-", env!("CARGO_PKG_VERSION"));
                Ok(Answer::json(200, &json!({ "version": version })))
            }
            (_, ["reset"]) => reset(&proxies),
            (_, ["populate"]) => self.populate(&mut proxies, body),
            ("GET", ["proxies"]) => {
                let views: BTreeMap<&String, View> =
                    proxies.iter().map(|(name, proxy)| (name, proxy.view())).collect();
                Ok(Answer::json(200, &views))
            }
            (_, ["proxies"]) => self.create(&mut proxies, body),
            ("DELETE", ["proxies", name]) => {
                find(&proxies, name)?;
                proxies.remove(*name);
                Ok(Answer::nothing())
            }
            ("GET", ["proxies", name]) => Ok(Answer::json(200, &find(&proxies, name)?.view())),
            (_, ["proxies", name]) => update(find(&proxies, name)?, body),
            ("GET", ["proxies", name, _]) => Ok(Answer::json(200, &find(&proxies, name)?.view().toxics)),
            (_, ["proxies", name, _]) => add_toxic(find(&proxies, name)?, body),
            (_, ["proxies", name, _, toxic]) => {
                let proxy = find(&proxies, name)?;
                let toxics = proxy.view().toxics;
                let old = toxics.into_iter().find(|known| known.name == *toxic);
                let old = old.ok_or_else(|| Refusal::new(404, "toxic not found"))?;
                match method {
                    "GET" => Ok(Answer::json(200, &old)),
                    "DELETE" => {
                        proxy.retain_toxics(|known| known.name != *toxic)?;
                        Ok(Answer::nothing())
                    }
                    _ => update_toxic(proxy, &old, body),
                }
            }
            _ => Err(Refusal::new(404, "page not found")),
        }
    }

    fn create(&self, proxies: &mut Proxies<'_>, body: &[u8]) -> Outcome<Answer> {
        let body: ProxyBody = read(body)?;
        if body.name.is_empty() {
            return Err(Refusal::missing("name"));
        }
        let upstream = body.upstream.unwrap_or_default();
        if upstream.is_empty() {
            return Err(Refusal::missing("upstream"));
        }
        if proxies.contains_key(&body.name) {
            return Err(Refusal::new(409, "proxy already exists"));
        }
        let listen = body.listen.unwrap_or_default();
        let enabled = body.enabled.unwrap_or(true);
        let proxy = Proxy::start(self.seed, &body.name, &listen, &upstream, enabled)?;
        let view = proxy.view();
        proxies.insert(body.name, proxy);
        Ok(Answer::json(201, &view))
    }

    fn populate(&self, proxies: &mut Proxies<'_>, body: &[u8]) -> Outcome<Answer> {
        let wanted: Vec<ProxyBody> = read(body)?;
        for (index, one) in wanted.iter().enumerate() {
            if one.name.is_empty() {
                return Err(Refusal::missing(format!("name at proxy {}", index + 1)));
            }
            if one.upstream.as_deref().unwrap_or_default().is_empty() {
                return Err(Refusal::missing(format!("upstream at proxy {}", index + 1)));
            }
        }
        let mut views = Vec::new();
        for one in &wanted {
            if let Err(refusal) = self.put(proxies, one).map(|view| views.push(view)) {
                // What stands already stays, and is listed beside the error.
                let object = json!({ "error": refusal.error, "status": refusal.status, "proxies": views });
                return Ok(Answer::json(refusal.status, &object));
            }
        }
        Ok(Answer::json(201, &json!({ "proxies": views })))
    }

    fn put(&self, proxies: &mut Proxies<'_>, one: &ProxyBody) -> Outcome<View> {
        let listen = one.listen.as_deref().unwrap_or_default();
        let upstream = one.upstream.as_deref().unwrap_or_default();
        if let Some(known) = proxies.get(&one.name) {
            if !known.differs(listen, upstream)? {
                return Ok(known.view());
            }
            // Its port may be the one that is asked for.
            proxies.remove(&one.name);
        }
        let enabled = one.enabled.unwrap_or(true);
        let proxy = Proxy::start(self.seed, &one.name, listen, upstream, enabled)?;
        let view = proxy.view();
        proxies.insert(one.name.clone(), proxy);
        Ok(view)
    }

    fn lock(&self) -> Proxies<'_> {
        self.proxies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A toxic as the API words it, from a line of JSON.
///
/// # Errors
/// What cannot be, as the API says it.
pub fn parse_toxic(json: &str) -> Result<Toxic, String> {
    new_toxic(json.as_bytes()).map_err(|refusal| refusal.error)
}

fn find<'p>(proxies: &'p Proxies<'_>, name: &str) -> Outcome<&'p Proxy> {
    proxies
        .get(name)
        .ok_or_else(|| Refusal::new(404, "proxy not found"))
}

fn reset(proxies: &Proxies<'_>) -> Outcome<Answer> {
    for proxy in proxies.values() {
        let view = proxy.view();
        if !view.enabled {
            proxy.update(&view.listen, &view.upstream, true)?;
        }
        proxy.retain_toxics(|_| false)?;
    }
    Ok(Answer::nothing())
}

fn update(proxy: &Proxy, body: &[u8]) -> Outcome<Answer> {
    let body: ProxyBody = read(body)?;
    let view = proxy.view();
    proxy.update(
        &body.listen.unwrap_or(view.listen),
        &body.upstream.unwrap_or(view.upstream),
        body.enabled.unwrap_or(view.enabled),
    )?;
    Ok(Answer::json(200, &proxy.view()))
}

fn add_toxic(proxy: &Proxy, body: &[u8]) -> Outcome<Answer> {
    let toxic = new_toxic(body)?;
    if proxy.view().toxics.iter().any(|known| known.name == toxic.name) {
        return Err(Refusal::new(409, "toxic already exists"));
    }
    proxy.put_toxic(toxic.clone())?;
    Ok(Answer::json(200, &toxic))
}

fn update_toxic(proxy: &Proxy, old: &Toxic, body: &[u8]) -> Outcome<Answer> {
    let body: ToxicBody = read(body)?;
    let old_effect = serde_json::to_value(&old.effect).map_err(Refusal::bad_body)?;
    let kind = old_effect.get("type").and_then(Value::as_str).unwrap_or_default();
    // What is not said stays.
    let mut attributes = old_effect.get("attributes").cloned().unwrap_or_default();
    if let (Some(known), Some(Value::Object(said))) = (attributes.as_object_mut(), body.attributes) {
        known.extend(said);
    }
    let toxic = Toxic {
        effect: effect(kind, attributes)?,
        toxicity: body.toxicity.unwrap_or(old.toxicity),
        first: body.first.or(old.first),
        every: body.every.or(old.every),
        ..old.clone()
    };
    toxic.check().map_err(Refusal::bad_body)?;
    proxy.put_toxic(toxic.clone())?;
    Ok(Answer::json(200, &toxic))
}

fn new_toxic(body: &[u8]) -> Outcome<Toxic> {
    let body: ToxicBody = read(body)?;
    let stream = match body.stream.as_deref() {
        None | Some("" | "downstream") => Direction::Downstream,
        Some("upstream") => Direction::Upstream,
        Some(_) => {
            let sentence = "stream was invalid, can be either upstream or downstream";
            return Err(Refusal::new(400, sentence));
        }
    };
    if !Effect::TYPES.contains(&body.kind.as_str()) {
        return Err(Refusal::new(400, "invalid toxic type"));
    }
    let effect = effect(&body.kind, body.attributes.unwrap_or_default())?;
    let mut toxic = Toxic::new(&body.kind, stream, effect);
    if let Some(name) = body.name.filter(|name| !name.is_empty()) {
        toxic.name = name;
    }
    toxic.toxicity = body.toxicity.unwrap_or(1.0);
    (toxic.first, toxic.every) = (body.first, body.every);
    toxic.check().map_err(Refusal::bad_body)?;
    Ok(toxic)
}

fn effect(kind: &str, attributes: Value) -> Outcome<Effect> {
    let attributes = if attributes.is_null() {
        json!({})
    } else {
        attributes
    };
    let tagged = json!({ "type": kind, "attributes": attributes });
    serde_json::from_value(tagged).map_err(Refusal::bad_body)
}

fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Outcome<T> {
    serde_json::from_slice(body).map_err(Refusal::bad_body)
}

/// The bytes that a path writes as `%20` (RFC 3986, section 2.1).
fn decode(part: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = part.as_bytes();
    loop {
        match rest {
            [b'%', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or(0);
                bytes.push(u8::try_from(digit(high) << 4 | digit(low)).unwrap_or(b'?'));
                rest = after;
            }
            [byte, after @ ..] => {
                bytes.push(*byte);
                rest = after;
            }
            [] => return String::from_utf8_lossy(&bytes).into_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
