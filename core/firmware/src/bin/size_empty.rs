//! Start-up code and two registers: what the other images weigh without our code.

#![no_std]
#![no_main]

#[path = "../weigh.rs"]
mod weigh;

use cortex_m_rt::entry;
use weigh::{INPUT, OUTPUT};

#[entry]
fn main() -> ! {
    loop {
        let now = INPUT.read_wide();
        OUTPUT.write(now as u32);
    }
}
