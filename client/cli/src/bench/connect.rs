//! Connecting as this command: the flag for the address, and the name told to nsqd.

use client::connection::{Address, ConnectOptions, Connection};

use crate::error::Error;

/// The flag of what is measured.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Nsqd {
    /// nsqd to talk to: host:port, or the path of a unix socket
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4150")]
    pub(super) nsqd_tcp_address: Address,
}

/// Connects once.
pub(super) async fn connect(address: &Address) -> Result<Connection, Error> {
    let mut options = ConnectOptions::default();
    let library = options.identify.user_agent.take().unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    options.identify.user_agent = Some(format!("nsq_bench/{version} {library}"));
    Ok(Connection::connect(address, &options).await?)
}
