//! Calls under policies that follow `crossbridge.yml`: change the file while it runs.
//!
//! ```text
//! cargo run -p crossbridge-std --example hot_reload -- fixtures/config/platform.yml
//! ```

use std::convert::Infallible;
use std::error::Error;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crossbridge_core::{Clock as _, FaultKind, Sleeper as _};
use crossbridge_std::reload::{LivePolicies, Polled, Watched};
use crossbridge_std::{clock::SystemClock, entropy, sleeper::ThreadSleeper};

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).map(PathBuf::from);
    let clock = SystemClock::new();
    let live = LivePolicies::new(Watched::search(file.as_deref())?, clock.now());
    thread::scope(|scope| {
        // One thread looks at the file, the others call; each call asks for the guard of its path.
        scope.spawn(|| {
            live.follow(Duration::from_secs(1), &clock, &mut ThreadSleeper, |polled| {
                if let Polled::Replaced(changes) = polled {
                    let _ = writeln!(io::stdout(), "{changes:?}");
                }
                ControlFlow::<Infallible>::Continue(())
            })
        });
        let mut rng = entropy::generator();
        loop {
            let guard = live.guard("database")?;
            guard.call(&clock, &mut ThreadSleeper, &mut rng, |_| Ok::<_, FaultKind>(()))?;
            let left = guard.remaining(clock.now());
            writeln!(io::stdout(), "a call on `database`, {left} permits left")?;
            ThreadSleeper.sleep(Duration::from_secs(2));
        }
    })
}
