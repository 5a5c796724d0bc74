//! Cost against size, both in powers of ten: a cost that does not depend on size is level.

use std::ops::Range;

use anyhow::{Result, anyhow};
use plotters::chart::ChartBuilder;
use plotters::prelude::{BindKeyPoints, Circle, DashedLineSeries, IntoLogRange, LineSeries};
use plotters::style::Color;

use super::panels::Panel;
use super::theme::{Area, GRID, INK, line, look, text};
use crate::results::Results;
use crate::table::number;
use crate::workload::{SizeOf, bytes_text, count_text};

/// From less than a nanosecond to more than an hour, in µs.
const MAX_POWERS: usize = 16;

pub(super) fn draw(area: &Area<'_>, results: &Results, panel: &Panel, ways: &[&str]) -> Result<()> {
    let sizes = results.sizes(panel.workload);
    let points = |way: &str| -> Vec<(f64, f64)> {
        let value = |size: &u64| Some((*size as f64, panel.value(results, way, *size)?));
        sizes.iter().filter_map(value).collect()
    };
    let series: Vec<_> = ways.iter().map(|way| points(way)).collect();
    let values = || series.iter().flatten().map(|(_, value)| *value);
    let (least, most) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
    let (Some(first), Some(last)) = (sizes.first(), sizes.last()) else { return Ok(()) };
    if values().next().is_none() {
        return Ok(());
    }
    // Wide enough for one size alone, too.
    let x = *first as f64 / 1.5..*last as f64 * 1.5;
    let y = power_below(least)..power_above(most);
    let powers = powers_of_ten(&y);

    let size_text = |size: &f64| match panel.size_of() {
        SizeOf::Bytes => bytes_text(*size as u64),
        _ => count_text(size.round() as u64),
    };
    let mut chart = ChartBuilder::on(area)
        .caption(panel.title, text(13))
        .margin(6)
        .margin_right(18)
        .x_label_area_size(24)
        .y_label_area_size(48)
        .build_cartesian_2d(
            x.log_scale().with_key_points(sizes.iter().map(|size| *size as f64).collect()),
            y.log_scale().with_key_points(powers),
        )
        .map_err(|error| anyhow!("{error}"))?;
    chart
        .configure_mesh()
        .axis_style(INK)
        .bold_line_style(GRID)
        .light_line_style(plotters::style::TRANSPARENT)
        .label_style(text(11))
        .x_labels(sizes.len())
        .y_labels(MAX_POWERS)
        .x_label_formatter(&size_text)
        .y_label_formatter(&|value| number(*value))
        .draw()
        .map_err(|error| anyhow!("{error}"))?;
    for (place, (way, points)) in ways.iter().zip(series).enumerate() {
        let look = look(way, place);
        let drawn = match look.dashed {
            true => chart.draw_series(DashedLineSeries::new(points.iter().copied(), 6, 4, line(look))),
            false => chart.draw_series(LineSeries::new(points.iter().copied(), line(look))),
        };
        drawn.map_err(|error| anyhow!("{error}"))?;
        let dots = points.iter().map(|point| Circle::new(*point, 3, look.color.filled()));
        chart.draw_series(dots).map_err(|error| anyhow!("{error}"))?;
    }
    Ok(())
}

/// Lists the powers of ten in a range whose ends are such.
fn powers_of_ten(range: &Range<f64>) -> Vec<f64> {
    let ends = [range.start, range.end].map(|end| end.log10().round() as i32);
    (ends[0]..=ends[1]).take(MAX_POWERS).map(|power| 10_f64.powi(power)).collect()
}

/// The largest power of ten that is not above a value.
fn power_below(value: f64) -> f64 {
    10_f64.powf(value.log10().floor())
}

/// The least power of ten that is above a value.
fn power_above(value: f64) -> f64 {
    10_f64.powf(value.log10().floor() + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_powers_of_ten_around_the_values() {
        for (value, below, above) in [(0.17, 0.1, 1.0), (1.0, 1.0, 10.0), (99.0, 10.0, 100.0)] {
            assert_eq!(powers_of_ten(&(power_below(value)..power_above(value))).len(), 2);
            assert!((power_below(value) - below).abs() < 1e-9 && (power_above(value) - above).abs() < 1e-9);
        }
    }
}
