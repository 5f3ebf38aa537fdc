//! Random operations on the registry, and on a model of plain sets that knows nothing of ids.

use std::collections::{BTreeMap, BTreeSet};

use client::wire::lookup::PeerInfo;
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp(0);

fn name(name: &str) -> NameRef<'_> {
    NameRef::parse(name.as_bytes()).unwrap()
}

fn producer(host: &str) -> Producer {
    let info = PeerInfo {
        broadcast_address: host.to_owned(),
        http_port: 4151,
        ..PeerInfo::default()
    };
    Producer::new(format!("{host}:50000"), info)
}

/// What a peer or an operator does: by number, so that names and peers meet often.
#[derive(Clone, Debug)]
enum Step {
    Connect,
    Disconnect(usize),
    Register(usize, usize, Option<usize>),
    Unregister(usize, usize, Option<usize>),
    DeleteTopic(usize),
    DeleteChannel(usize, usize),
    Tombstone(usize),
}

const NAMES: [&str; 4] = ["a", "b", "c#ephemeral", "d#ephemeral"];

fn steps() -> impl Strategy<Value = Step> {
    let (peers, names) = (0..4_usize, 0..NAMES.len());
    let channel = proptest::option::of(names.clone());
    let registration = (peers.clone(), names.clone(), channel);
    prop_oneof![
        2 => Just(Step::Connect),
        1 => peers.prop_map(Step::Disconnect),
        8 => registration.clone().prop_map(|(peer, topic, channel)| Step::Register(peer, topic, channel)),
        4 => registration.prop_map(|(peer, topic, channel)| Step::Unregister(peer, topic, channel)),
        1 => names.clone().prop_map(Step::DeleteTopic),
        1 => (names.clone(), names.clone()).prop_map(|(topic, channel)| Step::DeleteChannel(topic, channel)),
        1 => names.prop_map(Step::Tombstone),
    ]
}

/// The same as plain sets of names: topics, channels, and who has what.
#[derive(Default)]
struct Model {
    peers: Vec<(PeerId, String)>,
    connected: usize,
    has: BTreeMap<(&'static str, Option<&'static str>), BTreeSet<String>>,
}

impl Model {
    fn drop_peer(&mut self, host: &str, matching: impl Fn(&str, Option<&str>) -> bool) {
        for (key, hosts) in &mut self.has {
            if matching(key.0, key.1) {
                hosts.remove(host);
            }
        }
    }

    /// What is ephemeral and was left by its last producer goes, channels with their topic.
    fn sweep(&mut self) {
        self.has.retain(|(topic, channel), hosts| {
            !(hosts.is_empty() && channel.unwrap_or(topic).ends_with("#ephemeral"))
        });
        let topics: BTreeSet<&str> = self.has.keys().map(|(topic, _)| *topic).collect();
        let known = |topic| self.has.contains_key(&(topic, None));
        let lost: Vec<&str> = topics.into_iter().filter(|topic| !known(topic)).collect();
        self.has.retain(|(topic, _), _| !lost.contains(topic));
    }
}

fn apply(registry: &mut Registry, model: &mut Model, step: &Step) {
    let peer_of = |model: &Model, index: usize| {
        let count = model.peers.len();
        (count > 0).then(|| model.peers[index % count].clone())
    };
    match *step {
        Step::Connect => {
            model.connected += 1;
            let host = format!("host-{}", model.connected);
            model
                .peers
                .push((registry.connect(producer(&host), NOW), host));
        }
        Step::Disconnect(index) => {
            let Some((peer, host)) = peer_of(model, index) else {
                return;
            };
            model.peers.retain(|(_, other)| *other != host);
            let had = model
                .has
                .values()
                .filter(|hosts| hosts.contains(&host))
                .count();
            assert_eq!(registry.disconnect(peer), had);
            model.drop_peer(&host, |_, _| true);
        }
        Step::Register(index, topic, channel) => {
            let Some((peer, host)) = peer_of(model, index) else {
                return;
            };
            let (topic, channel) = (NAMES[topic], channel.map(|channel| NAMES[channel]));
            registry
                .register(peer, name(topic), channel.map(name))
                .unwrap();
            for key in [(topic, None), (topic, channel)] {
                model.has.entry(key).or_default().insert(host.clone());
            }
        }
        Step::Unregister(index, topic, channel) => {
            let Some((peer, host)) = peer_of(model, index) else {
                return;
            };
            let (topic, channel) = (NAMES[topic], channel.map(|channel| NAMES[channel]));
            registry.unregister(peer, name(topic), channel.map(name));
            model.drop_peer(&host, |t, c| {
                t == topic && (channel.is_none() || c == channel)
            });
        }
        Step::DeleteTopic(topic) => {
            let known = model.has.contains_key(&(NAMES[topic], None));
            assert_eq!(registry.delete_topic(NAMES[topic]), known);
            model.has.retain(|(other, _), _| *other != NAMES[topic]);
        }
        Step::DeleteChannel(topic, channel) => {
            let known = model
                .has
                .remove(&(NAMES[topic], Some(NAMES[channel])))
                .is_some();
            assert_eq!(registry.delete_channel(NAMES[topic], NAMES[channel]), known);
        }
        Step::Tombstone(topic) => {
            registry.tombstone(NAMES[topic], "host-1:4151", NOW);
        }
    }
    model.sweep();
}

fn agrees(registry: &Registry, model: &Model) {
    let mut known = BTreeSet::new();
    for (slot, topic) in &registry.topics {
        assert_eq!(registry.topic_ids[&topic.name].slot(), slot);
        for peer in topic.tombstones.keys() {
            assert!(
                topic.producers.contains(*peer),
                "a tombstone without its producer"
            );
        }
        known.insert((
            topic.name.to_string(),
            None,
            hosts(registry, &topic.producers),
        ));
        for (channel, producers) in &topic.channels {
            known.insert((
                topic.name.to_string(),
                Some(channel.to_string()),
                hosts(registry, producers),
            ));
        }
    }
    let expected = model.has.iter().map(|((topic, channel), hosts)| {
        (
            (*topic).to_owned(),
            channel.map(str::to_owned),
            hosts.clone(),
        )
    });
    assert_eq!(known, expected.collect());

    let counts = registry.counts(NOW);
    let registrations: usize = model.has.values().map(BTreeSet::len).sum();
    assert_eq!(
        (counts.producers, counts.registrations),
        (model.peers.len(), registrations)
    );
    assert_eq!(counts.topics + counts.channels, model.has.len());
    for node in registry.nodes(NOW) {
        let topics: BTreeSet<&str> = node.topics.iter().map(TopicName::as_str).collect();
        let has = model.has.iter().filter(|((_, channel), hosts)| {
            channel.is_none() && hosts.contains(&node.producer.broadcast_address)
        });
        assert_eq!(topics, has.map(|((topic, _), _)| *topic).collect());
        assert_eq!(node.tombstones.len(), node.topics.len());
    }
}

fn hosts(registry: &Registry, producers: &SortedSet<PeerId>) -> BTreeSet<String> {
    let producers = producers
        .iter()
        .map(|peer| &registry.peers[peer.slot()].producer);
    producers
        .map(|producer| producer.broadcast_address.clone())
        .collect()
}

proptest! {
    #[test]
    fn any_order_of_steps_ends_where_the_model_does(steps in prop::collection::vec(steps(), 1..60)) {
        let (mut registry, mut model) = (Registry::new(Rules::default()), Model::default());
        for step in &steps {
            apply(&mut registry, &mut model, step);
            agrees(&registry, &model);
        }
    }
}
