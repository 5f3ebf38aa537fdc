//! What is told of lines that were not confirmed.

use client::producer::{Producer, PublishError};

use super::batch::About;
use crate::error::{Error, chain};
use crate::refusal::Refusal;

/// The lines from the first to the last that were not confirmed.
pub(super) struct Failure {
    about: About,
    /// Whether some of the lines may have arrived.
    in_doubt: bool,
    cause: String,
    refusal: Option<Refusal>,
}

impl Failure {
    /// A batch has failed.
    pub(super) fn new(about: About, error: &PublishError, producers: &[Producer]) -> Failure {
        let mut cause = chain(error);
        if let (PublishError::Timeout { .. }, Some(reason)) = (error, unreached(producers)) {
            cause = format!("{cause}: {reason}");
        }
        Failure {
            about,
            in_doubt: error.maybe_stored(),
            cause,
            refusal: Refusal::in_error(error),
        }
    }

    /// A batch behind it has failed, too.
    pub(super) fn extend(&mut self, about: About, error: &PublishError) {
        self.about = self.about.to(about);
        self.in_doubt |= error.maybe_stored();
    }

    /// A batch behind it has arrived.
    pub(super) fn followed(&mut self) {
        self.in_doubt = true;
    }

    /// The error to end with.
    pub(super) fn into_error(self, confirmed: u64) -> Error {
        let doubt = if self.in_doubt { " perhaps" } else { "" };
        Error::Unpublished {
            lines: self.about.lines() + doubt,
            cause: self.cause,
            confirmed,
            refusal: self.refusal,
        }
    }
}

/// Why an nsqd is not connected.
fn unreached(producers: &[Producer]) -> Option<String> {
    let nodes = producers.iter().flat_map(Producer::nodes);
    let mut errors = nodes.filter_map(|node| node.last_error);
    errors.next().map(|error| chain(&*error))
}
