//! One consumer that takes all there is on a channel, for daemons that nobody else uses.

use std::net::SocketAddr;
use std::time::Duration;

use crate::http::try_request;
use crate::wire::{Frame, Message, Peer};

/// How long nothing may come before it is asked whether there is anything left.
const QUIET: Duration = Duration::from_millis(20);
/// How often that may be asked in a row: messages may be deferred, for seconds.
const QUESTIONS_MAX: usize = 500;
const READY: u64 = 200;

/// Finishes every message of a channel, each after `taken` has seen it, until `/stats` counts none any more.
pub fn drain(
    (tcp, http): (SocketAddr, SocketAddr),
    (topic, channel): (&str, &str),
    mut taken: impl FnMut(&Message),
) -> Result<(), String> {
    let mut peer = Peer::try_connect(tcp).map_err(|error| error.to_string())?;
    peer.send(format!("SUB {topic} {channel}\nRDY {READY}\n"));
    for _ in 0..QUESTIONS_MAX {
        while let Ok(frame) = peer.frame_within(QUIET) {
            match frame {
                Frame::Message(message) => {
                    taken(&message);
                    peer.finish(&message);
                }
                Frame::Response(text) if text == "_heartbeat_" => peer.send("NOP\n"),
                Frame::Response(_) => {}
                Frame::Error(text) => return Err(text),
            }
        }
        if is_empty(http, topic, channel)? {
            return Ok(());
        }
    }
    Err(format!("{topic}:{channel} does not become empty"))
}

/// Whether nothing waits, is in flight, or deferred on a channel, or waits for it in the topic.
fn is_empty(http: SocketAddr, topic: &str, channel: &str) -> Result<bool, String> {
    let path = format!("/stats?format=json&topic={topic}&channel={channel}");
    let answer = try_request(http, "GET", &path, b"").map_err(|error| error.to_string())?;
    let stats: serde_json::Value =
        serde_json::from_str(&answer.body).map_err(|error| error.to_string())?;
    let topic = &stats["topics"][0];
    let channels = topic["channels"].as_array().into_iter().flatten();
    let counts = ["depth", "in_flight_count", "deferred_count"];
    let mut counted = channels.flat_map(|channel| counts.map(|count| &channel[count]));
    Ok(topic["depth"] == 0 && counted.all(|count| *count == 0))
}
