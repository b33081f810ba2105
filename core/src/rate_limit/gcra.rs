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
pub(super) const fn ticks(now: Instant, shift: u32) -> u64 {
    if now.as_nanos() > u64::MAX >> shift {
        u64::MAX
    } else {
        now.as_nanos() << shift
    }
}

/// What the short way answers.
pub(super) enum Quick {
    /// Admitted: store this.
    Admit(Tat),
    /// Refused; what is stored stays.
    NotBefore(Instant),
    /// Ask [`step`].
    Ask,
}

/// [`step`] for one permit in the usual case: a clock within 18 years of its origin that did not
/// step back. The same answers with fewer comparisons; whatever is unusual is for `step`.
#[inline]
pub(super) fn quick(tat: Tat, now: Instant, quota: &Quota) -> Quick {
    if now.as_nanos() >= 1 << 59 {
        return Quick::Ask;
    }
    // At most 4 fraction bits: below 2^63. A full bucket is worth less than 2^62, so that none of
    // the sums overflows.
    let at = now.as_nanos() << quota.shift();
    let base = tat.0.max(at);
    let latest = at + quota.room();
    if base <= latest {
        return Quick::Admit(Tat(base + quota.interval()));
    }
    let wait = base - latest;
    if wait > quota.interval() {
        // More than a full bucket: the clock stepped back.
        return Quick::Ask;
    }
    Quick::NotBefore(later(now, wait, quota.shift()))
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
        // There is something beyond `latest`, so neither it nor `at` is the end of the range.
        Some(next) if n <= quota.capacity() => Step::NotBefore(later(now, next - latest, quota.shift())),
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

/// [`rewind`] where reservations reach `ahead` ticks beyond a full bucket.
pub(super) fn rewind_behind(tat: Tat, now: Instant, ahead: u64, quota: Quota) -> Tat {
    let latest = ticks(now, quota.shift()).saturating_add(quota.tolerance());
    Tat(tat.0.min(latest.saturating_add(ahead)))
}

/// When the next `n` permits may be used, and what to store if they are taken for then.
pub(super) struct Booking {
    pub(super) at: Instant,
    pub(super) next: Tat,
    /// How far beyond a full bucket `next` is.
    pub(super) ahead: u64,
}

/// The first turn for `n` permits behind `tat`, however far away. `None`: there is none.
pub(super) fn book(tat: Tat, now: Instant, n: u32, quota: Quota) -> Option<Booking> {
    let at = ticks(now, quota.shift());
    let cost = quota.interval().saturating_mul(u64::from(n));
    let fits = cost <= quota.tolerance() && (at < u64::MAX || cost == 0);
    let next = tat.0.max(at).checked_add(cost).filter(|_| fits)?;
    // The step's condition, solved for `now`.
    let from = next.saturating_sub(quota.tolerance());
    Some(Booking {
        at: now.max(instant(from, quota.shift())),
        next: Tat(next),
        ahead: from.saturating_sub(at),
    })
}

/// The debt of one quota as the same fraction of another's bucket; what reservations owe beyond
/// a full bucket stays the same span. Also how far that is.
pub(super) fn convert(tat: Tat, now: Instant, old: Quota, new: Quota) -> (Tat, u64) {
    let debt = tat.0.saturating_sub(ticks(now, old.shift()));
    if debt == 0 || old.is_unlimited() || new.is_unlimited() {
        return (Tat(0), 0);
    }
    let used = u128::from(debt.min(old.tolerance()));
    let used = (used * u128::from(new.tolerance())).div_ceil(u128::from(old.tolerance()));
    let used = u64::try_from(used).unwrap_or(u64::MAX);
    let beyond = debt.saturating_sub(old.tolerance());
    let ahead = rescale(beyond, old.shift(), new.shift());
    let next = ticks(now, new.shift()).saturating_add(used);
    (Tat(next.saturating_add(ahead)), ahead)
}

/// Ticks of one quota in those of another, rounded up.
pub(super) const fn rescale(ticks: u64, from: u32, to: u32) -> u64 {
    if from >= to {
        return up(ticks, from - to);
    }
    if ticks > u64::MAX >> (to - from) {
        u64::MAX
    } else {
        ticks << (to - from)
    }
}

/// The first instant that is not before so many ticks.
pub(super) const fn instant(ticks: u64, shift: u32) -> Instant {
    Instant::from_nanos(up(ticks, shift))
}

/// The first instant that is not before so many ticks after `now`, at least one, where there is one.
#[inline]
const fn later(now: Instant, ticks: u64, shift: u32) -> Instant {
    Instant::from_nanos(now.as_nanos() + 1 + ((ticks - 1) >> shift))
}

/// Divided by `2^shift`, rounded up, without a division: a refusal pays for this.
const fn up(ticks: u64, shift: u32) -> u64 {
    let whole = ticks >> shift;
    // Any remainder means that some bit was shifted out.
    if whole << shift == ticks { whole } else { whole + 1 }
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
    full_after(rewind(tat, now, quota), now, quota)
}

/// [`full_at`] for a value that is known to be no leftover of a step back.
pub(super) fn full_after(tat: Tat, now: Instant, quota: Quota) -> Instant {
    now.max(instant(tat.0, quota.shift()))
}

/// Gives `n` permits back, never above the capacity.
#[must_use]
pub fn refund(tat: Tat, n: u32, quota: Quota) -> Tat {
    // Below `now` the value is a full bucket all the same: `step` and `remaining` clamp it.
    Tat(tat
        .0
        .saturating_sub(quota.interval().saturating_mul(u64::from(n))))
}

/// Gives back at `now` what `n` permits granted at `taken_at` still keep from others.
///
/// What is owed runs off by one tick a tick, so that `n` permits are owed for at least the time
/// they cost, less the time since the grant. That much may be given back whatever else was granted
/// or given back meanwhile: nobody is let through above the quota. At the instant of the grant it
/// is everything.
#[must_use]
pub fn give_back(tat: Tat, now: Instant, taken_at: Instant, n: u32, quota: Quota) -> Tat {
    let since = ticks(now, quota.shift()).saturating_sub(ticks(taken_at, quota.shift()));
    let cost = quota.interval().saturating_mul(u64::from(n));
    Tat(tat.0.saturating_sub(cost.saturating_sub(since)))
}

/// Takes everything until `until`, as a server's `Retry-After` asks; for one emission interval at
/// most, since a number further ahead means that the clock stepped back.
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

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::draw::{SplitMix64, inclusive};

    /// The short way says what the long way says, wherever it says anything.
    #[test]
    fn quick_is_step() {
        let mut rng = SplitMix64::new(5);
        let mut answered = [0_u32; 3];
        for _ in 0..if cfg!(miri) { 5_000 } else { 200_000 } {
            let window = Duration::from_nanos(inclusive(1, 1 << (rng.next() % 62), &mut rng));
            let capacity = u32::try_from(inclusive(1, 1 << (rng.next() % 31), &mut rng)).unwrap();
            let quota = Quota::new(capacity, window);
            let quota = if rng.next().is_multiple_of(50) {
                Ok(Quota::UNLIMITED)
            } else {
                quota
            };
            let Ok(quota) = quota else { continue };
            let now = Instant::from_nanos(rng.next() >> (rng.next() % 64));
            // Around the present, a full bucket ahead or anywhere.
            let at = ticks(now, quota.shift());
            let near = at.saturating_add(inclusive(0, quota.tolerance().saturating_add(2), &mut rng));
            let tat = Tat([
                near,
                near.saturating_sub(quota.interval()),
                rng.next() >> (rng.next() % 64),
            ][usize::try_from(rng.next() % 3).unwrap()]);
            let step = step(tat, now, 1, quota);
            match quick(tat, now, &quota) {
                Quick::Admit(next) => {
                    answered[0] += 1;
                    assert_eq!(step, Step::Admit(next), "{tat:?} {now:?} {quota:?}");
                }
                Quick::NotBefore(at) => {
                    answered[1] += 1;
                    assert_eq!(step, Step::NotBefore(at), "{tat:?} {now:?} {quota:?}");
                    assert_eq!(rewind(tat, now, quota), tat, "{tat:?} {now:?} {quota:?}");
                }
                Quick::Ask => answered[2] += 1,
            }
        }
        assert!(answered.iter().all(|&count| count > 100), "{answered:?}");
    }
}
