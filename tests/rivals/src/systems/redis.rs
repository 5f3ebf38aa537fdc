//! Redis Streams with consumer groups. Nothing is trimmed: finishing is XACK alone, the cheapest way there is.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, RedisResult, Value};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::Grouping;
use super::server::{Folder, Launch, Server, free_address};
use crate::error::Error;

/// The name of the one consumer in each group.
const CONSUMER: &str = "consumer";
/// The name of the one field of each entry.
const FIELD: &str = "body";
/// Entries that are read at once: as many as are published at once.
const COUNT: usize = 200;
/// How long a read waits for entries before it asks again.
const BLOCK_MS: usize = 1000;
/// How long reading the data of a former run may take.
const LOADING: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(2);

/// When Redis syncs what it has appended to its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppendFsync {
    /// Once a second.
    Everysec,
    /// Before it answers.
    Always,
}

/// A running redis-server.
#[derive(Debug)]
pub(crate) struct Redis {
    server: Server,
    program: PathBuf,
    sync: AppendFsync,
    /// For what is not measured: groups.
    connection: MultiplexedConnection,
}

impl Redis {
    /// Starts the program with its data in the folder, and waits until it has read what lies there.
    pub(crate) async fn start(
        program: &Path,
        sync: AppendFsync,
        folder: Folder,
    ) -> Result<Self, Error> {
        let address = free_address()?;
        let launch = Launch {
            program: program.to_owned(),
            arguments: arguments(address, sync, &folder.data()),
            address,
        };
        let server = Server::start(launch, folder).await?;
        Ok(Self {
            connection: await_loaded(&server).await?,
            server,
            program: program.to_owned(),
            sync,
        })
    }
}

fn arguments(address: SocketAddr, sync: AppendFsync, data: &Path) -> Vec<String> {
    let sync = match sync {
        AppendFsync::Everysec => "everysec",
        AppendFsync::Always => "always",
    };
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let data = data.display().to_string();
    let pairs = [
        ["--bind", &ip],
        ["--port", &port],
        ["--dir", &data],
        ["--appendonly", "yes"],
        ["--appendfsync", sync],
        ["--save", ""],
    ];
    pairs.concat().into_iter().map(str::to_owned).collect()
}

async fn await_loaded(server: &Server) -> Result<MultiplexedConnection, Error> {
    let deadline = Instant::now() + LOADING;
    loop {
        match ping(server).await {
            Ok(connection) => return Ok(connection),
            Err(error) if Instant::now() > deadline => {
                return Err(Error::client("connect to redis-server")(error));
            }
            Err(_) => sleep(POLL).await,
        }
    }
}

async fn ping(server: &Server) -> RedisResult<MultiplexedConnection> {
    let mut connection = connect(server).await?;
    let () = Cmd::ping().query_async(&mut connection).await?;
    Ok(connection)
}

/// Connects its own connection; the library shares one between clones only.
async fn connect(server: &Server) -> RedisResult<MultiplexedConnection> {
    let client = Client::open(format!("redis://{}/", server.address()))?;
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

impl super::System for Redis {
    type Producer = Producer;
    type Consumer = Consumer;

    fn server(&self) -> &Server {
        &self.server
    }

    async fn restart(self) -> Result<(Self, Duration), Error> {
        let folder = self.server.stop().await?;
        let start = Instant::now();
        let system = Self::start(&self.program, self.sync, folder).await?;
        Ok((system, start.elapsed()))
    }

    async fn create(&self, topic: &str, channels: &[String]) -> Result<(), Error> {
        let mut connection = self.connection.clone();
        for channel in channels {
            let created = redis::cmd("XGROUP")
                .arg(&["CREATE", topic, channel, "$", "MKSTREAM"])
                .exec_async(&mut connection)
                .await;
            created.map_err(Error::client("create a group"))?;
        }
        Ok(())
    }

    async fn producer(&self, topic: &str) -> Result<Producer, Error> {
        let connected = connect(&self.server).await;
        Ok(Producer {
            connection: connected.map_err(Error::client("connect"))?,
            topic: topic.to_owned(),
            unconfirmed: VecDeque::new(),
        })
    }

    async fn consumer(&self, topic: &str, channel: &str) -> Result<Consumer, Error> {
        let connected = connect(&self.server).await;
        let mut read = redis::cmd("XREADGROUP");
        read.arg(&["GROUP", channel, CONSUMER, "COUNT"])
            .arg(COUNT)
            .arg("BLOCK")
            .arg(BLOCK_MS)
            .arg(&["STREAMS", topic, ">"]);
        Ok(Consumer {
            connection: connected.map_err(Error::client("connect"))?,
            read,
            topic: topic.to_owned(),
            channel: channel.to_owned(),
        })
    }
}

/// A connection that adds entries.
#[derive(Debug)]
pub(crate) struct Producer {
    connection: MultiplexedConnection,
    topic: String,
    unconfirmed: VecDeque<JoinHandle<RedisResult<()>>>,
}

impl super::Producer for Producer {
    type Batch = Arc<Pipeline>;

    fn batch(&self, bodies: &[Bytes], _grouping: Grouping) -> Arc<Pipeline> {
        let mut pipeline = Pipeline::with_capacity(bodies.len());
        for body in bodies {
            let command = pipeline.cmd("XADD").arg(&self.topic).arg("*");
            command.arg(FIELD).arg(&body[..]).ignore();
        }
        Arc::new(pipeline)
    }

    async fn send(&mut self, batch: &Arc<Pipeline>) -> Result<(), Error> {
        let (mut connection, batch) = (self.connection.clone(), Arc::clone(batch));
        let answered = async move { batch.exec_async(&mut connection).await };
        self.unconfirmed.push_back(tokio::spawn(answered));
        Ok(())
    }

    async fn confirmed(&mut self) -> Result<(), Error> {
        let oldest = self.unconfirmed.front_mut();
        let oldest = oldest.ok_or_else(|| Error::Unexpected("nothing to confirm".to_owned()))?;
        let answered = oldest.await.expect("a request does not panic");
        self.unconfirmed.pop_front();
        answered.map_err(Error::client("XADD"))
    }
}

/// The consumer of a group.
#[derive(Debug)]
pub(crate) struct Consumer {
    connection: MultiplexedConnection,
    read: Cmd,
    topic: String,
    channel: String,
}

impl super::Consumer for Consumer {
    async fn receive(&mut self, see: &mut (impl FnMut(&[u8]) + Send)) -> Result<usize, Error> {
        let read = self.read.query_async(&mut self.connection).await;
        let entries = entries(read.map_err(Error::client("XREADGROUP"))?);
        if entries.is_empty() {
            return Ok(0);
        }
        let mut acknowledge = redis::cmd("XACK");
        acknowledge.arg(&self.topic).arg(&self.channel);
        for Entry { id, body } in &entries {
            see(body);
            acknowledge.arg(&id[..]);
        }
        let acknowledged = acknowledge.exec_async(&mut self.connection).await;
        acknowledged.map_err(Error::client("XACK"))?;
        Ok(entries.len())
    }
}

struct Entry {
    id: Vec<u8>,
    body: Vec<u8>,
}

/// The entries of an answer: `[[stream, [[id, [field, body]], …]]]`, or nil when the wait was over.
fn entries(answer: Value) -> Vec<Entry> {
    let streams = array(answer);
    let of_streams = streams.into_iter().filter_map(|stream| array(stream).pop());
    of_streams.flat_map(array).filter_map(entry).collect()
}

fn entry(value: Value) -> Option<Entry> {
    let [id, fields] = <[Value; 2]>::try_from(array(value)).ok()?;
    let [_, body] = <[Value; 2]>::try_from(array(fields)).ok()?;
    match (id, body) {
        (Value::BulkString(id), Value::BulkString(body)) => Some(Entry { id, body }),
        _ => None,
    }
}

fn array(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn entries_are_found_in_an_answer() {
        let entry = |id| {
            let fields = Value::Array(vec![text(FIELD), text("m")]);
            Value::Array(vec![text(id), fields])
        };
        let stream = Value::Array(vec![
            text("t"),
            Value::Array(vec![entry("1-0"), entry("1-1")]),
        ]);
        let found = entries(Value::Array(vec![stream]));
        let ids: Vec<&[u8]> = found.iter().map(|entry| &entry.id[..]).collect();
        assert_eq!(ids, [b"1-0", b"1-1"]);
        assert_eq!(found[0].body, b"m");
        assert!(entries(Value::Nil).is_empty());
    }
}
