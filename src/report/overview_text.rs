//! The comparisons at a glance, as text: one line a row where it fits, else two or three.

use super::{
    bar::{self, Bar},
    figure,
    layout::{self, BOLD, DIM, Page},
    line::Line,
    overview::{Glance, GlanceGroup},
};

/// From this width on there is room for intervals in figures, and for metrics by their full names.
const WIDE: usize = 120;
/// Columns where the output is no terminal.
const UNBOUNDED: usize = 130;
/// Scenarios without a change that are listed when not verbose.
const CALM: usize = 40;

/// Cells of a row, in order.
struct Cells {
    name: String,
    metric: String,
    base: String,
    now: String,
    change: String,
    interval: String,
    word: &'static str,
}

/// Columns of the cells.
#[derive(Clone, Copy, Default)]
struct Widths {
    name: usize,
    metric: usize,
    base: usize,
    now: usize,
    change: usize,
    interval: usize,
    word: usize,
}

/// How a row is broken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Everything on one line.
    One,
    /// The scenario on a line above.
    Two,
    /// The bar and the verdict on a line below, too.
    Three,
}

/// A line for each row of `groups`, and below it why.
pub(super) fn overview(page: &mut Page, groups: &[GlanceGroup<'_>]) {
    if groups.is_empty() {
        return;
    }
    let columns = page.columns().unwrap_or(UNBOUNDED);
    let wide = columns >= WIDE;
    let calm = groups.iter().filter(|group| group.is_calm()).count();
    let hidden = if page.is_verbose() {
        0
    } else {
        calm.saturating_sub(CALM)
    };
    let groups = groups.get(..groups.len() - hidden).unwrap_or(groups);
    let rows: Vec<Vec<Cells>> = groups.iter().map(|group| cells(group, wide)).collect();
    let widths = widths(rows.iter().flatten());
    let (form, bar_width) = form(&widths, columns);
    let lines = groups.iter().flat_map(|group| &group.lines);
    let end = bar::end(lines.filter_map(|line| line.bar));

    page.blank();
    for (group, cells) in groups.iter().zip(&rows) {
        rows_of(page, group, cells, (&widths, form, bar_width, end));
    }
    if hidden > 0 {
        let more = figure::count(hidden, "more scenario");
        page.sentence("", &format!("{more} within the tolerance (--verbose)"));
    }
    let (least, most) = (
        figure::percent_change(1.0 / end),
        figure::percent_change(end),
    );
    let mut legend = format!(
        "Bars: the interval of the change, from {least} to {most}; │ no change, ┊ what is tolerated"
    );
    if calm > 0 {
        legend.push_str("; of a scenario that passes, the first figure that gates");
    }
    page.aside("", &legend);
}

fn cells(group: &GlanceGroup<'_>, wide: bool) -> Vec<Cells> {
    let name = Line::of_name(group.scenario).plain();
    group
        .lines
        .iter()
        .map(
            |Glance {
                 row, short, word, ..
             }| Cells {
                name: name.clone(),
                metric: if wide { row.figures.metric } else { short }.to_owned(),
                base: row.figures.base.clone(),
                now: row.figures.candidate.clone(),
                change: row.figures.change.clone(),
                interval: if wide {
                    row.figures.interval.clone()
                } else {
                    String::new()
                },
                word,
            },
        )
        .collect()
}

fn widths<'a>(rows: impl Iterator<Item = &'a Cells>) -> Widths {
    let width = textwrap::core::display_width;
    rows.fold(Widths::default(), |widest, cells| Widths {
        name: widest.name.max(width(&cells.name)),
        metric: widest.metric.max(width(&cells.metric)),
        base: widest.base.max(width(&cells.base)),
        now: widest.now.max(width(&cells.now)),
        change: widest.change.max(width(&cells.change)),
        interval: widest.interval.max(width(&cells.interval)),
        word: widest.word.max(width(cells.word)),
    })
}

/// The form in which a bar has room, and how long it may be.
fn form(widths: &Widths, columns: usize) -> (Form, usize) {
    let with_gap = |width: usize| if width > 0 { width + 1 } else { 0 };
    let figures = widths.metric
        + 1
        + widths.base
        + 4
        + widths.now
        + 1
        + widths.change
        + 1
        + with_gap(widths.interval);
    let after = 1 + widths.word;
    for (form, taken) in [
        (Form::One, widths.name + 1 + figures + after),
        (Form::Two, 2 + figures + after),
    ] {
        let room = columns.saturating_sub(taken);
        if room >= bar::NARROWEST {
            return (form, odd(room.min(bar::WIDEST)));
        }
    }
    let room = columns.saturating_sub(2 + after);
    (Form::Three, odd(room.clamp(bar::NARROWEST, bar::WIDEST)))
}

/// An odd number, of at most this.
fn odd(width: usize) -> usize {
    width - (1 - width % 2)
}

fn rows_of(
    page: &mut Page,
    group: &GlanceGroup<'_>,
    cells: &[Cells],
    (widths, form, bar_width, end): (&Widths, Form, usize, f64),
) {
    let Widths {
        name,
        metric,
        base,
        now,
        change,
        interval,
        ..
    } = *widths;
    let first = cells.first().map_or("", |cells| &cells.name);
    if form != Form::One {
        let painted = page.paint(BOLD, first);
        page.raw(&painted);
    }
    let notes: Vec<String> = group.lines.iter().map(note).collect();
    for (index, (line, cells)) in group.lines.iter().zip(cells).enumerate() {
        let style = layout::verdict_style(line.row.verdict);
        let lead = match form {
            Form::One if index == 0 => format!("{} ", page.paint(BOLD, &padded(first, name))),
            Form::One => " ".repeat(name + 1),
            Form::Two | Form::Three => "  ".to_owned(),
        };
        let what = format!(
            "{} {} -> {} {}",
            padded(&cells.metric, metric),
            right(&cells.base, base),
            right(&cells.now, now),
            right(&cells.change, change),
        );
        let what = match interval {
            0 => what,
            _ => format!("{what} {}", padded(&cells.interval, interval)),
        };
        let bar = bar_of(page, line.bar.as_ref(), style, (end, bar_width));
        let word = match line.row.verdict {
            crate::gate::Verdict::Pass => cells.word.to_owned(),
            _ => page.paint(style, cells.word),
        };
        match form {
            Form::One | Form::Two => page.raw(&format!("{lead}{what} {bar} {word}")),
            Form::Three if line.bar.is_none() && has_room(page, &lead, &what, cells.word) => {
                page.raw(&format!("{lead}{what} {word}"));
            }
            Form::Three => {
                page.raw(&format!("{lead}{what}"));
                page.raw(&format!("{lead}{bar} {word}"));
            }
        }
        // A note that the next row repeats is said once, below both.
        if let Some(note) = notes.get(index).filter(|note| !note.is_empty())
            && notes.get(index + 1) != Some(note)
        {
            page.aside("    ", note);
        }
    }
}

fn has_room(page: &Page, lead: &str, what: &str, word: &str) -> bool {
    let width = [lead, what, word].map(textwrap::core::display_width);
    let needed = width.iter().sum::<usize>() + 1;
    page.columns().is_none_or(|columns| needed <= columns)
}

/// Why; of what passes that goes without saying.
fn note(line: &Glance) -> String {
    match line.row.verdict {
        crate::gate::Verdict::Pass | crate::gate::Verdict::NotMeasured => String::new(),
        _ => line.row.note.plain(),
    }
}

fn bar_of(
    page: &Page,
    bar: Option<&Bar>,
    style: anstyle::Style,
    (end, width): (f64, usize),
) -> String {
    let Some(bar) = bar else {
        return " ".repeat(width);
    };
    let drawn = bar::draw(bar, end, width);
    // What is measured stands out from its axis.
    let mut parts = String::new();
    let mut run = String::new();
    let mut of_axis = true;
    for column in drawn.chars() {
        let is_axis = bar::is_axis(column);
        if is_axis != of_axis && !run.is_empty() {
            parts.push_str(&page.paint(if of_axis { DIM } else { style }, &run));
            run.clear();
        }
        of_axis = is_axis;
        run.push(column);
    }
    parts.push_str(&page.paint(if of_axis { DIM } else { style }, &run));
    parts
}

fn padded(text: &str, width: usize) -> String {
    let room = width.saturating_sub(textwrap::core::display_width(text));
    format!("{text}{}", " ".repeat(room))
}

fn right(text: &str, width: usize) -> String {
    let room = width.saturating_sub(textwrap::core::display_width(text));
    format!("{}{text}", " ".repeat(room))
}
