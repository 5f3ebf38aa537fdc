//! Replies that wait for durable topics. From the first publish that is not settled on, they are held back in the order
//! of the commands, and sent when everything is where its topic promises it to be.

use std::sync::Arc;

use client::wire::CommandKind;

use super::commands::refused;
use super::session::{End, Session};
use crate::topic::{PublishError, Topic, Unsettled};

/// What is kept for the next replies.
const HELD_KEPT_BYTES: usize = 4096;

/// The replies of a connection that are held back, and what for.
#[derive(Debug, Default)]
pub(super) struct Replies {
    /// What was published to each topic, in the order of the first publish.
    waiting: Vec<Waiting>,
    /// The replies from that one on.
    held: Vec<u8>,
}

#[derive(Debug)]
struct Waiting {
    topic: Arc<Topic>,
    unsettled: Unsettled,
    /// The first command that published to it, and where in those held back its reply is.
    command: CommandKind,
    reply_at: usize,
}

/// What could not be settled: of which topic, and why.
type NotSettled = (usize, PublishError);

impl Replies {
    /// Whether nothing is waited for.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Where the next reply belongs: to the output, unless it is held back.
    pub(super) fn sink<'a>(&'a mut self, output: &'a mut Vec<u8>) -> &'a mut Vec<u8> {
        if self.is_empty() {
            output
        } else {
            &mut self.held
        }
    }

    /// Holds replies back, from that of `command` on, until what it appended is settled.
    pub(super) fn wait_for(
        &mut self,
        topic: Arc<Topic>,
        unsettled: Unsettled,
        command: CommandKind,
    ) {
        let mut waiting = self.waiting.iter_mut();
        match waiting.find(|waiting| Arc::ptr_eq(&waiting.topic, &topic)) {
            Some(waiting) => waiting.unsettled = waiting.unsettled.and(unsettled),
            None => self.waiting.push(Waiting {
                topic,
                unsettled,
                command,
                reply_at: self.held.len(),
            }),
        }
    }

    /// Waits until everything is settled. Nothing is lost when it is cancelled.
    pub(super) async fn settled(&self) -> Result<(), NotSettled> {
        for (at, waiting) in self.waiting.iter().enumerate() {
            let settled = waiting.topic.settled(waiting.unsettled).await;
            settled.map_err(|error| (at, error))?;
        }
        Ok(())
    }
}

impl Session {
    /// Sends the replies that were held back; where something is not settled, those before it, and then why.
    pub(super) fn reply_settled(&mut self, settled: Result<(), NotSettled>) -> Result<(), End> {
        let Replies { waiting, held } = &mut self.unsettled;
        let outcome = settled.map_err(|(at, error)| {
            held.truncate(waiting[at].reply_at);
            refused(waiting[at].command, &error)
        });
        self.connection.output.append(held);
        held.shrink_to(HELD_KEPT_BYTES);
        waiting.clear();
        outcome
    }
}
