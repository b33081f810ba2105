//! What goes wrong: which keys belong to which kind, and whether it fits into the run.

use std::time::Duration;

use crossbridge_core::time::nanos;
use crossbridge_core::{Instant, Quota};
use crossbridge_std::classify::sql;
use crossbridge_std::config::{KeyPath, Problem, Seconds};

use super::Resolver;
use crate::scenario::format::{FaultFile, FaultKindFile};
use crate::scenario::limits::{BURST_CALLS, ROUNDS};
use crate::scenario::{ClientEffect, ClientFault, ErrorAnswer, ErrorCode, Fault, FaultEffect, Which};

impl Resolver<'_> {
    /// Those on nodes and those on clients.
    pub(super) fn faults(
        &mut self,
        nodes: &[String],
        clients: &[String],
        duration: Duration,
    ) -> (Vec<Fault>, Vec<ClientFault>) {
        let (mut faults, mut client_faults) = (Vec::new(), Vec::new());
        for (index, file) in self.file.faults.iter().enumerate() {
            let at = KeyPath::root().key("faults").index(index);
            let Some(rounds) = self.rounds(&at, file, duration) else {
                continue;
            };
            if faults.len() + client_faults.len() + rounds.len() > ROUNDS {
                let expected = format!("at most {ROUNDS} rounds of all faults together");
                self.refuse(at.key("repeat"), rounds.len(), expected);
                return (faults, client_faults);
            }
            self.refuse_strangers(&at, file);
            if file.kind.is_on_clients() {
                let group = self.group(&at.key("on"), clients, &file.on);
                let effect = self.client_effect(&at, file);
                if let (Some(group), Some(kind)) = (group, effect) {
                    client_faults.extend(rounds.into_iter().map(|(from, until)| ClientFault {
                        from,
                        until,
                        group,
                        kind,
                    }));
                }
                continue;
            }
            let node = self.node(&at.key("on"), nodes, &file.on);
            let which = self.which(&at, file);
            let effect = self.effect(&at, file);
            let ramp = file.ramp.map_or(0, |span| nanos(span.get()));
            let number = u32::try_from(index).unwrap_or(u32::MAX);
            if let (Some(node), Some(kind)) = (node, effect) {
                faults.extend((0_u32..).zip(rounds).map(|(round, (from, until))| Fault {
                    number: (number, round),
                    from,
                    until,
                    node,
                    kind: kind.clone(),
                    which,
                    ramp,
                }));
            }
        }
        (faults, client_faults)
    }

    /// Begin and end of each round.
    fn rounds(
        &mut self,
        at: &KeyPath,
        file: &FaultFile,
        duration: Duration,
    ) -> Option<Vec<(Instant, Instant)>> {
        let from = file.at.get();
        if from >= duration {
            self.refuse(
                at.key("at"),
                format!("{from:?}"),
                format!("before the end of the run at {duration:?}"),
            );
            return None;
        }
        // A burst or a restart happens at once; everything else stays.
        let at_once = matches!(file.kind, FaultKindFile::Burst | FaultKindFile::Restart);
        let default = if at_once { Duration::ZERO } else { duration - from };
        let lasts = file.lasts.map_or(default, Seconds::get);
        if from + lasts > duration {
            let expected = format!("an end within the run of {duration:?}");
            self.refuse(at.key("for"), format!("until {:?}", from + lasts), expected);
            return None;
        }
        let instant = |span| Instant::ZERO.saturating_add(span);
        let Some(repeat) = file.repeat else {
            return Some(vec![(instant(from), instant(from + lasts))]);
        };
        let (every, at) = (repeat.every.get(), at.key("repeat"));
        if file.lasts.is_none() && !at_once {
            let problem = Problem::new(at, "a fault that never ends cannot come again");
            self.problems.push(problem.expected("`for`").at_key());
            return None;
        }
        if every.is_zero() || every < lasts {
            let expected = format!("more than 0, at least `for`, which is {lasts:?}");
            self.refuse(at.key("every"), format!("{every:?}"), expected);
            return None;
        }
        if repeat.times == Some(0) {
            self.refuse(at.key("times"), 0, "at least 1");
            return None;
        }
        let mut rounds = Vec::new();
        let mut begin = from;
        while begin + lasts <= duration
            && begin < duration
            && rounds.len() <= ROUNDS
            && repeat.times.is_none_or(|times| rounds.len() < times as usize)
        {
            rounds.push((instant(begin), instant(begin + lasts)));
            begin += every;
        }
        if let Some(times) = repeat.times
            && rounds.len() < times as usize
            && rounds.len() <= ROUNDS
        {
            let expected = format!("at most {}: the run ends at {duration:?}", rounds.len());
            self.refuse(at.key("times"), times, expected);
            return None;
        }
        Some(rounds)
    }

    fn group(&mut self, at: &KeyPath, names: &[String], name: &str) -> Option<usize> {
        let found = names.iter().position(|known| known == name);
        if found.is_none() {
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            self.problems.push(Problem::unknown_name(
                at.clone(),
                "group of clients",
                name,
                &known,
            ));
        }
        found
    }

    fn which(&mut self, at: &KeyPath, file: &FaultFile) -> Which {
        let probability = file.probability.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&probability) {
            self.refuse(at.key("probability"), probability, "0 to 1");
        }
        for (key, count) in [("first", file.first), ("every", file.every)] {
            if count == Some(0) {
                self.refuse(at.key(key), 0, "at least 1");
            }
        }
        Which {
            probability,
            first: file.first,
            every: file.every,
        }
    }

    /// Keys that say nothing about a fault of this kind.
    fn refuse_strangers(&mut self, at: &KeyPath, file: &FaultFile) {
        use FaultKindFile as K;
        let some = [
            K::Refuse,
            K::Reset,
            K::Hang,
            K::Slow,
            K::Error,
            K::Throttle,
            K::DropAnswer,
            K::Partial,
            K::Corrupt,
        ];
        let ramped = [
            K::Refuse,
            K::Reset,
            K::Hang,
            K::Slow,
            K::Error,
            K::DropAnswer,
            K::Partial,
            K::Corrupt,
            K::Capacity,
        ];
        let belongs: [(&str, bool, &[FaultKindFile]); 16] = [
            ("code", file.code.is_some(), &[K::Error]),
            (
                "retry_after",
                file.retry_after.is_some(),
                &[K::Error, K::Throttle],
            ),
            ("factor", file.factor.is_some(), &[K::Slow, K::ClockDrift]),
            ("add", file.add.is_some(), &[K::Slow]),
            ("rate", file.rate.is_some(), &[K::Throttle]),
            ("burst", file.burst.is_some(), &[K::Throttle]),
            ("servers", file.servers.is_some(), &[K::Capacity]),
            ("buffer", file.buffer.is_some(), &[K::Partition]),
            ("calls", file.calls.is_some(), &[K::Burst]),
            ("snapshot", file.snapshot.is_some(), &[K::Restart]),
            ("forward", file.forward.is_some(), &[K::ClockStep]),
            ("back", file.back.is_some(), &[K::ClockStep]),
            ("ramp", file.ramp.is_some(), &ramped),
            ("probability", file.probability.is_some(), &some),
            ("first", file.first.is_some(), &some),
            ("every", file.every.is_some(), &some),
        ];
        for (key, given, kinds) in belongs {
            if given && !kinds.contains(&file.kind) {
                let kinds: Vec<&str> = kinds.iter().map(|&kind| kind.name()).collect();
                let problem = Problem::new(at.key(key), format!("`{key}` says nothing about this fault"))
                    .found(format!("kind {}", file.kind.name()))
                    .expected(kinds.join(" or "));
                self.problems.push(problem.at_key());
            }
        }
        if let (Some(ramp), Some(lasts)) = (file.ramp, file.lasts)
            && ramp > lasts
        {
            let expected = format!("at most `for`, which is {:?}", lasts.get());
            self.refuse(at.key("ramp"), format!("{:?}", ramp.get()), expected);
        }
    }

    fn effect(&mut self, at: &KeyPath, file: &FaultFile) -> Option<FaultEffect> {
        let retry_after = file.retry_after.map(Seconds::get);
        match file.kind {
            FaultKindFile::Refuse => Some(FaultEffect::Refuse),
            FaultKindFile::Reset => Some(FaultEffect::Reset),
            FaultKindFile::Hang => Some(FaultEffect::Hang),
            FaultKindFile::Slow => self.slow(at, file),
            FaultKindFile::Error => self.error(at, file, retry_after),
            FaultKindFile::Throttle => self.throttle(at, file, retry_after),
            FaultKindFile::DropAnswer => Some(FaultEffect::DropAnswer),
            FaultKindFile::Partial => Some(FaultEffect::Partial),
            FaultKindFile::Corrupt => Some(FaultEffect::Corrupt),
            FaultKindFile::Capacity => {
                if file.servers.is_none() {
                    self.missing(at, "servers", "`servers`: requests served at once");
                }
                file.servers.map(FaultEffect::Capacity)
            }
            FaultKindFile::CrashRestart => Some(FaultEffect::CrashRestart),
            FaultKindFile::Partition => Some(FaultEffect::Partition {
                buffer: file.buffer.unwrap_or(false),
            }),
            FaultKindFile::Burst
            | FaultKindFile::Restart
            | FaultKindFile::ClockStep
            | FaultKindFile::ClockDrift
            | FaultKindFile::ClockFreeze => None,
        }
    }

    fn client_effect(&mut self, at: &KeyPath, file: &FaultFile) -> Option<ClientEffect> {
        match file.kind {
            FaultKindFile::Burst => self.burst(at, file),
            FaultKindFile::Restart => Some(ClientEffect::Restart {
                snapshot: file.snapshot.unwrap_or(false),
            }),
            FaultKindFile::ClockStep => match (file.forward, file.back) {
                (Some(by), None) => Some(ClientEffect::ClockStep {
                    by: nanos(by.get()),
                    back: false,
                }),
                (None, Some(by)) => Some(ClientEffect::ClockStep {
                    by: nanos(by.get()),
                    back: true,
                }),
                (None, None) => {
                    self.missing(at, "forward", "`forward` or `back`");
                    None
                }
                (Some(_), Some(_)) => {
                    let problem = Problem::new(at.key("back"), "a clock that steps both ways");
                    self.problems
                        .push(problem.expected("`forward` or `back`").at_key());
                    None
                }
            },
            FaultKindFile::ClockDrift => self.drift(at, file),
            FaultKindFile::ClockFreeze => Some(ClientEffect::ClockFreeze),
            FaultKindFile::Refuse
            | FaultKindFile::Reset
            | FaultKindFile::Hang
            | FaultKindFile::Slow
            | FaultKindFile::Error
            | FaultKindFile::Throttle
            | FaultKindFile::DropAnswer
            | FaultKindFile::Partial
            | FaultKindFile::Corrupt
            | FaultKindFile::Capacity
            | FaultKindFile::CrashRestart
            | FaultKindFile::Partition => None,
        }
    }

    fn burst(&mut self, at: &KeyPath, file: &FaultFile) -> Option<ClientEffect> {
        let Some(calls) = file.calls else {
            self.missing(at, "calls", "`calls`: how many more each client makes");
            return None;
        };
        let clients = self.file.clients.0.iter().find(|(name, _)| *name == file.on);
        let count = clients.map_or(1, |(_, spec)| u64::from(spec.count));
        if calls == 0 || u64::from(calls).saturating_mul(count) > BURST_CALLS {
            let expected = format!("1 or more, and for all clients together at most {BURST_CALLS}");
            self.refuse(at.key("calls"), calls, expected);
            return None;
        }
        Some(ClientEffect::Burst(calls))
    }

    fn drift(&mut self, at: &KeyPath, file: &FaultFile) -> Option<ClientEffect> {
        let Some(factor) = file.factor else {
            self.missing(at, "factor", "`factor`: 1.01 gains 10 ms a second");
            return None;
        };
        if !(0.1..=10.0).contains(&factor) {
            self.refuse(at.key("factor"), factor, "0.1 to 10");
            return None;
        }
        // In range: 0.1 to 10 are -900 000 to 9 000 000 millionths.
        #[expect(clippy::cast_possible_truncation)]
        let millionths = libm::round((factor - 1.0) * 1e6) as i32;
        Some(ClientEffect::ClockDrift(millionths))
    }

    fn slow(&mut self, at: &KeyPath, file: &FaultFile) -> Option<FaultEffect> {
        let factor = file.factor.unwrap_or(1.0);
        if !(0.0..=1e6).contains(&factor) {
            self.refuse(at.key("factor"), factor, "0 to 1000000");
            return None;
        }
        if file.factor.is_none() && file.add.is_none() {
            self.missing(at, "factor", "`factor`, `add` or both");
            return None;
        }
        Some(FaultEffect::Slow {
            factor,
            add: file.add.map_or(0, |span| nanos(span.get())),
        })
    }

    fn error(
        &mut self,
        at: &KeyPath,
        file: &FaultFile,
        retry_after: Option<Duration>,
    ) -> Option<FaultEffect> {
        let Some(code) = &file.code else {
            self.missing(at, "code", "`code`: an HTTP status or a SQLSTATE");
            return None;
        };
        let code = match code.0.parse() {
            Ok(status) if code.0.len() == 3 => ErrorCode::Http(status),
            _ => ErrorCode::Sqlstate(code.0.clone(), sql::sqlstate(&code.0)),
        };
        if let ErrorCode::Http(status @ 100..=399) = code {
            self.refuse(at.key("code"), status, "an error: 400 to 599, or a SQLSTATE");
        }
        Some(FaultEffect::Error(ErrorAnswer { code, retry_after }))
    }

    fn throttle(
        &mut self,
        at: &KeyPath,
        file: &FaultFile,
        retry_after: Option<Duration>,
    ) -> Option<FaultEffect> {
        let Some(rate) = file.rate else {
            self.missing(at, "rate", "`rate`: what the server bears, such as `10/s`");
            return None;
        };
        let quota = Quota::new(1, rate.interval()).and_then(|quota| quota.burst(file.burst.unwrap_or(1)));
        match quota {
            Ok(quota) => Some(FaultEffect::Throttle { quota, retry_after }),
            Err(refused) => {
                let key = if refused.field == "burst" { "burst" } else { "rate" };
                self.refuse(at.key(key), refused.found, refused.expected);
                None
            }
        }
    }
}
