//! Plots as SVG: cost against size, and stores beside each other.
//!
//! They have no background and no font of their own, and their lines are seen on white and on black:
//! see [`theme`].

mod bars;
mod lines;
mod panels;
mod theme;

use anyhow::{Context, Result, anyhow};
use panels::{Plot, Shape};
use plotters::prelude::{IntoDrawingArea, SVGBackend};

use crate::results::Results;

/// Most bytes of a plot: a page with all of them is to load at once.
pub const MAX_PLOT_BYTES: usize = 100_000;

/// Pixels of a panel, and of the lines above and below all panels.
const PANEL: (u32, u32) = (330, 220);
const TITLE_HEIGHT: u32 = 28;
const LEGEND_HEIGHT: u32 = 22;
const COLUMNS: usize = 3;
/// How many ways a line of the legend names.
const LEGEND_COLUMNS: usize = 4;

/// A drawn plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// The name of its file.
    pub file: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// The SVG.
    pub svg: String,
}

/// Draws each plot for which there are results.
///
/// # Errors
/// A plot that is larger than [`MAX_PLOT_BYTES`].
pub fn draw(results: &Results) -> Result<Vec<Drawn>> {
    let drawn = panels::ALL.iter().filter_map(|plot| {
        let shown: Vec<_> = plot.panels.iter().filter(|panel| panel.has_results(results)).copied().collect();
        (!shown.is_empty()).then(|| draw_one(results, &Plot { panels: &shown, ..*plot }))
    });
    drawn.collect()
}

fn draw_one(results: &Results, plot: &Plot<'_>) -> Result<Drawn> {
    let ways = plot.ways(results);
    let columns = COLUMNS.min(plot.panels.len());
    let rows = plot.panels.len().div_ceil(columns);
    let legend_rows = ways.len().div_ceil(LEGEND_COLUMNS) as u32;
    let width = PANEL.0 * COLUMNS as u32;
    let height = TITLE_HEIGHT + rows as u32 * PANEL.1 + legend_rows * LEGEND_HEIGHT;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        let (title, rest) = root.split_vertically(TITLE_HEIGHT);
        let (panels, legend) = rest.split_vertically(rows as u32 * PANEL.1);
        let drawn = theme::title(&title, plot.title)
            .and_then(|()| theme::legend(&legend, &ways, LEGEND_COLUMNS, LEGEND_HEIGHT as i32))
            .and_then(|()| {
                let areas = panels.split_evenly((rows, columns));
                plot.panels.iter().zip(&areas).try_for_each(|(panel, area)| match plot.shape {
                    Shape::Lines => lines::draw(area, results, panel, &ways),
                    Shape::Bars => bars::draw(area, results, panel, &ways),
                })
            })
            .and_then(|()| root.present().map_err(|error| anyhow!("{error}")));
        drawn.with_context(|| format!("drawing {}", plot.file))?;
    }
    let svg = theme::for_both_modes(&svg);
    anyhow::ensure!(
        svg.len() <= MAX_PLOT_BYTES,
        "{} has {} bytes, and a plot has at most {MAX_PLOT_BYTES}: show less in it",
        plot.file,
        svg.len()
    );
    Ok(Drawn { file: plot.file, title: plot.title, svg })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::Line;

    #[test]
    fn plots_show_what_was_measured_and_are_small() {
        assert_eq!(draw(&Results::new("tiny", 1)).unwrap(), [], "nothing was measured");
        let mut results = Results::new("tiny", 1);
        let line = Line { name: "stat at random".into(), count: 1, amount: 5 };
        results.add("directory", 1000, "linked/lazy", &line);
        assert_eq!(draw(&results).unwrap(), [], "plots do not show this way");
        for (number, way) in ["linked/memory", "host/tmpfs", "native/memory", "another"].iter().enumerate() {
            for size in [1000, 10_000, 100_000] {
                for row in ["readdir, per entry", "stat at random"] {
                    let amount = size * (number as u64 + 1) / 100;
                    results.add("directory", size, way, &Line { name: row.into(), count: 1, amount });
                }
            }
        }
        results.add(
            "python-sqlite",
            1 << 20,
            "linked/memory",
            &Line { name: "point read".into(), count: 1, amount: 5000 },
        );
        let drawn = draw(&results).unwrap();
        let files: Vec<_> = drawn.iter().map(|plot| plot.file).collect();
        assert_eq!(files, ["directory.svg", "stores.svg"]);
        let svg = &drawn[0].svg;
        for text in ["linked/memory", "native/memory", "another", "100,000", "prefers-color-scheme: dark"] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(svg.matches("<polyline").count() >= 6, "a line for each way in each panel");
        assert_eq!(draw(&results).unwrap(), drawn, "the same results give the same bytes");
    }
}
