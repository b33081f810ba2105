//! `health_checks:` what is watched, and how much evidence it takes.
//!
//! ```yaml
//! health_checks:
//!   interval: 30
//!   failure_threshold: 3
//!   providers:
//!     database: { interval: 20, timeout: 5 }
//! ```
//!
//! `providers` may be a list of `{ name: …, … }` too. The four that the platform knows are there
//! without being written, with times of their own where the section says none. A result counts for
//! three intervals, and probes come three times as often while results are mixed. Who probes is
//! `crossbridge serve`, its store; elsewhere the outcomes of real calls are the evidence.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crossbridge_core::health::MonitorConfig;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::error::Problem;
use super::key_path::KeyPath;
use super::not_in_use::NotInUse;
use super::refused::refused;
use super::scalar::{Seconds, Whole};

/// What is watched, and how much evidence it takes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "HealthChecks")]
pub(super) struct HealthFile {
    /// Whether anything is watched at all.
    #[schemars(extend("default" = true))]
    enabled: Option<bool>,
    /// Between probes of those that say nothing else. A result counts for three intervals.
    #[schemars(extend("default" = Seconds(MonitorConfig::DEFAULT.interval)))]
    interval: Option<Seconds>,
    /// How long a probe may take, of those that say nothing else.
    #[schemars(extend("default" = Seconds(MonitorConfig::DEFAULT.timeout)))]
    timeout: Option<Seconds>,
    /// Failures in a row that bring a target down.
    #[schemars(extend("default" = MonitorConfig::DEFAULT.fall))]
    failure_threshold: Option<Whole<1, 100>>,
    /// Passes in a row that bring it up.
    #[schemars(extend("default" = MonitorConfig::DEFAULT.rise))]
    success_threshold: Option<Whole<1, 100>>,
    /// By name, or a list with a `name` each. `ai_provider`, `embedding_provider`, `vector_store` and
    /// `database` are there without being written.
    providers: Option<ProvidersFile>,
    /// Accepted, without effect: health is reported, and nothing is switched off or sent.
    degraded_mode: Option<DegradedFile>,
}

/// One watched target.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Provider")]
struct ProviderFile {
    /// Its name; needed in a list.
    name: Option<String>,
    /// Whether it is watched.
    #[schemars(extend("default" = true))]
    enabled: Option<bool>,
    /// Accepted, without effect: stores are probed, each in the way of its kind.
    check_type: Option<CheckType>,
    /// Together with `check_type: callable`.
    callable: Option<String>,
    /// Between probes.
    interval: Option<Seconds>,
    /// How long a probe may take.
    timeout: Option<Seconds>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum CheckType {
    Embed,
    Generate,
    Ping,
    HealthCheck,
    GetCollection,
    Callable,
}

/// Accepted, without effect: health is reported, and nothing is switched off or sent.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "DegradedMode")]
struct DegradedFile {
    continue_on_degraded: Option<bool>,
    disable_features: Option<Vec<String>>,
    alerts: Option<AlertsFile>,
}

/// Accepted, without effect.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Alerts")]
struct AlertsFile {
    slack_webhook: Option<String>,
    email: Option<String>,
}

/// One watched target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Whether it is watched.
    pub enabled: bool,
    /// How.
    pub monitor: MonitorConfig,
}

/// The section, completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthChecks {
    /// Whether anything is watched at all.
    pub enabled: bool,
    /// By name.
    pub providers: BTreeMap<String, Provider>,
}

impl HealthChecks {
    /// How the target of this name is watched; `None` where it is not, or not known.
    #[must_use]
    pub fn monitor(&self, name: &str) -> Option<MonitorConfig> {
        let provider = self.providers.get(name)?;
        (self.enabled && provider.enabled).then_some(provider.monitor)
    }
}

impl Default for HealthChecks {
    fn default() -> Self {
        convert(&HealthFile::default(), &KeyPath::root(), &mut Vec::new())
    }
}

/// Name, interval and timeout in seconds, as the platform ships them: for a section that says nothing.
const BUILT_IN: [(&str, u64, u64); 4] = [
    ("ai_provider", 60, 15),
    ("embedding_provider", 60, 10),
    ("vector_store", 30, 5),
    ("database", 20, 5),
];

pub(super) fn convert(file: &HealthFile, path: &KeyPath, problems: &mut Vec<Problem>) -> HealthChecks {
    let default = MonitorConfig::DEFAULT;
    let threshold = |given: Option<Whole<1, 100>>, default| {
        given.map_or(default, |number| u8::try_from(number.get()).unwrap_or(default))
    };
    let rise = threshold(file.success_threshold, default.rise);
    let fall = threshold(file.failure_threshold, default.fall);
    let mut monitor = |path: &KeyPath, interval: Span, timeout: Span| {
        let config = MonitorConfig {
            rise,
            fall,
            ..timed(interval.span, timeout.span)
        };
        match config.check() {
            Ok(()) => Some(config),
            Err(error) => {
                // Everything else follows from these two.
                let (key, said) = match error.field {
                    "timeout" => ("timeout", timeout.said),
                    _ => ("interval", interval.said),
                };
                if said {
                    problems.push(refused(error, path.key(key), true));
                }
                None
            }
        }
    };
    let interval = Span::of(file.interval, default.interval);
    let timeout = Span::of(file.timeout, default.timeout);
    monitor(path, interval, timeout);

    let mut providers = BTreeMap::new();
    for (name, own_interval, own_timeout) in BUILT_IN {
        let own = |section: Span, seconds| match section.said {
            true => section.span,
            false => Duration::from_secs(seconds),
        };
        let config = MonitorConfig {
            rise,
            fall,
            ..timed(own(interval, own_interval), own(timeout, own_timeout))
        };
        let provider = Provider {
            enabled: true,
            monitor: config,
        };
        providers.insert(name.to_owned(), provider);
    }
    let mut named = Vec::new();
    for (name, path, given) in entries(file.providers.as_ref(), path) {
        let before = providers.get(&name).map(|provider| provider.monitor);
        let interval = Span::of(
            given.interval,
            before.map_or(interval.span, |monitor| monitor.interval),
        );
        let timeout = Span::of(
            given.timeout,
            before.map_or(timeout.span, |monitor| monitor.timeout),
        );
        if let Some(monitor) = monitor(&path, interval, timeout) {
            let enabled = given.enabled.unwrap_or(true);
            providers.insert(name.clone(), Provider { enabled, monitor });
        }
        named.push((name, path, given));
    }
    check_names(&named, problems);
    HealthChecks {
        enabled: file.enabled.unwrap_or(true),
        providers,
    }
}

/// A time, and whether this place of the file says it.
#[derive(Clone, Copy)]
struct Span {
    span: Duration,
    said: bool,
}

impl Span {
    fn of(given: Option<Seconds>, otherwise: Duration) -> Self {
        Self {
            span: given.map_or(otherwise, Seconds::get),
            said: given.is_some(),
        }
    }
}

/// What follows from interval and timeout.
fn timed(interval: Duration, timeout: Duration) -> MonitorConfig {
    MonitorConfig {
        interval,
        transition_interval: (interval / 3).max(Duration::from_nanos(1).min(interval)),
        down_interval: interval,
        timeout,
        ttl: interval.saturating_mul(3),
        ..MonitorConfig::DEFAULT
    }
}

/// Name, place and content of each provider. One without a name is called by its place.
fn entries<'f>(file: Option<&'f ProvidersFile>, path: &KeyPath) -> Vec<(String, KeyPath, &'f ProviderFile)> {
    let path = path.key("providers");
    match file {
        None => Vec::new(),
        Some(ProvidersFile::Mapping(mapping)) => mapping
            .iter()
            .map(|(name, given)| (name.clone(), path.key(name), given))
            .collect(),
        Some(ProvidersFile::List(list)) => list
            .iter()
            .enumerate()
            .map(|(index, given)| {
                let path = path.index(index);
                (given.name.clone().unwrap_or_else(|| path.name()), path, given)
            })
            .collect(),
    }
}

fn check_names(entries: &[(String, KeyPath, &ProviderFile)], problems: &mut Vec<Problem>) {
    for (place, (name, path, given)) in entries.iter().enumerate() {
        let in_list = path.name().ends_with(']');
        if in_list && given.name.is_none() {
            let problem = Problem::new(path.clone(), "missing key `name`").expected("`name` of the provider");
            problems.push(problem);
        }
        if !in_list && given.name.as_ref().is_some_and(|given| given != name) {
            let expected = format!("`{name}`, as its key says, or no `name`");
            let found = given.name.clone().unwrap_or_default();
            problems.push(Problem::invalid(path.key("name"), found, expected));
        }
        if entries.iter().take(place).any(|(other, _, _)| other == name) {
            let problem = Problem::new(path.key("name"), format!("provider `{name}` is there twice"));
            problems.push(problem.expected("each provider once"));
        }
        let callable = matches!(given.check_type, Some(CheckType::Callable));
        if callable != given.callable.is_some() && (callable || given.check_type.is_some()) {
            let problem = Problem::new(path.clone(), "`check_type: callable` and `callable` go together")
                .expected("both of them, or none");
            problems.push(problem);
        }
    }
}

/// The keys of the section that have no effect, where stores are probed as the provider `probed` says.
pub(super) fn not_in_use(file: &HealthFile, path: &KeyPath, probed: Option<&str>) -> Vec<NotInUse> {
    const NO_PROBES: &str = "only the store of profiling events is probed, by `crossbridge serve`, in the way of \
                             its kind: health follows the outcomes of real calls";
    let mut list = Vec::new();
    let entries = entries(file.providers.as_ref(), path);
    let is_probed = |name: &str| file.enabled.unwrap_or(true) && probed == Some(name);
    let own_timeout = (entries.iter()).any(|(name, _, given)| is_probed(name) && given.timeout.is_some());
    if file.timeout.is_some() && (own_timeout || !probed.is_some_and(is_probed)) {
        list.push(NotInUse::new(path.key("timeout"), NO_PROBES));
    }
    for (name, path, given) in entries {
        if given.check_type.is_some() {
            list.push(NotInUse::new(path.key("check_type"), NO_PROBES));
        }
        if given.timeout.is_some() && !is_probed(&name) {
            list.push(NotInUse::new(path.key("timeout"), NO_PROBES));
        }
        if given.callable.is_some() {
            list.push(NotInUse::new(path.key("callable"), NO_PROBES));
        }
    }
    let path = path.key("degraded_mode");
    let degraded = file.degraded_mode.as_ref();
    let alerts = degraded.and_then(|degraded| degraded.alerts.as_ref());
    for (path, given) in [
        (
            path.key("continue_on_degraded"),
            degraded.is_some_and(|degraded| degraded.continue_on_degraded.is_some()),
        ),
        (
            path.key("disable_features"),
            degraded.is_some_and(|degraded| degraded.disable_features.is_some()),
        ),
        (
            path.key("alerts").key("slack_webhook"),
            alerts.is_some_and(|alerts| alerts.slack_webhook.is_some()),
        ),
        (
            path.key("alerts").key("email"),
            alerts.is_some_and(|alerts| alerts.email.is_some()),
        ),
    ] {
        if given {
            list.push(NotInUse::new(
                path,
                "health is reported, and nothing is switched off or sent",
            ));
        }
    }
    list
}

/// By name, or in a list with names.
#[derive(Debug)]
enum ProvidersFile {
    Mapping(BTreeMap<String, ProviderFile>),
    List(Vec<ProviderFile>),
}

impl<'de> Deserialize<'de> for ProvidersFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ProvidersVisitor;

        impl<'de> Visitor<'de> for ProvidersVisitor {
            type Value = ProvidersFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping by name, or a list of `{ name: …, … }`")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ProvidersFile, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(ProvidersFile::Mapping)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<ProvidersFile, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(seq)).map(ProvidersFile::List)
            }
        }

        deserializer.deserialize_any(ProvidersVisitor)
    }
}

impl JsonSchema for ProvidersFile {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Providers".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let by_name = generator.subschema_for::<BTreeMap<String, ProviderFile>>();
        let list = generator.subschema_for::<Vec<ProviderFile>>();
        json_schema!({ "anyOf": [by_name, list] })
    }
}
