//! One quantity over time.

use std::fmt::Write as _;
use std::ops::Range;

use super::count;
use super::plot::{LEFT, PLOT};
use crate::recorder::{Ledger, Reserve};
use crate::report::Replay;

/// Columns of a lane: two units wide at least.
const COLUMNS: usize = 320;

/// One quantity over time.
pub(super) struct Lane {
    /// What is counted.
    pub(super) name: &'static str,
    /// The most of it, in words.
    pub(super) figure: String,
    class: &'static str,
    /// By column, in thousandths.
    values: Vec<u64>,
    control: Option<Vec<u64>>,
    /// What fills the lane.
    top: u64,
}

/// The lanes from top to bottom.
pub(super) fn lanes(replay: &Replay<'_>) -> Vec<Lane> {
    let (ledger, control) = (&replay.ledger, replay.control.as_ref());
    let rate = |name, class, of: fn(&Ledger) -> &Vec<u64>| {
        let values = columns(of(ledger), mean);
        let most = values.iter().copied().max().unwrap_or(0);
        Lane {
            name,
            figure: format!("{}/s at most", tenths(most)),
            class,
            control: control
                .map(|control| columns(of(control), mean))
                .filter(|calm| *calm != values),
            values,
            top: 0,
        }
    };
    let mut lanes = vec![
        rate("offered", "offered", |ledger| &ledger.total.series.offered),
        rate("succeeded", "succeeded", |ledger| &ledger.total.series.succeeded),
        rate("attempts", "attempts", |ledger| &ledger.total.series.attempts),
    ];
    let all = lanes
        .iter()
        .flat_map(|lane| lane.values.iter().chain(lane.control.iter().flatten()));
    let top = all.copied().max().unwrap_or(0);
    for lane in &mut lanes {
        lane.top = top;
    }
    let guards = guards(replay);
    let gauge = |name, class, what, of: fn(&Ledger) -> &Vec<u64>| {
        let values = columns(of(ledger), peak);
        let most = of(ledger).iter().copied().max().unwrap_or(0);
        Lane {
            name,
            figure: format!("{most} of {guards} {what}"),
            class,
            control: control
                .map(|control| columns(of(control), peak))
                .filter(|calm| calm.iter().any(|v| *v > 0)),
            values,
            top: guards * 1_000,
        }
    };
    lanes.push(gauge("breaker open", "open", "circuits", |ledger| {
        &ledger.open.peaks
    }));
    lanes.push(gauge("health down", "down", "see it down", |ledger| {
        &ledger.down.peaks
    }));
    if let Some(reserve) = ledger.reserve.as_ref().filter(|reserve| reserve.was_used()) {
        let left = |reserve: &Reserve| columns(&reserve.left, lowest);
        let values = left(reserve);
        lanes.push(Lane {
            name: "tokens left",
            figure: format!("{}% left at least", tenths(reserve.least_per_mille() * 100)),
            class: "tokens",
            control: control
                .and_then(|control| control.reserve.as_ref().map(left))
                .filter(|calm| *calm != values),
            values,
            top: reserve.full * 1_000,
        });
    }
    lanes
}

/// Everybody with a guard.
pub(in crate::report) fn guards(replay: &Replay<'_>) -> u64 {
    let clients: u64 = replay
        .scenario
        .clients
        .iter()
        .map(|group| u64::from(group.count))
        .sum();
    let services = replay
        .scenario
        .nodes
        .iter()
        .filter(|node| node.downstream.is_some());
    clients + count(services.count())
}

impl Lane {
    /// With its upper edge at `y`.
    pub(super) fn svg(&self, y: u64, height: u64) -> String {
        let base = y + height;
        let (label, middle, figure) = (LEFT - 10, y + height / 2 + 4, LEFT + PLOT + 10);
        let mut svg = format!(
            "<text class=\"label\" x=\"{label}\" y=\"{middle}\">{}</text>\
             <text class=\"figure\" x=\"{figure}\" y=\"{middle}\">{}</text>\n",
            self.name, self.figure
        );
        let _ = writeln!(svg, "<path class=\"base\" d=\"M{LEFT},{base}H{}\"/>", LEFT + PLOT);
        if self.values.iter().any(|value| *value > 0) {
            let steps = self.steps(&self.values, base, height);
            let end = LEFT + PLOT;
            let class = self.class;
            let _ = writeln!(
                svg,
                "<path class=\"{class}\" d=\"M{LEFT},{base}{steps}H{end}V{base}Z\"/>"
            );
        }
        if let Some(control) = &self.control {
            let _ = writeln!(
                svg,
                "<path class=\"control\" d=\"{}\"/>",
                self.apart(control, base, height)
            );
        }
        svg
    }

    /// As a line without its name, under the lanes of others.
    pub(super) fn line(&self, y: u64, height: u64, class: &str) -> String {
        let base = y + height;
        let (steps, end) = (self.steps(&self.values, base, height), LEFT + PLOT);
        format!("<path class=\"{class}\" d=\"M{LEFT},{base}{steps}H{end}\"/>\n")
    }

    /// Lanes of the same quantity fill their place by the most of all.
    pub(super) fn share_scale(lanes: &mut [&mut Self]) {
        let top = lanes.iter().map(|lane| lane.top).max().unwrap_or(0);
        for lane in lanes {
            lane.top = top;
        }
    }

    /// `V` and `H` through the columns; equal neighbours are one.
    fn steps(&self, values: &[u64], base: u64, height: u64) -> String {
        let mut steps = String::new();
        let mut before = None;
        for (column, value) in values.iter().enumerate() {
            let y = base - self.height(*value, height);
            if before == Some(y) {
                continue;
            }
            if before.is_some() {
                let x = LEFT + PLOT * count(column) / count(values.len());
                let _ = write!(steps, "H{x}");
            }
            let _ = write!(steps, "V{y}");
            before = Some(y);
        }
        steps
    }

    /// The control, only where it differs: each stretch of it begins with an `M`.
    fn apart(&self, control: &[u64], base: u64, height: u64) -> String {
        let x = |column: usize| LEFT + PLOT * count(column) / count(control.len());
        let mut path = String::new();
        let mut drawing = false;
        for (column, (calm, own)) in control.iter().zip(&self.values).enumerate() {
            let differs = calm != own;
            if differs {
                let y = base - self.height(*calm, height);
                let _ = match drawing {
                    true => write!(path, "V{y}H{}", x(column + 1)),
                    false => write!(path, "M{},{y}H{}", x(column), x(column + 1)),
                };
            }
            drawing = differs;
        }
        path
    }

    /// Something is never drawn as nothing, and nothing never as something.
    fn height(&self, value: u64, height: u64) -> u64 {
        if value == 0 || self.top == 0 {
            return 0;
        }
        let (value, top, height) = (u128::from(value), u128::from(self.top), u128::from(height));
        let drawn = (value * height + top / 2) / top;
        u64::try_from(drawn.clamp(1, height)).unwrap_or(1)
    }
}

/// Seconds put together to columns.
fn columns(seconds: &[u64], put_together: fn(&[u64]) -> u64) -> Vec<u64> {
    let columns = COLUMNS.min(seconds.len()).max(1);
    let range = |column: usize| -> Range<usize> {
        column * seconds.len() / columns..(column + 1) * seconds.len() / columns
    };
    (0..columns)
        .map(|column| put_together(seconds.get(range(column)).unwrap_or_default()))
        .collect()
}

/// In thousandths, rounded up: something stays something.
fn mean(seconds: &[u64]) -> u64 {
    let sum: u64 = seconds.iter().sum();
    sum.saturating_mul(1_000).div_ceil(count(seconds.len()).max(1))
}

/// In thousandths.
fn lowest(seconds: &[u64]) -> u64 {
    seconds.iter().copied().min().unwrap_or(0).saturating_mul(1_000)
}

fn peak(seconds: &[u64]) -> u64 {
    seconds.iter().copied().max().unwrap_or(0).saturating_mul(1_000)
}

/// Thousandths with one decimal, and none where it says nothing.
fn tenths(thousandths: u64) -> String {
    let tenths = thousandths.saturating_add(50) / 100;
    match tenths % 10 {
        0 => (tenths / 10).to_string(),
        tenth => format!("{}.{tenth}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(values: &[u64], top: u64) -> Lane {
        Lane {
            name: "n",
            figure: String::new(),
            class: "c",
            values: values.to_vec(),
            control: None,
            top,
        }
    }

    #[test]
    fn heights_are_in_proportion_and_something_is_never_nothing() {
        let lane = lane(&[], 1_000);
        let heights: Vec<u64> = [0, 1, 250, 500, 999, 1_000, u64::MAX]
            .iter()
            .map(|v| lane.height(*v, 64))
            .collect();
        assert_eq!(heights, [0, 1, 16, 32, 64, 64, 64]);
    }

    #[test]
    fn steps_go_through_every_change_and_no_other() {
        let lane = lane(&[10, 10, 20, 0], 20);
        let (half, x) = (LEFT + PLOT / 2, LEFT + PLOT * 3 / 4);
        assert_eq!(
            lane.steps(&lane.values, 100, 64),
            format!("V68H{half}V36H{x}V100")
        );
    }

    #[test]
    fn the_control_is_drawn_where_it_differs() {
        let lane = lane(&[5, 10, 20, 20], 20);
        let x = |column: u64| LEFT + PLOT * column / 4;
        let path = format!("M{},68H{}M{},100H{}V84H{}", x(0), x(1), x(2), x(3), x(4));
        assert_eq!(lane.apart(&[10, 10, 0, 5], 100, 64), path);
        assert_eq!(lane.apart(&lane.values, 100, 64), "");
    }

    #[test]
    fn every_second_is_in_one_column() {
        for seconds in 1..1_000 {
            let ones = vec![1; seconds];
            let sum = |range: &[u64]| range.iter().sum();
            assert_eq!(
                columns(&ones, sum).iter().sum::<u64>(),
                count(seconds),
                "{seconds} s"
            );
        }
        assert_eq!(columns(&[], peak), [0]);
    }

    #[test]
    fn figures_have_one_decimal_where_it_says_something() {
        let found: Vec<String> = [0, 49, 50, 1_000, 1_049, 223_500]
            .iter()
            .map(|v| tenths(*v))
            .collect();
        assert_eq!(found, ["0", "0", "0.1", "1", "1", "223.5"]);
    }
}
