//! A fast hash for keys, for callers who have none.
//!
//! One multiplication of 64 by 64 bits for every eight bytes, folded (the construction of `wyhash`
//! and `rapidhash`). The seed makes tables of different processes disagree. It is no defence: who
//! can choose keys and knows or guesses the seed can make them collide. Use `SipHash` with random
//! keys there, such as `RandomState::hash_one` in `std`; the table takes any `u64`.

/// Hashes keys with one seed.
///
/// ```
/// use crossbridge_core::rate_limit::keyed::hash::KeyHash;
///
/// let hash = KeyHash::new(7);
/// assert_ne!(hash.text("alice"), hash.text("bob"));
/// assert_ne!(hash.number(1), hash.number(2));
/// // (subject, operation) is one key, and the order tells which is which.
/// let (subject, operation) = (hash.text("alice"), hash.text("search"));
/// assert_ne!(hash.pair(subject, operation), hash.pair(operation, subject));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct KeyHash {
    seed: u64,
}

impl KeyHash {
    /// A hash with this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed: fold(seed ^ KEYS[0], KEYS[1]),
        }
    }

    /// The hash of a text.
    #[must_use]
    pub const fn text(self, text: &str) -> u64 {
        self.bytes(text.as_bytes())
    }

    /// The hash of bytes.
    #[must_use]
    pub const fn bytes(self, bytes: &[u8]) -> u64 {
        let mut state = self.seed;
        let (words, rest) = bytes.as_chunks::<8>();
        let mut left = words;
        while let [word, more @ ..] = left {
            state = fold(state ^ u64::from_le_bytes(*word), KEYS[1]);
            left = more;
        }
        let mut tail = 0;
        let mut left = rest;
        while let [byte, more @ ..] = left {
            tail = tail << 8 | *byte as u64;
            left = more;
        }
        // The length tells "a" from "\0a".
        fold(state ^ tail, KEYS[2] ^ bytes.len() as u64)
    }

    /// The hash of a number. Different numbers have different hashes.
    #[must_use]
    pub const fn number(self, number: u64) -> u64 {
        // The finaliser of SplitMix64, which is one to one.
        let z = number ^ self.seed;
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The hash of two hashes in this order: a subject's and an operation's.
    #[must_use]
    pub const fn pair(self, first: u64, second: u64) -> u64 {
        fold(fold(first ^ self.seed, KEYS[1]) ^ second, KEYS[2])
    }
}

/// The product's halves, one on the other.
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    // Each half on purpose.
    #[expect(clippy::cast_possible_truncation)]
    {
        product as u64 ^ (product >> 64) as u64
    }
}

/// Odd numbers nobody chose: the binary digits of pi's fraction.
const KEYS: [u64; 3] = [
    0x243F_6A88_85A3_08D3,
    0x1319_8A2E_0370_7345,
    0xA409_3822_299F_31D1,
];
