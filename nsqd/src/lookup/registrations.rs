//! What an nsqlookupd is to know, and the steps from what it knows to that. Pure: no socket, no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use client::wire::lookup::Command;
use client::wire::{ChannelName, TopicName};

use crate::channel::Channel;
use crate::topic::Topic;

/// The topics and channels that are registered, or are to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Registrations {
    topics: BTreeMap<TopicName, Registered>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Registered {
    /// Tells a topic from another one of the same name, see [`Topic::epoch`].
    epoch: u64,
    channels: BTreeSet<ChannelName>,
}

/// One command to an nsqlookupd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// There is this topic; or this channel, and its topic.
    Register(TopicName, Option<ChannelName>),
    /// There is this topic no more; or this channel.
    Unregister(TopicName, Option<ChannelName>),
}

impl Registrations {
    /// What there is to register; ephemeral topics and channels too.
    pub(super) fn of(topics: &[Arc<Topic>]) -> Self {
        let name_of = |channel: &Arc<Channel>| channel.name().clone();
        let registered = |topic: &Arc<Topic>| Registered {
            epoch: topic.epoch(),
            channels: topic.channels().iter().map(name_of).collect(),
        };
        let topics = topics.iter();
        let topics = topics.map(|topic| (topic.name().clone(), registered(topic)));
        Self {
            topics: topics.collect(),
        }
    }

    /// The steps from here to `wanted`: first what is gone, a topic after its channels; then what is new. A topic that
    /// was deleted and created anew is unregistered in between, which ends its tombstone.
    pub(super) fn steps_to(&self, wanted: &Self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (name, known) in &self.topics {
            let Some(kept) = wanted.find(name, known.epoch) else {
                steps.extend(each(Step::Unregister, name, &known.channels));
                steps.push(Step::Unregister(name.clone(), None));
                continue;
            };
            let gone = known.channels.difference(&kept.channels);
            steps.extend(each(Step::Unregister, name, gone));
        }
        for (name, topic) in &wanted.topics {
            let Some(known) = self.find(name, topic.epoch) else {
                // A channel registers its topic too.
                if topic.channels.is_empty() {
                    steps.push(Step::Register(name.clone(), None));
                }
                steps.extend(each(Step::Register, name, &topic.channels));
                continue;
            };
            let new = topic.channels.difference(&known.channels);
            steps.extend(each(Step::Register, name, new));
        }
        steps
    }

    /// The steps that tell all of it again; what is known already stays as it is.
    pub(super) fn all_steps(&self) -> Vec<Step> {
        Self::default().steps_to(self)
    }

    fn find(&self, name: &TopicName, epoch: u64) -> Option<&Registered> {
        self.topics.get(name).filter(|topic| topic.epoch == epoch)
    }
}

/// The step for each of these channels of a topic.
fn each<'a>(
    step: fn(TopicName, Option<ChannelName>) -> Step,
    topic: &'a TopicName,
    channels: impl IntoIterator<Item = &'a ChannelName>,
) -> impl Iterator<Item = Step> {
    let channels = channels.into_iter();
    channels.map(move |channel| step(topic.clone(), Some(channel.clone())))
}

impl Step {
    /// As it goes over the wire.
    pub(super) fn command(&self) -> Command<'_> {
        let (Self::Register(topic, channel) | Self::Unregister(topic, channel)) = self;
        let topic = topic.as_name();
        let channel = channel.as_ref().map(ChannelName::as_name);
        match self {
            Self::Register(..) => Command::Register { topic, channel },
            Self::Unregister(..) => Command::Unregister { topic, channel },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, btree_set};
    use proptest::prelude::*;

    use super::*;

    /// `t:c,d u:` is topic t with channels c and d, and topic u without. `t'` is another topic t.
    fn registrations(text: &str) -> Registrations {
        let topic = |word: &str| {
            let (name, channels) = word.split_once(':').unwrap();
            let registered = Registered {
                epoch: u64::from(name.ends_with('\'')),
                channels: channels
                    .split_terminator(',')
                    .map(|channel| channel.parse().unwrap())
                    .collect(),
            };
            (name.trim_end_matches('\'').parse().unwrap(), registered)
        };
        Registrations {
            topics: text.split_whitespace().map(topic).collect(),
        }
    }

    fn lines(steps: &[Step]) -> String {
        let mut bytes = Vec::new();
        for step in steps {
            step.command().encode(&mut bytes);
        }
        String::from_utf8(bytes)
            .unwrap()
            .trim_end()
            .replace('\n', "; ")
    }

    #[track_caller]
    fn check(known: &str, wanted: &str, expected: &str) {
        let steps = registrations(known).steps_to(&registrations(wanted));
        assert_eq!(lines(&steps), expected, "{known:?} to {wanted:?}");
    }

    #[test]
    fn only_the_difference_is_told() {
        check("", "", "");
        check("t:c u:", "t:c u:", "");
        check("", "t:", "REGISTER t");
        check("", "t:c,d", "REGISTER t c; REGISTER t d");
        check("t:", "t:c", "REGISTER t c");
        check("t:c", "t:", "UNREGISTER t c");
        check("t:c", "", "UNREGISTER t c; UNREGISTER t");
        check("t:", "", "UNREGISTER t");
        check("t:c", "t:d", "UNREGISTER t c; REGISTER t d");
        check(
            "",
            "t#ephemeral:c#ephemeral",
            "REGISTER t#ephemeral c#ephemeral",
        );
    }

    #[test]
    fn what_is_gone_comes_before_what_is_new() {
        check("b:c", "a:d", "UNREGISTER b c; UNREGISTER b; REGISTER a d");
    }

    #[test]
    fn another_topic_of_the_same_name_is_registered_anew() {
        check("t:c", "t':c", "UNREGISTER t c; UNREGISTER t; REGISTER t c");
    }

    #[test]
    fn telling_all_again_tells_no_end() {
        assert_eq!(
            lines(&registrations("t:c u:").all_steps()),
            "REGISTER t c; REGISTER u"
        );
    }

    /// What an nsqlookupd makes of the steps: topics, and channels with their topics.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Model {
        topics: BTreeSet<TopicName>,
        channels: BTreeSet<(TopicName, ChannelName)>,
    }

    impl Model {
        fn apply(&mut self, steps: Vec<Step>) {
            for step in steps {
                match step {
                    Step::Register(topic, channel) => {
                        self.channels
                            .extend(channel.map(|name| (topic.clone(), name)));
                        self.topics.insert(topic);
                    }
                    Step::Unregister(topic, Some(channel)) => {
                        assert!(self.channels.remove(&(topic, channel)), "not registered");
                    }
                    Step::Unregister(topic, None) => {
                        assert!(self.topics.remove(&topic), "not registered");
                        assert!(
                            self.channels.iter().all(|(of, _)| *of != topic),
                            "channels left"
                        );
                    }
                }
            }
        }
    }

    fn any_registrations() -> impl Strategy<Value = Registrations> {
        let channels = btree_set("[cde]", 0..3).prop_map(|names| {
            let names = names.iter();
            names.map(|name| name.parse().unwrap()).collect()
        });
        let topic =
            (0..2_u64, channels).prop_map(|(epoch, channels)| Registered { epoch, channels });
        btree_map("[tuv]", topic, 0..4).prop_map(|topics| Registrations {
            topics: topics
                .into_iter()
                .map(|(name, topic)| (name.parse().unwrap(), topic))
                .collect(),
        })
    }

    proptest! {
        #[test]
        fn the_steps_lead_there(states in proptest::collection::vec(any_registrations(), 1..6)) {
            let mut model = Model::default();
            let mut known = Registrations::default();
            for wanted in states {
                model.apply(known.steps_to(&wanted));
                let mut expected = Model::default();
                expected.apply(wanted.all_steps());
                prop_assert_eq!(&model, &expected);
                known = wanted;
            }
        }
    }
}
