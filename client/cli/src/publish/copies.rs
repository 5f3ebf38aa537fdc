//! The same lines to several nsqds: each gets all of them, as the old `to_nsq` has it.

use client::connection::Address;
use client::wire::TopicName;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::input::Source;
use super::progress::Progress;
use super::publisher::Publisher;
use super::{Options, connect};
use crate::error::Error;

/// Publishes each line of `source` to every address, and returns once all of them have confirmed all.
///
/// # Errors
/// The first failure; it ends the others too. What they have published by then stays published.
pub(crate) async fn publish_copies(
    addresses: &[Address],
    topic: &TopicName,
    source: Source,
    options: &Options,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let mut publishers = Vec::new();
    for address in addresses {
        let connection = connect(address, "to_nsq").await?;
        let options = options.clone();
        publishers.push(Publisher::new(
            connection,
            topic.clone(),
            options,
            Progress::none(),
        ));
    }
    let (stop_tx, stop_rx) = watch::channel(false);
    let mut work = JoinSet::new();
    let copies = source.read_copies(publishers.len());
    for (publisher, chunks) in publishers.into_iter().zip(copies) {
        let mut stop_rx = stop_rx.clone();
        let stopped = async move {
            // An error is a sender that has gone, which is a stop as well.
            let _ = stop_rx.wait_for(|stopped| *stopped).await;
        };
        work.spawn(publisher.run(chunks, stopped));
    }
    let mut stop = std::pin::pin!(stop);
    let mut stopping = false;
    loop {
        tokio::select! {
            published = work.join_next() => {
                let Some(published) = published else {
                    return Ok(());
                };
                published.expect("a publisher does not panic")?;
            }
            () = &mut stop, if !stopping => {
                stopping = true;
                stop_tx.send_replace(true);
            }
        }
    }
}
