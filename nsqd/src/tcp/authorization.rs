//! What a session may do: AUTH, and the check before each SUB and publish.
//!
//! A grant is renewed in the background shortly before it ends, so that a client that is busy never waits for the
//! authorization server; one that comes after the end does, and is served its heartbeats meanwhile. When the grant of a
//! consumer ends, the server is asked again: a consumer that it denies is disconnected, one that it can't be asked about
//! stays.

use std::sync::Arc;
use std::time::Duration;

use client::wire::{ErrorCode, ErrorReply, NameRef, put_response};
use serde::Serialize;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tracing::{Instrument, info};

use super::session::{End, Session};
use crate::auth::{Auth, Grant, Permission, Question, Refused, Secret};

/// How soon a server is asked again about a consumer after it could not be asked.
const RECHECK_PAUSE: Duration = Duration::from_secs(10);

/// What a session was granted, and how to ask again.
#[derive(Debug)]
pub(super) struct Authorized {
    auth: Arc<Auth>,
    question: Question,
    grant: Arc<Grant>,
    /// When to ask ahead of the end of the grant.
    renew_at: Instant,
    /// When to ask for a consumer.
    recheck_at: Instant,
    renewal: Option<JoinHandle<Result<Arc<Grant>, Refused>>>,
}

/// The answer to AUTH.
#[derive(Serialize)]
struct Reply<'a> {
    identity: &'a str,
    identity_url: &'a str,
    permission_count: usize,
}

impl Authorized {
    fn new(auth: Arc<Auth>, question: Question, grant: Arc<Grant>) -> Self {
        Self {
            auth,
            question,
            renew_at: grant.renew_at,
            recheck_at: grant.expires_at,
            grant,
            renewal: None,
        }
    }

    /// The question under way, or a new one.
    fn renewal(&mut self) -> &mut JoinHandle<Result<Arc<Grant>, Refused>> {
        self.renewal.get_or_insert_with(|| {
            let (auth, question) = (Arc::clone(&self.auth), self.question.clone());
            tokio::spawn(async move { auth.ask(&question).await }.in_current_span())
        })
    }

    /// Asks, or waits for the question under way. Nothing is lost when it is cancelled.
    async fn renewed(&mut self) -> Result<Arc<Grant>, Refused> {
        let answer = self.renewal().await;
        self.renewal = None;
        // A question that could not be asked to its end was not answered.
        answer.unwrap_or(Err(Refused::Unanswered))
    }

    fn is_expired(&self) -> bool {
        Instant::now() >= self.grant.expires_at
    }

    /// Takes in a new grant; without one, there is no hurry before the end of the one at hand.
    fn take(&mut self, answer: &Result<Arc<Grant>, Refused>) {
        if let Ok(grant) = answer {
            self.grant = Arc::clone(grant);
            self.renew_at = grant.renew_at;
            self.recheck_at = grant.expires_at;
        } else {
            self.renew_at = self.grant.expires_at;
            self.recheck_at = self.renew_at.max(Instant::now() + RECHECK_PAUSE);
        }
    }
}

/// Waits until the grant of a consumer has ended and the server has answered again. Nothing is lost when it is cancelled.
pub(super) async fn rechecked(authorized: &mut Option<Authorized>) -> Result<Arc<Grant>, Refused> {
    let Some(authorized) = authorized else {
        return std::future::pending().await;
    };
    sleep_until(authorized.recheck_at).await;
    authorized.renewed().await
}

impl Session {
    /// AUTH: asks what the client may do.
    pub(super) async fn authenticate(&mut self, secret: &[u8]) -> Result<(), End> {
        if self.authorized.is_some() {
            return Err(ErrorReply::new(ErrorCode::Invalid, "AUTH already set").into());
        }
        let Some(auth) = self.node.auth().cloned() else {
            return Err(ErrorReply::new(ErrorCode::AuthDisabled, "AUTH disabled").into());
        };
        let question = self.question(Secret::new(secret));
        let answer = self.while_beating(auth.ask(&question)).await?;
        let grant = answer.map_err(|_| failed())?;
        if grant.permission_count() == 0 {
            info!(
                identity = grant.identity,
                "client is known, but may do nothing"
            );
            let text = "AUTH no authorizations found";
            return Err(ErrorReply::new(ErrorCode::Unauthorized, text).into());
        }
        let reply = Reply {
            identity: &grant.identity,
            identity_url: &grant.identity_url,
            permission_count: grant.permission_count(),
        };
        let reply = serde_json::to_vec(&reply).map_err(|error| {
            ErrorReply::new(ErrorCode::AuthError, format!("AUTH error {error}"))
        })?;
        put_response(&mut self.connection.output, &reply);
        self.registered
            .connected
            .set_authorization(Arc::clone(&grant));
        self.authorized = Some(Authorized::new(auth, question, grant));
        Ok(())
    }

    /// Refuses what the client may not do. The channel of a publish is empty.
    pub(super) async fn require(
        &mut self,
        permission: Permission,
        command: &str,
        topic: NameRef<'_>,
        channel: &str,
    ) -> Result<(), End> {
        if self.node.auth().is_none() {
            return Ok(());
        }
        self.renew().await?;
        let Some(authorized) = &self.authorized else {
            let text = format!("AUTH required before {command}");
            return Err(ErrorReply::new(ErrorCode::AuthFirst, text).into());
        };
        let grant = &authorized.grant;
        if grant.allows(permission, topic.as_str(), channel) {
            return Ok(());
        }
        Err(denied(grant, command, topic.as_str(), channel))
    }

    /// Sees to it that the grant has not ended; one that soon will is renewed in the background.
    async fn renew(&mut self) -> Result<(), End> {
        let Some(mut authorized) = self.authorized.take_if(|authorized| {
            let now = Instant::now();
            now >= authorized.renew_at
                && (authorized.is_expired() || authorized.renewal().is_finished())
        }) else {
            return Ok(());
        };
        let answer = self.while_beating(authorized.renewed()).await?;
        authorized.take(&answer);
        if authorized.is_expired() {
            return Err(failed());
        }
        self.authorize(authorized);
        Ok(())
    }

    /// Goes on, or ends, as the server has answered about a consumer whose grant had ended.
    pub(super) fn recheck(&mut self, answer: &Result<Arc<Grant>, Refused>) -> Result<(), End> {
        let Some(mut authorized) = self.authorized.take() else {
            return Ok(());
        };
        authorized.take(answer);
        if matches!(answer, Err(Refused::Denied)) {
            info!(
                identity = authorized.grant.identity,
                "consumer is denied by now"
            );
            return Err(failed());
        }
        if let (Ok(grant), Some(subscription)) = (answer, &self.subscription) {
            let (topic, channel) = (subscription.topic.as_str(), subscription.channel.name());
            if !grant.allows(Permission::Subscribe, topic, channel.as_str()) {
                return Err(denied(grant, "SUB", topic, channel.as_str()));
            }
        }
        self.authorize(authorized);
        Ok(())
    }

    fn authorize(&mut self, authorized: Authorized) {
        let connected = &self.registered.connected;
        connected.set_authorization(Arc::clone(&authorized.grant));
        self.authorized = Some(authorized);
    }
}

fn failed() -> End {
    ErrorReply::new(ErrorCode::AuthFailed, "AUTH failed").into()
}

fn denied(grant: &Grant, command: &str, topic: &str, channel: &str) -> End {
    let identity = &grant.identity;
    info!(identity, command, topic, channel, "client may not do this");
    let text = format!("AUTH failed for {command} on \"{topic}\" \"{channel}\"");
    ErrorReply::new(ErrorCode::Unauthorized, text).into()
}
