//! What nsqd counts of the channels of a run.

use serde_json::Value;

use super::event::What;
use super::plan::Plan;

/// The messages of one channel, as `/stats` counts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    topic: u16,
    channel: u16,
    depth: u64,
    in_flight: u64,
    deferred: u64,
}

impl Count {
    /// The counts of all channels of the plan.
    ///
    /// # Errors
    ///
    /// Names the channel that is not there.
    pub fn all(stats: &Value, plan: &Plan) -> Result<Vec<Self>, String> {
        let topics = 0..plan.topics;
        let places =
            topics.flat_map(|topic| (0..plan.channels).map(move |channel| (topic, channel)));
        let counts = places.map(|(topic, channel)| {
            let found = find(stats, topic, channel);
            found.ok_or_else(|| format!("t{topic}:c{channel} is gone"))
        });
        counts.collect()
    }

    /// Whether there is nothing left to do.
    pub fn is_empty(&self) -> bool {
        self.depth + self.in_flight + self.deferred == 0
    }

    /// As it is written down.
    pub fn event(&self) -> What {
        let Self {
            topic,
            channel,
            depth,
            in_flight,
            deferred,
        } = *self;
        What::Counted {
            topic,
            channel,
            depth,
            in_flight,
            deferred,
        }
    }
}

/// How many messages are on disk only, in all.
pub fn on_disk(stats: &Value) -> u64 {
    let topics = stats["topics"].as_array().into_iter().flatten();
    let counts = topics.flat_map(|topic| {
        let channels = topic["channels"].as_array().into_iter().flatten();
        channels.chain([topic])
    });
    counts.filter_map(|it| it["backend_depth"].as_u64()).sum()
}

fn find(stats: &Value, topic: u16, channel: u16) -> Option<Count> {
    let found = named(&stats["topics"], "topic_name", &format!("t{topic}"))?;
    let found = named(&found["channels"], "channel_name", &format!("c{channel}"))?;
    Some(Count {
        topic,
        channel,
        depth: found["depth"].as_u64()?,
        in_flight: found["in_flight_count"].as_u64()?,
        deferred: found["deferred_count"].as_u64()?,
    })
}

fn named<'a>(list: &'a Value, key: &str, name: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|entry| entry[key] == name)
}
