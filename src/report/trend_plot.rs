//! The history as a picture: a panel for each scenario and metric.

use std::collections::{BTreeMap, BTreeSet};

use plotters::{coord::Shift, prelude::*};

use super::{escape, figure, line::Line, slow_drift::commit_name, trend::TrendReport};
use crate::{
    gate::Metric,
    history::{Series, machine_in_words},
};

/// More panels than this are no picture: ask for a scenario or a metric.
pub const MOST_PANELS: usize = 40;

const WIDTH: u32 = 900;
const HEAD: u32 = 34;
const PANEL: u32 = 190;
const LEGEND_LINE: u32 = 20;
/// Told apart also by those who do not see all colours (Okabe and Ito).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];
const GREY: RGBColor = RGBColor(110, 110, 110);
/// A label is cut beyond: a hostile name is as long as it likes.
const MOST_LABEL_CHARS: usize = 90;

/// The history as SVG, and how many panels did not fit. Colours are machine classes, lines are levels,
/// and a dashed line with a commit is a change point.
///
/// # Errors
/// What the drawing library could not do, in words.
pub fn trend_plot(report: &TrendReport<'_>) -> Result<(String, usize), String> {
    let mut panels: BTreeMap<(&str, Metric), Vec<&Series>> = BTreeMap::new();
    for series in report.series() {
        let panel = panels.entry((&series.scenario, series.metric));
        panel.or_default().push(series);
    }
    let left_out = panels.len().saturating_sub(MOST_PANELS);
    let panels: Vec<Vec<&Series>> = panels.into_values().take(MOST_PANELS).collect();
    let mut svg = String::new();
    draw(&mut svg, report, &panels).map_err(|error| error.to_string())?;
    if !svg.ends_with('\n') {
        svg.push('\n');
    }
    Ok((svg, left_out))
}

fn draw(
    svg: &mut String,
    report: &TrendReport<'_>,
    panels: &[Vec<&Series>],
) -> Result<(), Box<dyn std::error::Error>> {
    let machines: BTreeSet<usize> = panels.iter().flatten().map(|s| s.machine).collect();
    let legend = LEGEND_LINE * u32::try_from(machines.len())?;
    let height = HEAD + legend + PANEL * u32::try_from(panels.len())?.max(1);
    let area = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    area.draw(&Text::new(
        format!(
            "{} in {}",
            figure::count(report.trend.runs, "run"),
            label(&escape::path(&report.path))
        ),
        (12, 8),
        ("sans-serif", 17).into_font(),
    ))?;
    let mut y = i32::try_from(HEAD)?;
    for &machine in &machines {
        let words = report.trend.machines.get(machine).map(machine_in_words);
        let name = label(&escape::name(&words.unwrap_or_default()));
        area.draw(&Circle::new((18, y + 7), 4, colour(machine).filled()))?;
        let font = ("sans-serif", 13).into_font();
        area.draw(&Text::new(name, (30, y), font))?;
        y += i32::try_from(LEGEND_LINE)?;
    }
    let (_, below) = area.split_vertically(HEAD + legend);
    let areas = below.split_evenly((panels.len().max(1), 1));
    for (panel, area) in panels.iter().zip(&areas) {
        one(area, panel)?;
    }
    if panels.is_empty() {
        let font = ("sans-serif", 15).into_font();
        let text = "No series has two runs that can be compared.";
        below.draw(&Text::new(text, (12, 20), font))?;
    }
    area.present()?;
    Ok(())
}

fn one(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    panel: &[&Series],
) -> Result<(), Box<dyn std::error::Error>> {
    let Some(first) = panel.first() else {
        return Ok(());
    };
    let unit = first.metric.unit();
    // Runs stand side by side in the order of their time, whatever machine they were on.
    let times: BTreeSet<&str> = panel
        .iter()
        .flat_map(|series| series.points.iter().map(|p| p.at.as_str()))
        .collect();
    let place: BTreeMap<&str, f64> = times
        .iter()
        .enumerate()
        .map(|(index, at)| (*at, index as f64))
        .collect();
    let at = |series: &Series, index: usize| {
        let point = series.points.get(index)?;
        Some((place.get(point.at.as_str()).copied()?, point.value))
    };
    let values = panel.iter().flat_map(|s| s.points.iter().map(|p| p.value));
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
        (low.min(v), high.max(v))
    });
    // Noise must not look like a mountain range.
    let margin = ((high - low) * 0.15)
        .max(high.abs().max(low.abs()) * 0.1)
        .max(1e-9);
    let title = format!(
        "{} · {}",
        Line::of_name(&first.scenario).plain(),
        figure::label(first.metric)
    );
    let last = (times.len().max(2) - 1) as f64;
    let mut chart = ChartBuilder::on(area)
        .caption(label(&title), ("sans-serif", 14))
        .margin(6)
        .x_label_area_size(22)
        .y_label_area_size(78)
        .build_cartesian_2d(-0.5..last + 0.5, low - margin..high + margin)?;
    let days: Vec<&str> = times.iter().map(|at| at.get(..10).unwrap_or(at)).collect();
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .y_labels(4)
        .x_labels(6)
        .x_label_formatter(&|x| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "saturates, and what is no index has no label"
            )]
            let index = x.round() as usize;
            let is_whole = (x - x.round()).abs() < 1e-6 && *x > -0.1;
            let day = days.get(index).filter(|_| is_whole);
            day.map_or_else(String::new, |day| escape::name(day))
        })
        .y_label_formatter(&|y| figure::figure(*y, unit))
        .draw()?;
    for series in panel {
        let colour = colour(series.machine);
        let points = (0..series.points.len()).filter_map(|index| at(series, index));
        chart.draw_series(points.map(|point| Circle::new(point, 3, colour.filled())))?;
        for (number, segment) in series.segments.iter().enumerate() {
            let last = segment.end.saturating_sub(1);
            let is_last = number + 1 == series.segments.len();
            let corners = match series.drift.as_ref().filter(|_| is_last) {
                Some(drift) => vec![
                    (segment.start, drift.from),
                    (drift.since_index, drift.from),
                    (last, drift.to),
                ],
                None => vec![(segment.start, segment.level), (last, segment.level)],
            };
            let line: Vec<(f64, f64)> = corners
                .into_iter()
                .filter_map(|(index, level)| Some((at(series, index)?.0, level)))
                .collect();
            chart.draw_series(LineSeries::new(line, colour.stroke_width(2)))?;
        }
        for change in &series.changes {
            let Some((x, _)) = at(series, change.index) else {
                continue;
            };
            let (bottom, top) = (low - margin, high + margin);
            let line = [(x - 0.5, bottom), (x - 0.5, top)];
            chart.draw_series(DashedLineSeries::new(line, 4, 3, GREY.stroke_width(1)))?;
            let commit = change.commit.as_deref().unwrap_or(&change.at);
            let size = change.ratio.map_or_else(String::new, |ratio| {
                format!("{} ", figure::percent_change(ratio))
            });
            let text = format!("{size}{}", commit_name(commit).plain());
            let font = ("sans-serif", 11).into_font().color(&GREY);
            chart.draw_series([Text::new(label(&text), (x - 0.4, top), font)])?;
        }
    }
    Ok(())
}

fn colour(machine: usize) -> RGBColor {
    COLOURS
        .get(machine % COLOURS.len())
        .copied()
        .unwrap_or(GREY)
}

fn label(text: &str) -> String {
    text.chars().take(MOST_LABEL_CHARS).collect()
}
