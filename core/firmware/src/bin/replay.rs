//! Prints every event and answer of the recorded trace: the host prints the same.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use cortex_m_rt::entry;
use cortex_m_semihosting::hio;
use crossbridge_firmware::lines;
use crossbridge_firmware::stop::stop;

/// Collects what is printed: every call to the debugger stops the processor.
struct Buffered {
    out: hio::HostStream,
    bytes: [u8; 1_024],
    used: usize,
}

impl Buffered {
    fn flush(&mut self) -> core::fmt::Result {
        let (full, _) = self.bytes.split_at(self.used);
        self.used = 0;
        self.out.write_all(full).map_err(|()| core::fmt::Error)
    }
}

impl core::fmt::Write for &mut Buffered {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for &byte in text.as_bytes() {
            if self.used == self.bytes.len() {
                self.flush()?;
            }
            self.bytes[self.used] = byte;
            self.used += 1;
        }
        Ok(())
    }
}

#[entry]
fn main() -> ! {
    let status = match hio::hstdout() {
        Ok(out) => {
            let mut out = Buffered {
                out,
                bytes: [0; 1_024],
                used: 0,
            };
            lines::replay(&mut out).and_then(|()| out.flush())
        }
        Err(()) => Err(core::fmt::Error),
    };
    stop(status.is_ok())
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    if let Ok(mut out) = hio::hstderr() {
        let _ = core::fmt::Write::write_fmt(&mut out, format_args!("{info}\n"));
    }
    stop(false)
}
