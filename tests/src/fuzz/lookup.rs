//! What an nsqd sends to nsqlookupd, and what becomes of it there.

use std::collections::BTreeSet;

use client::wire::lookup::{
    Command, CommandDecoder, LookupdInfo, MAX_BODY_BYTES, MAX_LINE_BYTES, PeerInfo, put_reply,
};
use client::wire::{ErrorCode, ErrorReply};
use lookupd::Timestamp;
use lookupd::registry::{PeerId, Producer, Registry, Rules};

use super::Cuts;

const NOW: Timestamp = Timestamp(0);
/// Small, so that it is met.
const REGISTRATIONS_MAX: usize = 20;

/// Commands are the same however their stream is cut. What a connection has registered by them is what a set would have, and
/// goes with it.
pub fn lookup(data: &[u8]) {
    let Some((cuts, stream)) = Cuts::of(data) else {
        return;
    };
    let whole = converse(stream, std::iter::once(stream.len()));
    let pieces = converse(stream, cuts.pieces(stream.len()).map(|piece| piece.end));
    assert_eq!(whole, pieces);
}

/// Carries out a stream, of which more arrives up to each of `ends`; returns the commands as they are written, and what the
/// peer is told at the end.
fn converse(stream: &[u8], ends: impl Iterator<Item = usize>) -> (Vec<u8>, Option<ErrorReply>) {
    let mut peer = Peer::default();
    let mut decoder = CommandDecoder::default();
    let mut written = Vec::new();
    let mut at = 0;
    for end in ends {
        loop {
            let input = &stream[at..end];
            match decoder.decode(input) {
                Err(error) => return (written, Some(error)),
                Ok(None) => {
                    assert!(input.len() <= MAX_LINE_BYTES + 4 + MAX_BODY_BYTES);
                    break;
                }
                Ok(Some((command, consumed))) => {
                    assert!((1..=input.len()).contains(&consumed));
                    at += consumed;
                    command.encode(&mut written);
                    if let Err(error) = peer.answer(&command) {
                        return (written, Some(error));
                    }
                }
            }
        }
    }
    peer.leave();
    (written, decoder.truncated(&stream[at..]))
}

/// One connection, and beside the registry what it should have.
struct Peer {
    registry: Registry,
    id: Option<PeerId>,
    registered: BTreeSet<(String, Option<String>)>,
}

impl Default for Peer {
    fn default() -> Peer {
        let rules = Rules {
            max_registrations: REGISTRATIONS_MAX,
            ..Rules::default()
        };
        Peer {
            registry: Registry::new(rules),
            id: None,
            registered: BTreeSet::new(),
        }
    }
}

impl Peer {
    fn answer(&mut self, command: &Command<'_>) -> Result<(), ErrorReply> {
        match *command {
            Command::Identify { body } => {
                let producer = Producer::new("127.0.0.1:1".to_owned(), PeerInfo::parse(body)?);
                self.id = Some(self.registry.connect(producer, NOW));
                put_reply(&mut Vec::new(), &LookupdInfo::default().to_json());
            }
            Command::Register { topic, channel } => {
                let id = self.id.expect("the decoder wants IDENTIFY first");
                let mut more = self.registered.clone();
                more.insert((topic.to_string(), None));
                if let Some(channel) = channel {
                    more.insert((topic.to_string(), Some(channel.to_string())));
                }
                let taken = self.registry.register(id, topic, channel);
                assert_eq!(taken.is_ok(), more.len() <= REGISTRATIONS_MAX);
                taken.map_err(|error| ErrorReply::new(ErrorCode::Invalid, error.to_string()))?;
                self.registered = more;
            }
            Command::Unregister { topic, channel } => {
                let id = self.id.expect("the decoder wants IDENTIFY first");
                self.registry.unregister(id, topic, channel);
                let goes = |of: &(String, Option<String>)| {
                    of.0 == topic.as_str()
                        && channel.is_none_or(|channel| of.1.as_deref() == Some(channel.as_str()))
                };
                self.registered.retain(|registered| !goes(registered));
            }
            Command::Ping => {
                if let Some(id) = self.id {
                    self.registry.ping(id, NOW);
                }
            }
        }
        Ok(())
    }

    fn leave(mut self) {
        let Some(id) = self.id else { return };
        for (topic, _) in &self.registered {
            let answer = self.registry.lookup(topic, NOW);
            assert_eq!(answer.map(|found| found.producers.len()), Some(1));
        }
        assert_eq!(self.registry.disconnect(id), self.registered.len());
        assert!(self.registry.nodes(NOW).is_empty());
    }
}
