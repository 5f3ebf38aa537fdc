//! What has been, in bounded memory: a series for each topic, each channel and each node, and one for the cluster.
//!
//! One that has not been seen for an hour is forgotten. At the cap, what is new has no history; how many that are is counted.

mod code;
mod series;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::sample::{Figures, Sample};
use series::Series;
pub(crate) use series::{Points, RINGS, Ring};

/// The past, behind a lock that is held for a look or for a tick.
#[derive(Debug)]
pub(crate) struct History {
    series_max: usize,
    interval: Duration,
    past: Mutex<Past>,
}

/// Whose past is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Cluster,
    Node(String),
    Topic(String),
    Channel(String, String),
}

/// What the API tells of it.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    /// Seconds from one point to the next.
    pub(crate) step_seconds: f64,
    /// When the newest point was taken, in Unix seconds.
    pub(crate) end: i64,
    /// From the oldest to the newest, all of the same length.
    pub(crate) series: Points,
}

/// How much there is of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Usage {
    pub(crate) series: usize,
    pub(crate) series_max: usize,
    pub(crate) bytes: usize,
    /// Topics, channels and nodes that have no history, for lack of room.
    pub(crate) left_out: usize,
}

#[derive(Debug, Default)]
struct Past {
    tick: u64,
    time: i64,
    cluster: Option<Series>,
    nodes: HashMap<String, Series>,
    topics: HashMap<String, TopicPast>,
    left_out: usize,
}

#[derive(Debug)]
struct TopicPast {
    own: Series,
    channels: BTreeMap<String, Series>,
}

impl History {
    /// Keeps at most `series_max` series of figures taken every `interval`; 0 keeps none.
    pub(crate) fn new(series_max: usize, interval: Duration) -> Self {
        Self {
            series_max,
            interval,
            past: Mutex::default(),
        }
    }

    /// Takes in a sample. Nothing is noted for those whose node did not answer: a depth that is not known is not 0.
    pub(crate) fn push(&self, sample: &Sample) {
        if self.series_max == 0 {
            return;
        }
        let mut past = self.past();
        let tick = sample.tick;
        (past.tick, past.time) = (tick, sample.time);
        if tick.is_multiple_of(SWEEP_TICKS) {
            past.forget(tick);
        }
        let mut room = self.series_max.saturating_sub(past.series());
        past.left_out = 0;
        let cluster = past.cluster.get_or_insert_with(|| Series::new(tick));
        cluster.push(tick, &sample.total);
        past.push_nodes(sample, &mut room);
        past.push_topics(sample, &mut room);
    }

    /// The points of `ring`, `None` if there are none of `subject`.
    pub(crate) fn points(&self, subject: &Subject, ring: Ring) -> Option<Answer> {
        let past = self.past();
        let series = match subject {
            Subject::Cluster => past.cluster.as_ref(),
            Subject::Node(node) => past.nodes.get(node),
            Subject::Topic(topic) => past.topics.get(topic).map(|topic| &topic.own),
            Subject::Channel(topic, channel) => past.topics.get(topic)?.channels.get(channel),
        };
        let ticks = u32::try_from(ring.ticks).expect("steps are short");
        Some(Answer {
            step_seconds: (self.interval * ticks).as_secs_f64(),
            end: past.time,
            series: series?.points(ring, past.tick),
        })
    }

    /// How much memory it takes.
    pub(crate) fn usage(&self) -> Usage {
        let past = self.past();
        let topics = past.topics.values();
        let of_topics =
            topics.flat_map(|topic| std::iter::once(&topic.own).chain(topic.channels.values()));
        let series = past
            .cluster
            .iter()
            .chain(past.nodes.values())
            .chain(of_topics);
        Usage {
            series: past.series(),
            series_max: self.series_max,
            bytes: series.map(Series::bytes).sum(),
            left_out: past.left_out,
        }
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Past {
    fn push_nodes(&mut self, sample: &Sample, room: &mut usize) {
        let answered = sample.nodes.iter().filter(|(_, node)| node.error.is_none());
        for (name, node) in answered {
            match self.nodes.get_mut(name) {
                Some(series) => series.push(sample.tick, &node.figures),
                None if take(room) => {
                    let series = begun(sample.tick, &node.figures);
                    self.nodes.insert(name.clone(), series);
                }
                None => self.left_out += 1,
            }
        }
    }

    fn push_topics(&mut self, sample: &Sample, room: &mut usize) {
        let tick = sample.tick;
        for (name, topic) in &sample.topics {
            let past = match self.topics.get_mut(name) {
                Some(past) => {
                    past.own.push(tick, &topic.figures);
                    past
                }
                None if take(room) => {
                    let own = begun(tick, &topic.figures);
                    let channels = BTreeMap::new();
                    let entry = self.topics.entry(name.clone());
                    entry.or_insert(TopicPast { own, channels })
                }
                None => {
                    self.left_out += 1 + topic.channels.len();
                    continue;
                }
            };
            for (name, channel) in &topic.channels {
                match past.channels.get_mut(name) {
                    Some(series) => series.push(tick, &channel.figures),
                    None if take(room) => {
                        let series = begun(tick, &channel.figures);
                        past.channels.insert(name.clone(), series);
                    }
                    None => self.left_out += 1,
                }
            }
        }
    }

    /// Drops what has not been seen for long.
    fn forget(&mut self, tick: u64) {
        let is_recent = |series: &Series| tick.saturating_sub(series.seen) < FORGOTTEN_TICKS;
        self.nodes.retain(|_, series| is_recent(series));
        self.topics.retain(|_, topic| {
            topic.channels.retain(|_, series| is_recent(series));
            is_recent(&topic.own)
        });
    }

    fn series(&self) -> usize {
        let topics = self.topics.values();
        let of_topics: usize = topics.map(|topic| 1 + topic.channels.len()).sum();
        self.nodes.len() + of_topics
    }
}

fn begun(tick: u64, figures: &Figures) -> Series {
    let mut series = Series::new(tick);
    series.push(tick, figures);
    series
}

/// Takes one of what is left.
fn take(room: &mut usize) -> bool {
    let is_left = *room > 0;
    *room = room.saturating_sub(1);
    is_left
}

const SWEEP_TICKS: u64 = 30;
/// An hour of ticks of 2 s: long enough for a node to come back.
const FORGOTTEN_TICKS: u64 = 1800;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{ChannelSample, TopicSample};

    fn sample(tick: u64, topics: &[&str]) -> Sample {
        let figures = Figures {
            depth: 5,
            ..Figures::default()
        };
        let topic = TopicSample {
            figures,
            channels: BTreeMap::from([("c".to_owned(), ChannelSample::default())]),
            ..TopicSample::default()
        };
        let topics = topics
            .iter()
            .map(|name| ((*name).to_owned(), topic.clone()));
        Sample {
            tick,
            time: 1000,
            total: figures,
            topics: topics.collect(),
            ..Sample::default()
        }
    }

    #[test]
    fn each_subject_has_its_own_past() {
        let history = History::new(10, Duration::from_secs(2));
        history.push(&sample(1, &["t"]));
        let depth = |subject| {
            let points = history.points(&subject, RINGS[0])?;
            assert_eq!((points.step_seconds, points.end), (2.0, 1000));
            points.series.depth.last().copied()
        };
        let channel = |name: &str| Subject::Channel("t".to_owned(), name.to_owned());
        assert_eq!(depth(Subject::Cluster), Some(Some(5.0)));
        assert_eq!(depth(Subject::Topic("t".to_owned())), Some(Some(5.0)));
        assert_eq!(depth(channel("c")), Some(Some(0.0)));
        assert_eq!(depth(channel("nope")), None);
        assert_eq!(depth(Subject::Topic("nope".to_owned())), None);
    }

    #[test]
    fn the_cap_holds_and_what_has_gone_makes_room() {
        let history = History::new(3, Duration::from_secs(2));
        history.push(&sample(1, &["a", "b", "c"]));
        let usage = history.usage();
        assert_eq!((usage.series, usage.left_out), (3, 3), "a, a/c, b");
        history.push(&sample(30, &["z"]));
        assert!(
            history
                .points(&Subject::Topic("z".to_owned()), RINGS[0])
                .is_none()
        );
        history.push(&sample(3600, &["z"]));
        assert!(
            history
                .points(&Subject::Topic("z".to_owned()), RINGS[0])
                .is_some()
        );
        assert_eq!(history.usage().series, 2);
    }

    #[test]
    fn without_room_there_is_no_history_at_all() {
        let history = History::new(0, Duration::from_secs(2));
        history.push(&sample(1, &["t"]));
        assert!(history.points(&Subject::Cluster, RINGS[0]).is_none());
        assert_eq!(history.usage(), Usage::default());
    }
}
