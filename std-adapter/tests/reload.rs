//! Policies that follow a real file, in virtual time.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbridge_core::breaker::BreakerState;
use crossbridge_core::draw::SplitMix64;
use crossbridge_core::testing::ManualClock;
use crossbridge_core::{Clock, FaultKind};
use crossbridge_std::reload::{LivePolicies, Polled, Watched};
use tempfile::TempDir;

const SECOND: Duration = Duration::from_secs(1);

const FIRST: &str = "
runtime:
  rate_limiting: { defaults: { ask: { capacity: 100, window_seconds: 1h } } }
  retry:
    policies: { once: { max_attempts: 1 } }
    budgets: { small: { ratio: 0.1, min_per_second: 0, burst: 10 } }
  circuit_breakers:
    ask: { window: 20, min_calls: 4, failure_rate: 0.5, open_wait: 30s, open_wait_max: 60s }
  paths:
    ask: { retry: once, rate_limit: ask, breaker: ask, budget: small, health: database }
    tell: { retry: once }
";

struct Scene {
    folder: TempDir,
    clock: ManualClock,
    live: LivePolicies,
}

impl Scene {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("crossbridge.yml"), text).expect("written");
        let watched = Watched::file(folder.path().join("crossbridge.yml")).expect("a good file");
        let clock = ManualClock::new();
        let live = LivePolicies::new(watched, clock.now());
        Self { folder, clock, live }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("crossbridge.yml")
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).expect("written");
    }

    fn poll(&self) -> Polled {
        self.clock.advance(SECOND);
        self.live.poll(self.clock.now())
    }

    /// A second look, after one that found something new.
    fn settle(&self) -> Polled {
        assert!(matches!(self.poll(), Polled::Settling));
        self.poll()
    }

    fn call(&self, path: &str, answer: Result<(), FaultKind>) -> bool {
        let guard = self.live.guard(path).expect("a path");
        let mut rng = SplitMix64::new(1);
        guard
            .call(&self.clock, &mut &self.clock, &mut rng, |_| answer)
            .is_ok()
    }
}

#[test]
fn a_valid_file_replaces_policies_and_keeps_the_state() {
    let scene = Scene::new(FIRST);
    for _ in 0..40 {
        assert!(scene.call("ask", Ok(())));
    }
    let tell = scene.live.guard("tell").expect("a path");
    scene.write(&FIRST.replace("capacity: 100", "capacity: 50"));
    let Polled::Replaced(changes) = scene.settle() else {
        panic!("not replaced")
    };
    let changed: Vec<_> = changes
        .paths
        .iter()
        .map(|path| (path.name.as_str(), path.policies.clone()))
        .collect();
    assert_eq!(changed, [("ask", vec!["rate_limit"])]);
    assert!(changes.paths[0].anew.is_empty() && changes.limits && !changes.logging);
    // 40 of 100 were used: 40 % of 50.
    let ask = scene.live.guard("ask").expect("a path");
    assert_eq!(ask.remaining(scene.clock.now()), 30);
    // Whose policies are as before is as before.
    assert!(Arc::ptr_eq(&tell, &scene.live.guard("tell").expect("a path")));
    assert!(matches!(scene.poll(), Polled::Unchanged));
}

#[test]
fn a_circuit_that_is_open_stays_open_as_long_as_the_new_file_allows() {
    let scene = Scene::new(FIRST);
    for _ in 0..8 {
        let _ = scene.call("ask", Err(FaultKind::Transient));
    }
    let state = || scene.live.guard("ask").expect("a path").breaker_state();
    assert_eq!(state(), BreakerState::Open);
    scene.write(&FIRST.replace(
        "open_wait: 30s, open_wait_max: 60s",
        "open_wait: 2s, open_wait_max: 3s",
    ));
    let Polled::Replaced(changes) = scene.settle() else {
        panic!("not replaced")
    };
    assert_eq!(changes.paths[0].policies, ["breaker"]);
    assert!(changes.paths[0].anew.is_empty(), "{changes:?}");
    assert_eq!(state(), BreakerState::Open);
    assert!(!scene.call("ask", Ok(())));
    scene.clock.advance(3 * SECOND);
    assert!(scene.call("ask", Ok(())));
}

#[test]
fn a_window_of_another_kind_counts_anew_and_says_so() {
    let scene = Scene::new(FIRST);
    assert!(!scene.call("ask", Err(FaultKind::Transient)));
    scene.write(&FIRST.replace("window: 20", "window: 30s"));
    let Polled::Replaced(changes) = scene.settle() else {
        panic!("not replaced")
    };
    assert_eq!(changes.paths[0].anew, ["breaker"]);
}

#[test]
fn an_invalid_file_is_refused_once_and_the_old_stays() {
    let scene = Scene::new(FIRST);
    let before = scene.live.guard("ask").expect("a path");
    scene.write(&FIRST.replace("capacity: 100", "capacity: many"));
    let Polled::Refused(error) = scene.settle() else {
        panic!("not refused")
    };
    let told = error.render();
    assert!(
        told.contains("crossbridge.yml:3:") && told.contains("many"),
        "{told}"
    );
    assert!(matches!(scene.poll(), Polled::Unchanged));
    assert!(matches!(scene.live.reload(scene.clock.now()), Polled::Unchanged));
    assert!(Arc::ptr_eq(&before, &scene.live.guard("ask").expect("a path")));

    // Another mistake is told again; what was in force before is nothing new.
    scene.write(&FIRST.replace("capacity: 100", "capacity: none"));
    assert!(matches!(scene.settle(), Polled::Refused(_)));
    scene.write(FIRST);
    assert!(matches!(scene.poll(), Polled::Unchanged));
    scene.write(&FIRST.replace("capacity: 100", "capacity: none"));
    assert!(matches!(scene.settle(), Polled::Refused(_)));
}

#[test]
fn a_file_that_is_being_written_is_waited_for() {
    let scene = Scene::new(FIRST);
    let half = FIRST.len() / 2;
    for part in ["", &FIRST[..half], "runtime:\n"] {
        scene.write(part);
        assert!(matches!(scene.poll(), Polled::Settling), "{part}");
    }
    scene.write(&FIRST.replace("capacity: 100", "capacity: 10"));
    assert!(matches!(scene.settle(), Polled::Replaced(_)));
}

#[test]
fn reload_takes_it_at_once() {
    let scene = Scene::new(FIRST);
    scene.write(&FIRST.replace("capacity: 100", "capacity: 10"));
    assert!(matches!(
        scene.live.reload(scene.clock.now()),
        Polled::Replaced(_)
    ));
    assert!(matches!(scene.poll(), Polled::Unchanged));
}

#[test]
fn a_file_that_is_gone_changes_nothing() {
    let scene = Scene::new(FIRST);
    let away = scene.folder.path().join("away.yml");
    fs::rename(scene.file(), &away).expect("renamed");
    let Polled::Refused(error) = scene.settle() else {
        panic!("not refused")
    };
    assert!(error.render().contains("crossbridge.yml"), "{}", error.render());
    assert!(matches!(scene.poll(), Polled::Unchanged));
    assert!(scene.call("ask", Ok(())));
    fs::rename(&away, scene.file()).expect("renamed");
    assert!(matches!(scene.poll(), Polled::Unchanged));
}

#[test]
fn a_path_that_leaves_the_file_keeps_its_policies_and_one_that_comes_is_there() {
    let scene = Scene::new(FIRST);
    let tell = "    tell: { retry: once }\n";
    scene.write(&FIRST.replace(tell, "    hear: { retry: once }\n"));
    let Polled::Replaced(changes) = scene.settle() else {
        panic!("not replaced")
    };
    assert_eq!(changes.removed, ["tell"]);
    assert!(
        changes.paths[0].is_new && changes.paths[0].name == "hear",
        "{changes:?}"
    );
    assert!(scene.call("tell", Ok(())) && scene.call("hear", Ok(())));
    assert!(scene.live.config().path("tell").is_err());
}

#[test]
fn a_file_may_come_later() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("crossbridge.yml");
    let wanted = file.clone();
    let watched =
        Watched::new(move || wanted.is_file().then(|| wanted.clone()), |_| None).expect("the defaults");
    let clock = ManualClock::new();
    let live = LivePolicies::new(watched, clock.now());
    assert!(live.guard("database").is_ok() && live.guard("ask").is_err());
    fs::write(file, FIRST).expect("written");
    assert!(matches!(live.poll(clock.now()), Polled::Settling));
    assert!(matches!(live.poll(clock.now()), Polled::Replaced(_)));
    assert!(live.guard("ask").is_ok());
}

#[test]
fn the_first_file_has_to_be_valid() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("crossbridge.yml");
    assert!(Watched::file(&file).is_err());
    fs::write(&file, "runtime: []").expect("written");
    let refused = Watched::file(&file).expect_err("no mapping").render();
    assert!(refused.contains(":1:10"), "{refused}");
}

#[test]
fn whoever_follows_looks_again_after_each_interval() {
    let scene = Scene::new(FIRST);
    let mut story = Vec::new();
    let end = scene
        .live
        .follow(5 * SECOND, &scene.clock, &mut &scene.clock, |polled| {
            let second = scene.clock.now().as_nanos() / 1_000_000_000;
            story.push((second, matches!(polled, Polled::Replaced(_))));
            if second == 10 {
                scene.write(&FIRST.replace("capacity: 100", "capacity: 10"));
            }
            match second {
                25.. => ControlFlow::Break("seen enough"),
                _ => ControlFlow::Continue(()),
            }
        });
    assert_eq!(end, "seen enough");
    let replaced = |second| (second, second == 20);
    assert_eq!(story, [0, 5, 10, 15, 20, 25].map(replaced));
}

/// Threads that call while the file changes again and again: nobody waits, nobody fails.
#[test]
fn calls_go_on_meanwhile() {
    let text = |capacity: u32| FIRST.replace("capacity: 100", &format!("capacity: {capacity}"));
    let scene = Scene::new(&text(1_000_000));
    let (file, live) = (scene.file(), &scene.live);
    std::thread::scope(|scope| {
        for seed in 0..2 {
            scope.spawn(move || {
                let (clock, mut rng) = (ManualClock::new(), SplitMix64::new(seed));
                for _ in 0..2_000 {
                    let guard = live.guard("ask").expect("a path");
                    let answer = guard.call(&clock, &mut &clock, &mut rng, |_| Ok::<_, FaultKind>(()));
                    assert!(answer.is_ok());
                }
            });
        }
        for capacity in 1_000_001..1_000_030 {
            fs::write(&file, text(capacity)).expect("written");
            assert!(matches!(
                live.reload(crossbridge_core::Instant::ZERO),
                Polled::Replaced(_)
            ));
        }
    });
}
