//! Bars as SVG. Written by hand, since a picture that can be read on a light and on a dark page needs a style
//! sheet, which the plotting crates do not write: they put one colour into each element.

use std::fmt::Write as _;

use crate::Numbers;
use crate::layout::{FLEET, NODES, RECEIVERS, Unit};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 110.0;
const BAR: f64 = 16.0;
const GAP: f64 = 14.0;
const TOP: f64 = 66.0;

/// Seen on white and on black.
const COLOURS: [&str; 4] = ["#4c8bd6", "#d98027", "#3fa66a", "#b06bc4"];

/// Some bars beside each other, one for each series; nothing where nothing was measured.
struct Group {
    title: String,
    values: Vec<Option<f64>>,
}

struct Bars<'a> {
    title: &'a str,
    series: &'a [&'a str],
    groups: Vec<Group>,
    unit: Unit,
}

/// All pictures: the file's name, and what is in it.
#[must_use]
pub fn all(numbers: &Numbers) -> Vec<(&'static str, String)> {
    let kinds = ["valid", "signed", "stranger", "invalid"];
    let receivers = RECEIVERS.iter().map(|(row, title)| Group {
        title: title.replace('`', ""),
        values: kinds
            .map(|kind| numbers.get("peers", row, &format!("full {kind} ratio")))
            .map(|value| value.map(crate::Value::median))
            .to_vec(),
    });
    let fleet = FLEET.iter().map(|(what, title)| Group {
        title: (*title).to_owned(),
        values: NODES
            .map(|(nodes, _)| numbers.get("core", &format!("{what}-{nodes}"), "nanoseconds"))
            .map(|value| value.map(crate::Value::median))
            .to_vec(),
    });
    let receivers = Bars {
        title: "CPU time for each datagram from a full queue, as a multiple of a bare loop's",
        series: &kinds,
        groups: receivers.collect(),
        unit: Unit::Times,
    };
    let fleet = Bars {
        title: "Time of core by the number of nodes",
        series: &NODES.map(|(_, title)| title),
        groups: fleet.collect(),
        unit: Unit::Nanoseconds,
    };
    vec![("receivers.svg", receivers.svg()), ("fleet.svg", fleet.svg())]
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl Bars<'_> {
    fn svg(&self) -> String {
        let most = self.groups.iter().flat_map(|group| group.values.iter().flatten());
        let most = most.copied().fold(f64::MIN_POSITIVE, f64::max);
        let length = |value: f64| (value / most * (WIDTH - LEFT - RIGHT)).max(1.0);
        let step = BAR * self.series.len() as f64 + GAP;
        let height = TOP + step * self.groups.len() as f64;
        let title = escaped(self.title);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
             <title>{title}</title>\n\
             <style>\n\
             text {{ font: 13px system-ui, sans-serif; fill: #24292f }}\n\
             .title {{ font-weight: 600; font-size: 15px }}\n\
             @media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3 }} }}\n\
             </style>\n\
             <text class=\"title\" x=\"0\" y=\"18\">{title}</text>\n"
        );
        for (at, (series, colour)) in self.series.iter().zip(COLOURS).enumerate() {
            let x = LEFT + 120.0 * at as f64;
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"33\" width=\"12\" height=\"12\" fill=\"{colour}\"/>\
                 <text x=\"{}\" y=\"44\">{}</text>",
                x + 18.0,
                escaped(series)
            );
        }
        for (at, group) in self.groups.iter().enumerate() {
            let top = TOP + step * at as f64;
            let middle = top + (step - GAP) / 2.0 + 4.0;
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>",
                LEFT - 10.0,
                escaped(&group.title)
            );
            for (at, (value, colour)) in group.values.iter().zip(COLOURS).enumerate() {
                let y = top + BAR * at as f64;
                let (long, label) = match value {
                    Some(value) => (length(*value), self.unit.show(*value)),
                    None => continue,
                };
                let _ = writeln!(
                    svg,
                    "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{long:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>\
                     <text x=\"{:.1}\" y=\"{:.1}\">{label}</text>",
                    BAR - 2.0,
                    LEFT + long + 6.0,
                    y + 11.5
                );
            }
        }
        svg + "</svg>\n"
    }
}
