//! Which nsqds have a topic: `GET /lookup` of an nsqlookupd.

use serde::Deserialize;

use super::{Limits, RequestError, get};
use crate::connection::Address;
use crate::wire::TopicName;

/// An nsqd, as an nsqlookupd tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Producer {
    /// Where consumers reach its host.
    pub broadcast_address: String,
    /// Its port for the protocol.
    pub tcp_port: u16,
    /// Its port for HTTP.
    #[serde(default)]
    pub http_port: u16,
}

impl Producer {
    /// Where it speaks the protocol.
    pub fn tcp_address(&self) -> Address {
        Address::Tcp(self.host_port(self.tcp_port))
    }

    fn host_port(&self, port: u16) -> String {
        let host = &self.broadcast_address;
        // An IPv6 address needs brackets before a port.
        if host.contains(':') && !host.starts_with('[') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}

#[derive(Debug, Deserialize)]
struct Answer {
    producers: Option<Vec<Producer>>,
}

/// Why it is not known who has a topic.
#[derive(Debug, thiserror::Error)]
pub enum ProducersError {
    /// There is no answer.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Not what an nsqlookupd answers.
    #[error("answer not understood: {0}")]
    Json(#[from] serde_json::Error),
}

/// Asks the nsqlookupd at `address` (`host:port` of its HTTP API) which nsqds have a topic; none if it does not know the
/// topic.
pub async fn producers(
    address: &str,
    topic: &TopicName,
    limits: Limits,
) -> Result<Vec<Producer>, ProducersError> {
    // The only byte of a name that means something in a query.
    let topic = topic.as_str().replace('#', "%23");
    match get(address, &format!("/lookup?topic={topic}"), limits).await {
        Ok(body) => Ok(serde_json::from_slice::<Answer>(&body)?
            .producers
            .unwrap_or_default()),
        Err(RequestError::Status(status)) if status == hyper::StatusCode::NOT_FOUND => {
            Ok(Vec::new())
        }
        Err(error) => Err(error.into()),
    }
}
