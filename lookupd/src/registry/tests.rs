//! Each rule of the registry on its own.

use client::wire::lookup::PeerInfo;

use super::*;

const START: Timestamp = Timestamp(1_795_229_001_000_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn name(name: &str) -> NameRef<'_> {
    NameRef::parse(name.as_bytes()).unwrap()
}

fn producer(host: &str) -> Producer {
    let info = PeerInfo {
        broadcast_address: host.to_owned(),
        http_port: 4151,
        tcp_port: 4150,
        version: "1.3.0".to_owned(),
        ..PeerInfo::default()
    };
    Producer::new(format!("{host}:50000"), info)
}

/// A registry and the time, with short ways to say what tests say most.
struct World {
    registry: Registry,
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        Self::with(Rules::default())
    }

    fn with(rules: Rules) -> Self {
        Self {
            registry: Registry::new(rules),
            now: START,
        }
    }

    fn connect(&mut self, host: &str) -> PeerId {
        self.registry.connect(producer(host), self.now)
    }

    /// Registers `topic` or `topic/channel`.
    fn register(&mut self, peer: PeerId, what: &str) -> Registered {
        let (topic, channel) = split(what);
        self.registry.register(peer, topic, channel).unwrap()
    }

    fn unregister(&mut self, peer: PeerId, what: &str) -> Unregistered {
        let (topic, channel) = split(what);
        self.registry.unregister(peer, topic, channel)
    }

    fn wait(&mut self, duration: Duration) {
        self.now = self.now + duration;
    }

    /// `channels | hosts` as consumers see them; empty for an unknown topic.
    fn lookup(&self, topic: &str) -> String {
        let Some(Lookup {
            channels,
            producers,
        }) = self.registry.lookup(topic, self.now)
        else {
            return String::new();
        };
        let channels: Vec<&str> = channels.iter().map(ChannelName::as_str).collect();
        let hosts: Vec<&str> = producers
            .iter()
            .map(|p| p.broadcast_address.as_str())
            .collect();
        format!("{} | {}", channels.join(" "), hosts.join(" "))
    }

    /// `host: topic topic!` per node, with `!` for a tombstone.
    fn nodes(&self) -> Vec<String> {
        let nodes = self.registry.nodes(self.now).into_iter();
        nodes
            .map(|node| {
                let topics = node.topics.iter().zip(&node.tombstones);
                let topics = topics
                    .map(|(name, hidden)| format!(" {name}{}", if *hidden { "!" } else { "" }));
                format!(
                    "{}:{}",
                    node.producer.broadcast_address,
                    topics.collect::<String>()
                )
            })
            .collect()
    }

    fn topics(&self) -> String {
        let topics = self.registry.topics();
        topics
            .iter()
            .map(TopicName::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

fn split(what: &str) -> (NameRef<'_>, Option<NameRef<'_>>) {
    match what.split_once('/') {
        Some((topic, channel)) => (name(topic), Some(name(channel))),
        None => (name(what), None),
    }
}

#[test]
fn a_channel_brings_its_topic() {
    let mut world = World::new();
    let peer = world.connect("a");
    assert_eq!(
        world.register(peer, "x/c"),
        Registered {
            topic: true,
            channel: true
        }
    );
    assert_eq!(world.register(peer, "x/c"), Registered::default());
    assert_eq!(world.register(peer, "x"), Registered::default());
    assert_eq!(
        world.register(peer, "x/b"),
        Registered {
            topic: false,
            channel: true
        }
    );
    assert_eq!(world.lookup("x"), "b c | a");
    assert_eq!(world.lookup("y"), "");
    assert_eq!(
        world.registry.counts(START),
        Counts {
            producers: 1,
            topics: 1,
            channels: 2,
            registrations: 3,
            ..Counts::default()
        }
    );
}

#[test]
fn unregistering_takes_the_peer_off_and_keeps_the_names() {
    let mut world = World::new();
    let (a, b) = (world.connect("a"), world.connect("b"));
    for what in ["x/c", "x/d"] {
        world.register(a, what);
        world.register(b, what);
    }
    assert_eq!(
        world.unregister(a, "x/c").channels,
        [ChannelName::parse("c").unwrap()]
    );
    assert_eq!(world.unregister(a, "x/c"), Unregistered::default());
    assert_eq!(world.lookup("x"), "c d | a b", "the topic stays registered");
    let unregistered = world.unregister(a, "x");
    assert!(unregistered.topic);
    assert_eq!(unregistered.channels, [ChannelName::parse("d").unwrap()]);
    assert_eq!(world.lookup("x"), "c d | b");
    world.unregister(b, "x");
    assert_eq!(world.lookup("x"), "c d | ");
    assert_eq!(world.unregister(a, "nosuch"), Unregistered::default());
    assert_eq!(world.unregister(a, "nosuch/c"), Unregistered::default());
    assert_eq!(world.registry.counts(START).registrations, 0);
}

#[test]
fn a_lost_peer_leaves_the_names_behind() {
    let mut world = World::new();
    let (a, b) = (world.connect("a"), world.connect("b"));
    world.register(a, "x/c");
    world.register(b, "x/c");
    assert_eq!(world.registry.disconnect(a), 2);
    assert_eq!(world.lookup("x"), "c | b");
    assert_eq!(world.nodes(), ["b: x"]);
    world.registry.disconnect(b);
    assert_eq!(world.lookup("x"), "c | ");
    assert_eq!(world.topics(), "x");
}

#[test]
fn ephemeral_names_go_with_their_last_producer_on_every_path() {
    type Leave = fn(&mut World, PeerId);
    let leaves: [(&str, Leave, &str, &str); 4] = [
        (
            "unregister the channel",
            |w, p| drop(w.unregister(p, "x/c#ephemeral")),
            "x y#ephemeral",
            "d | a b",
        ),
        (
            "unregister the topic",
            |w, p| drop(w.unregister(p, "x")),
            "x y#ephemeral",
            "d | ",
        ),
        (
            "unregister the other topic",
            |w, p| drop(w.unregister(p, "y#ephemeral")),
            "x",
            "c#ephemeral d | a b",
        ),
        (
            "disconnect",
            |w, p| {
                w.registry.disconnect(p);
            },
            "x",
            "d | ",
        ),
    ];
    for (how, leave, topics, lookup) in leaves {
        let mut world = World::new();
        let (a, b) = (world.connect("a"), world.connect("b"));
        for what in ["x/c#ephemeral", "x/d", "y#ephemeral/c"] {
            world.register(a, what);
            world.register(b, what);
        }
        leave(&mut world, b);
        assert_eq!(
            world.topics(),
            "x y#ephemeral",
            "{how}: the other one has them"
        );
        leave(&mut world, a);
        assert_eq!(
            (world.topics().as_str(), world.lookup("x").as_str()),
            (topics, lookup),
            "{how}"
        );
    }
}

#[test]
fn an_ephemeral_channel_that_nobody_has_goes_when_anybody_unregisters_it() {
    let mut world = World::new();
    let a = world.connect("a");
    world
        .registry
        .create_channel(name("x"), name("c#ephemeral"))
        .unwrap();
    assert_eq!(world.lookup("x"), "c#ephemeral | ");
    assert_eq!(
        world.unregister(a, "x/c#ephemeral"),
        Unregistered::default()
    );
    assert_eq!(world.lookup("x"), " | ");
    assert_eq!(world.registry.counts(START).channels, 0);
}

#[test]
fn silent_peers_are_hidden_until_they_ping() {
    let mut world = World::new();
    let (a, b) = (world.connect("a"), world.connect("b"));
    world.register(a, "x/c");
    world.register(b, "x/c");
    world.wait(300 * SECOND);
    assert_eq!(
        world.lookup("x"),
        "c | a b",
        "exactly the timeout is not too long"
    );
    assert_eq!(world.registry.ping(b, world.now), 300 * SECOND);
    world.wait(Duration::from_nanos(1));
    assert_eq!(world.lookup("x"), "c | b");
    assert_eq!(world.nodes(), ["b: x"]);
    assert_eq!(world.registry.counts(world.now).inactive_producers, 1);
    assert_eq!(
        world.registry.topic_entries("x").len(),
        2,
        "/debug hides nobody"
    );
    world.register(a, "x/d");
    assert_eq!(
        world.lookup("x"),
        "c d | b",
        "to register is no sign of life"
    );
    world.registry.ping(a, world.now);
    assert_eq!(world.lookup("x"), "c d | a b");
}

#[test]
fn a_tombstone_hides_one_topic_of_a_node_for_its_lifetime() {
    let mut world = World::new();
    let (a, b) = (world.connect("a"), world.connect("b"));
    for what in ["x/c", "y"] {
        world.register(a, what);
        world.register(b, what);
    }
    assert_eq!(world.registry.tombstone("x", "a:4151", world.now), 1);
    assert_eq!(world.lookup("x"), "c | b");
    assert_eq!(world.lookup("y"), " | a b");
    assert_eq!(world.nodes(), ["a: x! y", "b: x y"]);
    world.register(a, "x");
    assert_eq!(
        world.lookup("x"),
        "c | b",
        "registering again does not clear it"
    );

    world.wait(44 * SECOND);
    assert_eq!(world.lookup("x"), "c | b");
    world.registry.tombstone("x", "a:4151", world.now);
    world.wait(44 * SECOND);
    assert_eq!(world.lookup("x"), "c | b", "a second one starts anew");
    world.wait(SECOND);
    assert_eq!(world.lookup("x"), "c | a b");
    assert_eq!(world.nodes(), ["a: x y", "b: x y"]);
    let entries = world.registry.topic_entries("x");
    let at: Vec<_> = entries.iter().map(|entry| entry.tombstoned_at).collect();
    assert_eq!(at, [Some(START + 44 * SECOND), None], "/debug remembers it");
}

#[test]
fn unregistering_ends_a_tombstone() {
    let mut world = World::new();
    let a = world.connect("a");
    world.register(a, "x");
    world.registry.tombstone("x", "a:4151", world.now);
    world.unregister(a, "x");
    world.register(a, "x");
    assert_eq!(world.lookup("x"), " | a");

    world.registry.tombstone("x", "a:4151", world.now);
    world.registry.disconnect(a);
    let again = world.connect("a");
    world.register(again, "x");
    assert_eq!(
        world.lookup("x"),
        " | a",
        "nor does the next peer inherit it"
    );
}

#[test]
fn a_tombstone_names_every_connection_of_a_node_with_or_without_brackets() {
    let check = |host: &str, node: &str, count: usize| {
        let mut world = World::new();
        for peer in [
            world.connect(host),
            world.connect(host),
            world.connect("other"),
        ] {
            world.register(peer, "x");
        }
        assert_eq!(
            world.registry.tombstone("x", node, world.now),
            count,
            "{host} {node}"
        );
    };
    check("a", "a:4151", 2);
    check("a", "a:4150", 0);
    check("a", "a", 0);
    check("a", "A:4151", 0);
    check("a", "", 0);
    check("fe80::1", "fe80::1:4151", 2);
    check("fe80::1", "[fe80::1]:4151", 2);
    check("fe80::1", "[fe80::1:4151", 0);
    check("[fe80::1]", "[fe80::1]:4151", 2);
    assert_eq!(
        World::new().registry.tombstone("nosuch", "a:4151", START),
        0
    );
}

#[test]
fn a_star_is_a_name_like_others_and_never_known() {
    let mut world = World::new();
    let a = world.connect("a");
    world.register(a, "x/c");
    assert_eq!(world.registry.lookup("*", START), None);
    assert!(world.registry.channels("*").is_empty());
    assert!(!world.registry.delete_topic("*"));
    assert!(!world.registry.delete_channel("*", "*"));
    assert!(!world.registry.delete_channel("x", "*"));
    assert_eq!(world.registry.tombstone("*", "a:4151", START), 0);
    assert_eq!(world.lookup("x"), "c | a");
}

#[test]
fn what_operators_create_stays_until_they_delete_it() {
    let mut world = World::new();
    assert_eq!(world.registry.create_topic(name("x")), Ok(true));
    assert_eq!(world.registry.create_topic(name("x")), Ok(false));
    assert_eq!(
        world.registry.create_channel(name("y"), name("c")),
        Ok(true)
    );
    assert_eq!(
        world.registry.create_channel(name("y"), name("c")),
        Ok(false)
    );
    assert_eq!(
        (world.topics().as_str(), world.lookup("y").as_str()),
        ("x y", "c | ")
    );

    let a = world.connect("a");
    world.register(a, "y/c");
    world.register(a, "y/d");
    assert!(world.registry.delete_channel("y", "c"));
    assert!(!world.registry.delete_channel("y", "c"));
    assert_eq!(world.lookup("y"), "d | a");
    assert!(world.registry.delete_topic("y"));
    assert!(!world.registry.delete_topic("y"));
    assert_eq!(
        (world.topics().as_str(), world.nodes()),
        ("x", vec!["a:".to_owned()])
    );
    assert_eq!(world.registry.disconnect(a), 0);
}

#[test]
fn limits_refuse_what_is_new_and_nothing_else() {
    let rules = Rules {
        max_registrations: 3,
        max_names: 5,
        ..Rules::default()
    };
    let mut world = World::with(rules);
    let (a, b) = (world.connect("a"), world.connect("b"));
    world.register(a, "x/c");
    world.register(a, "y");
    assert_eq!(world.register(a, "x/c"), Registered::default());
    let refused = Err(LimitError::Registrations { max: 3 });
    assert_eq!(
        world.registry.register(a, name("x"), Some(name("d"))),
        refused
    );
    assert_eq!(
        world.registry.register(a, name("w#ephemeral"), None),
        refused
    );
    assert_eq!(
        world.topics(),
        "x y",
        "what is refused is not created either"
    );
    world.unregister(a, "y");
    world.register(a, "z");
    world.registry.create_channel(name("x"), name("d")).unwrap();

    let refused = LimitError::Names { max: 5 };
    assert_eq!(world.registry.register(b, name("w"), None), Err(refused));
    assert_eq!(world.registry.create_topic(name("w")), Err(refused));
    assert_eq!(
        world.registry.create_channel(name("x"), name("e")),
        Err(refused)
    );
    assert_eq!(
        world.register(b, "x/d"),
        Registered {
            topic: true,
            channel: true
        }
    );
    assert!(world.registry.delete_topic("y"));
    assert_eq!(world.registry.create_topic(name("w")), Ok(true));
}

#[test]
fn entries_tell_every_registration_with_the_fields_of_the_reference() {
    let mut world = World::new();
    let a = world.connect("nodea");
    world.register(a, "x/c1");
    world
        .registry
        .create_channel(name("x"), name("empty"))
        .unwrap();
    let entry = r#"{"broadcast_address":"nodea","hostname":"","http_port":4151,"id":"nodea:50000","last_update":1795229001000000000,"tcp_port":4150,"tombstoned":false,"tombstoned_at":-6795364578871345152,"topology_region":"","topology_zone":"","version":"1.3.0"}"#;
    let json = |entries: &[Entry]| serde_json::to_string(entries).unwrap();
    let one = format!("[{entry}]");
    assert_eq!(json(&world.registry.peers()), one);
    assert_eq!(json(&world.registry.topic_entries("x")), one);
    assert!(world.registry.topic_entries("nosuch").is_empty());
    let channels = world.registry.channel_entries("x");
    let names: Vec<&str> = channels.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["c1", "empty"]);
    assert_eq!(
        (json(&channels[0].1).as_str(), json(&channels[1].1).as_str()),
        (one.as_str(), "[]")
    );

    world.registry.tombstone("x", "nodea:4151", world.now);
    let hidden = entry
        .replace("false", "true")
        .replace("-6795364578871345152", "1795229001000000000");
    assert_eq!(
        json(&world.registry.topic_entries("x")),
        format!("[{hidden}]")
    );
    assert_eq!(
        json(&world.registry.channel_entries("x")[0].1),
        one,
        "only its topic is hidden"
    );
}
