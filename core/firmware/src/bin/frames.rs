//! Writes every event of the trace as a defmt frame, on a clock of 32-bit ticks that starts over.

#![no_std]
#![no_main]

use core::cell::RefCell;
use core::fmt::Debug;
use core::panic::PanicInfo;

// Brings the critical section of a single core.
use cortex_m as _;
use cortex_m_rt::entry;
use cortex_m_semihosting::hio;
use critical_section::{Mutex, RestoreState};
use crossbridge_core::event::DefmtObserver;
use crossbridge_core::{Event, Instant, Observer};
use crossbridge_firmware::drive::Record;
use crossbridge_firmware::stop::stop;
use crossbridge_firmware::ticks;

/// Frames for the events, nothing for the answers: those are the other image's.
#[derive(Clone, Copy, Debug)]
struct Frames(DefmtObserver);

impl Observer for Frames {
    fn on_event(&self, now: Instant, event: &Event) {
        self.0.on_event(now, event);
    }
}

impl Record for Frames {
    fn answer(&self, _: Instant, _: usize, _: &dyn Debug) {}
    fn state(&self, _: Instant, _: &dyn Debug) {}
}

#[entry]
fn main() -> ! {
    let replayed = ticks::replay(Frames(DefmtObserver));
    if let Ok(wraps) = replayed {
        defmt::info!("the counter started over {=u32} times", wraps);
    }
    let written = critical_section::with(|section| LOG.borrow_ref_mut(section).flush());
    stop(replayed.is_ok() && written.is_ok())
}

/// What is kept of the log until the debugger takes it.
struct Log {
    encoder: defmt::Encoder,
    restore: RestoreState,
    out: Bytes,
}

struct Bytes {
    host: Option<hio::HostStream>,
    bytes: [u8; 1_024],
    used: usize,
}

impl Bytes {
    fn push(&mut self, frame: &[u8]) {
        for &byte in frame {
            if self.used == self.bytes.len() {
                // Bytes that are not taken are missing in the comparison.
                let _ = self.flush();
            }
            self.bytes[self.used] = byte;
            self.used += 1;
        }
    }

    fn flush(&mut self) -> Result<(), ()> {
        if self.host.is_none() {
            self.host = Some(hio::hstdout()?);
        }
        let (full, _) = self.bytes.split_at(self.used);
        self.used = 0;
        self.host.as_mut().map_or(Err(()), |host| host.write_all(full))
    }
}

impl Log {
    fn flush(&mut self) -> Result<(), ()> {
        self.out.flush()
    }
}

static LOG: Mutex<RefCell<Log>> = Mutex::new(RefCell::new(Log {
    encoder: defmt::Encoder::new(),
    restore: RestoreState::invalid(),
    out: Bytes {
        host: None,
        bytes: [0; 1_024],
        used: 0,
    },
}));

#[defmt::global_logger]
struct Logger;

// SAFETY: `acquire` enters a critical section that `release` leaves, so that frames do not mix.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        // SAFETY: left in `release`, with the state kept until then.
        let restore = unsafe { critical_section::acquire() };
        with_log(|log| {
            log.restore = restore;
            log.encoder.start_frame(|bytes| log.out.push(bytes));
        });
    }

    unsafe fn flush() {}

    unsafe fn release() {
        let mut restore = RestoreState::invalid();
        with_log(|log| {
            log.encoder.end_frame(|bytes| log.out.push(bytes));
            restore = log.restore;
        });
        // SAFETY: entered in `acquire`.
        unsafe { critical_section::release(restore) };
    }

    unsafe fn write(bytes: &[u8]) {
        with_log(|log| log.encoder.write(bytes, |bytes| log.out.push(bytes)));
    }
}

fn with_log(work: impl FnOnce(&mut Log)) {
    critical_section::with(|section| work(&mut LOG.borrow_ref_mut(section)));
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    stop(false)
}
