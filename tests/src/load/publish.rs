//! Publishing as fast as the other side takes it.

use std::io;
use std::net::SocketAddr;

use super::Connection;
use crate::wire::{batch, with_body};

/// How much is published, and in which shape.
#[derive(Clone, Copy, Debug)]
pub struct Publishing {
    /// Messages in all; a multiple of `connections * batch`.
    pub messages: usize,
    /// Connections that share them.
    pub connections: usize,
    /// Messages in one MPUB; 1 sends PUB.
    pub batch: usize,
    /// Commands that may be unanswered on one connection.
    pub window: usize,
    /// Bytes of one message.
    pub body_bytes: usize,
}

/// Publishes all of it, and returns when the last one was answered with OK.
pub async fn publish(to: SocketAddr, topic: &str, load: Publishing) -> io::Result<()> {
    let body = vec![b'x'; load.body_bytes];
    let command = match load.batch {
        1 => with_body(&format!("PUB {topic}"), &body),
        count => with_body(&format!("MPUB {topic}"), batch(&vec![body; count])),
    };
    let commands = load.messages / load.batch / load.connections;
    let mut producers = tokio::task::JoinSet::new();
    for _ in 0..load.connections {
        producers.spawn(pipeline(to, command.clone(), commands, load.window));
    }
    while let Some(ended) = producers.join_next().await {
        ended.expect("producers do not panic")?;
    }
    Ok(())
}

/// Sends one command `count` times with at most `window` of them unanswered.
async fn pipeline(to: SocketAddr, command: Vec<u8>, count: usize, window: usize) -> io::Result<()> {
    let mut connection = Connection::open(to).await?;
    let burst = command.repeat(window);
    for _ in 0..count / window {
        connection.send(&burst).await?;
        for _ in 0..window {
            connection.ok().await?;
        }
    }
    for _ in 0..count % window {
        connection.send(&command).await?;
        connection.ok().await?;
    }
    Ok(())
}
