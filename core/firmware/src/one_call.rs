//! The loop of the images that weigh a guard: every input and every answer a guard has.

use core::borrow::Borrow;
use core::time::Duration;

use crossbridge_core::draw::SplitMix64;
use crossbridge_core::guard::{Outcome, Policies};
use crossbridge_core::retry::Failure;
use crossbridge_core::{FaultKind, Guard, Instant, Step, Verdict};

use crate::weigh::{INPUT, OUTPUT};

/// Makes calls for ever.
pub fn run<P: Borrow<Policies>, const ANNEX: usize>(guard: &mut Guard<(), P, ANNEX>) -> ! {
    let mut rng = SplitMix64::new(INPUT.read_wide());
    loop {
        let now = Instant::from_nanos(INPUT.read_wide());
        let mut call = guard.begin_detached(now, Some(Instant::from_nanos(INPUT.read_wide())));
        loop {
            let now = Instant::from_nanos(INPUT.read_wide());
            match call.poll(&mut *guard, now, &mut rng) {
                Step::Attempt(permit) => {
                    let outcome = outcome(INPUT.read());
                    call.on_outcome(&mut *guard, now, permit, outcome);
                }
                Step::Wait { until } => OUTPUT.write(until.as_nanos() as u32),
                Step::Done(verdict) => {
                    OUTPUT.write(u32::from(verdict == Verdict::Succeeded));
                    break;
                }
            }
            if INPUT.read() == 1 {
                call.cancel(&mut *guard, now);
            }
        }
    }
}

fn outcome(word: u32) -> Outcome {
    let kind = match word {
        0 => return Outcome::Success,
        1 => return Outcome::Neutral,
        2 => return Outcome::Lost,
        3 => FaultKind::NotSent,
        4 => FaultKind::Transient,
        5 => FaultKind::Throttled,
        6 => FaultKind::Unknown,
        7 => FaultKind::Permanent,
        _ => FaultKind::Overloaded,
    };
    Outcome::Failure(Failure {
        kind,
        retry_after: Some(Duration::from_nanos(INPUT.read_wide())),
    })
}
