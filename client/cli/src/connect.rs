//! Connecting as this command: the flag for the address, and the name told to nsqd.

use client::connection::{Address, ConnectOptions, Connection};

use crate::error::Error;

/// The flag that every command which talks to an nsqd has.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Nsqd {
    /// nsqd to talk to: host:port, or the path of a unix socket
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4150")]
    pub(crate) nsqd_tcp_address: Address,
}

/// Connects; `tool` is what nsqd shows as the user agent.
pub(crate) async fn connect(address: &Address, tool: &str) -> Result<Connection, Error> {
    let mut options = ConnectOptions::default();
    let library = options.identify.user_agent.take().unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    options.identify.user_agent = Some(format!("{tool}/{version} {library}"));
    Ok(Connection::connect(address, &options).await?)
}
