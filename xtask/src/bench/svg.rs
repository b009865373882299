//! Plots as SVG, without scripts: bars with their spread, and curves. Each is a whole document, with a white background that a
//! dark page does not show through.

use std::fmt::Write;

use super::statistics::Summary;

/// The colours of the variants, in their order.
const COLOURS: [&str; 8] = ["#2563eb", "#9ca3af", "#4b5563", "#16a34a", "#d97706", "#db2777", "#7c3aed", "#0d9488"];

const WIDTH: f64 = 820.0;
/// The space for labels on the left.
const LEFT: f64 = 150.0;
/// The space for numbers on the right.
const RIGHT: f64 = 170.0;
const BAR: f64 = 16.0;
const GAP: f64 = 14.0;
const PLOT_HEIGHT: f64 = 260.0;
/// The space for the axis below.
const BOTTOM: f64 = 36.0;

/// The mapping from values to positions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    min: f64,
    max: f64,
    from: f64,
    to: f64,
    kind: ScaleKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScaleKind {
    Linear,
    Logarithmic,
}

/// A bar, with the spread of its samples.
pub(super) struct Bar {
    pub(super) label: String,
    /// The number of the variant.
    pub(super) colour: usize,
    pub(super) summary: Summary,
    pub(super) text: String,
}

/// A curve through these points.
pub(super) struct Curve {
    pub(super) label: String,
    pub(super) colour: usize,
    pub(super) points: Vec<(f64, f64)>,
}

impl Scale {
    /// A scale from `min..max` to the positions `from..to`.
    pub(super) fn new(kind: ScaleKind, (min, max): (f64, f64), (from, to): (f64, f64)) -> Self {
        // A scale of one value would divide by zero.
        let max = if max > min { max } else { min + 1.0 };
        Self { min, max, from, to, kind }
    }

    /// The position of a value.
    pub(super) fn position(self, value: f64) -> f64 {
        let share = match self.kind {
            ScaleKind::Linear => (value - self.min) / (self.max - self.min),
            ScaleKind::Logarithmic => (value / self.min).ln() / (self.max / self.min).ln(),
        };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// The values for marks on the axis: 1, 2 and 5 times powers of ten, as many as have space.
    pub(super) fn ticks(self) -> Vec<f64> {
        match self.kind {
            ScaleKind::Linear => {
                let step = round_step((self.max - self.min) / 6.0);
                let mut ticks = Vec::new();
                let mut tick = (self.min / step).ceil() * step;
                while tick <= self.max {
                    ticks.push(tick);
                    tick += step;
                }
                ticks
            }
            ScaleKind::Logarithmic => {
                let mut power = 10_f64.powf(self.min.log10().floor());
                let mut ticks = Vec::new();
                while power <= self.max {
                    ticks.extend([1.0, 2.0, 5.0].map(|factor| factor * power));
                    power *= 10.0;
                }
                ticks.retain(|tick| (self.min..=self.max).contains(tick));
                ticks
            }
        }
    }
}

/// The least of 1, 2 and 5 times a power of ten that is not less than this.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|rounded| *rounded >= step).unwrap_or(step)
}

/// The colour of a variant.
pub(super) fn colour(index: usize) -> &'static str {
    COLOURS[index % COLOURS.len()]
}

/// Bars in groups, each with its label. A line shows the range from the least to the greatest sample.
pub(super) fn bars(groups: &[(String, Vec<Bar>)], unit: &str) -> String {
    let maxima = groups.iter().flat_map(|(_, bars)| bars).map(|bar| bar.summary.median + 3.0 * bar.summary.mad);
    let scale = Scale::new(ScaleKind::Linear, (0.0, maxima.fold(0.0, f64::max)), (LEFT, WIDTH - RIGHT));
    let count: usize = groups.iter().map(|(_, bars)| bars.len()).sum();
    let height = BAR * as_f64(count) + GAP * as_f64(groups.len()) + BOTTOM;
    let mut svg = open(height);
    axis(&mut svg, scale, height, unit);
    let mut y = GAP / 2.0;
    for (label, bars) in groups {
        text(&mut svg, (4.0, y + 12.0), "start", "bold", label);
        for bar in bars {
            let Bar { label, colour: index, summary, text: value } = bar;
            let (end, middle) = (scale.position(summary.median), y + BAR / 2.0);
            text(&mut svg, (LEFT - 6.0, y + 12.0), "end", "normal", label);
            let _ = write!(
                svg,
                r#"<rect x="{LEFT}" y="{:.1}" width="{:.1}" height="{:.1}" fill="{}"/>"#,
                y + 1.0,
                end - LEFT,
                BAR - 2.0,
                colour(*index),
            );
            line(&mut svg, (scale.position(summary.min), middle), (scale.position(summary.max), middle), "#111827");
            text(&mut svg, (WIDTH - RIGHT + 6.0, y + 12.0), "start", "normal", value);
            y += BAR;
        }
        y += GAP;
    }
    svg.push_str("</svg>");
    svg
}

/// Curves over a common axis, with a legend on the right. The vertical axis is a share from 0 to 1.
pub(super) fn shares(curves: &[Curve], unit: &str) -> String {
    let values = || curves.iter().flat_map(|curve| &curve.points).map(|(value, _)| *value);
    let range = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    let x = Scale::new(ScaleKind::Logarithmic, range, (LEFT, WIDTH - RIGHT));
    let y = Scale::new(ScaleKind::Linear, (0.0, 1.0), (PLOT_HEIGHT - BOTTOM, 10.0));
    plot(curves, (x, y), unit, |share| format!("{:.0} %", share * 100.0))
}

/// Curves of values over a logarithmic axis, with a legend on the right.
pub(super) fn growth(curves: &[Curve], unit: &str, values_unit: &str) -> String {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let range =
        (points().map(|(x, _)| *x).fold(f64::INFINITY, f64::min), points().map(|(x, _)| *x).fold(0.0, f64::max));
    let top = points().map(|(_, y)| *y).fold(0.0, f64::max) * 1.1;
    let x = Scale::new(ScaleKind::Logarithmic, range, (LEFT, WIDTH - RIGHT));
    let y = Scale::new(ScaleKind::Linear, (0.0, top), (PLOT_HEIGHT - BOTTOM, 10.0));
    plot(curves, (x, y), unit, |value| format!("{} {values_unit}", number(value)))
}

fn plot(curves: &[Curve], (x, y): (Scale, Scale), unit: &str, label: impl Fn(f64) -> String) -> String {
    let mut svg = open(PLOT_HEIGHT);
    axis(&mut svg, x, PLOT_HEIGHT, unit);
    for tick in y.ticks() {
        let position = y.position(tick);
        line(&mut svg, (LEFT, position), (WIDTH - RIGHT, position), "#e5e7eb");
        text(&mut svg, (LEFT - 6.0, position + 4.0), "end", "normal", &label(tick));
    }
    for (index, curve) in curves.iter().enumerate() {
        let mut points = String::new();
        for (value, share) in &curve.points {
            let _ = write!(points, "{:.1},{:.1} ", x.position(*value), y.position(*share));
        }
        let stroke = colour(curve.colour);
        let _ = write!(svg, r#"<polyline points="{points}" fill="none" stroke="{stroke}" stroke-width="2"/>"#);
        let legend = 20.0 + 18.0 * as_f64(index);
        line(&mut svg, (WIDTH - RIGHT + 8.0, legend - 4.0), (WIDTH - RIGHT + 28.0, legend - 4.0), stroke);
        text(&mut svg, (WIDTH - RIGHT + 34.0, legend), "start", "normal", &curve.label);
    }
    svg.push_str("</svg>");
    svg
}

fn open(height: f64) -> String {
    let size = format!(r#"width="{WIDTH}" height="{height:.0}" viewBox="0 0 {WIDTH} {height:.0}""#);
    let font = r##"font-family="system-ui, sans-serif" font-size="12" fill="#111827""##;
    let background = r##"<rect width="100%" height="100%" fill="#fff"/>"##;
    format!(r#"<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" {font}>{background}"#)
}

/// The horizontal axis at the bottom.
fn axis(svg: &mut String, scale: Scale, height: f64, unit: &str) {
    let bottom = height - BOTTOM + 4.0;
    for tick in scale.ticks() {
        let x = scale.position(tick);
        line(svg, (x, 0.0), (x, bottom), "#e5e7eb");
        text(svg, (x, bottom + 14.0), "middle", "normal", &number(tick));
    }
    text(svg, (WIDTH - RIGHT, bottom + 28.0), "end", "normal", unit);
}

fn line(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64), stroke: &str) {
    let _ = write!(svg, r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{stroke}"/>"#);
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, weight: &str, text: &str) {
    let text = escape(text);
    let _ = write!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" font-weight="{weight}">{text}</text>"#);
}

/// Text for an element of HTML or SVG.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A number with three significant digits.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 || value.abs() >= 100.0 {
        return format!("{value:.0}");
    }
    if value.abs() >= 10.0 { format!("{value:.1}") } else { format!("{value:.2}") }
}

#[expect(clippy::cast_precision_loss, reason = "the number of bars")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the numbers are exact")]
mod tests {
    use super::*;

    #[test]
    fn a_linear_scale_maps_the_ends_and_the_middle() {
        let scale = Scale::new(ScaleKind::Linear, (0.0, 200.0), (100.0, 300.0));
        assert_eq!([0.0, 50.0, 200.0, 500.0].map(|value| scale.position(value)), [100.0, 150.0, 300.0, 300.0]);
        assert_eq!(scale.ticks(), [0.0, 50.0, 100.0, 150.0, 200.0]);
    }

    #[test]
    fn an_inverted_scale_is_for_positions_from_the_top() {
        let scale = Scale::new(ScaleKind::Linear, (0.0, 1.0), (200.0, 0.0));
        assert_eq!(scale.position(0.25), 150.0);
    }

    #[test]
    fn a_logarithmic_scale_gives_each_power_the_same_length() {
        let scale = Scale::new(ScaleKind::Logarithmic, (100.0, 10_000.0), (0.0, 100.0));
        assert_eq!(scale.position(1000.0).round(), 50.0);
        assert_eq!(scale.ticks(), [100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0]);
    }

    #[test]
    fn a_scale_of_one_value_has_a_length() {
        let scale = Scale::new(ScaleKind::Linear, (3.0, 3.0), (0.0, 100.0));
        assert_eq!(scale.position(3.0), 0.0);
    }

    #[test]
    fn a_plot_is_a_document_with_a_background() {
        let plot = bars(&[], "µs");
        assert!(plot.starts_with(r#"<svg xmlns="http://www.w3.org/2000/svg" width="#), "{plot}");
        assert!(plot.contains(r##"<rect width="100%" height="100%" fill="#fff"/>"##), "{plot}");
        assert!(plot.ends_with("</svg>"));
    }

    #[test]
    fn labels_cannot_end_an_element() {
        let bar = Bar {
            label: "<a&b>".to_owned(),
            colour: 0,
            summary: Summary { median: 1.0, mad: 0.0, min: 1.0, max: 1.0 },
            text: String::new(),
        };
        assert!(bars(&[(String::new(), vec![bar])], "µs").contains("&lt;a&amp;b&gt;"));
    }
}
