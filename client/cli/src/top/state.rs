//! What is on the screen.

use client::http::Action;
use ratatui::widgets::TableState;

use crate::manage::Consumer;
use crate::stat::Order;
use crate::survey::Row;

/// All that a picture depends on.
#[derive(Debug, Default)]
pub(super) struct State {
    /// What is looked at.
    pub(super) look: Look,
    /// The rows of all topics and channels.
    rows: Vec<Row>,
    /// The consumers of the channel that is looked at.
    pub(super) consumers: Vec<Consumer>,
    /// nsqds that answered.
    pub(super) nodes: usize,
    /// Who did not answer the last time.
    pub(super) warnings: Vec<String>,
    /// What became of the last action.
    pub(super) note: String,
    /// What comes first.
    pub(super) order: Order,
    /// The other way round.
    pub(super) is_reversed: bool,
    /// Only names with this text.
    pub(super) filter: String,
    /// What the keys go to.
    pub(super) mode: Mode,
    /// True if the picture stays as it is.
    pub(super) is_held: bool,
    /// The chosen line, and how far the lines are scrolled.
    pub(super) table: TableState,
}

/// What is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Look {
    /// All topics.
    #[default]
    Topics,
    /// The channels of one.
    Channels {
        /// Which.
        topic: String,
    },
    /// The consumers of a channel.
    Consumers {
        /// Of which topic.
        topic: String,
        /// Which channel.
        channel: String,
    },
}

/// What the keys go to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// The table.
    #[default]
    Table,
    /// The text to look for.
    Filter,
    /// A question whether to do this.
    Question(Action),
    /// The list of keys.
    Help,
}

impl State {
    /// Takes in a new look at the cluster.
    pub(super) fn show(
        &mut self,
        rows: Vec<Row>,
        consumers: Vec<Consumer>,
        nodes: usize,
        warnings: Vec<String>,
    ) {
        // The line chosen stays chosen, wherever it goes.
        let chosen = self.chosen().map(|row| (row.topic, row.channel));
        self.rows = rows;
        self.consumers = consumers;
        self.nodes = nodes;
        self.warnings = warnings;
        let lines = self.lines();
        let is_chosen = |row: &Row| {
            let (topic, channel) = chosen.as_ref().map_or((None, None), |(topic, channel)| {
                (Some(topic), channel.as_ref())
            });
            Some(&row.topic) == topic && row.channel.as_ref() == channel
        };
        let place = lines.iter().position(is_chosen);
        let last = self.line_count().checked_sub(1);
        let kept = self.table.selected().unwrap_or(0);
        self.table.select(place.or(last.map(|last| kept.min(last))));
    }

    /// The rows that are looked at, in their order. A topic's own row stands for all of it: depth and the like are summed
    /// up over its channels.
    pub(super) fn lines(&self) -> Vec<Row> {
        let mut lines: Vec<Row> = match &self.look {
            Look::Topics => self.topics(),
            Look::Channels { topic } => {
                let channels = self.rows.iter().filter(|row| row.channel.is_some());
                channels
                    .filter(|row| row.topic == *topic)
                    .cloned()
                    .collect()
            }
            Look::Consumers { .. } => Vec::new(),
        };
        lines.retain(|row| name(row).contains(&self.filter));
        self.order.sort(&mut lines);
        if self.is_reversed {
            lines.reverse();
        }
        lines
    }

    /// How many lines there are.
    pub(super) fn line_count(&self) -> usize {
        match self.look {
            Look::Consumers { .. } => self.consumers.len(),
            Look::Topics | Look::Channels { .. } => self.lines().len(),
        }
    }

    /// The row that is chosen.
    pub(super) fn chosen(&self) -> Option<Row> {
        let lines = self.lines();
        lines.into_iter().nth(self.table.selected()?)
    }

    /// A row per topic, with what waits and is in flight in its channels.
    fn topics(&self) -> Vec<Row> {
        let mut topics: Vec<Row> = Vec::new();
        // Sorted by topic, and the topic itself before its channels.
        for row in &self.rows {
            match (topics.last_mut(), &row.channel) {
                (Some(topic), Some(_)) if topic.topic == row.topic => {
                    let messages = topic.counts.message_count;
                    topic.counts += row.counts;
                    topic.counts.message_count = messages;
                    add_rates(topic, row);
                }
                (_, None) => {
                    let mut topic = row.clone();
                    if let Some(rates) = &mut topic.rates {
                        rates.egress = 0.0;
                    }
                    topics.push(topic);
                }
                (_, Some(_)) => {}
            }
        }
        topics
    }
}

/// What leaves a topic is what leaves its channels.
fn add_rates(topic: &mut Row, channel: &Row) {
    if let (Some(sum), Some(rates)) = (&mut topic.rates, &channel.rates) {
        sum.egress += rates.egress;
        sum.requeues += rates.requeues;
        sum.timeouts += rates.timeouts;
    }
}

/// The name that a line is known by.
pub(super) fn name(row: &Row) -> &str {
    row.channel.as_deref().unwrap_or(&row.topic)
}
