//! A whole guard whose policies are known when it starts, and checked then.

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
use weigh::OUTPUT;

#[entry]
fn main() -> ! {
    match Guard::new(black_box(paths::REFUSING)) {
        Ok(mut guard) => one_call::run(black_box(&mut guard)),
        Err(refused) => loop {
            OUTPUT.write(refused.found as u32);
        },
    }
}
