//! A whole guard whose policies are checked at compile time, as firmware has them.

#![no_std]
#![no_main]

#[path = "../one_call.rs"]
mod one_call;
#[path = "../weigh.rs"]
mod weigh;

use core::hint::black_box;

use cortex_m_rt::entry;
use crossbridge_core::Guard;
use crossbridge_core::guard::Policies;
use crossbridge_firmware::paths;

/// In flash, and checked when it was built.
static POLICIES: Policies = match Policies::new(paths::REFUSING) {
    Ok(policies) => policies,
    Err(_) => panic!("a valid configuration"),
};

#[entry]
fn main() -> ! {
    // Whatever its policies are: no branch is left out because of them.
    let Ok(mut guard) = Guard::of_calls(black_box(&POLICIES), ()) else {
        loop {
            cortex_m::asm::bkpt();
        }
    };
    one_call::run(black_box(&mut guard))
}
