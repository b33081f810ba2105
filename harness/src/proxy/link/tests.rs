use crossbridge_core::draw::inclusive;

use super::*;
use crate::proxy::toxic::{Bandwidth, Empty, Latency, Slicer, SlowClose};

/// Toxics that lose nothing.
fn lossless(rng: &mut SplitMix64) -> Vec<(u64, Effect)> {
    let count = inclusive(0, 4, rng);
    (0..count)
        .map(|number| {
            let size = inclusive(1, 50, rng);
            let effect = match inclusive(0, 4, rng) {
                0 => Effect::Noop(Empty {}),
                1 => Effect::Latency(Latency {
                    latency: size,
                    jitter: 20,
                }),
                2 => Effect::Bandwidth(Bandwidth { rate: size }),
                3 => Effect::SlowClose(SlowClose { delay: size }),
                _ => Effect::Slicer(Slicer {
                    average_size: size,
                    size_variation: size / 2,
                    delay: 100,
                }),
            };
            (number, effect)
        })
        .collect()
}

fn bytes_of(item: &Item) -> &[u8] {
    match item {
        Item::Bytes(bytes) => bytes,
        Item::Fin | Item::Close | Item::Reset => &[],
    }
}

/// Random chunks through random chains: what goes in comes out, once, in order, and the end last; none
/// of it before it is due, and none of it later than promised. A second link that is only looked at when
/// all is over says the same in the same pieces.
#[test]
fn nothing_is_lost_doubled_or_late() {
    for seed in 0..500 {
        let mut rng = SplitMix64::new(seed);
        let toxics = lossless(&mut rng);
        let generator = |id| SplitMix64::new(seed ^ id << 32);
        let (mut watched, mut left) = (Link::new(), Link::new());
        watched.adapt(Instant::ZERO, toxics.clone(), generator);
        left.adapt(Instant::ZERO, toxics.clone(), generator);
        let (mut now, mut sent, mut got, mut next) = (Instant::ZERO, Vec::new(), Vec::new(), 0_u8);
        let mut chunks = inclusive(1, 8, &mut rng);
        loop {
            while let Some(item) = watched.take(now) {
                got.push(item);
            }
            if chunks > 0 && (watched.poll_at().is_none() || inclusive(0, 1, &mut rng) == 0) {
                chunks -= 1;
                let length = usize::try_from(inclusive(1, 300, &mut rng)).unwrap();
                let chunk: Vec<u8> = std::iter::repeat_with(|| {
                    next = next.wrapping_add(1);
                    next
                })
                .take(length)
                .collect();
                sent.extend_from_slice(&chunk);
                let items = if chunks == 0 {
                    vec![Item::Bytes(chunk), Item::Fin]
                } else {
                    vec![Item::Bytes(chunk)]
                };
                for item in items {
                    watched.push(now, item.clone());
                    left.push(now, item);
                }
                continue;
            }
            let Some(at) = watched.poll_at() else { break };
            assert!(at > now, "seed {seed}: what was due has been taken");
            if let Some(before) = at.as_nanos().checked_sub(1).map(Instant::from_nanos) {
                assert_eq!(watched.take(before), None, "seed {seed}: early");
            }
            now = at;
        }
        let told: Vec<u8> = got.iter().flat_map(|item| bytes_of(item).to_vec()).collect();
        assert!(told == sent, "seed {seed}: {toxics:?}");
        assert_eq!(got.last(), Some(&Item::Fin), "seed {seed}");
        assert_eq!(watched.held(), 0, "seed {seed}");
        let late: Vec<Item> = std::iter::from_fn(|| left.take(Instant::MAX)).collect();
        assert_eq!(late, got, "seed {seed}: who looks when changes nothing");
    }
}

/// The same with chains that change in the middle: nothing is lost or doubled, and the order stays.
#[test]
fn a_change_of_the_chain_loses_nothing() {
    for seed in 0..500 {
        let mut rng = SplitMix64::new(seed);
        let mut link = Link::new();
        let (mut sent, mut got) = (Vec::new(), Vec::new());
        for step in 0..40_u8 {
            let now = Instant::from_nanos(u64::from(step) * 5_000_000);
            if inclusive(0, 2, &mut rng) == 0 {
                let mut toxics = lossless(&mut rng);
                // Numbers that stay keep their stage, whatever is around them.
                toxics.retain(|_| inclusive(0, 3, &mut rng) > 0);
                link.adapt(now, toxics, SplitMix64::new);
            }
            let chunk = vec![step; 7];
            sent.extend_from_slice(&chunk);
            link.push(now, Item::Bytes(chunk));
            while let Some(item) = link.take(now) {
                got.extend_from_slice(bytes_of(&item));
            }
        }
        link.adapt(Instant::from_nanos(1 << 40), Vec::new(), SplitMix64::new);
        while let Some(item) = link.take(Instant::from_nanos(1 << 40)) {
            got.extend_from_slice(bytes_of(&item));
        }
        assert!(got == sent, "seed {seed}");
    }
}

const fn millis(span: u64) -> Instant {
    Instant::from_nanos(span * 1_000_000)
}

#[test]
fn a_late_look_adds_nothing_up() {
    let latency = Effect::Latency(Latency {
        latency: 10,
        jitter: 0,
    });
    let mut link = Link::new();
    link.adapt(
        Instant::ZERO,
        vec![(1, latency.clone()), (2, latency)],
        SplitMix64::new,
    );
    link.push(Instant::ZERO, Item::Bytes(b"ping".to_vec()));
    // It left the first toxic at 10 ms, whoever looks at 15.
    assert_eq!(link.take(millis(15)), None);
    assert_eq!(link.poll_at(), Some(millis(20)));
    assert_eq!(link.take(millis(20)), Some(Item::Bytes(b"ping".to_vec())));
}

#[test]
fn a_line_carries_one_thing_after_the_other() {
    let mut link = Link::new();
    let line = Effect::Bandwidth(Bandwidth { rate: 1 });
    link.adapt(Instant::ZERO, vec![(1, line)], SplitMix64::new);
    for chunk in [&b"12345"[..], b"678"] {
        link.push(Instant::ZERO, Item::Bytes(chunk.to_vec()));
    }
    assert_eq!(link.poll_at(), Some(millis(5)));
    assert_eq!(link.take(millis(5)), Some(Item::Bytes(b"12345".to_vec())));
    assert_eq!(link.poll_at(), Some(millis(8)));
    // What was not sent while the line was idle is not saved up.
    assert_eq!(link.take(millis(100)), Some(Item::Bytes(b"678".to_vec())));
    link.push(millis(100), Item::Bytes(b"9".to_vec()));
    assert_eq!(link.poll_at(), Some(millis(101)));
    assert_eq!(link.take(millis(101)), Some(Item::Bytes(b"9".to_vec())));
    // What takes longer than 100 ms goes in pieces.
    link.push(millis(101), Item::Bytes(vec![0; 250]));
    let mut pieces = Vec::new();
    while let Some(at) = link.poll_at() {
        let lengths = std::iter::from_fn(|| link.take(at)).map(|item| item.len());
        pieces.push((at.as_nanos() / 1_000_000, lengths.sum::<usize>()));
    }
    assert_eq!(pieces, [(201, 100), (301, 100), (351, 50)]);
}
