//! The pure step of the rate limit, with whatever quota.

#![no_std]
#![no_main]

#[path = "../weigh.rs"]
mod weigh;

use core::hint::black_box;

use cortex_m_rt::entry;
use crossbridge_core::rate_limit::gcra::{self, Step, Tat};
use crossbridge_core::{Instant, Quota};
use weigh::{INPUT, OUTPUT};

const QUOTA: Quota = match Quota::per_minute(30) {
    Ok(quota) => quota,
    Err(_) => panic!("a valid quota"),
};

#[entry]
fn main() -> ! {
    let mut tat = Tat::default();
    // Not known at compile time: the step is weighed, not its specialisation to one quota.
    let quota = black_box(&QUOTA);
    loop {
        let now = Instant::from_nanos(INPUT.read_wide());
        OUTPUT.write(match gcra::step(tat, now, 1, *quota) {
            Step::Admit(next) => {
                tat = next;
                0
            }
            Step::NotBefore(at) => at.as_nanos() as u32,
            Step::Never => 1,
        });
    }
}
