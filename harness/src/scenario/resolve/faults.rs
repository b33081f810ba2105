//! What goes wrong: which keys belong to which kind, and whether it fits into the run.

use std::time::Duration;

use crossbridge_core::time::nanos;
use crossbridge_core::{Instant, Quota};
use crossbridge_std::classify::sql;
use crossbridge_std::config::{KeyPath, Problem, Seconds};

use super::Resolver;
use crate::scenario::format::{FaultFile, FaultKindFile};
use crate::scenario::{ErrorAnswer, ErrorCode, Fault, FaultEffect, Which};

impl Resolver<'_> {
    pub(super) fn faults(&mut self, names: &[String], duration: Duration) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (index, file) in self.file.faults.iter().enumerate() {
            let at = KeyPath::root().key("faults").index(index);
            let from = file.at.get();
            let lasts = file.lasts.map_or(duration.saturating_sub(from), Seconds::get);
            if from >= duration {
                self.refuse(
                    at.key("at"),
                    format!("{from:?}"),
                    format!("before the end of the run at {duration:?}"),
                );
            } else if from + lasts > duration {
                let expected = format!("an end within the run of {duration:?}");
                self.refuse(at.key("for"), format!("until {:?}", from + lasts), expected);
            }
            let node = self.node(&at.key("on"), names, &file.on);
            let which = self.which(&at, file);
            let effect = self.effect(&at, file);
            if let (Some(node), Some(kind)) = (node, effect) {
                let from = Instant::ZERO.saturating_add(from);
                faults.push(Fault {
                    from,
                    until: from.saturating_add(lasts),
                    node,
                    kind,
                    which,
                });
            }
        }
        faults
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

    fn effect(&mut self, at: &KeyPath, file: &FaultFile) -> Option<FaultEffect> {
        let retry_after = file.retry_after.map(Seconds::get);
        let effect = match file.kind {
            FaultKindFile::Refuse => Some(FaultEffect::Refuse),
            FaultKindFile::Hang => Some(FaultEffect::Hang),
            FaultKindFile::Slow => self.slow(at, file),
            FaultKindFile::Error => self.error(at, file, retry_after),
            FaultKindFile::Throttle => self.throttle(at, file, retry_after),
        };
        let (error, slow, throttle) = (FaultKindFile::Error, FaultKindFile::Slow, FaultKindFile::Throttle);
        let belongs: [(&str, bool, &[FaultKindFile]); 6] = [
            ("code", file.code.is_some(), &[error]),
            ("retry_after", file.retry_after.is_some(), &[error, throttle]),
            ("factor", file.factor.is_some(), &[slow]),
            ("add", file.add.is_some(), &[slow]),
            ("rate", file.rate.is_some(), &[throttle]),
            ("burst", file.burst.is_some(), &[throttle]),
        ];
        for (key, given, kinds) in belongs {
            if given && !kinds.contains(&file.kind) {
                let problem = Problem::new(at.key(key), format!("`{key}` says nothing about this fault"))
                    .found(format!("kind {}", kind_name(file.kind)))
                    .expected(
                        kinds
                            .iter()
                            .map(|&kind| kind_name(kind))
                            .collect::<Vec<_>>()
                            .join(" or "),
                    );
                self.problems.push(problem.at_key());
            }
        }
        effect
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

const fn kind_name(kind: FaultKindFile) -> &'static str {
    match kind {
        FaultKindFile::Refuse => "refuse",
        FaultKindFile::Hang => "hang",
        FaultKindFile::Slow => "slow",
        FaultKindFile::Error => "error",
        FaultKindFile::Throttle => "throttle",
    }
}
