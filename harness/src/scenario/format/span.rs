//! How long something takes: `service_time:` and `latency:`.

use crossbridge_std::config::Seconds;
use schemars::JsonSchema;
use serde::Deserialize;

/// How long something takes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Distribution")]
pub enum SpanFile {
    /// Always the same.
    Constant(Seconds),
    /// Anything in between.
    Uniform(UniformFile),
    /// Memoryless, with this mean.
    Exponential(Seconds),
    /// With this median and tail.
    Lognormal(LognormalFile),
    /// Around this mean.
    Normal(NormalFile),
    /// With a heavy tail.
    Pareto(ParetoFile),
    /// Drawn from this file.
    Trace(String),
}

/// Bounds.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Uniform")]
pub struct UniformFile {
    /// At least.
    pub from: Seconds,
    /// At most.
    pub to: Seconds,
}

/// Median and tail.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Lognormal")]
pub struct LognormalFile {
    /// Half of all are faster.
    pub median: Seconds,
    /// 99 of 100 are faster.
    pub p99: Seconds,
}

/// Mean and spread.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Normal")]
pub struct NormalFile {
    /// The mean.
    pub mean: Seconds,
    /// The standard deviation.
    pub sd: Seconds,
}

/// A power law.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Pareto")]
pub struct ParetoFile {
    /// The shortest.
    pub min: Seconds,
    /// The exponent of the tail.
    pub shape: f64,
}
