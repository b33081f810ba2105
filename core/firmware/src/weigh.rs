//! Shared by the images that are weighed: where inputs come from and results go to.
//!
//! Volatile cells stand for peripherals, so that nothing is known at compile time and nothing is
//! dropped as unused.

use core::cell::UnsafeCell;
use core::panic::PanicInfo;

/// A word that hardware could read and write at any time.
pub struct Register(UnsafeCell<u32>);

// SAFETY: these images have one thread and no interrupts.
unsafe impl Sync for Register {}

#[allow(dead_code, reason = "each image uses some")]
impl Register {
    pub const fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    pub fn read(&self) -> u32 {
        // SAFETY: the cell is valid for as long as the image runs.
        unsafe { self.0.get().read_volatile() }
    }

    /// Two reads.
    pub fn read_wide(&self) -> u64 {
        u64::from(self.read()) << 32 | u64::from(self.read())
    }

    pub fn write(&self, value: u32) {
        // SAFETY: as for `read`.
        unsafe { self.0.get().write_volatile(value) }
    }
}

pub static INPUT: Register = Register::new();
pub static OUTPUT: Register = Register::new();

unsafe extern "C" {
    /// Nobody defines it: an image in which a panic can be reached does not link.
    safe fn a_panic_can_be_reached() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    a_panic_can_be_reached()
}
