//! What a limit has learnt, as a value: see [`crate::snapshot`].

use super::gradient2::{Gradient2Config, Gradient2State};
use super::{Algorithm, Limit, LimitConfig};
use crate::snapshot::RestoreError;

/// What a [`Limit`] has learnt. The version is that of the snapshot it is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum LimitSnapshot {
    /// Nothing: it never moves.
    Fixed,
    /// Of [`LimitConfig::Aimd`].
    Aimd {
        /// The limit.
        limit: u32,
    },
    /// Of [`LimitConfig::Gradient2`].
    Gradient2 {
        /// The limit in 65 536ths.
        limit_fixed: u64,
        /// The usual duration in 2^-32 of a nanosecond.
        long_fixed: u128,
        /// The first samples added up, in nanoseconds.
        sum: u128,
        /// How many of the first ten samples there were.
        samples: u8,
    },
}

impl Limit {
    /// What has been learnt.
    #[must_use]
    pub const fn snapshot(&self) -> LimitSnapshot {
        match &self.0 {
            Algorithm::Fixed(_) => LimitSnapshot::Fixed,
            Algorithm::Aimd(_, limit) => LimitSnapshot::Aimd { limit: *limit },
            Algorithm::Gradient2(_, state) => LimitSnapshot::Gradient2 {
                limit_fixed: state.limit,
                long_fixed: state.long,
                sum: state.sum,
                samples: state.samples,
            },
        }
    }

    /// The limit that was taken a snapshot of.
    ///
    /// # Errors
    /// The snapshot is of another algorithm, or holds what this configuration cannot; or the
    /// configuration itself is refused (field `config`).
    pub fn restore(config: LimitConfig, from: &LimitSnapshot) -> Result<Self, RestoreError> {
        RestoreError::unless(
            config.check().is_ok(),
            "config",
            0,
            "a configuration that a new limit accepts",
        )?;
        let algorithm = match (config, *from) {
            (LimitConfig::Fixed(limit), LimitSnapshot::Fixed) => Algorithm::Fixed(limit),
            (LimitConfig::Aimd(config), LimitSnapshot::Aimd { limit }) => {
                let within = config.min <= limit && limit <= config.max;
                RestoreError::unless(within, "limit", limit.into(), "min to max")?;
                Algorithm::Aimd(config, limit)
            }
            (
                LimitConfig::Gradient2(config),
                LimitSnapshot::Gradient2 {
                    limit_fixed,
                    long_fixed,
                    sum,
                    samples,
                },
            ) => {
                let state = Gradient2State {
                    limit: limit_fixed,
                    long: long_fixed,
                    sum,
                    samples,
                };
                check_gradient2(&config, &state)?;
                Algorithm::Gradient2(config, state)
            }
            (LimitConfig::Fixed(_) | LimitConfig::Aimd(_) | LimitConfig::Gradient2(_), _) => {
                return Err(RestoreError {
                    field: "limit",
                    found: 0,
                    expected: "a snapshot of the configured algorithm",
                });
            }
        };
        Ok(Self(algorithm))
    }
}

fn check_gradient2(config: &Gradient2Config, state: &Gradient2State) -> Result<(), RestoreError> {
    let (min, max) = (u64::from(config.min) << 16, u64::from(config.max) << 16);
    let within = min <= state.limit && state.limit <= max;
    RestoreError::unless(within, "limit_fixed", state.limit, "min to max")?;
    RestoreError::unless(
        state.samples <= super::gradient2::WARM_UP,
        "samples",
        state.samples.into(),
        "at most 10",
    )?;
    let most = u128::from(state.samples) * u128::from(u64::MAX);
    let whole = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
    RestoreError::unless(
        state.sum <= most,
        "sum",
        whole(state.sum),
        "at most samples of 2^64 ns",
    )?;
    RestoreError::unless(
        state.long < 1 << 96,
        "long_fixed",
        whole(state.long),
        "less than 2^96",
    )
}
