//! Which daemons a command is about: the flags that name them, and asking all of them at once.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use client::daemon::duration::GoDuration;
use client::http::{Client, Fault, Limits, Producer, RequestError};
use client::wire::TopicName;
use tokio::task::JoinSet;

use crate::error::Error;
use crate::tls::TlsFlags;

/// Room for the statistics of some 500,000 channels.
pub(crate) const ANSWER_BYTES_MAX: usize = 256 << 20;

/// Where the daemons of this machine are, if nobody says otherwise.
const LOCAL_LOOKUPD: &str = "127.0.0.1:4161";
const LOCAL_NSQD: &str = "127.0.0.1:4151";

/// The flags that every command about a cluster has.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Targets {
    /// nsqlookupd to ask, which knows the nsqds: HOST, HOST:PORT or a URL; may be repeated [default:
    /// 127.0.0.1:4161 if it answers, else the nsqd at 127.0.0.1:4151]
    #[arg(long, value_name = "ADDRESS", value_parser = lookupd_address, help_heading = "Cluster")]
    lookupd_http_address: Vec<String>,

    /// nsqd to ask directly, likewise; may be repeated
    #[arg(
        long,
        value_name = "ADDRESS",
        value_parser = nsqd_address,
        conflicts_with = "lookupd_http_address",
        help_heading = "Cluster"
    )]
    nsqd_http_address: Vec<String>,

    /// Longest wait for a daemon's answer
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "5s",
        help_heading = "Cluster"
    )]
    timeout: GoDuration,

    #[command(flatten)]
    tls: TlsFlags,
}

impl Targets {
    /// How daemons are asked.
    ///
    /// # Errors
    ///
    /// A file for TLS that was named cannot be used.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        let limits = Limits {
            timeout: self.timeout.0,
            connect_timeout: self.timeout.0.min(Duration::from_secs(2)),
            bytes_max: ANSWER_BYTES_MAX,
        };
        Ok(match self.tls.config()? {
            Some(tls) => Client::with_tls(limits, tls),
            None => Client::new(limits),
        })
    }

    /// The cluster that the flags name. Nobody is asked yet, unless there is no flag.
    ///
    /// # Errors
    ///
    /// A file for TLS that was named cannot be used.
    pub(crate) async fn cluster(&self) -> Result<Cluster, Error> {
        let mut cluster = Cluster {
            client: self.client()?,
            lookupds: self.lookupd_http_address.clone(),
            nsqds: self.nsqd_http_address.clone(),
        };
        if cluster.lookupds.is_empty() && cluster.nsqds.is_empty() {
            cluster.take_local().await;
        }
        Ok(cluster)
    }
}

/// An address of an nsqlookupd's HTTP API, with its port.
pub(crate) fn lookupd_address(given: &str) -> Result<String, String> {
    with_port(given, 4161)
}

/// An address of an nsqd's HTTP API, with its port.
pub(crate) fn nsqd_address(given: &str) -> Result<String, String> {
    with_port(given, 4151)
}

fn with_port(given: &str, port: u16) -> Result<String, String> {
    let wanted = "wanted is HOST, HOST:PORT, http://HOST:PORT or https://HOST:PORT";
    let (scheme, rest) = match given.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => (format!("{scheme}://"), rest),
        Some(_) => return Err(wanted.to_owned()),
        None => (String::new(), given),
    };
    let rest = rest.trim_end_matches('/');
    // Behind the brackets of an IPv6 address.
    let tail = &rest[rest.rfind(']').map_or(0, |at| at + 1)..];
    let is_plain = |c: char| !c.is_whitespace() && !"/?#@".contains(c);
    let (host, has_port) = match tail.rsplit_once(':') {
        Some((_, digits)) if digits.parse::<u16>().is_ok_and(|port| port > 0) => {
            (&rest[..rest.len() - digits.len() - 1], true)
        }
        Some(_) => return Err(wanted.to_owned()),
        None => (rest, false),
    };
    let is_host = !host.is_empty()
        && host.chars().all(is_plain)
        && (!host.contains(':') || host.starts_with('['));
    match (is_host, has_port) {
        (false, _) => Err(wanted.to_owned()),
        (true, true) => Ok(format!("{scheme}{rest}")),
        (true, false) => Ok(format!("{scheme}{rest}:{port}")),
    }
}

/// The daemons to ask.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    /// How they are asked.
    pub(crate) client: Client,
    /// The nsqlookupds; if there are none, `nsqds` are all there is.
    pub(crate) lookupds: Vec<String>,
    /// The nsqds that were named.
    pub(crate) nsqds: Vec<String>,
}

/// An nsqd of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    /// Where its HTTP API is, which is also its name here.
    pub(crate) address: String,
    /// Its topics and whether it is hidden from who looks for them, if an nsqlookupd told.
    pub(crate) topics: Option<BTreeMap<String, bool>>,
}

impl Cluster {
    /// Takes the daemons of this machine.
    async fn take_local(&mut self) {
        let asked = self.client.get(LOCAL_LOOKUPD, "/ping").await;
        let is_absent = matches!(
            &asked,
            Err(RequestError { fault: Fault::Connect(cause), .. })
                if cause.kind() == io::ErrorKind::ConnectionRefused
        );
        if is_absent {
            self.nsqds = vec![LOCAL_NSQD.to_owned()];
        } else {
            self.lookupds = vec![LOCAL_LOOKUPD.to_owned()];
        }
    }

    /// All nsqds: those that nsqlookupds know of, or those that were named.
    ///
    /// # Errors
    ///
    /// No nsqlookupd answers.
    pub(crate) async fn nodes(&self) -> Result<Found<Vec<Node>>, Error> {
        if self.lookupds.is_empty() {
            return Ok(Found::all(self.named()));
        }
        let client = self.client.clone();
        let round = ask_all(self.lookupds.clone(), move |address| {
            let client = client.clone();
            async move { client.lookupd(&address).nodes().await }
        });
        let (lists, failures) = round.await.at_least_one()?;
        let mut nodes: Vec<Node> = Vec::new();
        for producer in lists.into_iter().flatten() {
            let hidden = producer.tombstones.iter().copied();
            let hidden = hidden.chain(std::iter::repeat(false));
            let address = producer.http_address();
            let topics = producer.topics.iter().cloned().zip(hidden).collect();
            add(&mut nodes, address, topics);
        }
        nodes.sort_by(|one, other| one.address.cmp(&other.address));
        Ok(Found {
            value: nodes,
            failures,
        })
    }

    /// The nsqds that have a topic, by what nsqlookupds say, or all that were named; `None` if no nsqlookupd knows it.
    ///
    /// # Errors
    ///
    /// No nsqlookupd answers.
    pub(crate) async fn producers(
        &self,
        topic: &TopicName,
    ) -> Result<Found<Option<Vec<Node>>>, Error> {
        if self.lookupds.is_empty() {
            return Ok(Found::all(Some(self.named())));
        }
        let (client, topic) = (self.client.clone(), topic.clone());
        let round = ask_all(self.lookupds.clone(), move |address| {
            let (client, topic) = (client.clone(), topic.clone());
            async move { client.lookupd(&address).lookup(&topic).await }
        });
        let (answers, failures) = round.await.at_least_one()?;
        let mut addresses: Option<Vec<String>> = None;
        for lookup in answers.into_iter().flatten() {
            let told = lookup.producers.iter().map(Producer::http_address);
            addresses.get_or_insert_default().extend(told);
        }
        let value = addresses.map(|mut addresses| {
            addresses.sort_unstable();
            addresses.dedup();
            addresses.into_iter().map(Node::at).collect()
        });
        Ok(Found { value, failures })
    }

    fn named(&self) -> Vec<Node> {
        self.nsqds.iter().cloned().map(Node::at).collect()
    }
}

impl Node {
    /// A node of which nothing else is known.
    pub(crate) fn at(address: String) -> Self {
        Self {
            address,
            topics: None,
        }
    }
}

/// Adds a node, or the topics that another nsqlookupd knows of it.
fn add(nodes: &mut Vec<Node>, address: String, topics: BTreeMap<String, bool>) {
    match nodes.iter_mut().find(|node| node.address == address) {
        None => nodes.push(Node {
            address,
            topics: Some(topics),
        }),
        Some(node) => {
            let known = node.topics.get_or_insert_default();
            let told_before = std::mem::replace(known, topics);
            known.extend(told_before);
        }
    }
}

/// What was found, and who did not tell.
#[derive(Debug)]
pub(crate) struct Found<T> {
    /// What was found.
    pub(crate) value: T,
    /// Who did not answer: there may be more.
    pub(crate) failures: Vec<RequestError>,
}

impl<T> Found<T> {
    fn all(value: T) -> Self {
        Self {
            value,
            failures: Vec::new(),
        }
    }

    /// What was found; who did not tell is named on stderr.
    pub(crate) fn warned(self) -> T {
        for error in &self.failures {
            warn(error);
        }
        self.value
    }
}

/// Names somebody who did not answer, on stderr.
pub(crate) fn warn(error: &RequestError) {
    eprintln!("nsq: {}: {}", error.address, error.fault);
}

/// What came of one question to many, in the order in which they were given.
#[derive(Debug)]
pub(crate) struct Round<T>(pub(crate) Vec<(String, Result<T, RequestError>)>);

impl<T> Round<T> {
    /// The answers, and who gave none.
    ///
    /// # Errors
    ///
    /// There is no answer at all.
    pub(crate) fn at_least_one(self) -> Result<(Vec<T>, Vec<RequestError>), Error> {
        let (mut answers, mut failures) = (Vec::new(), Vec::new());
        for (_, result) in self.0 {
            match result {
                Ok(answer) => answers.push(answer),
                Err(error) => failures.push(error),
            }
        }
        if answers.is_empty() {
            return Err(Error::Unanswered(failures));
        }
        Ok((answers, failures))
    }
}

/// Asks all at once and waits for the slowest, whose deadline is the client's.
pub(crate) async fn ask_all<T, F>(addresses: Vec<String>, ask: impl Fn(String) -> F) -> Round<T>
where
    F: Future<Output = Result<T, RequestError>> + Send + 'static,
    T: Send + 'static,
{
    let mut asking = JoinSet::new();
    for (index, address) in addresses.iter().enumerate() {
        let answer = ask(address.clone());
        asking.spawn(async move { (index, answer.await) });
    }
    let mut results = asking.join_all().await;
    results.sort_unstable_by_key(|(index, _)| *index);
    let results = results.into_iter().map(|(_, result)| result);
    Round(addresses.into_iter().zip(results).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_get_the_port_of_their_service() {
        let check = |given: &str, expected: &str| {
            assert_eq!(lookupd_address(given).as_deref(), Ok(expected));
        };
        check("host", "host:4161");
        check("host:80", "host:80");
        check("http://host:80/", "http://host:80");
        check("https://host", "https://host:4161");
        check("[::1]", "[::1]:4161");
        check("[::1]:80", "[::1]:80");
        assert_eq!(nsqd_address("host").as_deref(), Ok("host:4151"));
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_is() {
        for given in [
            "",
            ":4161",
            "host:",
            "host:0",
            "host:x",
            "::1",
            "ftp://host",
            "a b",
            "host/path",
        ] {
            let error = lookupd_address(given).unwrap_err();
            assert!(error.contains("wanted is HOST, HOST:PORT"), "{given}");
        }
    }

    #[test]
    fn what_several_nsqlookupds_tell_of_a_node_is_put_together() {
        let topics = |names: &[(&str, bool)]| {
            let owned = names
                .iter()
                .map(|(name, hidden)| ((*name).to_owned(), *hidden));
            owned.collect::<BTreeMap<_, _>>()
        };
        let mut nodes = Vec::new();
        add(&mut nodes, "a:1".to_owned(), topics(&[("x", true)]));
        let more = topics(&[("x", false), ("y", false)]);
        add(&mut nodes, "a:1".to_owned(), more);
        assert_eq!(nodes.len(), 1);
        let expected = topics(&[("x", true), ("y", false)]);
        assert_eq!(nodes[0].topics, Some(expected));
    }
}
