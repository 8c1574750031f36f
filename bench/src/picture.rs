//! The results as a picture for README: bars, readable on a light and on a dark page.

use std::fmt::Write;

use crate::contender::Contender;
use crate::machine::Machine;
use crate::report::Row;

const WIDTH: f64 = 860.0;
const LABELS: f64 = 110.0;
const FIGURES: f64 = 60.0;
const BAR: f64 = 13.0;
const GAP: f64 = 3.0;
const TITLE: f64 = 20.0;
const BETWEEN: f64 = 14.0;
const HEAD: f64 = 62.0;

const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #1f2328 } \
.title { font-weight: 600 } .small { font-size: 11px; fill: #59636e } .figure { font-variant-numeric: tabular-nums } \
.bar { fill: #b7c0ca } .floor { fill: #dde2e8 } .gate { fill: #1f6feb } .spread { stroke: #59636e } \
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .small { fill: #9198a1 } .bar { fill: #57606a } \
.floor { fill: #343b43 } .gate { fill: #4493f8 } .spread { stroke: #9198a1 } }";

/// Draws all rows.
pub(crate) fn draw(machine: &Machine, rows: &[Row]) -> String {
    let bars = rows.iter().map(|row| row.measured.len());
    let height = rows.iter().zip(bars).fold(HEAD, |height, (_, bars)| height + group_height(bars));
    let mut svg = String::new();
    // INVARIANT: writing to a String does not fail.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" role=\"img\" \
         aria-labelledby=\"title\">\n<title id=\"title\">CPU time for one request: Keygate and other Workers</title>\n\
         <style>{STYLE}</style>\n\
         <text class=\"title\" x=\"0\" y=\"16\">CPU time of the runtime for one request, in microseconds</text>\n\
         <text class=\"small\" x=\"0\" y=\"34\">Median of many rounds; the line spans the middle half of them. Less is \
         better. Each group has its own scale.</text>\n<text class=\"small\" x=\"0\" y=\"50\">{}</text>\n",
        escape(&machine.line())
    );
    let mut y = HEAD;
    for row in rows {
        draw_group(&mut svg, row, y);
        y += group_height(row.measured.len());
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_group(svg: &mut String, row: &Row, top: f64) {
    let longest = row.measured.iter().map(|one| one.spread().1).fold(1.0, f64::max);
    let scale = (WIDTH - LABELS - FIGURES) / longest;
    // INVARIANT: writing to a String does not fail.
    let _ = writeln!(
        svg,
        "<text class=\"title\" x=\"0\" y=\"{}\">{}</text>",
        top + 13.0,
        escape(row.scenario.title)
    );
    let mut y = top + TITLE;
    for one in &row.measured {
        let median = one.median();
        let (low, high) = one.spread();
        let class = match one.contender {
            Contender::Gate => "gate",
            Contender::Forward | Contender::Refuse => "floor",
            _ => "bar",
        };
        let [width, from, to] = [median, low, high].map(|figure| figure * scale);
        let (text, middle) = (y + BAR - 2.5, y + BAR / 2.0);
        let _ = writeln!(
            svg,
            "<text x=\"{name_end}\" y=\"{text}\" text-anchor=\"end\">{name}</text>\
             <rect class=\"{class}\" x=\"{LABELS}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"2\"/>\
             <line class=\"spread\" x1=\"{x1:.1}\" x2=\"{x2:.1}\" y1=\"{middle}\" y2=\"{middle}\"/>\
             <text class=\"figure\" x=\"{figure:.1}\" y=\"{text}\">{median:.0}</text>",
            name_end = LABELS - 8.0,
            name = one.contender.name(),
            x1 = LABELS + from,
            x2 = LABELS + to,
            figure = LABELS + to.max(width) + 6.0,
        );
        y += BAR + GAP;
    }
}

#[expect(clippy::cast_precision_loss, reason = "a handful of bars")]
fn group_height(bars: usize) -> f64 {
    TITLE + bars as f64 * (BAR + GAP) + BETWEEN
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
