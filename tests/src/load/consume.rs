//! Consuming: every message is finished, with one write for all that came together.

use std::io;
use std::net::SocketAddr;

use super::Connection;

/// Where the id of a message lies in a frame behind the size: type, timestamp and attempts come first.
const ID: std::ops::Range<usize> = 14..30;

/// Subscribes with this ready count, and returns when it has finished so many messages.
pub async fn consume(
    to: SocketAddr,
    topic: &str,
    channel: &str,
    ready: usize,
    messages: usize,
) -> io::Result<()> {
    let mut connection = Connection::open(to).await?;
    connection
        .send(format!("SUB {topic} {channel}\n").as_bytes())
        .await?;
    connection.ok().await?;
    connection.send(format!("RDY {ready}\n").as_bytes()).await?;
    let mut finished = 0;
    let mut answers = Vec::new();
    while finished < messages {
        let mut next = Some(connection.frame().await?);
        while let Some(frame) = next {
            if frame.starts_with(&[0, 0, 0, 2]) {
                answers.extend_from_slice(b"FIN ");
                answers.extend_from_slice(&frame[ID]);
                answers.push(b'\n');
                finished += 1;
            } else {
                answers.extend_from_slice(b"NOP\n");
            }
            next = connection.buffered_frame();
        }
        connection.send(&answers).await?;
        answers.clear();
    }
    // A publish is answered after the last FIN was handled.
    connection
        .send(b"PUB load_done#ephemeral\n\0\0\0\x01.")
        .await?;
    connection.ok().await
}
