//! The shared breaker: alone it answers like the exclusive one.

use crossbridge_core::Instant;
use crossbridge_core::breaker::{Breaker, BreakerMode, Settled, SharedBreaker};
use proptest::prelude::*;

use crate::breaker::{Op, ops, small_config_and_hanging};
use crate::check;

const START: u64 = 1 << 50;

#[test]
fn alone_it_answers_like_the_exclusive_one() {
    let mode = prop::sample::select(vec![
        BreakerMode::Auto,
        BreakerMode::Auto,
        BreakerMode::Auto,
        BreakerMode::MetricsOnly,
        BreakerMode::Disabled,
        BreakerMode::ForcedOpen,
    ]);
    check(
        300,
        (small_config_and_hanging(), mode, ops()),
        |(mut config, mode, ops)| {
            config.mode = mode;
            let mut one = Breaker::new(config).unwrap();
            let shared = SharedBreaker::new(config).unwrap();
            let mut now = START;
            let mut permits = Vec::new();
            for op in ops {
                let at = Instant::from_nanos(now);
                match op {
                    // To threads a step back of this size is another thread's reading.
                    Op::StepBack(_) => {}
                    Op::Wait(span) => now += span,
                    Op::WaitForIt(late) => {
                        let refused = one.would_admit(at).err();
                        assert_eq!(shared.would_admit(at).err(), refused);
                        if let Some(until) = refused.and_then(|refused| refused.retry_at) {
                            now = now.max(until.as_nanos() - u64::from(!late));
                        }
                    }
                    Op::Admit => match (one.admit(at), shared.admit(at)) {
                        (Ok(one), Ok(shared)) => permits.push((one, shared)),
                        (Err(one), Err(shared)) => assert_eq!(shared, one),
                        (one, shared) => panic!("{shared:?}, the exclusive one says {one:?}"),
                    },
                    Op::Settle(index, settled) if !permits.is_empty() => {
                        let (mine, theirs) = permits.swap_remove(index % permits.len());
                        one.settle(at, mine, settled);
                        shared.settle(at, theirs, settled);
                    }
                    Op::Drop(index) if !permits.is_empty() => {
                        drop(permits.swap_remove(index % permits.len()));
                    }
                    Op::Timeout => {
                        one.handle_timeout(at);
                        shared.handle_timeout(at);
                    }
                    Op::Settle(..) | Op::Drop(_) => {}
                }
                assert_eq!(shared.state(), one.state());
                assert_eq!(shared.counts(), one.counts());
                assert_eq!(shared.poll_at(), one.poll_at());
            }
            let at = Instant::from_nanos(now);
            let taken = one.snapshot(at);
            assert_eq!(shared.snapshot(at), taken);
            let back = SharedBreaker::restore(config, &taken, at).unwrap();
            assert_eq!(back.snapshot(at), taken);
        },
    );
}

/// Long runs of successes, which are counted beside the window, between single failures.
#[test]
fn runs_of_successes_slide_like_single_ones() {
    let runs = prop::collection::vec(0..150_u16, 1..12);
    check(100, (small_config_and_hanging(), runs), |(config, runs)| {
        let mut one = Breaker::new(config).unwrap();
        let shared = SharedBreaker::new(config).unwrap();
        let at = Instant::from_nanos(START);
        for run in runs {
            let settled = (0..run)
                .map(|_| Settled::Success)
                .chain([Settled::Failure { retry_after: None }]);
            for settled in settled {
                let (Ok(mine), Ok(theirs)) = (one.admit(at), shared.admit(at)) else {
                    break;
                };
                one.settle(at, mine, settled);
                shared.settle(at, theirs, settled);
                assert_eq!((shared.counts(), shared.state()), (one.counts(), one.state()));
            }
        }
        assert_eq!(shared.snapshot(at), one.snapshot(at));
    });
}
