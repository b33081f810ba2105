//! Randomness from the operating system.

use crossbridge_core::draw::SplitMix64;

/// A generator that nobody else has: seeded by the operating system, or, where that fails, by the
/// time of day and the process number, which is enough to keep a fleet from retrying in step.
///
/// For decisions that may be guessed, such as jitter; not for secrets.
///
/// ```
/// use crossbridge_std::entropy;
///
/// assert_ne!(entropy::generator(), entropy::generator());
/// ```
#[must_use]
pub fn generator() -> SplitMix64 {
    SplitMix64::new(getrandom::u64().unwrap_or_else(|_| fallback()))
}

fn fallback() -> u64 {
    let since_epoch = crate::clock::wall_clock()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    u64::from(since_epoch.subsec_nanos()) ^ since_epoch.as_secs() << 30 ^ u64::from(std::process::id()) << 52
}
