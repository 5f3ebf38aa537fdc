//! Connecting as this command: the flags for it, and the name told to nsqd.

use client::connection::{Address, ConnectOptions, Connection};

use crate::error::Error;
use crate::link::Link;

/// What is measured, and how it is reached.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Nsqd {
    /// nsqd to talk to: host:port, or the path of a unix socket
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4150")]
    pub(super) nsqd_tcp_address: Address,

    #[command(flatten)]
    link: Link,
}

impl Nsqd {
    /// Finds out how to connect; the files that were named are read.
    pub(super) fn options(&self) -> Result<ConnectOptions, Error> {
        self.link.connect_options("nsq_bench")
    }

    /// Connects once.
    pub(super) async fn connect(&self, options: &ConnectOptions) -> Result<Connection, Error> {
        Ok(Connection::connect(&self.nsqd_tcp_address, options).await?)
    }
}
