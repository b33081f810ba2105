//! One generator per actor and purpose.
//!
//! Every draw of a run comes from a stream whose seed is a hash of the run's seed, the actor's name
//! and number, and what the draw is for. So a fault that is added, or a client more, does not
//! shift the draws of anybody else: two runs differ only where they should.

use crossbridge_core::draw::SplitMix64;

/// The stream of `actor` number `index` for `purpose`.
///
/// ```
/// use crossbridge_harness::stream::stream;
///
/// let mut arrivals = stream(7, "workers", 0, "arrivals");
/// assert_ne!(arrivals.next(), stream(7, "workers", 1, "arrivals").next());
/// assert_ne!(arrivals.next(), stream(8, "workers", 0, "arrivals").next());
/// ```
#[must_use]
pub fn stream(seed: u64, actor: &str, index: u32, purpose: &str) -> SplitMix64 {
    let mut hash = Fnv(0xCBF2_9CE4_8422_2325);
    hash.write(&seed.to_le_bytes());
    hash.write(actor.as_bytes());
    // A byte that no UTF-8 text holds keeps ("ab", "c") and ("a", "bc") apart.
    hash.write(&[0xFF]);
    hash.write(&index.to_le_bytes());
    hash.write(purpose.as_bytes());
    // FNV-1a leaves similar inputs close together; one round of the generator parts them.
    SplitMix64::new(SplitMix64::new(hash.0).next())
}

/// FNV-1a, 64 bits (Fowler, Noll and Vo): stable for ever, unlike the standard library's hasher.
struct Fnv(u64);

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }
}
