//! An exploration on one page.

use std::fmt::Write as _;

use super::{Exploration, Finding};
use crate::report::text::Paint;

/// The page. `command` repeats a run, given its seed.
#[must_use]
pub fn page(exploration: &Exploration, command: impl Fn(u64) -> String, paint: Paint) -> String {
    let mut page = String::new();
    let Exploration {
        scenario,
        runs,
        passed,
        plan,
        ..
    } = exploration;
    let first = exploration.seed;
    let last = first.wrapping_add(runs.saturating_sub(1));
    let _ = writeln!(page, "{}", paint.strong(scenario));
    let _ = writeln!(
        page,
        "{runs} runs, seeds {first} to {last}, {}s each",
        plan.duration().as_secs()
    );
    let storm = plan.lead + plan.storm;
    let (from, to) = plan.window();
    let _ = writeln!(
        page,
        "faults from {}s to {}s, {}s to recover, goodput judged from {from}s to {to}s, of late runs once more\n",
        plan.lead.as_secs(),
        storm.as_secs(),
        plan.recovery.as_secs(),
    );
    for finding in &exploration.failures {
        tell(&mut page, finding, &command, paint);
    }
    if let Some(why) = &exploration.unfinished_because {
        let _ = writeln!(
            page,
            "{} runs could not be finished; {why}\n",
            exploration.unfinished
        );
    }
    if exploration.excused > 0 {
        let _ = writeln!(
            page,
            "{} runs excused: with one attempt a call and no other policy they are not back in time either\n",
            exploration.excused
        );
    }
    let verdict = if exploration.failures.is_empty() {
        paint.good("PASS")
    } else {
        paint.fault("FAIL")
    };
    let _ = writeln!(
        page,
        "{}  {verdict}, everything held in {passed} of {runs} runs",
        paint.strong("Verdict")
    );
    page
}

fn tell(page: &mut String, finding: &Finding, command: &impl Fn(u64) -> String, paint: Paint) {
    let Finding {
        rule,
        seed,
        runs,
        drawn,
        shrunk,
        trials,
        ..
    } = finding;
    let _ = writeln!(
        page,
        "{} {}, the first rule broken in {runs} runs",
        paint.fault("✘"),
        paint.strong(rule)
    );
    let _ = writeln!(page, "  found    {}", finding.first);
    let _ = writeln!(page, "  repeat   {}", command(*seed));
    let clients = |counts: &[u32]| counts.iter().map(|&count| u64::from(count)).sum::<u64>();
    let _ = writeln!(
        page,
        "  shrunk   from {} faults, {} clients, {}s to {}, {}, {}s in {trials} trials",
        drawn.faults.len(),
        clients(&drawn.clients),
        drawn.duration.as_secs(),
        shrunk.faults.len(),
        clients(&shrunk.clients),
        shrunk.duration.as_secs(),
    );
    let _ = writeln!(page, "           {}", finding.failure);
    for fault in &shrunk.faults {
        let _ = writeln!(page, "           {fault}");
    }
    match &finding.saved {
        Some(file) => {
            let _ = writeln!(page, "  replay   crossbridge replay {file}\n");
        }
        None => {
            let _ = writeln!(page, "           `--save DIR` writes it as a scenario\n");
        }
    }
}
