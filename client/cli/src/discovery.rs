//! Finding an nsqd through an nsqlookupd, as a consumer that knows nothing else does.

use std::time::Duration;

use client::connection::Address;
use client::http::{Action, Client, Limits, Verb};
use client::wire::{ChannelName, TopicName};
use tokio::time::{Instant, sleep};

use crate::error::Error;

/// How often an nsqlookupd is asked, and for how long.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const POLL_MAX: Duration = Duration::from_secs(10);

/// Makes a channel known before any nsqd has it: the nsqd on which its topic begins will create it.
pub(crate) async fn announce(
    lookupd_http_address: &str,
    topic: &TopicName,
    channel: &ChannelName,
) -> Result<(), Error> {
    let action = Action {
        verb: Verb::Create,
        topic: topic.clone(),
        channel: Some(channel.clone()),
    };
    let client = Client::new(Limits::default());
    let created = client.act(lookupd_http_address, &action).await;
    created.map_err(|error| Error::Lookup {
        address: error.address,
        cause: error.fault.to_string(),
    })
}

/// Waits until an nsqd has the topic, and returns where it is.
pub(crate) async fn find(lookupd_http_address: &str, topic: &TopicName) -> Result<Address, Error> {
    let failed = |cause: String| Error::Lookup {
        address: lookupd_http_address.to_owned(),
        cause,
    };
    let client = Client::new(Limits::default());
    let until = Instant::now() + POLL_MAX;
    while Instant::now() < until {
        let found = client.lookupd(lookupd_http_address).producers(topic).await;
        let found = found.map_err(|error| failed(error.fault.to_string()))?;
        if let Some(producer) = found.first() {
            return Ok(producer.tcp_address());
        }
        sleep(POLL_INTERVAL).await;
    }
    Err(failed(format!("no nsqd has topic {topic}")))
}
