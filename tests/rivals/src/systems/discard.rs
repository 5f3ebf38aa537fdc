//! A server that answers publishes and throws them away: the floor of what the protocol of NSQ costs.

use std::path::Path;
use std::time::Duration;

use super::nsq::{self, Producer};
use super::server::{Folder, Launch, Server, free_address};
use crate::error::Error;

/// The running command `discard` of the tests.
#[derive(Debug)]
pub(crate) struct Discard {
    server: Server,
}

impl Discard {
    /// Starts the program.
    pub(crate) async fn start(program: &Path, folder: Folder) -> Result<Self, Error> {
        let address = free_address()?;
        let launch = Launch {
            program: program.to_owned(),
            arguments: vec![address.to_string()],
            address,
        };
        let server = Server::start(launch, folder).await?;
        Ok(Self { server })
    }
}

impl super::System for Discard {
    type Producer = Producer;
    type Consumer = nsq::Consumer;

    fn server(&self) -> &Server {
        &self.server
    }

    async fn restart(self) -> Result<(Self, Duration), Error> {
        Err(keeps_nothing())
    }

    async fn create(&self, _topic: &str, _channels: &[String]) -> Result<(), Error> {
        Ok(())
    }

    async fn producer(&self, topic: &str) -> Result<Producer, Error> {
        Producer::connect(self.server.address(), topic).await
    }

    async fn consumer(&self, _topic: &str, _channel: &str) -> Result<nsq::Consumer, Error> {
        Err(keeps_nothing())
    }
}

fn keeps_nothing() -> Error {
    Error::Unexpected("discard keeps nothing that could be consumed".to_owned())
}
