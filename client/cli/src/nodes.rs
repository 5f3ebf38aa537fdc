//! `nsq nodes` and `nsq node`: the nsqds themselves.

use std::time::{Duration, Instant};

use client::http::{Client, Info, RequestError, Stats, StatsQuery};
use client::wire::TopicName;
use serde_json::{Value, json};

use crate::confirm::confirm;
use crate::error::Error;
use crate::figures;
use crate::manage::{self, Options};
use crate::stdout;
use crate::table::{Column, Look, Table, has_colour};
use crate::targets::{Node, Targets, ask_all, nsqd_address};

/// List all nsqds, with their versions, health and topics
#[derive(Debug, clap::Args)]
pub(crate) struct ListArguments {
    /// An array of objects instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    targets: Targets,
}

/// List, ping, show, configure and hide nsqds
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nsq node list                      as `nsq nodes`
  nsq node ping                      status 0 if every nsqd is well
  nsq node config get 10.0.0.7 log_level
  nsq node tombstone 10.0.0.7 orders --yes")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// All nsqds
    #[command(alias = "ls")]
    List(ListArguments),
    /// One nsqd: what it says of itself
    Show(ShowArguments),
    /// Ask every nsqd whether it is well
    Ping(ListArguments),
    /// Read or change a setting of a running nsqd
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Hide an nsqd from consumers of a topic, and delete the topic there
    Tombstone(TombstoneArguments),
}

#[derive(Debug, clap::Args)]
struct ShowArguments {
    /// Its HTTP API: HOST[:PORT]
    #[arg(value_parser = nsqd_address)]
    node: String,
    #[command(flatten)]
    list: ListArguments,
}

#[derive(Debug, clap::Subcommand)]
enum ConfigCommand {
    /// Print a setting as it is in force
    Get {
        /// Its HTTP API: HOST[:PORT]
        #[arg(value_parser = nsqd_address)]
        node: String,
        /// Such as `log_level`
        option: String,
        #[command(flatten)]
        targets: Targets,
    },
    /// Change a setting until nsqd ends, and print it
    Set {
        /// Its HTTP API: HOST[:PORT]
        #[arg(value_parser = nsqd_address)]
        node: String,
        /// Such as `log_level`
        option: String,
        /// Such as debug
        value: String,
        #[command(flatten)]
        targets: Targets,
    },
}

#[derive(Debug, clap::Args)]
struct TombstoneArguments {
    /// Its HTTP API as it is announced: HOST[:PORT]
    #[arg(value_parser = nsqd_address)]
    node: String,
    /// Which topic
    topic: TopicName,
    /// Do it without a question
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    targets: Targets,
}

/// Does what is asked for nsqds.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    match arguments.command {
        Command::List(arguments) => list(arguments).await,
        Command::Ping(arguments) => ping(arguments).await,
        Command::Show(arguments) => {
            let client = arguments.list.targets.client()?;
            let round = vec![Node::at(arguments.node)];
            let told = told(&client, round).await;
            show(told, arguments.list.json)
        }
        Command::Config(ConfigCommand::Get {
            node,
            option,
            targets,
        }) => value(targets.client()?.nsqd(&node).config(&option).await?),
        Command::Config(ConfigCommand::Set {
            node,
            option,
            value: wanted,
            targets,
        }) => value(
            targets
                .client()?
                .nsqd(&node)
                .set_config(&option, &wanted)
                .await?,
        ),
        Command::Tombstone(arguments) => tombstone(arguments).await,
    }
}

/// Prints all nsqds.
pub(crate) async fn list(arguments: ListArguments) -> Result<(), Error> {
    let cluster = arguments.targets.cluster().await?;
    let nodes = cluster.nodes().await?.warned();
    let told = told(&cluster.client, nodes).await;
    show(told, arguments.json)
}

/// An nsqd, and what it says of itself.
struct Told {
    node: Node,
    answer: Result<(Info, Stats), RequestError>,
}

async fn told(client: &Client, nodes: Vec<Node>) -> Vec<Told> {
    let addresses = nodes.iter().map(|node| node.address.clone()).collect();
    let round = ask_all(addresses, |address| {
        let client = client.clone();
        async move {
            let nsqd = client.nsqd(&address);
            Ok((
                nsqd.info().await?,
                nsqd.stats(&StatsQuery::default()).await?,
            ))
        }
    });
    let answers = round.await.0.into_iter().map(|(_, answer)| answer);
    let told = nodes.into_iter().zip(answers);
    told.map(|(node, answer)| Told { node, answer }).collect()
}

fn show(told: Vec<Told>, json: bool) -> Result<(), Error> {
    let silent = told.iter().filter(|told| told.answer.is_err()).count();
    if silent > 0 && silent == told.len() {
        let errors = told.into_iter().filter_map(|told| told.answer.err());
        return Err(Error::Unanswered(errors.collect()));
    }
    if json {
        let nodes: Vec<Value> = told.iter().map(Told::json).collect();
        stdout::print(&format!("{}\n", Value::from(nodes)))?;
    } else {
        let mut table = Table::new(&[
            Column::Text("NSQD"),
            Column::Text("TCP"),
            Column::Text("HOST"),
            Column::Text("VERSION"),
            Column::Figure("TOPICS"),
            Column::Figure("DEPTH"),
            Column::Text("HIDDEN"),
            Column::Text("HEALTH"),
        ]);
        for told in &told {
            let (look, cells) = told.cells();
            table.push(look, cells);
        }
        stdout::print(&table.render(has_colour()))?;
    }
    all_well(silent, told.len(), "did not answer")
}

impl Told {
    fn cells(&self) -> (Look, Vec<String>) {
        let hidden = self.hidden().join(",");
        match &self.answer {
            Ok((info, stats)) => {
                let look = if stats.health == "OK" {
                    Look::Plain
                } else {
                    Look::Bad
                };
                let cells = vec![
                    self.node.address.clone(),
                    info.tcp_address().to_string(),
                    info.hostname.clone(),
                    info.version.clone(),
                    stats.topics.len().to_string(),
                    crate::stat::print::count(depth(stats)),
                    hidden,
                    stats.health.clone(),
                ];
                (look, cells)
            }
            Err(error) => {
                let mut cells = vec![String::new(); 8];
                cells[0].clone_from(&self.node.address);
                cells[6] = hidden;
                cells[7] = error.fault.to_string();
                (Look::Bad, cells)
            }
        }
    }

    /// Topics whose consumers are not sent here.
    fn hidden(&self) -> Vec<&str> {
        let topics = self.node.topics.iter().flatten();
        let hidden = topics.filter(|(_, hidden)| **hidden);
        hidden.map(|(name, _)| name.as_str()).collect()
    }

    fn json(&self) -> Value {
        let hidden = self.hidden();
        match &self.answer {
            Ok((info, stats)) => json!({
                "http_address": self.node.address,
                "tcp_address": info.tcp_address().to_string(),
                "broadcast_address": info.broadcast_address,
                "hostname": info.hostname,
                "version": info.version,
                "start_time": info.start_time,
                "health": stats.health,
                "topics": stats.topics.iter().map(|topic| &topic.topic_name).collect::<Vec<_>>(),
                "tombstones": hidden,
                "depth": depth(stats),
            }),
            Err(error) => json!({
                "http_address": self.node.address,
                "tombstones": hidden,
                "error": error.fault.to_string(),
            }),
        }
    }
}

/// Messages waiting in all topics and channels.
fn depth(stats: &Stats) -> i64 {
    let channels = stats.topics.iter().flat_map(|topic| &topic.channels);
    let of_topics: i64 = stats.topics.iter().map(|topic| topic.depth).sum();
    of_topics + channels.map(|channel| channel.depth).sum::<i64>()
}

async fn ping(arguments: ListArguments) -> Result<(), Error> {
    let cluster = arguments.targets.cluster().await?;
    let nodes = cluster.nodes().await?.warned();
    let count = nodes.len();
    let addresses = nodes.into_iter().map(|node| node.address).collect();
    let client = cluster.client.clone();
    let round = ask_all(addresses, move |address| {
        let client = client.clone();
        async move {
            let asked = Instant::now();
            client.nsqd(&address).ping().await?;
            Ok(asked.elapsed())
        }
    });
    let answers = round.await.0;
    let failed = answers.iter().filter(|(_, answer)| answer.is_err()).count();
    let text: String = answers
        .iter()
        .map(|(address, answer)| line(address, answer, arguments.json))
        .collect();
    stdout::print(&text)?;
    all_well(failed, count, "are not well")
}

fn line(address: &str, answer: &Result<Duration, RequestError>, json: bool) -> String {
    let error = answer.as_ref().err().map(|error| error.fault.to_string());
    let elapsed = answer.as_ref().ok();
    if json {
        let seconds = elapsed.map(Duration::as_secs_f64);
        let line = json!({"http_address": address, "seconds": seconds, "error": error});
        return format!("{line}\n");
    }
    let told = elapsed.map(|elapsed| format!("OK in {}", figures::duration(*elapsed)));
    format!("{address}  {}\n", told.or(error).unwrap_or_default())
}

fn all_well(failed: usize, of: usize, what: &str) -> Result<(), Error> {
    if failed == 0 {
        return Ok(());
    }
    Err(Error::Partial(format!("{failed} of {of} nsqds {what}")))
}

async fn tombstone(arguments: TombstoneArguments) -> Result<(), Error> {
    let TombstoneArguments { node, topic, .. } = &arguments;
    let cluster = arguments.targets.cluster().await?;
    let loss = format!("topic {topic} is deleted on {node}, with its channels and messages");
    confirm(&loss, arguments.yes).await?;
    let outcomes = manage::tombstone(&cluster, topic, node).await;
    let what = format!("topic {topic} on {node}");
    manage::report(&what, outcomes, false, &arguments.options)
}

/// Prints a setting; JSON and text come without a newline.
fn value(value: impl AsRef<[u8]>) -> Result<(), Error> {
    stdout::print(&format!("{}\n", String::from_utf8_lossy(value.as_ref())))
}
