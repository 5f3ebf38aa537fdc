//! nsqds that exist only for an nsqlookupd: a connection each, and nothing behind it.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::wire::with_body;

/// The largest reply that is taken, in bytes; that to IDENTIFY has about 150.
const MAX_REPLY_BYTES: usize = 4096;

/// One of them. It sends a command when the one before was answered, as the reference's nsqd does.
#[derive(Debug)]
pub struct SimulatedNsqd {
    stream: BufReader<TcpStream>,
}

impl SimulatedNsqd {
    /// Connects and identifies; the number makes its name.
    pub async fn connect(lookupd: SocketAddr, number: usize) -> io::Result<Self> {
        let stream = TcpStream::connect(lookupd).await?;
        stream.set_nodelay(true)?;
        let mut nsqd = Self {
            stream: BufReader::new(stream),
        };
        let info = format!(
            r#"{{"version":"1.3.0","hostname":"host{number}","broadcast_address":"nsqd{number}.example","tcp_port":4150,"http_port":4151}}"#
        );
        let identify = with_body("  V1IDENTIFY", info);
        nsqd.ask(&identify).await?;
        Ok(nsqd)
    }

    /// Registers a channel, and its topic with it.
    pub async fn register(&mut self, topic: &str, channel: &str) -> io::Result<()> {
        self.command(&format!("REGISTER {topic} {channel}\n")).await
    }

    /// Says that it is alive, and waits for the answer.
    pub async fn ping(&mut self) -> io::Result<()> {
        self.command("PING\n").await
    }

    async fn command(&mut self, line: &str) -> io::Result<()> {
        let reply = self.ask(line.as_bytes()).await?;
        if reply == b"OK" {
            return Ok(());
        }
        let reply = String::from_utf8_lossy(&reply);
        Err(io::Error::other(format!("{line:?} was answered {reply:?}")))
    }

    async fn ask(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        self.stream.write_all(command).await?;
        let size = self.stream.read_u32().await? as usize;
        assert!(size <= MAX_REPLY_BYTES, "a reply of {size} bytes");
        let mut reply = vec![0; size];
        self.stream.read_exact(&mut reply).await?;
        Ok(reply)
    }
}
