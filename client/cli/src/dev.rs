//! `nsq dev`: a whole cluster in one process, to write programs against.

use std::path::PathBuf;

use client::connection::Address;
use client::daemon::log::LogLevel;
use client::daemon::signals;

use crate::cluster::{Cluster, Settings};
use crate::error::Error;
use crate::stdout::print;

/// Run a whole cluster in this process
///
/// It listens on the loopback interface only. Ctrl-C stops it cleanly; a second one ends at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nsq dev                        all on their usual ports, data in a temporary directory
  nsq dev --data-path ./data     what was published is there again at the next start")]
pub(crate) struct Arguments {
    /// Directory for the data of nsqd, created if there is none [default: a temporary one, removed at the end]
    #[arg(long, value_name = "DIR")]
    data_path: Option<PathBuf>,

    /// Port of nsqd for the protocol; 0 is any free one
    #[arg(long, value_name = "PORT", default_value_t = 4150)]
    tcp_port: u16,

    /// Port of nsqd for HTTP; 0 is any free one
    #[arg(long, value_name = "PORT", default_value_t = 4151)]
    http_port: u16,

    /// Port of nsqlookupd for nsqds; 0 is any free one
    #[arg(long, value_name = "PORT", default_value_t = 4160)]
    lookupd_tcp_port: u16,

    /// Port of nsqlookupd for HTTP; 0 is any free one
    #[arg(long, value_name = "PORT", default_value_t = 4161)]
    lookupd_http_port: u16,

    /// Port of nsqadmin; 0 is any free one
    #[arg(long, value_name = "PORT", default_value_t = 4171)]
    admin_http_port: u16,

    /// What the daemons log on stderr: debug, info, warn, error or fatal
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    log_level: LogLevel,
}

/// Runs until a signal comes.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let stop = signals::shutdown().map_err(Error::Runtime)?;
    let cluster = Cluster::start(Settings {
        data_path: arguments.data_path,
        tcp_port: arguments.tcp_port,
        http_port: arguments.http_port,
        lookupd_tcp_port: arguments.lookupd_tcp_port,
        lookupd_http_port: arguments.lookupd_http_port,
        admin_http_port: arguments.admin_http_port,
        log_level: arguments.log_level,
    })
    .await?;
    let invitation = invitation("greetings", cluster.nsqd_tcp_address());
    print(&format!("{cluster}\n{invitation}"))?;
    stop.await;
    cluster.stop().await
}

/// What somebody may do with a cluster that runs here.
pub(crate) fn invitation(topic: &str, address: &Address) -> String {
    let usual = address.to_string() == "127.0.0.1:4150";
    let flag = if usual {
        String::new()
    } else {
        format!(" --nsqd-tcp-address {address}")
    };
    format!(
        "Try it from another terminal:\n  \
         nsq tail {topic}{flag}\n  \
         echo hello | nsq pub {topic}{flag}\n\n\
         Ctrl-C stops.\n"
    )
}
