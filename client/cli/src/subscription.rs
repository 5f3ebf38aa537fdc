//! A consumer on one nsqd, as `tail` and `demo` need it: messages in, what became of them out.

use std::time::Duration;

use client::connection::{Address, Connection, ConnectionError};
use client::wire::{CLOSE_WAIT, ChannelName, Command, Frame, Message, MessageId, TopicName};

use crate::connect::connect;
use crate::error::Error;

/// How long nsqd may take to confirm that a consumer goes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A subscribed connection.
#[derive(Debug)]
pub(crate) struct Subscription {
    address: Address,
    connection: Connection,
}

impl Subscription {
    /// Connects and subscribes. Messages come after [`Subscription::ready`].
    pub(crate) async fn open(
        address: &Address,
        topic: &TopicName,
        channel: &ChannelName,
    ) -> Result<Subscription, Error> {
        let mut subscription = Subscription {
            connection: connect(address, "nsq_tail").await?,
            address: address.clone(),
        };
        let names = (topic.as_name(), channel.as_name());
        let subscribed = subscription.connection.subscribe(names.0, names.1).await;
        subscribed.map_err(|cause| subscription.error(cause))?;
        Ok(subscription)
    }

    /// How many messages nsqd hands out at most at a time.
    pub(crate) fn max_ready_count(&self) -> u64 {
        self.connection.settled().max_rdy_count
    }

    /// Takes up to `count` messages at a time from now on.
    pub(crate) fn ready(&mut self, count: u64) {
        self.connection.writer().write(&Command::Ready { count });
    }

    /// The message is done. Sent with the next wait for a message.
    pub(crate) fn finish(&mut self, id: MessageId) {
        self.connection.writer().write(&Command::Finish { id });
    }

    /// The message goes to another consumer at once.
    pub(crate) fn requeue(&mut self, id: MessageId) {
        let delay = Duration::ZERO;
        self.connection
            .writer()
            .write(&Command::Requeue { id, delay });
    }

    /// Waits for a message. May be dropped at any `.await`.
    pub(crate) async fn next(&mut self) -> Result<Message, Error> {
        loop {
            match self.connection.next_frame().await {
                Ok(Frame::Message(message)) => return Ok(message),
                Ok(frame) => self.pass_over(frame)?,
                Err(cause) => return Err(self.error(cause)),
            }
        }
    }

    /// Leaves the channel: what was said before is carried out, messages on the way go back.
    pub(crate) async fn close(mut self) -> Result<(), Error> {
        self.connection.writer().write(&Command::Close);
        tokio::time::timeout(CLOSE_TIMEOUT, self.closed())
            .await
            .unwrap_or_else(|_| Err(self.error(ConnectionError::TimedOut(CLOSE_TIMEOUT))))
    }

    async fn closed(&mut self) -> Result<(), Error> {
        loop {
            match self.connection.next_frame().await {
                Ok(Frame::Message(message)) => self.requeue(message.id),
                Ok(Frame::Response(data)) if *data == *CLOSE_WAIT => break,
                Ok(frame) => self.pass_over(frame)?,
                Err(cause) => return Err(self.error(cause)),
            }
        }
        let flushed = self.connection.writer().flush().await;
        flushed.map_err(|cause| self.error(cause))
    }

    /// An error that does not end the connection is told: the message will come again.
    fn pass_over(&self, frame: Frame) -> Result<(), Error> {
        match frame {
            Frame::Error(error) if !error.is_fatal() => eprintln!("nsq: {}: {error}", self.address),
            Frame::Error(error) => {
                return Err(self.error(ConnectionError::Refused(error.to_string())));
            }
            Frame::UnknownError(text) => {
                let text = String::from_utf8_lossy(&text).into_owned();
                return Err(self.error(ConnectionError::Refused(text)));
            }
            Frame::Response(_) | Frame::Message(_) | Frame::Unknown { .. } => {}
        }
        Ok(())
    }

    fn error(&self, cause: ConnectionError) -> Error {
        let address = self.address.clone();
        Error::Connection { address, cause }
    }
}
