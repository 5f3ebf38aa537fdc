//! `nsq stat`: the figures of topics and channels, again and again.

pub(crate) mod print;

use std::io::{self, IsTerminal as _};
use std::ops::ControlFlow;
use std::time::Duration;

use client::daemon::duration::GoDuration;
use client::daemon::signals;
use tokio::time::{Instant, sleep_until};

use crate::error::Error;
use crate::stdout;
use crate::survey::{Filter, Meter, Row, Survey, survey};
use crate::targets::{Targets, warn};

/// Show depth, rates and consumers of topics and channels
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nsq stat                           every topic and channel, each second
  nsq stat orders --once             one topic and its channels, once
  nsq stat 'orders/*' --sort depth   channels of one topic, the deepest first
  nsq stat --once --json | jq '.rows[] | select(.depth > 1000)'")]
pub(crate) struct Arguments {
    /// What to look at: TOPIC or TOPIC/CHANNEL, each a name or a pattern with *
    filter: Option<Filter>,

    #[command(flatten)]
    targets: Targets,

    /// Time between two looks
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    interval: GoDuration,

    /// End after this many looks
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Look once; there are no rates then
    #[arg(long, conflicts_with_all = ["count", "interval"])]
    once: bool,

    /// An object per look instead of a table
    #[arg(long)]
    json: bool,

    /// What comes first: names, or the largest figures
    #[arg(long, value_enum, default_value_t = Order::Name, value_name = "ORDER")]
    sort: Order,

    /// Status 3 if any daemon did not answer
    #[arg(long)]
    strict: bool,
}

/// An order of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Order {
    /// By topic and channel
    #[default]
    Name,
    /// Most messages waiting first
    Depth,
    /// Most messages in flight first
    InFlight,
    /// Most coming in first
    Ingress,
    /// Most going out first
    Egress,
    /// Most consumers first
    Clients,
}

impl Order {
    /// Puts rows into this order; those with equal figures stay in the order of names.
    pub(crate) fn sort(self, rows: &mut [Row]) {
        rows.sort_by(|one, other| (&one.topic, &one.channel).cmp(&(&other.topic, &other.channel)));
        let rate =
            |row: &Row, of: fn(&crate::survey::Rates) -> f64| row.rates.as_ref().map_or(-1.0, of);
        match self {
            Self::Name => {}
            Self::Depth => rows.sort_by_key(|row| -row.counts.depth),
            Self::InFlight => rows.sort_by_key(|row| -row.counts.in_flight_count),
            Self::Clients => rows.sort_by_key(|row| -row.counts.client_count),
            Self::Ingress => rows.sort_by(|one, other| {
                rate(other, |rates| rates.ingress).total_cmp(&rate(one, |rates| rates.ingress))
            }),
            Self::Egress => rows.sort_by(|one, other| {
                rate(other, |rates| rates.egress).total_cmp(&rate(one, |rates| rates.egress))
            }),
        }
    }
}

/// Shows until a signal comes or enough was shown.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let looking = look(&arguments);
    tokio::select! {
        done = looking => done,
        () = signals::shutdown().map_err(Error::Runtime)? => Ok(()),
    }
}

async fn look(arguments: &Arguments) -> Result<(), Error> {
    let cluster = arguments.targets.cluster().await?;
    let filter = arguments.filter.clone().unwrap_or_default();
    let mut meter = Meter::default();
    let mut left = if arguments.once {
        Some(1)
    } else {
        arguments.count
    };
    let is_first_forgiven = left != Some(1);
    let mut is_partial = false;
    let mut is_first = true;
    loop {
        let started = Instant::now();
        match survey(&cluster, &filter, false).await {
            Ok(survey) => {
                let mut rows = meter.rows(&survey, &filter);
                arguments.sort.sort(&mut rows);
                if is_first && rows.is_empty() {
                    known(&filter)?;
                }
                is_partial |= survey.missing().next().is_some();
                if show(&survey, &rows, arguments)?.is_break() {
                    break;
                }
            }
            // Once there was something to show, what fails may come back.
            Err(error) if !is_first && is_first_forgiven => eprintln!("nsq: {}", error.explain()),
            Err(error) => return Err(error),
        }
        is_first = false;
        left = left.map(|left| left - 1);
        if left == Some(0) {
            break;
        }
        sleep_until(started + arguments.interval.0.max(INTERVAL_MIN)).await;
    }
    if is_partial && arguments.strict {
        return Err(Error::Partial("not every daemon answered".to_owned()));
    }
    Ok(())
}

/// Nobody is to be asked in a loop without a pause.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// Nothing found is an error if a single topic or channel was asked for.
pub(crate) fn known(filter: &Filter) -> Result<(), Error> {
    let Some(topic) = filter.only_topic() else {
        return Ok(());
    };
    Err(Error::NotFound(match filter.only_channel() {
        None => format!("no nsqd has topic {topic}; `nsq topic list` shows all"),
        Some(channel) => format!(
            "no nsqd has channel {channel} of topic {topic}; `nsq channel list {topic}` shows all"
        ),
    }))
}

fn show(survey: &Survey, rows: &[Row], arguments: &Arguments) -> Result<ControlFlow<()>, Error> {
    for error in survey.missing() {
        warn(error);
    }
    if arguments.json {
        return stdout::print_next(&print::json(survey, rows));
    }
    let table = print::table(rows, crate::table::has_colour());
    if !arguments.once && io::stdout().is_terminal() {
        // Home, and away with what is below: the table stays in its place.
        return stdout::print_next(&format!("\x1b[H\x1b[J{table}"));
    }
    let separator = if arguments.once { "" } else { "\n" };
    stdout::print_next(&format!("{table}{separator}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::{Counts, Rates};

    #[test]
    fn rows_are_in_the_order_of_the_figure_then_of_the_name() {
        let row = |topic: &str, depth, ingress| Row {
            topic: topic.to_owned(),
            counts: Counts {
                depth,
                ..Counts::default()
            },
            rates: Some(Rates {
                ingress,
                ..Rates::default()
            }),
            ..Row::default()
        };
        let mut rows = vec![row("b", 5, 1.0), row("c", 7, 2.0), row("a", 5, 3.0)];
        let mut names = |order: Order| {
            order.sort(&mut rows);
            rows.iter().map(|row| row.topic.clone()).collect::<String>()
        };
        assert_eq!(names(Order::Depth), "cab");
        assert_eq!(names(Order::Ingress), "acb");
        assert_eq!(names(Order::Name), "abc");
    }
}
