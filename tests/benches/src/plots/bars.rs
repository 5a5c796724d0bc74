//! A bar for each way at the largest size, from nothing, so that lengths compare.

use anyhow::{Result, anyhow};
use plotters::chart::ChartBuilder;
use plotters::prelude::{Rectangle, Text};
use plotters::style::Color;

use super::panels::Panel;
use super::theme::{Area, INK, look, text};
use crate::results::Results;
use crate::table::number;

/// Room behind the longest bar for its number.
const ROOM: f64 = 1.3;

pub(super) fn draw(area: &Area<'_>, results: &Results, panel: &Panel, ways: &[&str]) -> Result<()> {
    let Some(size) = results.sizes(panel.workload).last().copied() else { return Ok(()) };
    let values: Vec<_> = ways.iter().map(|way| panel.value(results, way, size)).collect();
    let most = values.iter().flatten().fold(f64::MIN_POSITIVE, |most, value| most.max(*value));
    let mut chart = ChartBuilder::on(area)
        .caption(panel.title, text(13))
        .margin(6)
        .y_label_area_size(4)
        .build_cartesian_2d(0.0..most * ROOM, 0.0..ways.len() as f64)
        .map_err(|error| anyhow!("{error}"))?;
    chart
        .configure_mesh()
        .disable_mesh()
        .axis_style(INK)
        .x_labels(0)
        .y_labels(0)
        .draw()
        .map_err(|error| anyhow!("{error}"))?;
    for (place, (way, value)) in ways.iter().zip(&values).enumerate() {
        let Some(value) = value else { continue };
        let top = (ways.len() - place) as f64;
        let bar = Rectangle::new([(0.0, top - 0.85), (*value, top - 0.15)], look(way, place).color.filled());
        let words = Text::new(number(*value), (value + most * 0.02, top - 0.25), text(11));
        chart.draw_series([bar]).map_err(|error| anyhow!("{error}"))?;
        chart.draw_series([words]).map_err(|error| anyhow!("{error}"))?;
    }
    Ok(())
}
