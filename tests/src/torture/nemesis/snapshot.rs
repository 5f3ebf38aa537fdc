//! What a power cut would have left, without one: a copy of the disk, opened by another nsqd and judged by itself.

use std::time::{Duration, Instant};

use crate::torture::body;
use crate::torture::checker::{self, Invariant};
use crate::torture::event::{Event, Stop, What};
use crate::torture::load::drain;
use crate::torture::process::Launch;
use crate::torture::world::{GivenUp, World, data_path};
use crate::wire::Message;

/// Connections of the copy are numbered from here on.
const FIRST_CONNECTION: u32 = 1_000_000;

pub(super) fn take(world: &mut World) -> Result<(), GivenUp> {
    judge(world).map_err(|reason| world.fail(reason))?;
    world.progress(20)
}

/// Copies the disk under the running nsqd, and holds what the copy has against what had happened by then.
fn judge(world: &World) -> Result<(), String> {
    let history = &world.shared.history;
    let (known, start) = (history.len(), Instant::now());
    let copy = world.volume().snapshot()?;
    let mut fork = Fork::new(history.events(), known);
    let data = format!("--data-path={}", data_path(copy.path()).display());
    let mut launch: Launch = world.launch.clone();
    launch.log = world.directory.join("snapshot.log");
    for argument in &mut launch.arguments {
        if argument.starts_with("--data-path=") {
            argument.clone_from(&data);
        }
    }
    let nsqd = match launch.start() {
        Ok(nsqd) => nsqd,
        Err(reason) => {
            world.complain(
                Invariant::Liveness,
                format!("over a snapshot, nsqd: {reason}"),
            );
            return Ok(());
        }
    };
    let plan = &world.shared.plan;
    for topic in 0..plan.topics {
        for channel in 0..plan.channels {
            let names = (format!("t{topic}"), format!("c{channel}"));
            let connection = fork.connect(topic, channel, start.elapsed());
            let drained = drain((nsqd.tcp, nsqd.http), (&names.0, &names.1), |message| {
                fork.deliver(plan.seed, connection, message, start.elapsed());
            });
            if let Err(reason) = drained {
                world.complain(Invariant::Liveness, format!("over a snapshot: {reason}"));
            }
        }
    }
    drop(nsqd);
    let verdict = checker::check(&plan.terms(), &fork.events);
    for violation in verdict.violations {
        world.complain(
            violation.invariant,
            format!("in a snapshot: {}", violation.text),
        );
    }
    Ok(())
}

/// The history as it would have gone on, had the power been cut when the copy was made.
struct Fork {
    events: Vec<Event>,
    cut_at: u64,
    next_connection: u32,
}

impl Fork {
    /// Of what was answered while the copy was made nobody knows whether it is in it.
    fn new(events: Vec<Event>, known: usize) -> Self {
        let happened = events.into_iter().enumerate();
        let kept = happened.filter(|(at, event)| {
            *at < known || !matches!(event.what, What::Answered { .. } | What::Passed { .. })
        });
        let mut events: Vec<_> = kept
            .map(|(_, event)| event)
            .filter(|event| !matches!(event.what, What::Complaint { .. }))
            .collect();
        let cut_at = events.last().map_or(0, |event| event.at + 1);
        let stop = Stop::PowerCut;
        events.push(Event {
            at: cut_at,
            what: What::Down { stop },
        });
        Self {
            events,
            cut_at,
            next_connection: FIRST_CONNECTION,
        }
    }

    fn record(&mut self, since: Duration, what: What) {
        let since = u64::try_from(since.as_nanos()).expect("a drain ends within 584 years");
        self.events.push(Event {
            at: self.cut_at + since,
            what,
        });
    }

    fn connect(&mut self, topic: u16, channel: u16, since: Duration) -> u32 {
        let connection = self.next_connection;
        self.next_connection += 1;
        let ready = u32::MAX;
        self.record(
            since,
            What::Connected {
                connection,
                topic,
                channel,
                ready,
            },
        );
        connection
    }

    fn deliver(&mut self, run: u64, connection: u32, message: &Message, since: Duration) {
        let attempts = message.attempts;
        let id = u64::from_str_radix(&message.id, 16).unwrap_or(0);
        match body::decode(run, &message.body) {
            Ok(message) => {
                self.record(
                    since,
                    What::Delivered {
                        connection,
                        message,
                        id,
                        attempts,
                    },
                );
                self.record(
                    since,
                    What::Finished {
                        connection,
                        message,
                    },
                );
            }
            Err(text) => self.record(since, What::Garbled { connection, text }),
        }
    }
}
