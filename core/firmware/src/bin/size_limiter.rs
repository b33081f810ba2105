//! One rate limiter, reservations of others in mind.

#![no_std]
#![no_main]

#[path = "../weigh.rs"]
mod weigh;

use core::hint::black_box;

use cortex_m_rt::entry;
use crossbridge_core::rate_limit::Answer;
use crossbridge_core::{Instant, Quota, RateLimiter};
use weigh::{INPUT, OUTPUT};

const QUOTA: Quota = match Quota::per_minute(30) {
    Ok(quota) => quota,
    Err(_) => panic!("a valid quota"),
};

#[entry]
fn main() -> ! {
    let mut limiter = RateLimiter::new(QUOTA);
    // Whatever the quota is: the limiter is weighed, not its specialisation to this one.
    let limiter = black_box(&mut limiter);
    loop {
        let now = Instant::from_nanos(INPUT.read_wide());
        OUTPUT.write(match limiter.check(now, 1) {
            Answer::Granted => 0,
            Answer::NotBefore(at) => at.as_nanos() as u32,
            Answer::Never => 1,
        });
    }
}
