//! `retry.budgets:` what all retries of a path together may cost.
//!
//! ```yaml
//! budgets:
//!   storage: { ratio: 0.1, min_per_second: 1, burst: 10 }
//!   cloud: { preset: aws }
//!   rpc: { preset: grpc, max_tokens: 10, token_ratio: 0.1 }
//!   search: { ratio: 0.1, max_concurrent: 0.2, min_concurrent: 3 }
//! ```
//!
//! | key | default | meaning |
//! |---|---|---|
//! | `preset` | - | `aws`, `grpc` or `unlimited`, instead of a ratio |
//! | `ratio` | - | retries per call |
//! | `min_per_second` | 1 | retries a second besides |
//! | `burst` | 10 | retries at once |
//! | `max_tokens` | 10 | of `grpc`: retries only while more than half of these are left |
//! | `token_ratio` | 0.1 | of `grpc`: tokens earned by a call that succeeds |
//! | `max_concurrent` | none | retries under way for each call under way, with any of the above |
//! | `min_concurrent` | 3 | so many are always allowed; `max_concurrent` is 0.2 where this stands alone |

use crossbridge_core::BudgetConfig;
use crossbridge_core::retry::Concurrency;
use schemars::JsonSchema;
use serde::Deserialize;

use super::error::Problem;
use super::key_path::KeyPath;
use super::refused::refused;
use super::scalar::{Share, Whole};

/// What all retries of a path together may cost: `ratio`, a `preset`, or `max_concurrent` alone.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "RetryBudget")]
pub(super) struct BudgetFile {
    /// Instead of a ratio.
    preset: Option<Preset>,
    /// Retries per call, 0 to 1.
    #[schemars(extend("examples" = [0.1]))]
    ratio: Option<Share>,
    /// Retries a second besides.
    #[schemars(extend("default" = MIN_PER_SECOND))]
    min_per_second: Option<Whole<0, 1_000_000>>,
    /// Retries at once.
    #[schemars(extend("default" = BURST))]
    burst: Option<Whole<1, 1_000_000>>,
    /// Of `preset: grpc`: retries only while more than half of these are left.
    #[schemars(extend("default" = MAX_TOKENS))]
    max_tokens: Option<Whole<3, 1_000>>,
    /// Of `preset: grpc`: tokens earned by a call that succeeds.
    #[schemars(extend("default" = TOKEN_RATIO))]
    token_ratio: Option<Share>,
    /// Retries under way for each call under way, 0 to 1. No bound where it is left out.
    max_concurrent: Option<Share>,
    /// So many retries under way are always allowed.
    #[schemars(extend("default" = Concurrency::ENVOY.min))]
    min_concurrent: Option<Whole<0, 1_000_000>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Preset {
    /// The token bucket of the AWS SDKs.
    Aws,
    /// The throttle of gRFC A6.
    Grpc,
    /// Retries cost nothing.
    Unlimited,
}

/// Retries a second, and retries at the start, where the file gives a ratio alone.
const MIN_PER_SECOND: u32 = 1;
const BURST: u32 = 10;
/// Those of gRPC's own examples (gRFC A6), which also ends tokens at 1 000.
const MAX_TOKENS: u32 = 10;
const TOKEN_RATIO: f64 = 0.1;

pub(super) fn convert(
    file: &BudgetFile,
    path: &KeyPath,
    problems: &mut Vec<Problem>,
) -> Option<BudgetConfig> {
    let budget = match file.preset {
        Some(preset) => from_preset(preset, file, path, problems)?,
        None => from_ratio(file, path, problems)?,
    };
    let budget = BudgetConfig {
        concurrency: concurrency(file),
        ..budget
    };
    match budget.check() {
        Ok(()) => Some(budget),
        Err(error) => {
            problems.push(refused(error, path.clone(), false));
            None
        }
    }
}

fn from_preset(
    preset: Preset,
    file: &BudgetFile,
    path: &KeyPath,
    problems: &mut Vec<Problem>,
) -> Option<BudgetConfig> {
    for (key, given) in [
        ("ratio", file.ratio.is_some()),
        ("min_per_second", file.min_per_second.is_some()),
        ("burst", file.burst.is_some()),
    ] {
        if given {
            let problem = Problem::new(path.key(key), format!("`{key}` beside `preset`"))
                .at_key()
                .expected("a preset, or `ratio`, `min_per_second` and `burst`");
            problems.push(problem);
            return None;
        }
    }
    if preset != Preset::Grpc && !only_for_grpc(file, path, problems) {
        return None;
    }
    Some(match preset {
        Preset::Aws => BudgetConfig::AWS,
        Preset::Unlimited => BudgetConfig::UNLIMITED,
        Preset::Grpc => {
            let max_tokens = file.max_tokens.map_or(MAX_TOKENS, Whole::get);
            let ratio = file.token_ratio.or_else(|| Share::from_f64(TOKEN_RATIO))?;
            BudgetConfig::grpc(max_tokens, ratio.per_mille())
        }
    })
}

fn from_ratio(file: &BudgetFile, path: &KeyPath, problems: &mut Vec<Problem>) -> Option<BudgetConfig> {
    if !only_for_grpc(file, path, problems) {
        return None;
    }
    let Some(ratio) = file.ratio else {
        if concurrency(file).is_some() {
            // The gate of Envoy stands alone.
            return Some(BudgetConfig::UNLIMITED);
        }
        let problem = Problem::new(path.clone(), "a budget without `ratio` or `preset`")
            .expected("`ratio: 0.1` (retries per call), or `preset: aws`");
        problems.push(problem);
        return None;
    };
    let min_per_second = file.min_per_second.map_or(MIN_PER_SECOND, Whole::get);
    let burst = file.burst.map_or(BURST, Whole::get);
    let budget = BudgetConfig::ratio(ratio.per_mille(), min_per_second, burst);
    // The core counts in tokens, saturating; what does not fit would quietly be less.
    let most = u32::MAX / budget.retry_cost.max(1);
    for (key, number) in [("burst", burst), ("min_per_second", min_per_second)] {
        if number > most {
            let expected = format!("at most {most} at this ratio");
            problems.push(Problem::invalid(path.key(key), number, expected));
            return None;
        }
    }
    Some(budget)
}

/// Whether the keys of gRPC's throttle are absent; a problem for one that is not.
fn only_for_grpc(file: &BudgetFile, path: &KeyPath, problems: &mut Vec<Problem>) -> bool {
    for (key, given) in [
        ("max_tokens", file.max_tokens.is_some()),
        ("token_ratio", file.token_ratio.is_some()),
    ] {
        if given {
            let problem = Problem::new(path.key(key), format!("`{key}` without `preset: grpc`"))
                .at_key()
                .expected("`preset: grpc` beside it");
            problems.push(problem);
            return false;
        }
    }
    true
}

/// The gate of Envoy, where either of its keys is given; the other is Envoy's default.
fn concurrency(file: &BudgetFile) -> Option<Concurrency> {
    if file.max_concurrent.is_none() && file.min_concurrent.is_none() {
        return None;
    }
    let Concurrency { share, min } = Concurrency::ENVOY;
    Some(Concurrency {
        share: file.max_concurrent.map_or(share, Share::per_mille),
        min: file.min_concurrent.map_or(min, Whole::get),
    })
}

#[cfg(test)]
mod tests {
    use crossbridge_core::PerMille;

    use super::*;

    fn read(yaml: &str) -> Result<BudgetConfig, String> {
        let file: BudgetFile = serde_yaml_ng::from_str(yaml).map_err(|error| error.to_string())?;
        let mut problems = Vec::new();
        convert(&file, &KeyPath::default(), &mut problems).ok_or_else(|| format!("{problems:?}"))
    }

    fn tenth() -> PerMille {
        PerMille::new(100).unwrap()
    }

    #[test]
    fn gates_are_those_of_their_presets() {
        assert_eq!(read("preset: grpc"), Ok(BudgetConfig::grpc(10, tenth())));
        assert_eq!(
            read("{ preset: grpc, max_tokens: 100, token_ratio: 0.5 }"),
            Ok(BudgetConfig::grpc(100, PerMille::HALF))
        );
        let gated = |config, concurrency| BudgetConfig {
            concurrency: Some(concurrency),
            ..config
        };
        let ratio = BudgetConfig::ratio(tenth(), 1, 10);
        assert_eq!(
            read("{ ratio: 0.1, max_concurrent: 0.5 }"),
            Ok(gated(
                ratio,
                Concurrency {
                    share: PerMille::HALF,
                    min: 3
                }
            ))
        );
        assert_eq!(
            read("{ preset: aws, max_concurrent: 0.2 }"),
            Ok(gated(BudgetConfig::AWS, Concurrency::ENVOY))
        );
        assert_eq!(
            read("min_concurrent: 3"),
            Ok(gated(BudgetConfig::UNLIMITED, Concurrency::ENVOY))
        );
    }

    #[test]
    fn keys_that_say_nothing_are_refused() {
        for yaml in [
            "{ ratio: 0.1, max_tokens: 10 }",
            "{ preset: aws, token_ratio: 0.1 }",
            "{ preset: grpc, ratio: 0.1 }",
            "{ preset: grpc, max_tokens: 2 }",
            "{ ratio: 0.1, max_concurrent: 0, min_concurrent: 0 }",
            "burst: 3",
        ] {
            assert!(read(yaml).is_err(), "{yaml}");
        }
    }
}
