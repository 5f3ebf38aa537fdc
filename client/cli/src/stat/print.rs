//! How a look at the figures is shown.

use serde::Serialize;

use crate::figures;
use crate::survey::{Row, Survey};
use crate::table::{Column, Look, Table};

const COLUMNS: [Column; 14] = [
    Column::Text("TOPIC"),
    Column::Text("CHANNEL"),
    Column::Figure("IN/S"),
    Column::Figure("OUT/S"),
    Column::Figure("DEPTH"),
    Column::Figure("MEMORY"),
    Column::Figure("DISK"),
    Column::Figure("IN FLIGHT"),
    Column::Figure("DEFERRED"),
    Column::Figure("REQUEUES"),
    Column::Figure("TIMEOUTS"),
    Column::Figure("MESSAGES"),
    Column::Figure("CLIENTS"),
    Column::Text("STATE"),
];

/// The rows as a table; figures that may be too low have a `*`.
pub(crate) fn table(rows: &[Row], colour: bool) -> String {
    let mut table = Table::new(&COLUMNS);
    for row in rows {
        let look = match (row.incomplete, row.paused) {
            (true, _) => Look::Bad,
            (false, true) => Look::Notable,
            (false, false) => Look::Plain,
        };
        table.push(look, cells(row));
    }
    table.render(colour)
}

fn cells(row: &Row) -> Vec<String> {
    let mark = if row.incomplete { "*" } else { "" };
    let figure = |value: i64| format!("{}{mark}", count(value));
    let of_channels = |value: i64| match row.channel {
        Some(_) => figure(value),
        None => String::new(),
    };
    let counts = &row.counts;
    vec![
        row.topic.clone(),
        row.channel.clone().unwrap_or_default(),
        rate(row.rates.as_ref().map(|rates| rates.ingress)),
        rate(row.rates.as_ref().map(|rates| rates.egress)),
        figure(counts.depth),
        figure(counts.memory_depth()),
        figure(counts.backend_depth),
        of_channels(counts.in_flight_count),
        of_channels(counts.deferred_count),
        of_channels(counts.requeue_count),
        of_channels(counts.timeout_count),
        figure(counts.message_count),
        of_channels(counts.client_count),
        state(row),
    ]
}

fn state(row: &Row) -> String {
    match (row.paused, row.incomplete) {
        (true, true) => "paused, incomplete",
        (true, false) => "paused",
        (false, true) => "incomplete",
        (false, false) => "",
    }
    .to_owned()
}

/// A count with a comma between groups of three digits.
pub(crate) fn count(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}", figures::count(value.unsigned_abs()))
}

/// A rate, or a dash if there is none yet.
pub(crate) fn rate(rate: Option<f64>) -> String {
    rate.map_or_else(|| "-".to_owned(), figures::rate)
}

/// The rows as one line of JSON.
pub(crate) fn json(survey: &Survey, rows: &[Row]) -> String {
    #[derive(Serialize)]
    struct Look<'a> {
        rows: &'a [Row],
        failures: Vec<String>,
    }
    let look = Look {
        rows,
        failures: survey.missing().map(ToString::to_string).collect(),
    };
    let mut text = serde_json::to_string(&look).expect("rows have nothing that JSON has not");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::{Counts, Rates};

    fn row(channel: Option<&str>, incomplete: bool) -> Row {
        Row {
            topic: "orders".to_owned(),
            channel: channel.map(ToOwned::to_owned),
            counts: Counts {
                depth: 1234,
                backend_depth: 1000,
                client_count: 2,
                ..Counts::default()
            },
            rates: channel.map(|_| Rates {
                ingress: 1500.4,
                ..Rates::default()
            }),
            paused: true,
            nodes: 1,
            incomplete,
        }
    }

    #[test]
    fn a_row_tells_what_is_known_and_what_is_not() {
        let text = table(&[row(None, false), row(Some("billing"), true)], false);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let topic = ["orders", "-", "-", "1,234", "234", "1,000", "0", "paused"];
        assert_eq!(lines[1], topic);
        let channel = [
            "orders",
            "billing",
            "1,500",
            "0",
            "1,234*",
            "234*",
            "1,000*",
            "0*",
            "0*",
            "0*",
            "0*",
            "0*",
            "2*",
            "paused,",
            "incomplete",
        ];
        assert_eq!(lines[2], channel);
    }

    #[test]
    fn json_has_the_names_of_nsqd() {
        let survey = Survey {
            nodes: Vec::new(),
            silent: Vec::new(),
            failures: Vec::new(),
        };
        let text = json(&survey, &[row(None, false)]);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["rows"][0]["backend_depth"], 1000);
        assert_eq!(value["rows"][0]["channel"], serde_json::Value::Null);
        assert_eq!(value["rows"][0]["rates"], serde_json::Value::Null);
        assert_eq!(value["failures"], serde_json::json!([]));
        assert_eq!(text.lines().count(), 1);
    }
}
