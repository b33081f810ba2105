//! The pure step of the rate limit, with one quota: what a limiter of few bytes is made of.

#![no_std]
#![no_main]

#[path = "../weigh.rs"]
mod weigh;

use cortex_m_rt::entry;
use crossbridge_core::rate_limit::gcra::{self, Step, Tat};
use crossbridge_core::{Instant, Quota};
use weigh::{INPUT, OUTPUT};

/// Known at compile time, as in firmware; `size_limiter` weighs a limiter for any quota.
const QUOTA: Quota = match Quota::per_minute(30) {
    Ok(quota) => quota,
    Err(_) => panic!("a valid quota"),
};

#[entry]
fn main() -> ! {
    let mut tat = Tat::default();
    loop {
        let now = Instant::from_nanos(INPUT.read_wide());
        OUTPUT.write(match gcra::step(tat, now, 1, QUOTA) {
            Step::Admit(next) => {
                tat = next;
                0
            }
            Step::NotBefore(at) => at.as_nanos() as u32,
            Step::Never => 1,
        });
    }
}
