//! Prints what one path keeps in RAM on this target, and how deep the stack gets while it is used.

#![no_std]
#![no_main]

use core::fmt::{Debug, Write};
use core::mem::size_of;
use core::panic::PanicInfo;
use core::ptr;

use cortex_m::register::msp;
use cortex_m_rt::entry;
use cortex_m_semihosting::hio;
use crossbridge_core::breaker::Breaker;
use crossbridge_core::guard::{CallState, Permit, Policies};
use crossbridge_core::health::Monitor;
use crossbridge_core::retry::RetryBudget;
use crossbridge_core::{Bulkhead, Event, Guard, Instant, Observer, RateLimiter};
use crossbridge_firmware::drive::{Driver, Record};
use crossbridge_firmware::stop::stop;
use crossbridge_firmware::{paths, trace};

/// Remembers nothing: the stack measured is that of the guard and of the loop around it.
#[derive(Clone, Copy, Debug)]
struct Nobody;

impl Observer for Nobody {
    fn on_event(&self, _: Instant, _: &Event) {}
}

impl Record for Nobody {
    fn answer(&self, _: Instant, _: usize, _: &dyn Debug) {}
    fn state(&self, _: Instant, _: &dyn Debug) {}
}

/// What an untouched word of the stack holds.
const PAINT: u32 = 0x5AFE_57AC;
/// Painted below the frame of `main`, in words.
const DEPTH: usize = 4_096;
/// Left alone right below `main`, for the painting itself.
const MARGIN: usize = 32;

/// Paints the stack, lets `work` use it, and counts the bytes it touched.
#[inline(never)]
fn stack_used_by(work: impl FnOnce()) -> usize {
    let top = ptr::with_exposed_provenance_mut::<u32>(msp::read() as usize);
    for word in MARGIN..DEPTH {
        // SAFETY: the image has no statics to speak of and 64 KiB of RAM, all of it stack; nothing
        // below the present frame is in use.
        unsafe { top.sub(word).write_volatile(PAINT) };
    }
    work();
    let untouched = (MARGIN..DEPTH)
        .rev()
        // SAFETY: as above.
        .take_while(|&word| unsafe { top.sub(word).read_volatile() } == PAINT)
        .count();
    (DEPTH - untouched) * size_of::<u32>()
}

#[inline(never)]
fn replay(driver: &mut Driver<Nobody>) {
    let mut now = Instant::from_nanos(10_000_000_000);
    for input in trace::inputs().flatten() {
        now = input.after(now);
        driver.input(now, &input);
    }
}

#[entry]
fn main() -> ! {
    let (Ok(mut out), Ok(mut driver)) = (hio::hstdout(), Driver::new(paths::REFUSING, 1, Nobody)) else {
        stop(false)
    };
    let stack = stack_used_by(|| replay(&mut driver));
    let rows = [
        ("rate limiter", size_of::<RateLimiter>()),
        ("breaker", size_of::<Breaker>()),
        ("bulkhead", size_of::<Bulkhead>()),
        ("retry budget", size_of::<RetryBudget>()),
        ("health monitor", size_of::<Monitor>()),
        ("policies, in flash", size_of::<Policies>()),
        (
            "guard under them, window of calls",
            size_of::<Guard<(), &Policies, 0>>(),
        ),
        ("guard under them, any window", size_of::<Guard<(), &Policies>>()),
        ("guard with its own", size_of::<Guard>()),
        ("one call", size_of::<CallState>()),
        ("one permit", size_of::<Permit>()),
        ("stack", stack),
    ];
    for (name, bytes) in rows {
        let _ = writeln!(out, "{name}\t{bytes}");
    }
    stop(true)
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    stop(false)
}
