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
use crossbridge_firmware::paths;

const GUARD: Guard = match Guard::new(paths::REFUSING) {
    Ok(guard) => guard,
    Err(_) => panic!("a valid configuration"),
};

#[entry]
fn main() -> ! {
    let mut guard = GUARD;
    // Whatever its policies are: no branch is left out because of them.
    one_call::run(black_box(&mut guard))
}
