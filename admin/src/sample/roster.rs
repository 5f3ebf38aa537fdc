//! Which nodes there are. One that has left is missed for a while.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::cluster::Node;

/// The nodes, by name.
#[derive(Debug, Default)]
pub(super) struct Roster(BTreeMap<String, Entry>);

#[derive(Debug)]
struct Entry {
    node: Node,
    /// Since when nobody knows it any more.
    gone_since: Option<Instant>,
}

impl Roster {
    /// Takes in who is there now; forgets those who have been gone for [`MISSED_FOR`].
    pub(super) fn update(&mut self, now: Instant, nodes: Vec<Node>) {
        for entry in self.0.values_mut() {
            entry.gone_since.get_or_insert(now);
        }
        for node in nodes {
            let gone_since = None;
            self.0.insert(node.name(), Entry { node, gone_since });
        }
        self.0.retain(|_, entry| {
            let is_short = |since| now.saturating_duration_since(since) < MISSED_FOR;
            entry.gone_since.is_none_or(is_short)
        });
    }

    /// Everybody, and whether they have left.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (&Node, bool)> {
        let entries = self.0.values();
        entries.map(|entry| (&entry.node, entry.gone_since.is_some()))
    }
}

/// Long enough to be noticed; one that was taken away on purpose is not missed for ever.
const MISSED_FOR: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> Node {
        Node {
            broadcast_address: name.to_owned(),
            http_port: 1,
            ..Node::default()
        }
    }

    #[test]
    fn who_leaves_is_missed_and_then_forgotten() {
        let (mut roster, start) = (Roster::default(), Instant::now());
        let names = |roster: &Roster| {
            let nodes = roster.nodes();
            let names = nodes.map(|(node, is_gone)| (node.broadcast_address.clone(), is_gone));
            names.collect::<Vec<_>>()
        };
        let entry = |name: &str, is_gone| (name.to_owned(), is_gone);
        roster.update(start, vec![node("a"), node("b")]);
        assert_eq!(names(&roster), [entry("a", false), entry("b", false)]);
        roster.update(start + Duration::from_mins(1), vec![node("a")]);
        assert_eq!(names(&roster), [entry("a", false), entry("b", true)]);
        roster.update(start + Duration::from_mins(10), vec![node("a")]);
        assert_eq!(names(&roster).len(), 2, "gone for nine minutes");
        roster.update(start + Duration::from_mins(11), vec![node("a")]);
        assert_eq!(names(&roster), [entry("a", false)]);
        roster.update(start + Duration::from_mins(12), vec![node("a"), node("b")]);
        assert_eq!(names(&roster), [entry("a", false), entry("b", false)]);
    }
}
