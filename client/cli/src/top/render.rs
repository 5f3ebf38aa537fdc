//! How it looks.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Clear, Paragraph, Row as TableRow, Table};

use super::state::{Look, Mode, State, name};
use crate::manage::{self, Consumer};
use crate::stat::print::{count, rate};
use crate::survey::Row;

/// Draws all of it.
pub(super) fn render(frame: &mut Frame<'_>, state: &mut State) {
    let rows = [
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
    ];
    let [head, body, foot] = Layout::vertical(rows).areas(frame.area());
    frame.render_widget(Line::from(title(state)).style(Modifier::BOLD), head);
    match &state.look {
        Look::Consumers { .. } => consumers(frame, state, body),
        Look::Topics | Look::Channels { .. } => figures(frame, state, body),
    }
    let (text, style) = status(state);
    frame.render_widget(Line::from(text).style(style), foot);
    if state.mode == Mode::Help {
        frame.render_widget(Clear, body);
        frame.render_widget(Paragraph::new(HELP), body);
    }
}

const HELP: &str = "\
 up, down, page up, page down   choose a line
 enter, right   channels of the topic, consumers of the channel
 esc, left      back
 s              next order     r   reverse it
 /              show names with a text, esc to show all
 p              pause after a question, or unpause
 e              drop the messages, after a question
 space          hold the picture, or let it go on
 q, Ctrl-C      end";

fn title(state: &State) -> String {
    let place = match &state.look {
        Look::Topics => "topics".to_owned(),
        Look::Channels { topic } => topic.clone(),
        Look::Consumers { topic, channel } => format!("{topic}/{channel}"),
    };
    let plural = if state.nodes == 1 { "" } else { "s" };
    let held = if state.is_held { ", held" } else { "" };
    let reversed = if state.is_reversed { ", reversed" } else { "" };
    let order = match state.look {
        Look::Consumers { .. } => String::new(),
        _ => format!(", by {:?}{reversed}", state.order).to_lowercase(),
    };
    format!(
        "nsq top: {place}, {} nsqd{plural}{order}{held}",
        state.nodes
    )
}

/// The last line: a question, the text looked for, a warning, or the keys.
fn status(state: &State) -> (String, Style) {
    let bad = Style::new().fg(Color::Red);
    match &state.mode {
        Mode::Question(action) => {
            let question = format!("{} {}? [y/N]", action.verb, manage::name(action));
            (question, Style::new().fg(Color::Yellow))
        }
        Mode::Filter => (format!("/{}_", state.filter), Style::new()),
        _ if !state.note.is_empty() => (state.note.clone(), Style::new().fg(Color::Yellow)),
        _ if !state.warnings.is_empty() => (state.warnings.join("; "), bad),
        _ if !state.filter.is_empty() => (format!("names with {:?}", state.filter), Style::new()),
        _ => (
            "q end  enter deeper  / filter  s order  ? keys".to_owned(),
            Style::new(),
        ),
    }
}

/// A column of figures: title, width, and the figure.
type Figure = (&'static str, u16, fn(&Row) -> String);

/// From the one that is shown on the narrowest terminal on.
const FIGURES: [Figure; 9] = [
    ("DEPTH", 11, |row| count(row.counts.depth)),
    ("IN/S", 9, |row| rate(row.rates.map(|rates| rates.ingress))),
    ("OUT/S", 9, |row| rate(row.rates.map(|rates| rates.egress))),
    ("IN FLIGHT", 9, |row| count(row.counts.in_flight_count)),
    ("CLIENTS", 7, |row| count(row.counts.client_count)),
    ("DEFERRED", 9, |row| count(row.counts.deferred_count)),
    ("DISK", 11, |row| count(row.counts.backend_depth)),
    ("REQ/S", 7, |row| {
        rate(row.rates.map(|rates| rates.requeues))
    }),
    ("MESSAGES", 14, |row| count(row.counts.message_count)),
];

/// A name keeps this much room before a column of figures gets some.
const NAME_WIDTH_MIN: u16 = 20;

/// As many columns of figures as there is room for.
fn fitting(width: u16) -> &'static [Figure] {
    let mut used = NAME_WIDTH_MIN;
    let fits = FIGURES.iter().take_while(|(_, width_of_figure, _)| {
        used += width_of_figure + 1;
        used <= width
    });
    &FIGURES[..fits.count().max(1)]
}

fn figures(frame: &mut Frame<'_>, state: &mut State, area: Rect) {
    let figures = fitting(area.width);
    let first = match state.look {
        Look::Topics => "TOPIC",
        _ => "CHANNEL",
    };
    let figures_width: u16 = figures.iter().map(|(_, width, _)| width + 1).sum();
    let room = usize::from(area.width.saturating_sub(figures_width));
    let titles = figures.iter().map(|(title, ..)| right(*title));
    let header = TableRow::new([Cell::from(first)].into_iter().chain(titles));
    let rows: Vec<TableRow<'_>> = state
        .lines()
        .iter()
        .map(|row| {
            let cells = figures.iter().map(|(_, _, figure)| right(figure(row)));
            let marked = Cell::from(fitted(name(row), mark(row), room));
            TableRow::new([marked].into_iter().chain(cells)).style(style(row))
        })
        .collect();
    let widths = figures
        .iter()
        .map(|(_, width, _)| Constraint::Length(*width));
    let widths = [Constraint::Fill(1)].into_iter().chain(widths);
    table(frame, state, area, Table::new(rows, widths).header(header));
}

fn consumers(frame: &mut Frame<'_>, state: &mut State, area: Rect) {
    let widths = [
        Constraint::Fill(2),
        Constraint::Fill(1),
        Constraint::Length(7),
        Constraint::Length(9),
        Constraint::Length(11),
    ];
    let titles = ["READY", "IN FLIGHT", "FINISHED"].map(right);
    let header = [Cell::from("CONSUMER"), Cell::from("NSQD")];
    let header = TableRow::new(header.into_iter().chain(titles));
    let rows: Vec<_> = state.consumers.iter().map(consumer).collect();
    table(frame, state, area, Table::new(rows, widths).header(header));
}

fn consumer(consumer: &Consumer) -> TableRow<'static> {
    let stats = &consumer.stats;
    let who = format!("{} {}", stats.client_id, stats.user_agent);
    TableRow::new([
        Cell::from(who),
        Cell::from(consumer.node.clone()),
        right(count(stats.ready_count)),
        right(count(stats.in_flight_count)),
        right(count(stats.finish_count)),
    ])
}

fn table(frame: &mut Frame<'_>, state: &mut State, area: Rect, table: Table<'_>) {
    let chosen = Style::new().add_modifier(Modifier::REVERSED);
    let table = table.row_highlight_style(chosen);
    frame.render_stateful_widget(table, area, &mut state.table);
}

fn right(text: impl Into<String>) -> Cell<'static> {
    Cell::from(Line::from(text.into()).right_aligned())
}

/// A name and its mark within so many columns. Of a name that is too long the middle is left out: the ends tell names
/// apart.
fn fitted(name: &str, mark: &str, width: usize) -> String {
    let name: Vec<char> = name.chars().collect();
    let room = width.saturating_sub(mark.len());
    if name.len() <= room {
        return name.iter().collect::<String>() + mark;
    }
    let kept = room.saturating_sub(1);
    let head = name[..kept.div_ceil(2)].iter();
    let tail = name[name.len() - kept / 2..].iter();
    head.chain(&['…']).chain(tail).collect::<String>() + mark
}

fn mark(row: &Row) -> &'static str {
    match (row.incomplete, row.paused) {
        (true, _) => " *",
        (false, true) => " (paused)",
        (false, false) => "",
    }
}

fn style(row: &Row) -> Style {
    match (row.incomplete, row.paused) {
        (true, _) => Style::new().add_modifier(Modifier::DIM),
        (false, true) => Style::new().fg(Color::Yellow),
        (false, false) => Style::new(),
    }
}

#[cfg(test)]
mod tests {
    use client::http::{Action, ClientStats, Verb};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::survey::{Counts, Rates};

    fn state() -> State {
        let row = |channel: Option<&str>, depth, paused| Row {
            topic: "orders".to_owned(),
            channel: channel.map(ToOwned::to_owned),
            counts: Counts {
                depth,
                in_flight_count: i64::from(channel.is_some()),
                client_count: 2 * i64::from(channel.is_some()),
                ..Counts::default()
            },
            rates: Some(Rates {
                ingress: 1500.0,
                ..Rates::default()
            }),
            paused,
            nodes: 1,
            incomplete: false,
        };
        let rows = vec![row(None, 0, false), row(Some("billing"), 12_345, true)];
        let mut state = State::default();
        state.show(rows, Vec::new(), 2, Vec::new());
        state
    }

    fn picture(state: &mut State, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| render(frame, state)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let lines = buffer.content.chunks(usize::from(width));
        lines
            .map(|cells| {
                cells
                    .iter()
                    .map(ratatui::buffer::Cell::symbol)
                    .collect::<String>()
            })
            .map(|line| line.trim_end().to_owned())
            .collect()
    }

    #[test]
    fn topics_have_their_figures_in_columns() {
        let lines = picture(&mut state(), 80, 5);
        assert_eq!(lines[0], "nsq top: topics, 2 nsqds, by name");
        let words: Vec<_> = lines[1].split_whitespace().collect();
        assert_eq!(words[..4], ["TOPIC", "DEPTH", "IN/S", "OUT/S"]);
        let words: Vec<_> = lines[2].split_whitespace().collect();
        assert_eq!(words[..6], ["orders", "12,345", "1,500", "0", "1", "2"]);
        assert_eq!(lines[4], "q end  enter deeper  / filter  s order  ? keys");
    }

    #[test]
    fn a_narrow_terminal_shows_the_name_and_what_waits() {
        for (width, height) in [(32, 4), (10, 3), (1, 1)] {
            let lines = picture(&mut state(), width, height);
            if width == 32 {
                assert_eq!(lines[1], "TOPIC                      DEPTH");
                assert_eq!(lines[2], "orders                    12,345");
            }
        }
    }

    #[test]
    fn of_a_long_name_both_ends_are_shown() {
        assert_eq!(fitted("orders", " *", 8), "orders *");
        assert_eq!(fitted("orders.refunds", " *", 10), "orde…nds *");
        assert_eq!(fitted("ördérs.réfünds", "", 5), "ör…ds");
        assert_eq!(fitted("orders", "", 0), "…");
    }

    #[test]
    fn a_paused_channel_and_its_consumers() {
        let mut state = state();
        state.look = Look::Channels {
            topic: "orders".to_owned(),
        };
        assert!(picture(&mut state, 60, 5)[2].starts_with("billing (paused)"));
        state.look = Look::Consumers {
            topic: "orders".to_owned(),
            channel: "billing".to_owned(),
        };
        state.consumers = vec![Consumer {
            node: "a:4151".to_owned(),
            channel: "billing".to_owned(),
            stats: ClientStats {
                client_id: "worker".to_owned(),
                ready_count: 7,
                ..ClientStats::default()
            },
        }];
        let lines = picture(&mut state, 80, 5);
        assert_eq!(lines[0], "nsq top: orders/billing, 2 nsqds");
        let words: Vec<_> = lines[2].split_whitespace().collect();
        assert_eq!(words, ["worker", "a:4151", "7", "0", "0"]);
    }

    #[test]
    fn the_last_line_asks_filters_warns_and_the_help_covers_the_table() {
        let mut state = state();
        state.warnings = vec!["a:1/stats: no answer".to_owned()];
        assert_eq!(picture(&mut state, 60, 5)[4], "a:1/stats: no answer");
        state.mode = Mode::Filter;
        state.filter = "ord".to_owned();
        assert_eq!(picture(&mut state, 60, 5)[4], "/ord_");
        state.mode = Mode::Question(Action {
            verb: Verb::Empty,
            topic: "orders".parse().unwrap(),
            channel: None,
        });
        assert_eq!(picture(&mut state, 60, 5)[4], "empty topic orders? [y/N]");
        state.mode = Mode::Help;
        assert!(picture(&mut state, 60, 5)[1].contains("choose a line"));
    }
}
