//! After closing: a growing share of the calls.
//!
//! A server that has just come back has cold caches and few connections, and everybody who waited
//! comes at once. So for a while the circuit admits a share that grows in a straight line from
//! [`SLOW_START_SHARE`] to all.
//!
//! ```text
//!   admitted
//!   100 % ┤                ╭──────── closed
//!         │            ╭───╯
//!         │       ╭────╯
//!    10 % ┼───────╯
//!         └──────────────────┬──────▶ since closing
//!                         slow_start
//! ```
//!
//! # Rules
//! - No chance: every ask adds the share of the moment to a credit, and whoever finds a whole one
//!   spends it (error diffusion, as in dithering). Of `n` asks at a share of 30 % no fewer than
//!   `floor(0.3 n)` and no more than one above that are admitted.
//! - A refusal names the first instant at which the next ask is admitted, if nobody asks before.
//! - Results count as ever: a circuit that fails while it starts trips.
//!
//! Source: Envoy's slow start mode with `aggression` 1 and its default `min_weight_percent` of 10,
//! see <https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/slow_start>.
//! There it takes weight from a new host among others; here there is one, and the rest is refused.

use crate::PerMille;

/// The share of calls that is admitted at the start of a slow start: 10 %, Envoy's
/// `min_weight_percent`.
pub const SLOW_START_SHARE: PerMille = match PerMille::new(100) {
    Ok(share) => share,
    Err(_) => PerMille::ALL,
};

/// A credit of this much admits one call.
pub(super) const WHOLE: u16 = 1_000;

/// What a slow start begins with: its first call is admitted.
pub(super) const FIRST_CREDIT: u16 = WHOLE - SLOW_START_SHARE.get();

/// One ask, `elapsed` since closing: the credit after it, or, after a refusal, also how long after
/// closing the next one is admitted.
pub(super) fn ask(credit: u16, elapsed: u64, slow_start: u64) -> Result<u16, (u16, u64)> {
    let credit = credit.saturating_add(share(elapsed, slow_start));
    match credit.checked_sub(WHOLE) {
        Some(rest) => Ok(rest),
        None => {
            let missing = u64::from(WHOLE - credit);
            // At most a day times a thousand.
            let at = missing.saturating_mul(slow_start).div_ceil(u64::from(WHOLE));
            let at = if missing <= u64::from(SLOW_START_SHARE.get()) {
                0
            } else {
                at
            };
            Err((credit, at.max(elapsed)))
        }
    }
}

/// The share in thousandths, at least the first one.
fn share(elapsed: u64, slow_start: u64) -> u16 {
    let grown = elapsed
        .saturating_mul(u64::from(WHOLE))
        .checked_div(slow_start)
        .unwrap_or(u64::from(WHOLE));
    let share = grown.clamp(SLOW_START_SHARE.get().into(), WHOLE.into());
    u16::try_from(share).unwrap_or(WHOLE)
}
