//! The commands, one function each, and the handling of a whole read: PUBs to one topic that follow each other are one
//! append, FINs that follow each other take the channel's lock once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use client::wire::{
    Batch, CLOSE_WAIT, Command, CommandKind, DecodeError, Decoded, ErrorCode, ErrorReply,
    IdentifyRequest, MessageId, NameRef, OK, put_error, put_response,
};

use super::registry::{Stage, Subscription};
use super::session::{End, Session};
use super::upgrade::{has_upgrade, upgrade_failed};
use crate::auth::Permission;
use crate::channel::{NotHeld, SubscribeError};
use crate::topic::{CreateError, PublishError, Topic, Unsettled};

/// How often SUB tries again when an ephemeral topic or channel is deleted under it.
const SUBSCRIBE_ATTEMPTS: u32 = 3;
const SUBSCRIBE_PAUSE: Duration = Duration::from_millis(100);
/// Bytes of the size before a body.
const SIZE_BYTES: usize = 4;

impl Session {
    /// Handles every command that is complete in the input.
    pub(super) async fn handle_input(&mut self) -> Result<(), End> {
        if self.connection.input.is_empty() {
            return Ok(());
        }
        // Taken out, so that commands can borrow from it.
        let mut input = std::mem::take(&mut self.connection.input);
        let outcome = self.handle_commands(&input).await;
        let consumed = match &outcome {
            Ok(consumed) => *consumed,
            Err(_) => input.len(),
        };
        advance(&mut input, consumed);
        self.connection.input = input;
        outcome.map(|_| ())
    }

    /// Handles the commands at the start of `input`; returns how many bytes they were.
    async fn handle_commands(&mut self, input: &[u8]) -> Result<usize, End> {
        let mut at = 0;
        let mut gathering = None;
        let ended = loop {
            let decoded = self.decode(&input[at..]);
            let (command, consumed) = match decoded {
                Ok(Decoded::Command { command, consumed }) => (command, consumed),
                Ok(Decoded::Incomplete { .. }) => break Ok(()),
                Err(end) => break Err(end),
            };
            at += consumed;
            match command {
                Command::Publish { topic, body } => {
                    if gathering.is_some_and(|gathering| gathering != topic)
                        || !self.gathered.finished.is_empty()
                    {
                        self.flush(gathering.take(), input).await?;
                    }
                    gathering = Some(topic);
                    self.gathered.bodies.push(at - body.len()..at);
                    let line = &input[at - consumed..at - body.len() - SIZE_BYTES];
                    at = self.gather_same(line, input, at);
                }
                Command::Finish { id } if self.subscription.is_some() => {
                    if gathering.is_some() {
                        self.flush(gathering.take(), input).await?;
                    }
                    self.gathered.finished.push(id);
                }
                change @ (Command::Identify { .. }
                | Command::Auth { .. }
                | Command::Subscribe { .. }) => {
                    self.flush(gathering.take(), input).await?;
                    if !self.unsettled.is_empty() {
                        // Replies come first: it is decoded again after them.
                        at -= consumed;
                        break Ok(());
                    }
                    // Boxed: it is large and rare, and most connections do nothing.
                    Box::pin(self.change(change, at < input.len())).await?;
                }
                other => {
                    self.flush(gathering.take(), input).await?;
                    self.execute(other).await?;
                }
            }
        };
        self.flush(gathering, input).await?;
        if at > 0 {
            self.heard();
        }
        ended.map(|()| at)
    }

    /// Gathers the PUBs from `at` on whose line is `line` again, to the byte; returns where they end. Nothing needs to be
    /// parsed: what is not plainly the same, complete and of an allowed size is left to the decoder. It doubles the speed of
    /// pipelined PUBs.
    fn gather_same(&mut self, line: &[u8], input: &[u8], mut at: usize) -> usize {
        let allowed = 1..=self.node.limits().max_msg_size;
        while let Some(rest) = input[at..].strip_prefix(line)
            && let Some((size, rest)) = rest.split_first_chunk::<SIZE_BYTES>()
            && let body_bytes = u32::from_be_bytes(*size) as usize
            && allowed.contains(&body_bytes)
            && rest.len() >= body_bytes
        {
            let start = at + line.len() + SIZE_BYTES;
            at = start + body_bytes;
            self.gathered.bodies.push(start..at);
        }
        at
    }

    fn decode<'a>(&mut self, input: &'a [u8]) -> Result<Decoded<'a>, End> {
        if input.is_empty() {
            return Ok(Decoded::Incomplete { needed: 1 });
        }
        let (stage, heartbeats) = (self.stage, self.settings.heartbeat_interval.is_some());
        let (needs_tls, is_layered) = (self.needs_tls, self.connection.is_layered());
        let gate = |kind| {
            check_transport(kind, needs_tls, is_layered)?;
            check_stage(kind, stage, heartbeats)
        };
        self.decoder
            .decode(input, self.node.limits(), gate)
            .map_err(|error| match error {
                DecodeError::LineTooLong => End::LineTooLong,
                error => error.into_reply().map_or(End::LineTooLong, End::Refused),
            })
    }

    /// Does what was gathered.
    async fn flush(&mut self, topic: Option<NameRef<'_>>, input: &[u8]) -> Result<(), End> {
        if let Some(topic) = topic {
            self.require(Permission::Publish, "PUB", topic, "").await?;
            let bodies = std::mem::take(&mut self.gathered.bodies);
            let published = self
                .publish(
                    CommandKind::Publish,
                    topic,
                    bodies.iter().map(|body| &input[body.clone()]),
                )
                .await;
            let count = bodies.len();
            self.gathered.bodies = bodies;
            self.gathered.bodies.clear();
            published?;
            for _ in 0..count {
                self.reply_ok();
            }
        }
        if !self.gathered.finished.is_empty() {
            self.finish_gathered();
        }
        Ok(())
    }

    /// Does a command that changes what the connection may do; `more` is whether the client has sent anything behind it
    /// already.
    async fn change(&mut self, command: Command<'_>, more: bool) -> Result<(), End> {
        match command {
            Command::Identify { body } => self.identify(body, more).await,
            Command::Auth { secret } => self.authenticate(secret).await,
            Command::Subscribe { topic, channel } => self.subscribe(topic, channel).await,
            _ => Ok(()),
        }
    }

    async fn execute(&mut self, command: Command<'_>) -> Result<(), End> {
        match command {
            Command::PublishMany { topic, batch } => self.publish_many(topic, batch).await?,
            Command::PublishDeferred { topic, delay, body } => {
                self.publish_deferred(topic, delay, body).await?;
            }
            Command::Ready { count } => self.ready(count),
            Command::Requeue { id, delay } => self.requeue(id, delay),
            Command::Touch { id } => self.touch(id),
            Command::Close => self.close(),
            // PUB and FIN are gathered and done in `flush`, the rest in `change`.
            _ => {}
        }
        Ok(())
    }

    async fn identify(&mut self, body: &[u8], more: bool) -> Result<(), End> {
        let request = IdentifyRequest::parse(body)?;
        let settings = self.node.offer().negotiate(&request)?;
        if more && has_upgrade(&settings) {
            return Err(upgrade_failed("as bytes came before the upgrade"));
        }
        if settings.feature_negotiation {
            let response = self.node.offer().response(&settings);
            put_response(&mut self.connection.output, &response);
        } else {
            self.reply_ok();
        }
        self.apply(settings);
        let settings = Arc::clone(&self.settings);
        self.upgrade(&settings).await
    }

    async fn subscribe(&mut self, topic: NameRef<'_>, channel: NameRef<'_>) -> Result<(), End> {
        let failed = |cause: String| {
            End::Refused(ErrorReply::new(
                ErrorCode::SubFailed,
                format!("SUB failed {cause}"),
            ))
        };
        self.require(Permission::Subscribe, "SUB", topic, channel.as_str())
            .await?;
        for attempt in 0..SUBSCRIBE_ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(SUBSCRIBE_PAUSE).await;
            }
            let name = topic.to_topic();
            let created = self
                .node
                .channel_or_create(&name, &channel.to_channel())
                .await;
            let channel = match created {
                Ok(channel) => channel,
                Err(CreateError::Exiting) => continue,
                Err(CreateError::TooMany(error)) => return Err(failed(error.to_string())),
            };
            let (timeout, bell) = (self.settings.msg_timeout, Arc::clone(&self.bell));
            match channel.add_consumer(timeout, self.locality, bell) {
                Ok(consumer) => {
                    let subscription = Subscription {
                        topic: name,
                        channel,
                        consumer,
                    };
                    self.registered.connected.subscribe(subscription.clone());
                    self.subscription = Some(subscription);
                    self.stage = Stage::Subscribed;
                    self.reply_ok();
                    return Ok(());
                }
                Err(SubscribeError::Exiting) => {}
                Err(SubscribeError::TooMany(max)) => {
                    let cause = format!(
                        "consumers for {topic}:{} exceeds limit of {max}",
                        channel.name()
                    );
                    return Err(failed(cause));
                }
            }
        }
        Err(failed("to deleted topic/channel".to_owned()))
    }

    /// Publishes, to the topic of this name that exists by then, if the one at hand is being deleted. Where the topic has
    /// to make it durable, replies are held back from now on.
    async fn publish<'a>(
        &mut self,
        command: CommandKind,
        topic: NameRef<'_>,
        bodies: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    ) -> Result<(), End> {
        let count = bodies.len() as u64;
        let (appended, topic, counter) = loop {
            let target = self.topic_to_publish(topic);
            let (target, counter) = target.map_err(|error| refused(command, &error.into()))?;
            match target
                .append(bodies.clone(), &mut self.gathered.woken)
                .await
            {
                Err(PublishError::Exiting) if !self.node.is_stopping() => {}
                outcome => break (outcome, target, counter),
            }
        };
        counter.fetch_add(count, Ordering::Relaxed);
        self.hold_replies(command, topic, appended)
    }

    fn hold_replies(
        &mut self,
        command: CommandKind,
        topic: Arc<Topic>,
        appended: Result<Option<Unsettled>, PublishError>,
    ) -> Result<(), End> {
        if let Some(unsettled) = appended.map_err(|error| refused(command, &error))? {
            self.unsettled.wait_for(topic, unsettled, command);
        }
        Ok(())
    }

    async fn publish_many(&mut self, topic: NameRef<'_>, batch: Batch<'_>) -> Result<(), End> {
        self.require(Permission::Publish, "MPUB", topic, "").await?;
        self.publish(CommandKind::PublishMany, topic, batch.iter())
            .await?;
        self.reply_ok();
        Ok(())
    }

    async fn publish_deferred(
        &mut self,
        topic: NameRef<'_>,
        delay: Duration,
        body: &[u8],
    ) -> Result<(), End> {
        self.require(Permission::Publish, "DPUB", topic, "").await?;
        let command = CommandKind::PublishDeferred;
        let topic = self.topic_to_publish(topic);
        let (topic, counter) = topic.map_err(|error| refused(command, &error.into()))?;
        let appended = topic.append_deferred(body, delay).await;
        self.hold_replies(command, topic, appended)?;
        counter.fetch_add(1, Ordering::Relaxed);
        self.reply_ok();
        Ok(())
    }

    fn ready(&mut self, count: u64) {
        // A consumer that has said CLS may still send what it had in mind before.
        if self.stage == Stage::Subscribed
            && let Some(Subscription {
                channel, consumer, ..
            }) = &self.subscription
        {
            channel.set_ready(*consumer, count);
            self.hungry = true;
        }
    }

    fn finish_gathered(&mut self) {
        let output = self.unsettled.sink(&mut self.connection.output);
        let Some(Subscription {
            channel, consumer, ..
        }) = &self.subscription
        else {
            return;
        };
        channel.finish(*consumer, &self.gathered.finished, |id, reason| {
            put_error(output, &not_held(ErrorCode::FinFailed, "FIN", id, reason));
        });
        self.gathered.finished.clear();
        self.hungry = true;
    }

    fn requeue(&mut self, id: MessageId, delay: Duration) {
        let Some(Subscription {
            channel, consumer, ..
        }) = &self.subscription
        else {
            return;
        };
        if let Err(reason) = channel.requeue(*consumer, id, delay) {
            let reply = not_held(ErrorCode::ReqFailed, "REQ", id, reason);
            put_error(self.unsettled.sink(&mut self.connection.output), &reply);
        }
        self.hungry = true;
    }

    fn touch(&mut self, id: MessageId) {
        let Some(Subscription {
            channel, consumer, ..
        }) = &self.subscription
        else {
            return;
        };
        if let Err(reason) = channel.touch(*consumer, id) {
            let reply = not_held(ErrorCode::TouchFailed, "TOUCH", id, reason);
            put_error(self.unsettled.sink(&mut self.connection.output), &reply);
        }
    }

    fn close(&mut self) {
        if let Some(Subscription {
            channel, consumer, ..
        }) = &self.subscription
        {
            channel.set_ready(*consumer, 0);
        }
        self.set_stage(Stage::Closing);
        put_response(self.unsettled.sink(&mut self.connection.output), CLOSE_WAIT);
    }

    fn reply_ok(&mut self) {
        put_response(self.unsettled.sink(&mut self.connection.output), OK);
    }
}

/// Whether a command is allowed in the layers that there are: with TLS required nothing but IDENTIFY before it, and
/// no second IDENTIFY that might change them.
fn check_transport(kind: CommandKind, needs_tls: bool, is_layered: bool) -> Result<(), ErrorReply> {
    let refused = |why: &str| {
        let text = format!("cannot {} in current state{why}", kind.name());
        Err(ErrorReply::new(ErrorCode::Invalid, text))
    };
    match kind {
        CommandKind::Identify if is_layered => refused(""),
        CommandKind::Identify => Ok(()),
        _ if needs_tls => refused(" (TLS required)"),
        _ => Ok(()),
    }
}

/// Whether a command is allowed where the connection stands.
fn check_stage(kind: CommandKind, stage: Stage, heartbeats: bool) -> Result<(), ErrorReply> {
    let invalid = |text: String| Err(ErrorReply::new(ErrorCode::Invalid, text));
    let allowed = match kind {
        CommandKind::Identify | CommandKind::Auth | CommandKind::Subscribe => stage == Stage::Init,
        CommandKind::Close => stage == Stage::Subscribed,
        CommandKind::Ready | CommandKind::Finish | CommandKind::Requeue | CommandKind::Touch => {
            stage != Stage::Init
        }
        CommandKind::Publish
        | CommandKind::PublishMany
        | CommandKind::PublishDeferred
        | CommandKind::Nop => true,
    };
    if !allowed {
        return invalid(format!("cannot {} in current state", kind.name()));
    }
    if kind == CommandKind::Subscribe && !heartbeats {
        return invalid("cannot SUB with heartbeats disabled".to_owned());
    }
    Ok(())
}

/// What a connection is told whose publish was refused; it ends.
pub(super) fn refused(command: CommandKind, error: &PublishError) -> End {
    let code = match command {
        CommandKind::PublishMany => ErrorCode::MpubFailed,
        CommandKind::PublishDeferred => ErrorCode::DpubFailed,
        _ => ErrorCode::PubFailed,
    };
    let command = command.name();
    tracing::warn!(command, %error, "publish refused");
    ErrorReply::new(code, format!("{command} failed {error}")).into()
}

fn not_held(code: ErrorCode, command: &str, id: MessageId, reason: NotHeld) -> ErrorReply {
    ErrorReply::new(code, format!("{command} {id} failed {reason}"))
}

fn advance(input: &mut BytesMut, consumed: usize) {
    if consumed == input.len() {
        input.clear();
    } else {
        input.advance(consumed);
    }
}
