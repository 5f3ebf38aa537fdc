//! What came of an action, for each daemon, and what that makes in all.

use serde_json::json;

use super::steps::Outcome;
use crate::error::Error;
use crate::stdout;
use crate::table::{Column, Look, Table, has_colour};

/// How an action is reported.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Succeed although it is not there, or not there everywhere
    #[arg(long)]
    pub(crate) idempotent: bool,

    /// An object per daemon instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints what each daemon made of it.
///
/// # Errors
///
/// A daemon failed, or `what` is nowhere. That an nsqd does not have it is no failure if `may_be_absent`.
pub(crate) fn report(
    what: &str,
    mut outcomes: Vec<Outcome>,
    may_be_absent: bool,
    options: &Options,
) -> Result<(), Error> {
    let on_nsqds = || outcomes.iter().filter(|outcome| outcome.daemon == "nsqd");
    let is_nowhere = on_nsqds().next().is_some() && on_nsqds().all(Outcome::is_absent);
    let others_did = outcomes
        .iter()
        .all(|outcome| outcome.result.is_ok() || outcome.is_absent());
    if is_nowhere && others_did && !options.idempotent {
        return Err(Error::NotFound(format!("no nsqd has {what}")));
    }
    for outcome in &mut outcomes {
        if outcome.is_absent() && (may_be_absent || options.idempotent) {
            outcome.result = Ok(());
        }
    }
    if options.json {
        stdout::print(&lines(&outcomes))?;
    } else {
        stdout::print(&table(&outcomes).render(has_colour()))?;
    }
    let failed = outcomes.iter().filter(|outcome| outcome.result.is_err());
    match failed.count() {
        0 => Ok(()),
        failed => Err(Error::Partial(format!(
            "{failed} of {} daemons failed; the same command again reaches those left",
            outcomes.len()
        ))),
    }
}

fn table(outcomes: &[Outcome]) -> Table {
    let columns = ["DAEMON", "ADDRESS", "RESULT"].map(Column::Text);
    let mut table = Table::new(&columns);
    for outcome in outcomes {
        let (look, result) = match &outcome.result {
            Ok(()) => (Look::Plain, "done".to_owned()),
            Err(error) => (Look::Bad, error.fault.to_string()),
        };
        let cells = vec![outcome.daemon.to_owned(), outcome.address.clone(), result];
        table.push(look, cells);
    }
    table
}

fn lines(outcomes: &[Outcome]) -> String {
    let line = |outcome: &Outcome| {
        let error = outcome.result.as_ref().err();
        let error = error.map(|error| error.fault.to_string());
        let (daemon, address) = (outcome.daemon, &outcome.address);
        format!(
            "{}\n",
            json!({"daemon": daemon, "address": address, "ok": error.is_none(), "error": error})
        )
    };
    outcomes.iter().map(line).collect()
}
