//! The plot: how often a slower tool is found, against how much slower it is.

use std::path::Path;

use plotters::prelude::*;

use crate::{Share, others};

/// What was found at one factor: by mcpgate, then by the other rules in their order.
pub(crate) struct Point {
    pub(crate) factor: f64,
    pub(crate) shares: Vec<Share>,
}

const SIZE: (u32, u32) = (760, 460);
/// Told apart also by those who do not see all colours (Okabe and Ito).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(213, 94, 0),
    RGBColor(204, 121, 167),
    RGBColor(0, 158, 115),
    RGBColor(110, 110, 110),
];

/// Writes an SVG file.
pub(crate) fn draw(path: &Path, load: &str, points: &[Point]) -> Result<(), String> {
    try_draw(path, load, points).map_err(|e| format!("{}: {e}", path.display()))
}

fn try_draw(path: &Path, load: &str, points: &[Point]) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let title = format!("Suites in which a change is called a regression, {load}");
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(1.0..2.0, 0.0..100.0)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("the changed tool takes so many times as long (1: nothing changed)")
        .y_desc("%")
        .draw()?;
    let names = std::iter::once("mcpgate").chain(others::NAMES);
    for ((number, name), colour) in names.enumerate().zip(COLOURS) {
        let style = colour.stroke_width(if number == 0 { 4 } else { 2 });
        let line: Vec<(f64, f64)> = points
            .iter()
            .filter_map(|point| Some((point.factor, point.shares.get(number)?.percent())))
            .collect();
        chart
            .draw_series(LineSeries::new(line, style).point_size(3))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    area.present()?;
    Ok(())
}
