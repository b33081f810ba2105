//! The summary against a reader who goes through the list by hand, and degraded mode against a
//! table of switches.

use crossbridge_core::Instant;
use crossbridge_core::breaker::BreakerState;
use crossbridge_core::health::Health;
use crossbridge_core::health::degraded::{DegradedMode, DegradedSnapshot, Feature, Why};
use crossbridge_core::health::summary::{
    Cause, Criticality, Group, Reason, Summary, SummarySnapshot, Target, Verdict, quorum, summarize,
    with_breaker,
};
use proptest::prelude::*;

use crate::check;

/// From best to worst.
const BY_SEVERITY: [Health; 4] = [
    Health::Healthy,
    Health::Degraded,
    Health::Unknown,
    Health::Unhealthy,
];

fn any_health() -> impl Strategy<Value = Health> + Clone {
    prop::sample::select(BY_SEVERITY.to_vec())
}

fn any_criticality() -> impl Strategy<Value = Criticality> + Clone {
    prop::sample::select(vec![Criticality::Critical, Criticality::Optional])
}

fn any_target() -> impl Strategy<Value = Target> + Clone {
    use BreakerState::{Closed, HalfOpen, Open};
    let breaker = prop::sample::select(vec![None, Some(Closed), Some(Open), Some(HalfOpen)]);
    let group = prop::option::of(0..4_u16);
    (any_health(), breaker, any_criticality(), group).prop_map(|(health, breaker, criticality, group)| {
        Target {
            health,
            breaker,
            criticality,
            group,
        }
    })
}

fn any_groups() -> impl Strategy<Value = Vec<Group>> {
    let group = (0..5_u32, any_criticality()).prop_map(|(need, criticality)| Group { need, criticality });
    prop::collection::vec(group, 0..3)
}

fn by_hand(target: &Target) -> Health {
    match (target.breaker, target.health) {
        (Some(BreakerState::Open | BreakerState::HalfOpen), Health::Healthy) => Health::Degraded,
        (_, health) => health,
    }
}

fn capped(criticality: Criticality, health: Health) -> Health {
    if criticality == Criticality::Optional && health != Health::Healthy {
        Health::Degraded
    } else {
        health
    }
}

/// The `need`-th best of them decides: with so many at least as well, the group is as well.
fn need_th_best(need: u32, mut members: Vec<Health>) -> Health {
    if members.is_empty() {
        return Health::Unknown;
    }
    let rank = |health: &Health| BY_SEVERITY.iter().position(|other| other == health);
    members.sort_by_key(rank);
    let index = need.max(1) as usize - 1;
    members.get(index).copied().unwrap_or(Health::Unhealthy)
}

#[test]
fn the_verdict_is_the_worst_that_counts() {
    let inputs = (prop::collection::vec(any_target(), 0..8), any_groups());
    check(1_000, inputs, |(targets, groups)| {
        let mut counted = Vec::new();
        for (index, target) in targets.iter().enumerate() {
            if target
                .group
                .is_none_or(|group| usize::from(group) >= groups.len())
            {
                counted.push((capped(target.criticality, by_hand(target)), Cause::Target(index)));
            }
        }
        for (index, group) in groups.iter().enumerate() {
            let of = |target: &&Target| target.group.map(usize::from) == Some(index);
            let members = targets.iter().filter(of).map(by_hand).collect();
            counted.push((
                capped(group.criticality, need_th_best(group.need, members)),
                Cause::Group(index),
            ));
        }
        let verdict = Verdict::over(&targets, &groups);
        let worst = BY_SEVERITY
            .iter()
            .rev()
            .find_map(|worst| counted.iter().find(|(health, _)| health == worst));
        match worst {
            None => assert_eq!(
                (verdict.health, verdict.reason),
                (Health::Unknown, Reason::NoTargets)
            ),
            Some((Health::Healthy, _)) => {
                assert_eq!(
                    (verdict.health, verdict.reason, verdict.cause),
                    (Health::Healthy, Reason::AllWell, None)
                );
            }
            Some(&(health, cause)) => {
                assert_eq!((verdict.health, verdict.cause), (health, Some(cause)));
                assert!(verdict.reason != Reason::AllWell && verdict.reason != Reason::NoTargets);
            }
        }
        let counts = verdict.evidence;
        let all = counts.healthy + counts.degraded + counts.unknown + counts.unhealthy;
        assert_eq!(all as usize, targets.len());
        // Without groups and breakers it is the fold.
        let pairs = targets.iter().map(|target| (target.criticality, by_hand(target)));
        let alone: Vec<Target> = targets
            .iter()
            .map(|&target| Target {
                group: None,
                ..target
            })
            .collect();
        assert_eq!(Verdict::over(&alone, &[]).health, summarize(pairs));
    });
}

#[test]
fn a_change_is_told_once() {
    let looks = prop::collection::vec(prop::collection::vec(any_target(), 0..3), 1..20);
    check(200, (looks, any_groups()), |(looks, groups)| {
        let mut summary = Summary::new();
        let mut shown = Health::Unknown;
        for targets in looks {
            let verdict = Verdict::over(&targets, &groups);
            // Taken out and put back before every look: no change is told twice or not at all.
            summary = Summary::restore(&summary.snapshot()).unwrap();
            let change = summary.update(Instant::ZERO, &targets, &groups);
            assert_eq!(change.is_some(), verdict.health != shown);
            if let Some(change) = change {
                assert_eq!((change.from, change.to), (shown, verdict));
                shown = change.to.health;
            }
            assert_eq!(summary.health(), shown);
            assert!(
                summary.update(Instant::ZERO, &targets, &groups).is_none(),
                "told again"
            );
        }
    });
}

/// resilience4j/resilience4j#607: an open breaker mapped to down took every instance out.
#[test]
fn an_open_breaker_is_evidence_for_degraded_never_for_dead() {
    for health in BY_SEVERITY {
        for breaker in [BreakerState::Open, BreakerState::HalfOpen] {
            let with = with_breaker(health, breaker);
            assert_eq!(with == Health::Unhealthy, health == Health::Unhealthy);
            assert_ne!(with, Health::Healthy);
        }
        assert_eq!(with_breaker(health, BreakerState::Closed), health);
    }
    let open = Target {
        breaker: Some(BreakerState::Open),
        ..Target::critical(Health::Healthy)
    };
    let verdict = Verdict::over(&[open], &[]);
    assert_eq!(
        (verdict.health, verdict.reason),
        (Health::Degraded, Reason::BreakerNotClosed)
    );
}

#[test]
fn two_of_three_replicas_will_do() {
    use Health::{Degraded, Healthy, Unhealthy, Unknown};
    assert_eq!(quorum(2, [Healthy, Healthy, Unhealthy]), Healthy);
    assert_eq!(quorum(2, [Healthy, Degraded, Unhealthy]), Degraded);
    assert_eq!(quorum(2, [Healthy, Unknown, Unhealthy]), Unknown);
    assert_eq!(quorum(2, [Healthy, Unhealthy, Unhealthy]), Unhealthy);
    assert_eq!(quorum(4, [Healthy, Healthy, Healthy]), Unhealthy);
    assert_eq!(quorum(0, [Unhealthy]), Unhealthy);
    assert_eq!(quorum(0, []), Unknown);
}

/// A target that names a group nobody declared still counts.
#[test]
fn a_lost_group_hides_nobody() {
    let lost = Target {
        group: Some(7),
        ..Target::critical(Health::Unhealthy)
    };
    let verdict = Verdict::over(&[Target::critical(Health::Healthy), lost], &[]);
    assert_eq!(
        (verdict.health, verdict.cause),
        (Health::Unhealthy, Some(Cause::Target(1)))
    );
}

#[test]
fn a_feature_is_off_while_a_target_it_needs_is_down() {
    const NEEDS: [&[u16]; 4] = [&[], &[0], &[0, 1], &[2, 1, 2]];
    let looks = prop::collection::vec(prop::collection::vec(any_target(), 3), 1..30);
    check(300, looks, |looks| {
        let features = NEEDS.map(|needs| Feature {
            name: ["none", "one", "two", "three"][needs.len()],
            needs,
        });
        let mut mode = DegradedMode::new(&features, 3).unwrap();
        let mut on = [true; 4];
        for targets in looks {
            let before = on;
            for (switch, needs) in on.iter_mut().zip(NEEDS) {
                let needed: Vec<Health> = needs
                    .iter()
                    .map(|&target| by_hand(&targets[usize::from(target)]))
                    .collect();
                if needed.contains(&Health::Unhealthy) {
                    *switch = false;
                } else if !needed.contains(&Health::Unknown) {
                    *switch = true;
                }
            }
            mode = DegradedMode::restore(&features, 3, &mode.snapshot()).unwrap();
            let told: Vec<(String, bool)> = mode
                .update(Instant::ZERO, &targets)
                .map(|change| {
                    if let Why::Down { target } = change.why {
                        assert_eq!(targets[usize::from(target)].health, Health::Unhealthy);
                    }
                    (change.feature.to_owned(), change.on)
                })
                .collect();
            let expected: Vec<(String, bool)> = features
                .iter()
                .zip(before.iter().zip(on))
                .filter(|(_, (before, now))| **before != *now)
                .map(|(feature, (_, now))| (feature.name.to_owned(), now))
                .collect();
            assert_eq!(told, expected);
            for (feature, on) in features.iter().zip(on) {
                assert_eq!(mode.is_on(feature.name), on);
                assert_eq!(mode.off().any(|name| name == feature.name), !on);
            }
        }
    });
}

#[test]
fn silence_and_open_breakers_switch_nothing_off() {
    let features = [Feature {
        name: "search",
        needs: &[0],
    }];
    let mut mode = DegradedMode::new(&features, 1).unwrap();
    let open = Target {
        breaker: Some(BreakerState::Open),
        ..Target::critical(Health::Healthy)
    };
    for target in [Target::critical(Health::Unknown), open] {
        assert_eq!(mode.update(Instant::ZERO, &[target]).count(), 0);
        assert!(mode.is_on("search"));
    }
    assert_eq!(
        mode.update(Instant::ZERO, &[Target::critical(Health::Unhealthy)])
            .count(),
        1
    );
    // Nor does silence switch anything on; nor a list that is too short.
    assert_eq!(
        mode.update(Instant::ZERO, &[Target::critical(Health::Unknown)])
            .count(),
        0
    );
    assert_eq!(mode.update(Instant::ZERO, &[]).count(), 0);
    assert!(!mode.is_on("search"));
}

#[test]
fn what_cannot_be_a_degraded_mode_is_refused() {
    let feature = |needs| Feature {
        name: "search",
        needs,
    };
    let many = [feature(&[]); 65];
    assert!(DegradedMode::new(&many[..64], 0).is_ok());
    assert_eq!(
        DegradedMode::new(&many, 0).unwrap_err().to_string(),
        "features is 65, expected at most 64"
    );
    assert_eq!(
        DegradedMode::new(&[feature(&[2])], 2).unwrap_err().to_string(),
        "needs is 2, expected the index of a target"
    );
}

#[test]
fn snapshots_of_others_are_refused() {
    let feature = Feature {
        name: "search",
        needs: &[0],
    };
    let features = [feature; 64];
    let taken = DegradedMode::new(&features, 1).unwrap().snapshot();
    let all_off = DegradedSnapshot {
        off: u64::MAX,
        ..taken
    };
    let restored = DegradedMode::restore(&features, 1, &all_off).unwrap();
    assert_eq!((restored.off().count(), restored.snapshot()), (64, all_off));
    let refused = |features: &[Feature], targets, from: DegradedSnapshot| {
        let refused = DegradedMode::restore(features, targets, &from).unwrap_err();
        refused.to_string()
    };
    assert_eq!(
        refused(&features, 1, DegradedSnapshot { version: 2, ..taken }),
        "snapshot: version is 2, expected 1"
    );
    assert_eq!(
        refused(&features[..63], 1, taken),
        "snapshot: features is 64, expected as many as there are"
    );
    assert_eq!(
        refused(&features, 0, taken),
        "snapshot: config is 0, expected features that a new mode accepts"
    );
    let fewer = DegradedMode::new(&features[..2], 1).unwrap().snapshot();
    let broken = DegradedSnapshot { off: 0b100, ..fewer };
    assert_eq!(
        refused(&features[..2], 1, broken),
        "snapshot: off is 4, expected no more bits than features"
    );
    let newer = SummarySnapshot {
        version: 2,
        ..Summary::new().snapshot()
    };
    assert!(Summary::restore(&newer).is_err());
}

/// The last of sixty-four, too, is told and kept.
#[test]
fn sixty_four_features_all_go_and_come_back() {
    let features = [Feature {
        name: "all",
        needs: &[0],
    }; 64];
    let mut mode = DegradedMode::new(&features, 1).unwrap();
    for health in [Health::Unhealthy, Health::Degraded] {
        assert_eq!(
            mode.update(Instant::ZERO, &[Target::critical(health)]).count(),
            64
        );
    }
    assert!(mode.is_on("all"));
}
