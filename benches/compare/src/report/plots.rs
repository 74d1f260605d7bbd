//! The plots, as SVG.

use super::Run;
use crate::Failure;
use crate::contender::Contender;
use crate::figures::{Metric, Row};
use crate::workload::{Section, Work};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::Path;

const PANEL: (u32, u32) = (560, 420);

/// Bytes of payload, as powers of two.
const SIZES: std::ops::Range<f64> = 4.0..16.0;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub(super) fn write(run: &Run, out: &Path) -> Result<(), Failure> {
    by_size(run, &out.join("throughput.svg"), Metric::Rate)?;
    by_size(run, &out.join("cpu.svg"), Metric::Cpu)?;
    latency(run, &out.join("latency.svg"))
}

/// A contender's points.
struct Line {
    contender: Contender,
    points: Vec<(f64, f64)>,
}

struct Panel<'a> {
    title: &'a str,
    across: &'a str,
    up: &'a str,
    range: std::ops::Range<f64>,
    labels: usize,
    x: &'a dyn Fn(&f64) -> String,
    y: &'a dyn Fn(&f64) -> String,
    legend: SeriesLabelPosition,
}

/// Publishing on the left, receiving on the right.
fn by_size(run: &Run, file: &Path, metric: Metric) -> Result<(), Failure> {
    let root = SVGBackend::new(file, (2 * PANEL.0, PANEL.1)).into_drawing_area();
    root.fill(&WHITE)?;
    let areas = root.split_evenly((1, 2));
    let works = [(Section::Publish, Work::Publish, "Publish"), (Section::Receive, Work::Subscribe, "Receive")];
    for (area, (section, work, title)) in areas.iter().zip(works) {
        let plain =
            |row: &&Row| row.workload.section == section && row.workload.work == work && row.workload.tasks == 1;
        let rows: Vec<_> = run.rows.iter().filter(plain).collect();
        let line = |contender| {
            let point = |row: &&Row| ((row.workload.payload as f64).log2(), row.median(contender, metric));
            Line { contender, points: rows.iter().map(point).collect() }
        };
        let (up, legend) = match metric {
            Metric::Rate => ("messages per second", SeriesLabelPosition::UpperRight),
            _ => ("CPU time of the client per message", SeriesLabelPosition::UpperLeft),
        };
        let panel = Panel {
            title,
            across: "payload",
            up,
            range: SIZES,
            labels: 7,
            x: &|power| size(*power),
            y: &|value| if metric == Metric::Rate { count(*value) } else { tick(*value) },
            legend,
        };
        draw(area, &panel, Contender::ALL.map(line).into())?;
    }
    Ok(root.present()?)
}

fn latency(run: &Run, file: &Path) -> Result<(), Failure> {
    let Some(row) = run.rows.iter().find(|row| row.workload.work == Work::Paced) else { return Ok(()) };
    let root = SVGBackend::new(file, (720, PANEL.1)).into_drawing_area();
    root.fill(&WHITE)?;
    let names = Metric::PERCENTILES.map(|(.., name)| name);
    let line = |contender| {
        let point =
            |(place, (metric, ..)): (usize, &(Metric, f64, &str))| (place as f64, row.median(contender, *metric));
        Line { contender, points: Metric::PERCENTILES.iter().enumerate().map(point).collect() }
    };
    let title = format!(
        "Latency of requests, {:.0} k per second on a fixed schedule",
        run.rate.unwrap_or_default() as f64 / 1e3
    );
    let panel = Panel {
        title: &title,
        across: "percentile",
        up: "time from when a request was due",
        range: -0.2..4.2,
        labels: 5,
        x: &|place| {
            let exact = (place - place.round()).abs() < 0.01;
            names.get(place.round() as usize).filter(|_| exact && *place > -0.1).map_or("", |name| name).to_owned()
        },
        y: &|value| tick(*value),
        legend: SeriesLabelPosition::UpperLeft,
    };
    draw(&root, &panel, Contender::ALL.map(line).into())?;
    Ok(root.present()?)
}

fn draw(area: &Area<'_>, panel: &Panel<'_>, mut lines: Vec<Line>) -> Result<(), Failure> {
    for line in &mut lines {
        line.points.retain(|(_, y)| y.is_finite() && *y > 0.0);
        line.points.sort_by(|one, other| one.0.total_cmp(&other.0));
    }
    lines.retain(|line| !line.points.is_empty());
    let values = || lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y);
    if lines.is_empty() {
        return Ok(());
    }
    // Whole decades.
    let low = 10_f64.powf(values().fold(f64::INFINITY, f64::min).log10().floor());
    let high = 10_f64.powf(values().fold(0.0, f64::max).log10().ceil());
    let mut chart = ChartBuilder::on(area)
        .caption(panel.title, ("sans-serif", 22))
        .margin(12)
        .margin_right(28)
        .x_label_area_size(50)
        .y_label_area_size(88)
        .build_cartesian_2d(panel.range.clone(), (low..high).log_scale())?;
    chart
        .configure_mesh()
        .x_labels(panel.labels)
        .y_labels(8)
        .x_label_formatter(&|x| (panel.x)(x))
        .y_label_formatter(&|y| (panel.y)(y))
        .x_desc(panel.across)
        .y_desc(panel.up)
        .label_style(("sans-serif", 16))
        .axis_desc_style(("sans-serif", 17))
        .bold_line_style(RGBColor(214, 214, 214))
        .light_line_style(RGBColor(240, 240, 240))
        .draw()?;
    for line in lines {
        let (colour, width) = look(line.contender);
        let style = colour.stroke_width(width);
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), style))?
            .label(line.contender.title())
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 24, y)], style));
        chart.draw_series(line.points.iter().map(|point| Circle::new(*point, 2 + width, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(panel.legend.clone())
        .legend_area_size(32)
        .label_font(("sans-serif", 16))
        .background_style(WHITE.mix(0.9))
        .border_style(RGBColor(190, 190, 190))
        .draw()?;
    Ok(())
}

/// Ours stands out; the bound is in the background.
fn look(contender: Contender) -> (RGBColor, u32) {
    match contender {
        Contender::Lifeline => (RGBColor(208, 56, 32), 3),
        Contender::AsyncNats => (RGBColor(31, 98, 170), 2),
        Contender::NatsGo => (RGBColor(0, 148, 136), 2),
        Contender::NatsC => (RGBColor(132, 84, 168), 2),
        Contender::Raw => (RGBColor(150, 150, 150), 1),
    }
}

fn size(power: f64) -> String {
    let bytes = 2_f64.powf(power).round() as u64;
    if bytes < 1024 { format!("{bytes} B") } else { format!("{} KiB", bytes / 1024) }
}

/// From nanoseconds; a decade has no decimals.
fn tick(nanoseconds: f64) -> String {
    match nanoseconds {
        value if value >= 1e9 => format!("{:.0} s", value / 1e9),
        value if value >= 1e6 => format!("{:.0} ms", value / 1e6),
        value if value >= 1e3 => format!("{:.0} µs", value / 1e3),
        value => format!("{value:.0} ns"),
    }
}

fn count(per_second: f64) -> String {
    match per_second {
        value if value >= 1e6 => format!("{} M", value / 1e6),
        value if value >= 1e3 => format!("{} k", value / 1e3),
        value => value.to_string(),
    }
}
