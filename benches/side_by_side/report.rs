//! What came out: a table for people, the same as data.

use std::fmt::Write as _;

use serde::Serialize;

use crate::lab::{Kind, Row, Taken, Target};

/// One row, judged.
#[derive(Serialize)]
pub(crate) struct Judged {
    id: &'static str,
    what: &'static str,
    target: Target,
    /// Nanoseconds per operation, the least of all rounds.
    ours: Option<f64>,
    best_peer: Option<f64>,
    best_peer_name: Option<&'static str>,
    floor: Option<f64>,
    ours_by_best_peer: Option<f64>,
    ours_by_floor: Option<f64>,
    reached: Option<bool>,
    contestants: Vec<Taken>,
}

impl Judged {
    pub(crate) fn new(row: &Row, contestants: Vec<Taken>) -> Self {
        let least = |kind| {
            let of_kind = contestants.iter().filter(|taken| taken.kind == kind);
            of_kind.min_by(|one, other| one.min.total_cmp(&other.min))
        };
        let ours = least(Kind::Ours).map(|taken| taken.min);
        let floor = least(Kind::Floor).map(|taken| taken.min);
        let peer = least(Kind::Peer);
        let best_peer = peer.map(|taken| taken.min);
        let ratio = |to: Option<f64>| ours.zip(to).map(|(ours, to)| ours / to);
        let most = match row.target {
            Target::None => None,
            Target::TimesFloor(times) => floor.map(|floor| floor * times),
            Target::TimesPeer(times) => best_peer.map(|peer| peer * times),
            Target::FloorPlus(more) => floor.map(|floor| floor + more),
            Target::Nanos(most) => Some(most),
        };
        Self {
            id: row.id,
            what: row.what,
            target: row.target,
            ours,
            best_peer,
            best_peer_name: peer.map(|taken| taken.name),
            floor,
            ours_by_best_peer: ratio(best_peer),
            ours_by_floor: ratio(floor),
            reached: ours.zip(most).map(|(ours, most)| ours <= most),
            contestants,
        }
    }
}

/// A run.
#[derive(Serialize)]
pub(crate) struct Report {
    /// Machine, compiler, date: whatever the caller said.
    pub(crate) about: Option<String>,
    pub(crate) rounds: usize,
    pub(crate) rows: Vec<Judged>,
}

impl Report {
    /// The table of the rows, then each contestant.
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::from("# Side by side\n\n");
        if let Some(about) = &self.about {
            let _ = writeln!(out, "{about}\n");
        }
        let _ = writeln!(
            out,
            "Nanoseconds per operation, the least of {} interleaved rounds; made with `cargo run --release \
             -p crossbridge-benches --features peers --bin side-by-side`.\n",
            self.rounds
        );
        out.push_str(
            "| path | ours | best peer | floor | ours / best peer | ours / floor | target | reached |\n",
        );
        out.push_str("|---|--:|---|--:|--:|--:|---|---|\n");
        for row in self.rows.iter().filter(|row| row.ours.is_some()) {
            let peer = row.best_peer.zip(row.best_peer_name);
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                row.what,
                number(row.ours),
                peer.map_or("-".into(), |(peer, name)| format!("{peer:.2} ({name})")),
                number(row.floor),
                number(row.ours_by_best_peer),
                number(row.ours_by_floor),
                words(row.target),
                row.reached
                    .map_or("-", |reached| if reached { "yes" } else { "no" }),
            );
        }
        for row in &self.rows {
            let _ = writeln!(out, "\n## {}: {}\n", row.id, row.what);
            out.push_str("| contestant | | least | median |\n|---|---|--:|--:|\n");
            for taken in &row.contestants {
                let kind = match taken.kind {
                    Kind::Ours => "ours",
                    Kind::Peer => "peer",
                    Kind::Floor => "floor",
                    Kind::Context => "",
                };
                let _ = writeln!(
                    out,
                    "| {} | {kind} | {:.2} | {:.2} |",
                    taken.name, taken.min, taken.median
                );
            }
        }
        out
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{value:.2}"))
}

fn words(target: Target) -> String {
    match target {
        Target::None => "-".into(),
        Target::TimesFloor(times) => format!("<= {times:.2} x floor"),
        Target::TimesPeer(times) => format!("<= {times:.2} x best peer"),
        Target::FloorPlus(more) => format!("<= floor + {more:.1} ns"),
        Target::Nanos(most) => format!("<= {most:.1} ns"),
    }
}
