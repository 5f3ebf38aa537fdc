//! `nsq top`: the cluster on a full screen, each second.
//!
//! [`state`] is what is on the screen, [`update`] what a key does to it, [`render`] how it looks: all three know neither a
//! terminal nor a network. This module has both, and one loop.

mod render;
mod state;
mod update;

use std::io::{self, IsTerminal as _};
use std::thread;
use std::time::Duration;

use client::daemon::duration::GoDuration;
use client::daemon::signals;
use client::http::Action;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::error::Error;
use crate::manage::{self, Consumer};
use crate::survey::{Filter, Meter, Survey, survey};
use crate::targets::{Cluster, Targets};
use state::{Look, State};
use update::Effect;

/// Watch topics, channels and consumers live, and pause or empty them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Keys:
  up, down, page up, page down   choose a line        enter, right   channels, then consumers
  s   next order                 r   reverse it       esc, left      back
  /   show names with a text     p   pause, unpause   e   empty, after a question
  space   hold the picture       ?   these keys       q   end")]
pub(crate) struct Arguments {
    #[command(flatten)]
    targets: Targets,

    /// Time between two looks
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    interval: GoDuration,
}

/// Events that may wait for the loop; keys come slower than they are handled.
const EVENTS_MAX: usize = 64;
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Shows until `q`, Ctrl-C or a signal.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        let text = "nsq top needs a terminal; `nsq stat --once` prints the same figures";
        return Err(Error::Usage(text.to_owned()));
    }
    let cluster = arguments.targets.cluster().await?;
    // Fails with a line of text while there is no picture yet.
    let first = survey(&cluster, &Filter::default(), false).await?;
    let stop = signals::shutdown().map_err(Error::Runtime)?;
    let mut screen = Screen::enter()?;
    let mut top = Top {
        cluster,
        meter: Meter::default(),
        state: State::default(),
        work: JoinSet::new(),
    };
    top.take(Done::Survey(Ok(first), Vec::new()));
    tokio::select! {
        done = top.watch(&mut screen, arguments.interval.0.max(INTERVAL_MIN)) => done,
        () = stop => Ok(()),
    }
}

/// The terminal in its full-screen state; dropped, it is as it was, whatever happened. A panic restores it too.
struct Screen(DefaultTerminal);

impl Screen {
    fn enter() -> Result<Self, Error> {
        ratatui::try_init().map(Self).map_err(Error::Output)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// What is asked for in the background.
enum Done {
    /// A look at the cluster, with consumers if they are on the screen.
    Survey(Result<Survey, Error>, Vec<Consumer>),
    /// An action, and who failed.
    Action(Action, Result<Vec<String>, Error>),
}

struct Top {
    cluster: Cluster,
    meter: Meter,
    state: State,
    work: JoinSet<Done>,
}

impl Top {
    async fn watch(&mut self, screen: &mut Screen, every: Duration) -> Result<(), Error> {
        let mut events = events();
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_asked = false;
        loop {
            let picture = screen
                .0
                .draw(|frame| render::render(frame, &mut self.state));
            picture.map_err(Error::Output)?;
            tokio::select! {
                _ = ticks.tick() => {
                    // One question at a time: a slow cluster is not asked the more for it.
                    if !is_asked && !self.state.is_held {
                        self.ask();
                        is_asked = true;
                    }
                }
                Some(done) = self.work.join_next() => {
                    let done = done.expect("no task panics or is aborted");
                    is_asked &= !matches!(done, Done::Survey(..));
                    self.take(done);
                }
                event = events.recv() => match event {
                    Some(Event::Key(key)) if key.kind == KeyEventKind::Press => {
                        match update::key(&mut self.state, key) {
                            Effect::None => {}
                            Effect::Quit => return Ok(()),
                            Effect::Look => ticks.reset_immediately(),
                            Effect::Act(action) => self.act(action),
                        }
                    }
                    Some(_) => {}
                    None => return Ok(()),
                },
            }
        }
    }

    /// Looks at the cluster, with the consumers of a channel if that is on the screen.
    fn ask(&mut self) {
        let cluster = self.cluster.clone();
        let channel = match &self.state.look {
            Look::Consumers { topic, channel } => topic.parse().ok().zip(channel.parse().ok()),
            Look::Topics | Look::Channels { .. } => None,
        };
        self.work.spawn(async move {
            let all = survey(&cluster, &Filter::default(), false).await;
            let Some((topic, channel)) = channel else {
                return Done::Survey(all, Vec::new());
            };
            let filter = Filter::exactly(topic, Some(channel));
            let consumers = survey(&cluster, &filter, true).await;
            Done::Survey(
                all,
                consumers.map_or_else(|_| Vec::new(), |found| manage::clients(&found)),
            )
        });
    }

    fn act(&mut self, action: Action) {
        let cluster = self.cluster.clone();
        self.work.spawn(async move {
            let outcomes = manage::act(&cluster, &action, &[]).await;
            let failed = outcomes.map(|outcomes| {
                let failed = outcomes
                    .into_iter()
                    .filter_map(|outcome| outcome.result.err());
                failed.map(|error| error.to_string()).collect()
            });
            Done::Action(action, failed)
        });
    }

    fn take(&mut self, done: Done) {
        match done {
            Done::Survey(Ok(survey), consumers) => {
                let rows = self.meter.rows(&survey, &Filter::default());
                let warnings = survey.missing().map(ToString::to_string).collect();
                self.state
                    .show(rows, consumers, survey.nodes.len(), warnings);
            }
            Done::Survey(Err(error), _) => self.state.warnings = vec![error.explain()],
            Done::Action(action, Ok(failed)) if failed.is_empty() => {
                self.state.note = format!("{} {}: done", action.verb, manage::name(&action));
            }
            Done::Action(_, Ok(failed)) => self.state.note = failed.join("; "),
            Done::Action(_, Err(error)) => self.state.note = error.explain(),
        }
    }
}

/// What comes from the keyboard, read by a thread that ends with the process or with the receiver.
fn events() -> mpsc::Receiver<Event> {
    let (events_tx, events_rx) = mpsc::channel(EVENTS_MAX);
    thread::spawn(move || {
        while let Ok(event) = event::read() {
            if events_tx.blocking_send(event).is_err() {
                break;
            }
        }
    });
    events_rx
}
