//! `retry.budgets:` what all retries of a path together may cost.
//!
//! ```yaml
//! budgets:
//!   storage: { ratio: 0.1, min_per_second: 1, burst: 10 }
//!   cloud: { preset: aws }
//! ```

use crossbridge_core::BudgetConfig;
use serde::Deserialize;

use super::error::Problem;
use super::key_path::KeyPath;
use super::refused::refused;
use super::scalar::{Share, Whole};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BudgetFile {
    preset: Option<Preset>,
    ratio: Option<Share>,
    min_per_second: Option<Whole<0, 1_000_000>>,
    burst: Option<Whole<1, 1_000_000>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Preset {
    Aws,
    Unlimited,
}

/// Retries a second, and retries at the start, where the file gives a ratio alone.
const MIN_PER_SECOND: u32 = 1;
const BURST: u32 = 10;

pub(super) fn convert(
    file: &BudgetFile,
    path: &KeyPath,
    problems: &mut Vec<Problem>,
) -> Option<BudgetConfig> {
    if let Some(preset) = file.preset {
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
        return Some(match preset {
            Preset::Aws => BudgetConfig::AWS,
            Preset::Unlimited => BudgetConfig::UNLIMITED,
        });
    }
    let Some(ratio) = file.ratio else {
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
    match budget.check() {
        Ok(()) => Some(budget),
        Err(error) => {
            problems.push(refused(error, path.clone(), false));
            None
        }
    }
}
