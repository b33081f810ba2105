//! `runtime.profiling`: what of it is ours, what it says, and what is wrong with it.

use crossbridge_core::PerMille;
use crossbridge_std::config::{Config, Document};
use crossbridge_std::profiling::{Durability, Overflow, ProfilingSettings, Sampling};

#[test]
fn profiling_says_what_is_kept_on_the_way() {
    let parse = |text: &str| Config::from_document(&Document::parse("c.yml", text).unwrap(), &|_| None);
    assert_eq!(*parse("").unwrap().profiling(), ProfilingSettings::default());
    let text = "runtime:
  profiling:
    runtime: { enabled: false }
    spool: { max_events: 5000, max_size_mb: 2, overflow: drop_oldest }
    collector: { durability: memory, at_risk: 20ms, queue_events: 9, sampling_rate: 0.25, sampling_seed: 3 }
";
    let config = parse(text).unwrap();
    let ignored: Vec<_> = config.ignored().iter().map(ToString::to_string).collect();
    assert_eq!(ignored, ["runtime.profiling.runtime"]);
    let ProfilingSettings { spool, collector } = config.profiling();
    assert_eq!(
        (spool.events, spool.bytes, spool.overflow),
        (5_000, 2 << 20, Overflow::DropOldest)
    );
    assert_eq!(
        (
            collector.durability,
            collector.at_risk.as_millis(),
            collector.queue_events
        ),
        (Durability::Memory, 20, 9)
    );
    assert_eq!(collector.sampling, Sampling::new(PerMille::new(250).unwrap(), 3));

    let text = "runtime:
  profiling:
    spol: {}
    spool: { max_events: 0, overflow: drop }
    collector: { at_risk: 2m, sampling_rate: 1.5 }
";
    let error = parse(text).unwrap_err().render();
    for expected in [
        "c.yml:3:5",
        "`spol`",
        "`spool`",
        "c.yml:4:26",
        "a whole number, 1 to 4294967295",
        "drop_oldest",
        "c.yml:5:27",
        "c.yml:5:46",
        "1ms to 1m",
        "a share, 0 or 0.001 to 1",
    ] {
        assert!(error.contains(expected), "{expected}: {error}");
    }
}
