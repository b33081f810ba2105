//! Must not link: shows that the other images would not, either, if a panic could be reached.

#![no_std]
#![no_main]

#[path = "../weigh.rs"]
mod weigh;

use cortex_m_rt::entry;
use weigh::{INPUT, OUTPUT};

#[entry]
fn main() -> ! {
    loop {
        OUTPUT.write(INPUT.read() / INPUT.read());
    }
}
