//! What a client says about itself and asks for.

use std::time::Duration;

use crate::wire::IdentifyRequest;

/// How to connect. `Default` suits producers and consumers alike.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// Longest time for connecting and the handshake together. Default 5 s.
    pub timeout: Duration,
    /// Largest frame accepted in bytes. Default 16 MiB, far above nsqd's `-max-msg-size`.
    pub max_frame_bytes: usize,
    /// What AUTH sends if the nsqd wants it. Default none.
    pub auth_secret: Option<Vec<u8>>,
    /// The body of IDENTIFY. Default: this host, this library and feature negotiation; all else
    /// as the nsqd has it. TLS and compression are not sent: this side cannot go on in them.
    pub identify: IdentifyRequest,
}

impl Default for ConnectOptions {
    fn default() -> ConnectOptions {
        let hostname = hostname();
        let short = hostname.split('.').next().unwrap_or_default().to_owned();
        ConnectOptions {
            timeout: Duration::from_secs(5),
            max_frame_bytes: 16 * 1024 * 1024,
            auth_secret: None,
            identify: IdentifyRequest {
                client_id: Some(short),
                hostname: Some(hostname),
                user_agent: Some(concat!("nsq-rust/", env!("CARGO_PKG_VERSION")).to_owned()),
                feature_negotiation: Some(true),
                ..IdentifyRequest::default()
            },
        }
    }
}

impl ConnectOptions {
    /// What is sent as IDENTIFY.
    pub(super) fn request(&self) -> IdentifyRequest {
        IdentifyRequest {
            tls_v1: None,
            snappy: None,
            deflate: None,
            deflate_level: None,
            ..self.identify.clone()
        }
    }
}

fn hostname() -> String {
    let names = rustix::system::uname();
    names.nodename().to_string_lossy().into_owned()
}
