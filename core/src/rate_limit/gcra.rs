//! The pure step of the generic cell rate algorithm (ITU-T I.371, the virtual scheduling form).
//!
//! The whole state of a key is one number, its theoretical arrival time `tat`: when the bucket
//! will be full again. Memory, a table or a server elsewhere can hold it.
//!
//! ```text
//!   base = max(tat, now)      next = base + n * T      admit iff next - now <= B * T
//!
//!            now                          now + B*T
//!   ──────────┼──────────────┼──────────────┼────────▶ time
//!             └── debt ─────tat ── room ────┘
//! ```

use super::Quota;
use crate::time::Instant;

/// When a key's bucket is full again, in the ticks of its quota. The default is a full bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tat(pub(super) u64);

/// What the step decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Admitted: store this.
    Admit(Tat),
    /// Refused: nothing is charged, and asking from this instant on is admitted. Store what
    /// [`rewind`] makes of the present value, which is itself unless the clock stepped back.
    NotBefore(Instant),
    /// Refused for good: more permits than the capacity, or past the end of the clock's range.
    Never,
}

/// `now` in ticks. With fraction bits the range is 36 years; past it time stands still, so that
/// the answer is a refusal and never a wrapped number.
const fn ticks(now: Instant, shift: u32) -> u64 {
    if now.as_nanos() > u64::MAX >> shift {
        u64::MAX
    } else {
        now.as_nanos() << shift
    }
}

/// Asks for `n` permits at `now`. See the [module](self) for the rule.
///
/// A `tat` further ahead than a full bucket can be means that the clock stepped back: it counts as
/// an empty bucket, so that no key is locked for longer than one refill.
#[must_use]
#[inline]
pub fn step(tat: Tat, now: Instant, n: u32, quota: Quota) -> Step {
    let at = ticks(now, quota.shift());
    let latest = at.saturating_add(quota.tolerance());
    let base = tat.0.min(latest).max(at);
    // At most the tolerance when it matters, which the constructor keeps below 2^63.
    let cost = quota.interval().saturating_mul(u64::from(n));
    match base.checked_add(cost) {
        Some(next) if next <= latest => Step::Admit(Tat(next)),
        next => refuse(next, cost, at, quota),
    }
}

/// The instant from which `next` would fit. Apart, because only a refusal pays for it.
#[cold]
fn refuse(next: Option<u64>, cost: u64, now: u64, quota: Quota) -> Step {
    if cost > quota.tolerance() {
        return Step::Never;
    }
    match next {
        // `next > now + tolerance`, so the difference is positive.
        Some(next) if now < u64::MAX => {
            let from = next - quota.tolerance();
            Step::NotBefore(Instant::from_nanos(from.div_ceil(1 << quota.shift())))
        }
        _ => Step::Never,
    }
}

/// What to store after a refusal at `now`: an empty bucket at most.
///
/// [`step`] treats a `tat` further ahead as an empty bucket, at every `now` anew. Unless that is
/// stored, the bucket stays empty until the clock has caught up with the value.
#[must_use]
pub fn rewind(tat: Tat, now: Instant, quota: Quota) -> Tat {
    let latest = ticks(now, quota.shift()).saturating_add(quota.tolerance());
    Tat(tat.0.min(latest))
}

/// How many permits are there at `now`: between zero and the capacity.
#[must_use]
pub fn remaining(tat: Tat, now: Instant, quota: Quota) -> u32 {
    if quota.is_unlimited() {
        return quota.capacity();
    }
    let at = ticks(now, quota.shift());
    let room = at.saturating_add(quota.tolerance()).saturating_sub(tat.0.max(at));
    u32::try_from(room / quota.interval()).unwrap_or(u32::MAX)
}

/// When the bucket is full again; `now` when it already is.
#[must_use]
pub fn full_at(tat: Tat, now: Instant, quota: Quota) -> Instant {
    let at = ticks(now, quota.shift());
    let tat = tat.0.min(at.saturating_add(quota.tolerance()));
    now.max(Instant::from_nanos(tat.div_ceil(1 << quota.shift())))
}

/// Gives `n` permits back, never above the capacity.
#[must_use]
pub fn refund(tat: Tat, n: u32, quota: Quota) -> Tat {
    // Below `now` the value is a full bucket all the same: `step` and `remaining` clamp it.
    Tat(tat
        .0
        .saturating_sub(quota.interval().saturating_mul(u64::from(n))))
}

/// Takes everything until `until`, as a server's `Retry-After` asks; at most one full bucket.
#[must_use]
pub fn throttled(tat: Tat, now: Instant, until: Instant, quota: Quota) -> Tat {
    let at = ticks(now, quota.shift());
    let latest = at.saturating_add(quota.tolerance());
    // The first permit at `until`: `tat + T - B*T = until`.
    let wanted = ticks(until, quota.shift())
        .saturating_add(quota.tolerance())
        .saturating_sub(quota.interval());
    Tat(tat.0.max(wanted.min(latest)))
}
