//! Colours, words and the legend. Ink and grid change their colours in dark mode; the colours of
//! ways are seen on both.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::{Circle, DrawingArea, PathElement, SVGBackend, Text};
use plotters::style::{Color, IntoFont, RGBColor, ShapeStyle, TextStyle};

/// Where a plot is drawn.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Text and axes.
pub(super) const INK: RGBColor = RGBColor(0x1f, 0x23, 0x28);
/// Lines behind the data.
pub(super) const GRID: RGBColor = RGBColor(0xd8, 0xde, 0xe4);

/// Rules that a viewer in dark mode applies. The colours on the left are [`INK`] and [`GRID`].
const DARK: &str = "<style>@media (prefers-color-scheme: dark) { [fill=\"#1F2328\"] { fill: #e6edf3 } \
    [stroke=\"#1F2328\"] { stroke: #9198a1 } [stroke=\"#D8DEE4\"] { stroke: #30363d } }</style>";

const BLUE: RGBColor = RGBColor(0x2f, 0x81, 0xf7);
const PURPLE: RGBColor = RGBColor(0xa3, 0x71, 0xf7);
const GREEN: RGBColor = RGBColor(0x2d, 0xa4, 0x4e);
const ORANGE: RGBColor = RGBColor(0xe1, 0x6f, 0x24);
const GREY: RGBColor = RGBColor(0x8b, 0x94, 0x9e);
const BROWN: RGBColor = RGBColor(0xa0, 0x78, 0x4a);
/// For contenders, in their order.
const OTHERS: [RGBColor; 3] =
    [RGBColor(0xe8, 0x5a, 0xad), RGBColor(0xc9, 0xa2, 0x27), RGBColor(0x1b, 0x9e, 0xa8)];

/// The look of a way: a colour for what keeps the files, dashes for a store used natively.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) color: RGBColor,
    pub(super) dashed: bool,
}

/// Returns the look of the way at a place of the legend.
pub(super) fn look(way: &str, place: usize) -> Look {
    let color = match way {
        "linked/memory" | "native/memory" => BLUE,
        "composed/memory" => PURPLE,
        "linked/redb/disk" => ORANGE,
        "linked/file/disk" | "native/file/disk" => GREEN,
        "host/tmpfs" => GREY,
        "host/disk" => BROWN,
        _ => OTHERS[place % OTHERS.len()],
    };
    Look { color, dashed: way.starts_with("native/") }
}

/// The style of a line.
pub(super) fn line(look: Look) -> ShapeStyle {
    look.color.stroke_width(2)
}

/// The style of text of so many pixels.
pub(super) fn text(pixels: u32) -> TextStyle<'static> {
    ("sans-serif", pixels).into_font().color(&INK)
}

pub(super) fn title(area: &Area<'_>, words: &str) -> Result<()> {
    area.draw(&Text::new(words.to_owned(), (8, 6), text(16))).map_err(|error| anyhow!("{error}"))
}

/// Names each way beside a piece of its line.
pub(super) fn legend(area: &Area<'_>, ways: &[&str], columns: usize, row_height: i32) -> Result<()> {
    let width = area.dim_in_pixel().0 as i32 / columns as i32;
    for (number, way) in ways.iter().enumerate() {
        let x = 16 + (number % columns) as i32 * width;
        let y = (number / columns) as i32 * row_height + row_height / 2;
        let look = look(way, number);
        let pieces: &[(i32, i32)] = if look.dashed { &[(0, 6), (10, 16), (20, 26)] } else { &[(0, 26)] };
        for (from, to) in pieces {
            area.draw(&PathElement::new([(x + from, y), (x + to, y)], line(look)))
                .map_err(|error| anyhow!("{error}"))?;
        }
        area.draw(&Circle::new((x + 13, y), 3, look.color.filled())).map_err(|error| anyhow!("{error}"))?;
        let words = Text::new((*way).to_owned(), (x + 34, y - 7), text(13));
        area.draw(&words).map_err(|error| anyhow!("{error}"))?;
    }
    Ok(())
}

/// Adds the rules for dark mode.
pub(super) fn for_both_modes(svg: &str) -> String {
    match svg.find(">\n") {
        Some(end) => format!("{}\n{DARK}{}", &svg[..=end], &svg[end + 1..]),
        None => svg.to_owned(),
    }
}
