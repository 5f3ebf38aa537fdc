//! `nsq topic` and `nsq channel`: what there is, and what operators do to it.

mod loss;
mod report;
mod show;
mod steps;

use client::http::{Action, Verb};
use client::wire::{ChannelName, TopicName};

use crate::confirm::confirm;
use crate::error::Error;
use crate::survey::Filter;
use crate::targets::{Targets, nsqd_address};

pub(crate) use loss::name;
pub(crate) use report::{Options, report};
pub(crate) use show::{Consumer, clients};
pub(crate) use steps::{act, tombstone};

/// List, show, create, delete, pause, unpause and empty topics
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nsq topic list                     every topic that an nsqlookupd or an nsqd knows
  nsq topic create orders            known to every nsqlookupd, on no nsqd yet
  nsq topic delete orders --yes      with its messages, everywhere")]
pub(crate) struct TopicArguments {
    #[command(subcommand)]
    command: TopicCommand,
}

#[derive(Debug, clap::Subcommand)]
enum TopicCommand {
    /// All topics, also those that no nsqd has
    #[command(alias = "ls")]
    List(show::Arguments),
    /// One topic: its figures on each nsqd, and its channels
    Show(TopicShow),
    /// Make it known to every nsqlookupd
    Create(TopicCreate),
    /// Delete it everywhere, with its channels and messages
    Delete(TopicLoss),
    /// Drop the messages that no channel has got yet
    Empty(TopicLoss),
    /// Hand out no messages to its channels
    Pause(TopicChange),
    /// End the pause
    Unpause(TopicChange),
}

#[derive(Debug, clap::Args)]
struct TopicShow {
    /// Which topic
    topic: TopicName,
    #[command(flatten)]
    common: show::Arguments,
}

#[derive(Debug, clap::Args)]
struct TopicCreate {
    /// nsqd that is to have it at once: HOST[:PORT] of its HTTP API; may be repeated
    #[arg(long, value_name = "ADDRESS", value_parser = nsqd_address)]
    on: Vec<String>,
    #[command(flatten)]
    change: TopicChange,
}

#[derive(Debug, clap::Args)]
struct TopicChange {
    /// Which topic
    topic: TopicName,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    targets: Targets,
}

#[derive(Debug, clap::Args)]
struct TopicLoss {
    #[command(flatten)]
    change: TopicChange,
    /// Do it without a question
    #[arg(long)]
    yes: bool,
}

/// List, show, create, delete, pause, unpause and empty channels
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nsq channel list orders            the channels of a topic
  nsq channel pause orders billing   consumers of the channel get nothing more
  nsq channel empty orders billing   asks first, and says how many messages go")]
pub(crate) struct ChannelArguments {
    #[command(subcommand)]
    command: ChannelCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ChannelCommand {
    /// All channels of a topic
    #[command(alias = "ls")]
    List(TopicShow),
    /// One channel: its figures on each nsqd, and its consumers
    Show(ChannelShow),
    /// Create it wherever its topic is
    Create(ChannelChange),
    /// Delete it everywhere, with its messages
    Delete(ChannelLoss),
    /// Drop its messages
    Empty(ChannelLoss),
    /// Hand out no messages to its consumers
    Pause(ChannelChange),
    /// End the pause
    Unpause(ChannelChange),
}

#[derive(Debug, clap::Args)]
struct ChannelShow {
    /// Its topic
    topic: TopicName,
    /// Which channel
    channel: ChannelName,
    #[command(flatten)]
    common: show::Arguments,
}

#[derive(Debug, clap::Args)]
struct ChannelChange {
    /// Its topic
    topic: TopicName,
    /// Which channel
    channel: ChannelName,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    targets: Targets,
}

#[derive(Debug, clap::Args)]
struct ChannelLoss {
    #[command(flatten)]
    change: ChannelChange,
    /// Do it without a question
    #[arg(long)]
    yes: bool,
}

/// Does what is asked for a topic.
pub(crate) async fn run_topic(arguments: TopicArguments) -> Result<(), Error> {
    let (verb, change, on, yes) = match arguments.command {
        TopicCommand::List(common) => return show::topics(&common).await,
        TopicCommand::Show(TopicShow { topic, common }) => {
            return show::one(&Filter::exactly(topic, None), &common).await;
        }
        TopicCommand::Create(create) => (Verb::Create, create.change, create.on, true),
        TopicCommand::Delete(loss) => (Verb::Delete, loss.change, Vec::new(), loss.yes),
        TopicCommand::Empty(loss) => (Verb::Empty, loss.change, Vec::new(), loss.yes),
        TopicCommand::Pause(change) => (Verb::Pause, change, Vec::new(), true),
        TopicCommand::Unpause(change) => (Verb::Unpause, change, Vec::new(), true),
    };
    let action = Action {
        verb,
        topic: change.topic,
        channel: None,
    };
    perform(&action, &on, yes, &change.targets, &change.options).await
}

/// Does what is asked for a channel.
pub(crate) async fn run_channel(arguments: ChannelArguments) -> Result<(), Error> {
    let (verb, change, yes) = match arguments.command {
        ChannelCommand::List(TopicShow { topic, common }) => {
            return show::channels(&topic, &common).await;
        }
        ChannelCommand::Show(ChannelShow {
            topic,
            channel,
            common,
        }) => {
            return show::one(&Filter::exactly(topic, Some(channel)), &common).await;
        }
        ChannelCommand::Create(change) => (Verb::Create, change, true),
        ChannelCommand::Delete(loss) => (Verb::Delete, loss.change, loss.yes),
        ChannelCommand::Empty(loss) => (Verb::Empty, loss.change, loss.yes),
        ChannelCommand::Pause(change) => (Verb::Pause, change, true),
        ChannelCommand::Unpause(change) => (Verb::Unpause, change, true),
    };
    let action = Action {
        verb,
        topic: change.topic,
        channel: Some(change.channel),
    };
    perform(&action, &[], yes, &change.targets, &change.options).await
}

async fn perform(
    action: &Action,
    on: &[String],
    yes: bool,
    targets: &Targets,
    options: &Options,
) -> Result<(), Error> {
    let cluster = targets.cluster().await?;
    let done = async {
        if !yes {
            let loss = loss::of(&cluster, action).await?;
            confirm(&loss, yes).await?;
        }
        act(&cluster, action, on).await
    };
    let outcomes = match done.await {
        Err(Error::NotFound(_)) if options.idempotent => Vec::new(),
        done => done?,
    };
    let may_be_absent = action.verb == Verb::Delete;
    report(&name(action), outcomes, may_be_absent, options)
}
