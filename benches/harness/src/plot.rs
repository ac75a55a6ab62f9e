//! The bar chart of `--plot`: Volt's ratio to the best peer, a bar a row.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const LINE_HEIGHT: i32 = 28;
const BAR_HEIGHT: i32 = 16;
/// Where the bars begin: to the left of it stand the names of the rows.
const ZERO: i32 = 300;
/// The length of the longest bar, or of the ratio 1 if no bar is longer.
const BAR_LENGTH: i32 = 500;
const WIDTH: i32 = ZERO + BAR_LENGTH + 80;
const TOP: i32 = 60;
const AHEAD: RGBColor = RGBColor(46, 125, 50);
const BEHIND: RGBColor = RGBColor(198, 40, 40);

/// Writes the chart as an SVG file.
pub(crate) fn draw(path: &Path, ratios: &[(String, f64)]) -> Result<(), Box<dyn Error>> {
    let rows = i32::try_from(ratios.len())?;
    let bottom = TOP + rows * LINE_HEIGHT;
    let size = (u32::try_from(WIDTH)?, u32::try_from(bottom + LINE_HEIGHT)?);
    let longest = ratios.iter().map(|&(_, ratio)| ratio).fold(1.0, f64::max);
    let end_of = |ratio: f64| ZERO + (ratio / longest * f64::from(BAR_LENGTH)).round() as i32;
    let text = |horizontal: HPos| {
        let font = ("sans-serif", 14).into_font().color(&BLACK);
        font.pos(Pos::new(horizontal, VPos::Center))
    };

    let area = SVGBackend::new(path, size).into_drawing_area();
    area.fill(&WHITE)?;
    let title = "Volt's median time over the best peer's (shorter is faster)";
    area.draw(&Text::new(title, (ZERO, 16), text(HPos::Left)))?;
    area.draw(&Text::new("1", (end_of(1.0), TOP - 20), text(HPos::Center)))?;
    for (row, (name, ratio)) in (0_i32..).zip(ratios) {
        let middle = TOP + row * LINE_HEIGHT + LINE_HEIGHT / 2;
        let (top, bottom) = (middle - BAR_HEIGHT / 2, middle + BAR_HEIGHT / 2);
        let colour = if *ratio < 1.0 { AHEAD } else { BEHIND };
        let bar = [(ZERO, top), (end_of(*ratio), bottom)];
        area.draw(&Rectangle::new(bar, colour.filled()))?;
        area.draw(&Text::new(name.as_str(), (ZERO - 10, middle), text(HPos::Right)))?;
        let beside = (end_of(*ratio) + 8, middle);
        area.draw(&Text::new(format!("{ratio:.2}"), beside, text(HPos::Left)))?;
    }
    // Last, so that it stays visible across the bars of the rows that are behind.
    area.draw(&PathElement::new([(end_of(1.0), TOP - 10), (end_of(1.0), bottom)], BLACK))?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_names_each_row_and_its_ratio() {
        let name = format!("volt-bench-harness-{}.svg", std::process::id());
        let path = std::env::temp_dir().join(name);
        draw(&path, &[("spawn".to_owned(), 0.5), ("wake".to_owned(), 2.0)]).expect("it is written");
        let chart = std::fs::read_to_string(&path).expect("the chart is there");
        std::fs::remove_file(&path).expect("the chart can be removed");
        for part in ["<svg", "spawn", "wake", "0.50", "2.00", "#2E7D32", "#C62828"] {
            assert!(chart.contains(part), "`{part}` is missing in {chart}");
        }
    }

    #[test]
    fn a_path_that_cannot_be_written_is_an_error() {
        let path = Path::new("/nowhere/at/all/chart.svg");
        assert!(draw(path, &[("spawn".to_owned(), 0.5)]).is_err());
    }
}
