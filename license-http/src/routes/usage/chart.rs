//! Usage as an SVG bar chart of the series.

use std::error::Error;

use license_core::usage::{Interval, UsageReport};
use plotters::prelude::*;

const SIZE: (u32, u32) = (960, 360);

// Colours for light mode. The style below replaces them in dark mode.
const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
const INK: RGBColor = RGBColor(0x24, 0x29, 0x2F);
const LINE: RGBColor = RGBColor(0xD0, 0xD7, 0xDE);
const VALID: RGBColor = RGBColor(0x09, 0x69, 0xDA);
const DENIED: RGBColor = RGBColor(0xBC, 0x4C, 0x00);

/// Style rules override the attributes of elements, so the chart is complete without them.
const STYLE: &str = "<style>\
    text{font-family:system-ui,sans-serif}\
    @media (prefers-color-scheme:dark){\
    [fill=\"#FFFFFF\"]{fill:#0D1117}[stroke=\"#FFFFFF\"]{stroke:#0D1117}\
    [fill=\"#24292F\"]{fill:#E6EDF3}[stroke=\"#24292F\"]{stroke:#8B949E}\
    [fill=\"#D0D7DE\"]{fill:#30363D}[stroke=\"#D0D7DE\"]{stroke:#30363D}\
    [fill=\"#0969DA\"]{fill:#58A6FF}[fill=\"#BC4C00\"]{fill:#F0883E}}\
    </style>\n";

/// Draws valid and denied answers of each interval as stacked bars.
pub(super) fn svg(report: &UsageReport, interval: Interval, title: &str) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    draw(&mut text, report, interval, title)?;
    // After the opening tag.
    let start = text.find('>').map_or(0, |end| end + 1);
    text.insert_str(start, STYLE);
    Ok(text)
}

fn draw(
    text: &mut String,
    report: &UsageReport,
    interval: Interval,
    title: &str,
) -> Result<(), Box<dyn Error>> {
    let all = report.series.iter().map(|point| point.total() + point.denied());
    let (most, bars) = (all.max().unwrap_or(0).max(1), u32::try_from(report.series.len())?.max(1));
    let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
    root.fill(&PAPER)?;
    let font = |size: u32| ("sans-serif", size).into_font().color(&INK);
    // The legend is above the bars.
    let mut chart = ChartBuilder::on(&root)
        .caption(title, font(24))
        .margin(12)
        .x_label_area_size(48)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..f64::from(bars), 0..most + most.div_ceil(3))?;
    let form = match interval {
        Interval::Hour => "%d %b %H:%M",
        Interval::Day => "%Y-%m-%d",
        Interval::Month => "%Y-%m",
    };
    let label = |place: &f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of the axis")]
        let point = report.series.get(place.max(0.0) as usize).filter(|_| place.fract() == 0.0);
        point.map_or_else(String::new, |point| point.start.format(form).to_string())
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(LINE)
        .light_line_style(TRANSPARENT)
        .axis_style(INK)
        .label_style(font(16))
        .axis_desc_style(font(16))
        .x_labels(8)
        .x_label_formatter(&label)
        .y_label_formatter(&u64::to_string)
        .x_desc(format!("Start of the {}, UTC", interval.as_str()))
        .y_desc("Validations")
        .draw()?;
    for (name, colour, denied) in [("valid", VALID, false), ("denied", DENIED, true)] {
        let bar = |(place, point): (f64, &license_core::usage::UsagePoint)| {
            let (from, to) =
                if denied { (point.total(), point.total() + point.denied()) } else { (0, point.total()) };
            (from < to).then(|| Rectangle::new([(place + 0.1, from), (place + 0.9, to)], colour.filled()))
        };
        let places = (0..bars).map(f64::from).zip(&report.series);
        chart
            .draw_series(places.filter_map(bar))?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 10, y + 5)], colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(PAPER)
        .border_style(LINE)
        .label_font(font(16))
        .draw()?;
    root.present()?;
    Ok(())
}
