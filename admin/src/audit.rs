//! Who has done what: a line in the log, the last thousand deeds in memory, and word to the notification endpoint.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tracing::info;

use crate::notify::{Notification, Notifier};

/// The deeds, behind a lock that is held to add or to copy them.
#[derive(Debug)]
pub(crate) struct Audit {
    /// The host that nsqadmin runs on.
    via: String,
    notifier: Option<Notifier>,
    deeds: Mutex<VecDeque<Notification>>,
}

impl Audit {
    pub(crate) fn new(via: String, notifier: Option<Notifier>) -> Self {
        Self {
            via,
            notifier,
            deeds: Mutex::default(),
        }
    }

    /// Writes `deed` down, and has others told of it.
    pub(crate) fn record(&self, mut deed: Notification) {
        deed.via.clone_from(&self.via);
        info!(
            action = deed.action,
            topic = deed.topic,
            channel = deed.channel,
            node = deed.node,
            nodes = deed.nodes.join(" "),
            user = deed.user,
            peer = deed.remote_ip,
            result = deed.result,
            "done"
        );
        if let Some(notifier) = &self.notifier {
            notifier.notify(deed.clone());
        }
        let mut deeds = self.deeds.lock().unwrap_or_else(PoisonError::into_inner);
        if deeds.len() == DEEDS_MAX {
            deeds.pop_front();
        }
        deeds.push_back(deed);
    }

    /// What was done last, the newest first.
    pub(crate) fn newest(&self, count: usize) -> Vec<Notification> {
        let deeds = self.deeds.lock().unwrap_or_else(PoisonError::into_inner);
        deeds.iter().rev().take(count).cloned().collect()
    }
}

const DEEDS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_deeds_are_kept() {
        let audit = Audit::new("host".to_owned(), None);
        for number in 0..DEEDS_MAX + 5 {
            audit.record(Notification {
                topic: number.to_string(),
                ..Notification::default()
            });
        }
        let newest = audit.newest(2);
        assert_eq!(
            (newest[0].topic.as_str(), newest[1].topic.as_str()),
            ("1004", "1003")
        );
        assert_eq!(
            (newest[0].via.as_str(), audit.newest(usize::MAX).len()),
            ("host", DEEDS_MAX)
        );
    }
}
