//! One question to many, all at once: who answered, and who did not.

use std::fmt;
use std::fmt::Write as _;

use thiserror::Error;
use tokio::task::JoinSet;

use super::fault::{Report, UpstreamError};

/// What came of one question to many, in the order in which they were given.
#[derive(Debug)]
pub(super) struct Round<S, T> {
    pub(super) answers: Vec<(S, T)>,
    pub(super) failures: Vec<UpstreamError>,
}

/// Asks all `sources` at once and waits for the slowest, whose deadline is the asker's. Nobody is asked any longer once the
/// result is not waited for.
pub(super) async fn ask_each<S, T, F>(sources: Vec<S>, ask: impl Fn(S) -> F) -> Round<S, T>
where
    S: Clone,
    F: Future<Output = Result<T, UpstreamError>> + Send + 'static,
    T: Send + 'static,
{
    let mut asking = JoinSet::new();
    for (index, source) in sources.iter().enumerate() {
        let answer = ask(source.clone());
        asking.spawn(async move { (index, answer.await) });
    }
    // None of them panics, and none is aborted while this is polled.
    let mut results = Vec::with_capacity(sources.len());
    while let Some(result) = asking.join_next().await {
        results.extend(result);
    }
    results.sort_unstable_by_key(|(index, _)| *index);

    let mut round = Round {
        answers: Vec::new(),
        failures: Vec::new(),
    };
    for (index, result) in results {
        match result {
            Ok(answer) => round.answers.push((sources[index].clone(), answer)),
            Err(error) => round.failures.push(error),
        }
    }
    round
}

impl<S, T> Round<S, T> {
    /// Drops the failures that are none.
    pub(super) fn forgive(&mut self, is_none: impl Fn(&UpstreamError) -> bool) {
        self.failures.retain(|error| !is_none(error));
    }

    /// The answers, and a warning for each that is missing.
    ///
    /// # Errors
    ///
    /// There is no answer at all.
    pub(super) fn at_least_one(self, kind: Kind) -> Result<(Vec<(S, T)>, Warnings), Failures> {
        if self.answers.is_empty() {
            return Err(Failures {
                kind,
                failures: self.failures,
            });
        }
        Ok((self.answers, Warnings(self.failures)))
    }
}

/// Who was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Lookupd,
    Nsqd,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lookupd => "nsqlookupd",
            Self::Nsqd => "nsqd",
        })
    }
}

/// Nobody answered, or there was nobody to ask.
#[derive(Debug, Error)]
#[error("failed to query any {kind}: {}", joined(failures))]
pub(crate) struct Failures {
    kind: Kind,
    failures: Vec<UpstreamError>,
}

impl Failures {
    /// One for each who failed, for people.
    pub(crate) fn reports(&self) -> Vec<Report> {
        reports(&self.failures)
    }
}

/// That nobody did what was asked.
pub(super) fn failed(kind: Kind, failures: Vec<UpstreamError>) -> Failures {
    Failures { kind, failures }
}

/// Who did not answer, while others did.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Vec<UpstreamError>);

impl Warnings {
    pub(super) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the API's `message` says: nothing, or `WARNING: ` and who failed how.
    pub(crate) fn message(&self) -> String {
        if self.is_empty() {
            return String::new();
        }
        format!("WARNING: {}", joined(&self.0))
    }

    /// One for each, for people.
    pub(crate) fn reports(&self) -> Vec<Report> {
        reports(&self.0)
    }
}

impl From<Vec<UpstreamError>> for Warnings {
    fn from(failures: Vec<UpstreamError>) -> Self {
        Self(failures)
    }
}

impl From<Failures> for Warnings {
    fn from(failures: Failures) -> Self {
        Self(failures.failures)
    }
}

fn reports(errors: &[UpstreamError]) -> Vec<Report> {
    errors.iter().map(UpstreamError::report).collect()
}

/// The texts as one.
fn joined(errors: &[UpstreamError]) -> String {
    let mut text = String::new();
    for error in errors {
        let separator = if text.is_empty() { "" } else { "; " };
        write!(text, "{separator}{error}").expect("a String takes everything");
    }
    text
}
