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

/// Sends one command `count` times with at most `window` of them unanswered: a half of them goes out while the other
/// half is answered, so that neither side waits for the other.
async fn pipeline(to: SocketAddr, command: Vec<u8>, count: usize, window: usize) -> io::Result<()> {
    let mut connection = Connection::open(to).await?;
    let half = (window / 2).max(1);
    let burst = command.repeat(half);
    let (mut sent, mut answered) = (0, 0);
    while answered < count {
        while sent < count && sent - answered + half <= window.max(1) {
            let next = half.min(count - sent);
            connection.send(&burst[..next * command.len()]).await?;
            sent += next;
        }
        for _ in 0..half.min(sent - answered) {
            connection.ok().await?;
            answered += 1;
        }
    }
    Ok(())
}
