//! What every picture of a report shares: its measures, its frame and an axis.

use std::fmt::Write as _;

use crossbridge_core::Instant;

use super::super::markup::escape;

/// The whole width.
pub(in crate::report) const WIDTH: u64 = 900;
/// Room for labels, set to the right.
pub(in crate::report) const LEFT: u64 = 104;
/// Where things are drawn.
pub(in crate::report) const PLOT: u64 = 640;
/// Room for figures.
pub(in crate::report) const RIGHT: u64 = 156;
/// Between two lanes.
pub(in crate::report) const GAP: u64 = 12;
/// Below the last one.
pub(in crate::report) const AXIS: u64 = 20;
/// Colours for light and dark.
pub(in crate::report) const STYLE: &str = include_str!("picture.css");

/// Most ticks of an axis.
const TICKS: u64 = 9;

/// The begin of a picture: its name and what it shows come first, for those who hear it.
pub(in crate::report) fn open_svg(
    id: &str,
    height: u64,
    title: &str,
    text: &str,
    style: Option<&str>,
) -> String {
    let style = style.map_or(String::new(), |style| format!("<style>\n{style}</style>\n"));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"picture\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\" aria-labelledby=\"{id}-title {id}-text\">\n\
         <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-text\">{}</desc>\n{style}\
         <rect class=\"sheet\" width=\"{WIDTH}\" height=\"{height}\"/>\n",
        escape(title),
        escape(text)
    )
}

/// Seconds from left to right.
#[derive(Clone, Copy)]
pub(in crate::report) struct Axis {
    seconds: u64,
}

impl Axis {
    /// From 0 to so many seconds, at least one.
    pub(in crate::report) fn new(seconds: u64) -> Self {
        Self {
            seconds: seconds.max(1),
        }
    }

    /// Where an instant is.
    pub(in crate::report) fn x(self, at: Instant) -> u64 {
        let end = u128::from(self.seconds) * 1_000_000_000;
        let x = u128::from(at.as_nanos()).min(end) * u128::from(PLOT) / end;
        LEFT + u64::try_from(x).unwrap_or(PLOT)
    }

    /// Where a span begins and how wide it is, never too thin to be seen.
    pub(in crate::report) fn span(self, from: Instant, until: Instant) -> (u64, u64) {
        let (begin, end) = (self.x(from), self.x(until));
        let begin = begin.min(LEFT + PLOT - 2);
        (begin, end.saturating_sub(begin).max(2))
    }

    /// Lines from `top` to `bottom`, and the times below them.
    pub(in crate::report) fn svg(self, top: u64, bottom: u64) -> String {
        let step = step(self.seconds);
        let mut svg = String::new();
        for tick in 0..=self.seconds / step {
            let x = self.x(Instant::from_nanos((tick * step).saturating_mul(1_000_000_000)));
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{x},{top}V{}\"/><text class=\"tick\" x=\"{x}\" y=\"{}\">{}</text>",
                bottom - 4,
                bottom + 10,
                time(tick * step, step)
            );
        }
        svg
    }
}

/// The least round step with few enough ticks.
fn step(seconds: u64) -> u64 {
    let round = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200,
    ];
    let days = seconds.div_ceil(TICKS * 86_400).max(1) * 86_400;
    round
        .into_iter()
        .find(|step| seconds / step < TICKS)
        .unwrap_or(days)
}

/// In the largest unit that the step is a multiple of.
fn time(seconds: u64, step: u64) -> String {
    if seconds == 0 {
        return "0".to_owned();
    }
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let unit = units.into_iter().find(|(unit, _)| step.is_multiple_of(*unit));
    let (unit, name) = unit.unwrap_or((1, "s"));
    format!("{}{name}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_few_round_ticks() {
        let ticks = |seconds: u64| {
            let step = step(seconds);
            let last = seconds / step * step;
            (seconds / step + 1, time(step, step), time(last, step))
        };
        assert_eq!(ticks(1), (2, "1s".into(), "1s".into()));
        assert_eq!(ticks(120), (9, "15s".into(), "120s".into()));
        assert_eq!(ticks(600), (6, "2m".into(), "10m".into()));
        assert_eq!(ticks(30 * 86_400), (8, "4d".into(), "28d".into()));
        for seconds in 1..200_000 {
            assert!((2..=TICKS).contains(&ticks(seconds).0), "{seconds} s");
        }
    }

    #[test]
    fn a_span_is_seen_and_stays_inside() {
        let axis = Axis::new(1_000_000);
        let at = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
        assert_eq!(axis.span(at(0), at(0)), (LEFT, 2));
        assert_eq!(axis.span(at(1_000_000), Instant::MAX), (LEFT + PLOT - 2, 2));
        assert_eq!(axis.span(at(500_000), Instant::MAX), (LEFT + PLOT / 2, PLOT / 2));
    }
}
