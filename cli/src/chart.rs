//! Charts of lines and of bars as SVG, readable at 620 pixels, on light and on dark backgrounds.

use std::fmt::Write as _;

use crate::svg::{Point, begin, line, text};

const WIDTH: f64 = 620.0;
/// Height of the field of a line chart.
const FIELD: f64 = 250.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 24.0;
/// About how wide a letter of 12 pixels is; the widest common fallback font (DejaVu Sans) decides.
const LETTER: f64 = 7.2;
/// Letters that fit into a line of the title or of the note.
const TITLE_FITS: usize = 60;
/// Kinds of lines and of bars that can be told apart.
pub(crate) const KINDS: usize = 6;

const LIGHT: &str = "\
.grid { stroke: #e4e4e0; stroke-width: 1 } .axis { stroke: #8a8f98; stroke-width: 1 }
.tick { font-size: 11px; fill: #555 } .mid { text-anchor: middle } .end { text-anchor: end }
.mark { stroke: #8a8f98; stroke-width: 1; stroke-dasharray: 4 4 }
.line { fill: none; stroke-width: 2; stroke-linejoin: round }
.s0 { stroke: #1f6fb5 } .s1 { stroke: #c77700 } .s2 { stroke: #14807a } .s3 { stroke: #b81d2e }
.s4 { stroke: #7a4fb0 } .s5 { stroke: #5d6470 } .s1 { stroke-dasharray: 7 4 } .s3 { stroke-dasharray: 2 4 }
.d0 { fill: #1f6fb5 } .d1 { fill: #c77700 } .d2 { fill: #14807a } .d3 { fill: #b81d2e }
.d4 { fill: #7a4fb0 } .d5 { fill: #5d6470 }
.b0 { fill: #a9cbe8 } .b1 { fill: #6ba3d0 } .b2 { fill: #2f74ad } .b3 { fill: #123f66 }
.b4 { fill: #a3a6ab } .b5 { fill: #c77700 }
.band0 { fill: #b81d2e; opacity: 0.1 } .band1 { fill: #1f6fb5; opacity: 0.2 } .band2 { fill: #2e8b57; opacity: 0.08 }
";
const DARK: &str = "\
.grid { stroke: #2a2e34 } .axis { stroke: #7f8792 } .tick { fill: #a8a8a8 } .mark { stroke: #7f8792 }
.s0 { stroke: #5aa9ea } .s1 { stroke: #f0a030 } .s2 { stroke: #3fb8b0 } .s3 { stroke: #ff6b78 }
.s4 { stroke: #b08ae0 } .s5 { stroke: #a0a8b4 }
.d0 { fill: #5aa9ea } .d1 { fill: #f0a030 } .d2 { fill: #3fb8b0 } .d3 { fill: #ff6b78 }
.d4 { fill: #b08ae0 } .d5 { fill: #a0a8b4 }
.b0 { fill: #24455f } .b1 { fill: #366f9c } .b2 { fill: #5aa0d8 } .b3 { fill: #b8dcf8 }
.b4 { fill: #6a6f78 } .b5 { fill: #f0a030 }
";

/// What an axis shows.
pub struct Axis {
    /// With its unit.
    label: String,
    /// The lowest value. With `ticks` the axis is logarithmic and must not begin at 0.
    from: f64,
    to: f64,
    /// If not empty: exactly these ticks, on a logarithmic axis.
    ticks: Vec<f64>,
}

impl Axis {
    /// From 0 to the next round number.
    pub fn up_to(label: &str, most: f64) -> Self {
        Self { label: label.to_owned(), from: 0.0, to: rounded_up(most), ticks: Vec::new() }
    }

    /// From 0 to 100 percent.
    pub fn percent(label: &str) -> Self {
        Self { label: label.to_owned(), from: 0.0, to: 100.0, ticks: Vec::new() }
    }

    /// Logarithmic, with these ticks.
    pub fn log(label: &str, ticks: Vec<f64>) -> Self {
        let (from, to) =
            (ticks.iter().copied().fold(f64::INFINITY, f64::min), ticks.iter().copied().fold(1.0, f64::max));
        Self { label: label.to_owned(), from, to, ticks }
    }

    /// Where a value lies: 0 at the beginning, 1 at the end.
    fn part(&self, value: f64) -> f64 {
        let (from, to, value) = match self.ticks.is_empty() {
            true => (self.from, self.to, value),
            false => (self.from.ln(), self.to.ln(), value.ln()),
        };
        // One value alone stands in the middle.
        if to > from { ((value - from) / (to - from)).clamp(0.0, 1.0) } else { 0.5 }
    }

    fn ticks(&self) -> Vec<f64> {
        if !self.ticks.is_empty() {
            return self.ticks.clone();
        }
        let step = step(self.to - self.from);
        let count = ((self.to - self.from) / step).round() as usize;
        (0..=count).map(|tick| self.from + tick as f64 * step).collect()
    }
}

/// The distance between ticks of which four to eight fit.
fn step(range: f64) -> f64 {
    let rough = (range / 5.0).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|step| step * power >= rough * 0.999);
    step.unwrap_or(10.0) * power
}

fn rounded_up(most: f64) -> f64 {
    let most = if most.is_finite() && most > 0.0 { most } else { 1.0 };
    let step = step(most);
    (most / step - 1e-9).ceil() * step
}

/// A number as people write it: no needless digits, thousands apart.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut out = String::new();
    for (at, c) in whole.chars().enumerate() {
        if at > 0 && whole.len() > 4 && (whole.len() - at).is_multiple_of(3) {
            out.push('\u{a0}');
        }
        out.push(c);
    }
    out + rest
}

/// One line of a chart.
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
    pub kind: Drawn,
}

/// How the points of a line are joined.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Drawn {
    /// The value holds until the next point.
    Steps,
    /// Straight from point to point, which are marked.
    Dots,
}

/// Lines over one axis.
pub struct Lines {
    pub title: String,
    pub note: String,
    pub x: Axis,
    pub y: Axis,
    /// At most `KINDS`.
    pub series: Vec<Series>,
    /// Values of x that are pointed out, with a word for each.
    pub marks: Vec<(f64, String)>,
    /// Stretches of x behind the lines, and of which kind: 0 to 2. Where several overlap it is darker.
    pub bands: Vec<(f64, f64, usize)>,
}

/// Several charts in one picture, one under the other.
pub fn stacked(title: &str, charts: &[Lines]) -> String {
    let height = charts.iter().map(Lines::height).sum();
    let mut out = begin(WIDTH, height, title, LIGHT, DARK);
    let mut y = 0.0;
    for chart in charts {
        // A picture inside a picture, at a place of its own.
        out += &chart.draw().replacen("<svg ", &format!("<svg y=\"{y:.0}\" "), 1);
        y += chart.height();
    }
    out.push_str("</svg>\n");
    out
}

impl Lines {
    fn height(&self) -> f64 {
        self.top() + FIELD + 50.0
    }

    /// Where the field begins: under the title, the note, the legend, and a line for the names of marks.
    fn top(&self) -> f64 {
        let rows = self.legend().iter().map(|(row, ..)| row + 1).max().unwrap_or(0);
        74.0 + 20.0 * rows as f64 + 24.0
    }

    fn legend(&self) -> Vec<(usize, f64, &str)> {
        match self.series.len() {
            0 | 1 => Vec::new(),
            _ => legend(self.series.iter().map(|one| one.name.as_str()), 26.0),
        }
    }

    pub fn draw(&self) -> String {
        let (legend_rows, top) = (self.legend(), self.top());
        let bottom = top + FIELD;
        let mut out = begin(WIDTH, bottom + 50.0, &self.title, LIGHT, DARK);
        head(&mut out, &self.title, &self.note);
        for ((row, x, name), kind) in legend_rows.into_iter().zip(0..KINDS) {
            let y = 74.0 + 20.0 * row as f64;
            line(&mut out, &format!("line s{kind}"), Point { x, y }, Point { x: x + 26.0, y });
            text(&mut out, "", Point { x: x + 32.0, y: y + 4.0 }, name);
        }
        text(&mut out, "note", Point { x: 16.0, y: top - 10.0 }, &self.y.label);
        let at_x = |value| LEFT + self.x.part(value) * (WIDTH - LEFT - RIGHT);
        let at_y = |value| bottom - self.y.part(value) * FIELD;
        for (from, to, kind) in &self.bands {
            let (x, width) = (at_x(*from), (at_x(*to) - at_x(*from)).max(1.0));
            let _ = writeln!(
                out,
                r#"<rect class="band{kind}" x="{x:.1}" y="{top:.1}" width="{width:.1}" height="{FIELD:.1}"/>"#
            );
        }
        for tick in self.y.ticks() {
            let y = at_y(tick);
            line(&mut out, "grid", Point { x: LEFT, y }, Point { x: WIDTH - RIGHT, y });
            text(&mut out, "tick end", Point { x: LEFT - 8.0, y: y + 4.0 }, &number(tick));
        }
        let mut free = 0.0;
        for tick in self.x.ticks() {
            let (x, words) = (at_x(tick), number(tick));
            line(&mut out, "axis", Point { x, y: bottom }, Point { x, y: bottom + 4.0 });
            // Where ticks stand close only those are named that have room.
            let half = words.chars().count() as f64 * LETTER / 2.0;
            if x - half >= free {
                text(&mut out, "tick mid", Point { x, y: bottom + 18.0 }, &words);
                free = x + half + 4.0;
            }
        }
        line(&mut out, "axis", Point { x: LEFT, y: bottom }, Point { x: WIDTH - RIGHT, y: bottom });
        text(&mut out, "note end", Point { x: WIDTH - RIGHT, y: bottom + 38.0 }, &self.x.label);
        self.marks(&mut out, top, bottom, at_x);
        for (series, kind) in self.series.iter().zip(0..KINDS) {
            series.draw(&mut out, kind, at_x, at_y);
        }
        out.push_str("</svg>\n");
        out
    }

    /// From the right, so that the rarest (the maximum) is always named; those without room keep only their line.
    fn marks(&self, out: &mut String, top: f64, bottom: f64, at_x: impl Fn(f64) -> f64) {
        let mut free = WIDTH - 8.0;
        for (value, words) in self.marks.iter().rev() {
            let x = at_x(*value);
            line(out, "mark", Point { x, y: top }, Point { x, y: bottom });
            let width = words.chars().count() as f64 * LETTER;
            let end = (x + width / 2.0).min(free);
            // Near enough to its line to be read as belonging to it.
            if x - (end - width / 2.0) < 0.75 * width && end - width > LEFT {
                text(out, "tick end", Point { x: end, y: top - 10.0 }, words);
                free = end - width - 4.0;
            }
        }
    }
}

impl Series {
    fn draw(&self, out: &mut String, kind: usize, at_x: impl Fn(f64) -> f64, at_y: impl Fn(f64) -> f64) {
        let mut path = String::new();
        for (at, (x, y)) in self.points.iter().enumerate() {
            let (x, y) = (at_x(*x), at_y(*y));
            let _ = match (at, self.kind) {
                (0, _) => write!(path, "M{x:.1} {y:.1}"),
                (_, Drawn::Steps) => write!(path, "H{x:.1}V{y:.1}"),
                (_, Drawn::Dots) => write!(path, "L{x:.1} {y:.1}"),
            };
        }
        let _ = writeln!(out, r#"<path class="line s{kind}" d="{path}"/>"#);
        if self.kind == Drawn::Dots {
            for (x, y) in &self.points {
                let _ = writeln!(
                    out,
                    r#"<circle class="d{kind}" cx="{:.1}" cy="{:.1}" r="3.5"/>"#,
                    at_x(*x),
                    at_y(*y)
                );
            }
        }
    }
}

/// Bars in groups, one group a row, lying: names of any length can be read.
pub struct Bars {
    pub title: String,
    pub note: String,
    /// What a bar's length is, with its unit.
    pub label: String,
    /// Names of the bars of a group, at most `KINDS`.
    pub series: Vec<String>,
    /// Name of the group, and its bars; `None` where there is nothing to show.
    pub rows: Vec<(String, Vec<Option<f64>>)>,
    /// A value that all are to be compared with, and what it is.
    pub reference: Option<(f64, String)>,
}

/// Height of a bar, and between groups.
const BAR: f64 = 7.0;
const APART: f64 = 10.0;

impl Bars {
    pub fn draw(&self) -> String {
        let names = self.rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let left = 24.0 + names as f64 * LETTER;
        // Room for a number at the end of the longest bar.
        let right = 52.0;
        let entries = legend(self.series.iter().map(String::as_str), 14.0);
        let rows = entries.iter().map(|(row, ..)| row + 1).max().unwrap_or(0);
        let top = 74.0 + 20.0 * rows as f64 + if self.reference.is_some() { 30.0 } else { 4.0 };
        let group = self.series.len() as f64 * BAR + APART;
        let bottom = top + group * self.rows.len() as f64;
        let values = self.rows.iter().flat_map(|(_, bars)| bars.iter().flatten().copied());
        let most = values.chain(self.reference.iter().map(|(value, _)| *value)).fold(0.0, f64::max);
        let axis = Axis::up_to(&self.label, most);
        let at_x = |value| left + axis.part(value) * (WIDTH - left - right);

        let mut out = begin(WIDTH, bottom + 46.0, &self.title, LIGHT, DARK);
        head(&mut out, &self.title, &self.note);
        for ((row, x, name), kind) in entries.into_iter().zip(0..KINDS) {
            let y = 74.0 + 20.0 * row as f64;
            let _ = writeln!(
                out,
                r#"<rect class="b{kind}" x="{x:.1}" y="{:.1}" width="14" height="10"/>"#,
                y - 5.0
            );
            text(&mut out, "", Point { x: x + 20.0, y: y + 4.0 }, name);
        }
        for tick in axis.ticks() {
            let x = at_x(tick);
            line(&mut out, "grid", Point { x, y: top }, Point { x, y: bottom });
            text(&mut out, "tick mid", Point { x, y: bottom + 16.0 }, &number(tick));
        }
        text(&mut out, "note end", Point { x: WIDTH - 16.0, y: bottom + 36.0 }, &self.label);
        for (at, (name, bars)) in self.rows.iter().enumerate() {
            let y = top + group * at as f64 + APART / 2.0;
            row(&mut out, left, y, name, bars, self.series.len(), &at_x);
        }
        line(&mut out, "axis", Point { x: left, y: top }, Point { x: left, y: bottom });
        if let Some((value, words)) = &self.reference {
            let x = at_x(*value);
            line(&mut out, "mark", Point { x, y: top - 4.0 }, Point { x, y: bottom });
            // Beside the line where there is room: words must not leave the picture.
            let fits = x + words.chars().count() as f64 * LETTER < WIDTH;
            text(&mut out, if fits { "tick" } else { "tick end" }, Point { x, y: top - 10.0 }, words);
        }
        out.push_str("</svg>\n");
        out
    }
}

/// One group; the number stands at the end of its longest bar only, where it covers nothing.
fn row(
    out: &mut String,
    left: f64,
    top: f64,
    name: &str,
    bars: &[Option<f64>],
    count: usize,
    at_x: &impl Fn(f64) -> f64,
) {
    let middle = top + count as f64 * BAR / 2.0 + 4.0;
    text(out, "end", Point { x: left - 8.0, y: middle }, name);
    for (kind, value) in bars.iter().enumerate().take(KINDS) {
        let Some(value) = value else { continue };
        let (y, width) = (top + kind as f64 * BAR, (at_x(*value) - left).max(1.0));
        let _ = writeln!(
            out,
            r#"<rect class="b{kind}" x="{left:.1}" y="{y:.1}" width="{width:.1}" height="{:.1}"><title>{}</title></rect>"#,
            BAR - 1.0,
            number(*value)
        );
    }
    let longest = bars.iter().enumerate().filter_map(|(kind, value)| value.map(|value| (value, kind)));
    if let Some((value, kind)) = longest.max_by(|one, other| one.0.total_cmp(&other.0)) {
        let y = top + kind as f64 * BAR + BAR / 2.0 + 4.0;
        text(out, "tick", Point { x: at_x(value) + 5.0, y }, &number(value));
    }
}

fn head(out: &mut String, title: &str, note: &str) {
    text(out, "title", Point { x: 16.0, y: 30.0 }, &crate::text::shortened(title, TITLE_FITS));
    text(out, "note", Point { x: 16.0, y: 50.0 }, note);
}

/// Row and place of each name with a sign of this width before it, broken where a row is full.
fn legend<'a>(names: impl Iterator<Item = &'a str>, sign: f64) -> Vec<(usize, f64, &'a str)> {
    let (mut row, mut x) = (0, 16.0);
    let mut placed = Vec::new();
    for name in names {
        let width = sign + 20.0 + name.chars().count() as f64 * LETTER;
        if x + width > WIDTH && x > 16.0 {
            (row, x) = (row + 1, 16.0);
        }
        placed.push((row, x, name));
        x += width;
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        for most in [0.003, 0.9, 1.0, 1.3, 7.0, 8.6, 99.0, 640.0, 12_345.0] {
            let axis = Axis::up_to("", most);
            let ticks = axis.ticks();
            assert!((3..=8).contains(&ticks.len()), "{most}: {ticks:?}");
            assert!(
                ticks.last().is_some_and(|last| *last >= most * 0.999 && *last < most * 2.1),
                "{most}: {ticks:?}"
            );
        }
        assert_eq!(Axis::percent("").ticks(), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
    }

    #[test]
    fn numbers_have_no_needless_digits() {
        let written: Vec<_> =
            [0.0, 0.25, 1.5, 12.34, 640.2, 1234.0, 12_345.0].into_iter().map(number).collect();
        assert_eq!(written, ["0", "0.25", "1.5", "12.3", "640", "1234", "12\u{a0}345"]);
    }

    #[test]
    fn a_logarithmic_axis_has_equal_steps_for_equal_ratios() {
        let axis = Axis::log("", vec![20.0, 40.0, 80.0]);
        assert_eq!([20.0, 40.0, 80.0].map(|value| (axis.part(value) * 100.0).round()), [0.0, 50.0, 100.0]);
        assert_eq!(Axis::log("", vec![20.0]).part(20.0), 0.5);
    }

    #[test]
    fn long_legends_break() {
        let rows: Vec<_> =
            legend(["a name of some length"; 5].into_iter(), 26.0).iter().map(|(row, ..)| *row).collect();
        assert_eq!(rows, [0, 0, 0, 1, 1]);
    }
}
