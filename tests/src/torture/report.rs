//! What a run prints: a line when it is well, and all there is to know when it is not.

use std::fmt::Write as _;
use std::process::Command;

use super::checker::{self, Figures};
use super::event::Event;
use super::run::Outcome;

/// How many events of one message are shown.
const TRAIL_MAX: usize = 60;
/// How many violations are shown with their trail.
const SHOWN_MAX: usize = 5;

/// One line: what was done, and the figures.
pub fn line(outcome: &Outcome) -> String {
    let Figures {
        acknowledged,
        lost,
        lost_as_allowed,
        duplicates_of_restarts,
        duplicates_of_restarts_max,
        batches_split_by_crashes,
        longest_publish_ms,
        clean_stops,
        kills,
        power_cuts,
        ..
    } = outcome.figures();
    format!(
        "seed={} durability={} ground={:?} faults={} kills={kills} stops={clean_stops} power_cuts={power_cuts} \
         acknowledged={acknowledged} lost={lost} lost_as_allowed={lost_as_allowed} \
         again_after_restarts={duplicates_of_restarts}/{duplicates_of_restarts_max} split={batches_split_by_crashes} \
         declined={} longest_publish={longest_publish_ms}ms longest_start={}ms longest_stop={}ms took={}s {}",
        outcome.plan.seed,
        outcome.plan.durability.name(),
        outcome.plan.ground,
        outcome.cycles,
        outcome.declined,
        outcome.longest_start.as_millis(),
        outcome.longest_stop.as_millis(),
        outcome.took.as_secs(),
        if outcome.verdict.is_clean() {
            "ok"
        } else {
            "VIOLATED"
        },
    )
}

/// What a run printed, with the day and the commit, for a log that only grows.
pub fn dated(line: &str) -> String {
    let day = output("date", &["-u", "+%F"]);
    let commit = output("git", &["rev-parse", "--short", "HEAD"]);
    format!("{day} {commit} {line}\n")
}

/// What a program says; nothing if it can't be asked.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| "-".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// Everything about a run that was not well.
pub fn failure(outcome: &Outcome, events: &[Event]) -> String {
    let mut text = format!("{}\nplan: {}\n", line(outcome), outcome.plan);
    for (invariant, count) in &outcome.verdict.counts {
        let _ = writeln!(text, "{invariant:?}: violated {count} times");
    }
    for violation in outcome.verdict.violations.iter().take(SHOWN_MAX) {
        let _ = writeln!(text, "\n{violation}");
        let Some(message) = violation.message else {
            continue;
        };
        for event in checker::trail(events, message).iter().take(TRAIL_MAX) {
            let _ = writeln!(text, "    {:>12.6}  {:?}", seconds(event.at), event.what);
        }
    }
    let directory = outcome.directory.display();
    text + &format!("\nkept in {directory}\nrepeat: torture replay {directory}\n")
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds of a run are exact in a double"
)]
fn seconds(at: u64) -> f64 {
    at as f64 / 1e9
}
