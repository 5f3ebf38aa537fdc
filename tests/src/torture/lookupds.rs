//! The nsqlookupds that nsqd is to keep informed.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use super::plan::Plan;
use super::process::{Daemon, Launch};
use crate::binary;
use crate::http::try_request;

/// How many there are.
const COUNT: usize = 2;

/// Some nsqlookupds; each keeps its ports over a restart.
#[derive(Debug)]
pub struct Lookupds(Vec<Lookupd>);

#[derive(Debug)]
struct Lookupd {
    launch: Launch,
    daemon: Option<Daemon>,
    tcp: SocketAddr,
    http: SocketAddr,
}

impl Lookupds {
    /// Starts them at this address.
    pub fn start(host: IpAddr, directory: &Path) -> Result<Self, String> {
        let lookupds = (0..COUNT).map(|number| {
            let log = directory.join(format!("nsqlookupd{number}.log"));
            let mut launch = Launch {
                program: binary::nsqlookupd().to_owned(),
                arguments: addresses((host, 0).into(), (host, 0).into()),
                environment: Vec::new(),
                namespace: None,
                log,
            };
            let daemon = launch.start()?;
            let (tcp, http) = (daemon.tcp, daemon.http);
            launch.arguments = addresses(tcp, http);
            Ok(Lookupd {
                launch,
                daemon: Some(daemon),
                tcp,
                http,
            })
        });
        Ok(Self(lookupds.collect::<Result<_, String>>()?))
    }

    /// What makes an nsqd register at all of them.
    pub fn flags(&self) -> impl Iterator<Item = String> {
        self.0
            .iter()
            .map(|lookupd| format!("--lookupd-tcp-address={}", lookupd.tcp))
    }

    /// Ends one with SIGKILL; the number may be any.
    pub fn kill(&mut self, number: usize) {
        let number = number % self.0.len();
        if let Some(daemon) = self.0[number].daemon.take() {
            daemon.kill();
        }
    }

    /// Starts all that are down, knowing nothing.
    pub fn revive(&mut self) -> Result<(), String> {
        for lookupd in self.0.iter_mut().filter(|lookupd| lookupd.daemon.is_none()) {
            lookupd.daemon = Some(lookupd.launch.start()?);
        }
        Ok(())
    }

    /// The ports that nsqds connect to.
    pub fn ports(&self) -> Vec<u16> {
        self.0.iter().map(|lookupd| lookupd.tcp.port()).collect()
    }

    /// Whether each of them knows all topics of the plan, with nsqd as their producer and all channels.
    pub fn know_all(&self, plan: &Plan) -> bool {
        let channels = usize::from(plan.channels);
        (0..plan.topics).all(|topic| self.know(&format!("t{topic}"), channels))
    }

    /// Whether each of them knows a topic with nsqd as its producer and so many channels.
    pub fn know(&self, topic: &str, channels: usize) -> bool {
        self.0.iter().all(|lookupd| lookupd.knows(topic, channels))
    }
}

impl Lookupd {
    fn knows(&self, topic: &str, channels: usize) -> bool {
        let answer = try_request(self.http, "GET", &format!("/lookup?topic={topic}"), b"");
        let Ok(answer) = answer else {
            return false;
        };
        let found: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
        // It counts twice while a connection that nsqd has given up has not ended for nsqlookupd.
        let producers = found["producers"].as_array().into_iter().flatten();
        let addresses: BTreeSet<_> = producers
            .map(|producer| ["broadcast_address", "tcp_port"].map(|key| producer[key].to_string()))
            .collect();
        let known_channels = found["channels"].as_array().map_or(0, Vec::len);
        addresses.len() == 1 && known_channels == channels
    }
}

fn addresses(tcp: SocketAddr, http: SocketAddr) -> Vec<String> {
    vec![
        format!("--tcp-address={tcp}"),
        format!("--http-address={http}"),
        format!("--broadcast-address={}", http.ip()),
    ]
}
