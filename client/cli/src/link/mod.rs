//! How commands reach nsqds: the flags for addresses, TLS, compression and secrets, and what is made of them.

mod settings;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use client::connection::{Address, ConnectError, ConnectOptions};
use client::consumer::{ConnectPolicy, Consumer, ConsumerBuilder};
use client::daemon::flags::COMPATIBLE_VERSION;
use client::producer::{Producer, ProducerBuilder};
use client::wire::{ChannelName, TopicName};

pub(crate) use self::settings::{Setting, Settings};
use crate::error::Error;
use crate::tls::TlsFlags;

/// Where a topic is consumed from.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Sources {
    /// nsqd to consume from: host:port, or the path of a unix socket; may be repeated [default:
    /// 127.0.0.1:4150]
    #[arg(long, value_name = "ADDRESS", help_heading = "Connection")]
    pub(crate) nsqd_tcp_address: Vec<Address>,

    /// nsqlookupd that knows nsqds: its HTTP address; may be repeated
    #[arg(
        long,
        value_name = "ADDRESS",
        value_parser = crate::targets::lookupd_address,
        conflicts_with = "nsqd_tcp_address",
        help_heading = "Connection"
    )]
    pub(crate) lookupd_http_address: Vec<String>,
}

/// How to connect.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Link {
    /// Demand TLS of nsqd
    #[arg(long, help_heading = "Connection")]
    tls: bool,

    #[command(flatten)]
    files: TlsFlags,

    /// File with the secret for nsqds that ask for one
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    auth_secret_file: Option<PathBuf>,

    /// Any option of the client by name, such as `snappy` or `msg_timeout=2m`; may be repeated
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Connection")]
    pub(crate) set: Vec<Setting>,
}

impl Link {
    /// A link of nothing but these options.
    pub(crate) fn of(settings: Vec<Setting>) -> Link {
        Link {
            set: settings,
            ..Link::default()
        }
    }

    /// The options of a client that `tool` is the name of.
    ///
    /// # Errors
    /// The file of the secret cannot be read.
    pub(crate) fn settings(&self, tool: &str) -> Result<Settings, Error> {
        let mut settings = Settings::default();
        for setting in &self.set {
            settings.set(setting).map_err(Error::Usage)?;
        }
        settings.tls |= self.tls || self.files.are_given();
        self.files.add_to(&mut settings.client_tls);
        if let Some(path) = &self.auth_secret_file {
            let secret = std::fs::read(path).map_err(|cause| Error::Input {
                path: path.display().to_string(),
                cause,
            })?;
            settings.connect.auth_secret = Some(secret.trim_ascii_end().to_vec());
        }
        let identify = &mut settings.connect.identify;
        let library = identify.user_agent.take().unwrap_or_default();
        identify.user_agent = Some(format!("{tool}/{COMPATIBLE_VERSION} {library}"));
        Ok(settings)
    }

    /// How `tool` connects.
    ///
    /// # Errors
    /// A file that was named cannot be used.
    pub(crate) fn connect_options(&self, tool: &str) -> Result<ConnectOptions, Error> {
        self.settings(tool)?.connect_options()
    }

    /// A producer for these nsqds, to be built.
    ///
    /// # Errors
    /// A file that was named cannot be used.
    pub(crate) fn producer(&self, tool: &str, nsqds: &[Address]) -> Result<ProducerBuilder, Error> {
        let builder = Producer::builder().options(self.connect_options(tool)?);
        let add = |builder: ProducerBuilder, nsqd: &Address| builder.nsqd(nsqd.to_string());
        Ok(nsqds.iter().fold(builder, add))
    }
}

impl Sources {
    /// The nsqds that are known without an nsqlookupd: those that were named, or the one of this machine if nothing was.
    pub(crate) fn nsqds(&self) -> Vec<Address> {
        if self.nsqd_tcp_address.is_empty() && self.lookupd_http_address.is_empty() {
            return vec![local_nsqd()];
        }
        self.nsqd_tcp_address.clone()
    }

    /// What a start waits for: nsqds that were named should be there, those that nsqlookupd tells of may come later.
    pub(crate) fn policy(&self) -> ConnectPolicy {
        if self.lookupd_http_address.is_empty() {
            ConnectPolicy::RequireAny(CONNECT_TIMEOUT)
        } else {
            ConnectPolicy::Lazy
        }
    }

    /// A consumer of these sources, to be started.
    ///
    /// # Errors
    /// A file that was named cannot be used.
    pub(crate) fn consumer(
        &self,
        link: &Link,
        tool: &str,
        topic: &TopicName,
        channel: &ChannelName,
    ) -> Result<ConsumerBuilder, Error> {
        let settings = link.settings(tool)?;
        let mut builder = Consumer::builder(topic.clone(), channel.clone());
        for address in self.nsqds() {
            builder = builder.nsqd(address.to_string());
        }
        for address in &self.lookupd_http_address {
            builder = builder.lookupd(address);
        }
        builder = settings.configure(builder);
        Ok(builder.options(settings.connect_options()?))
    }
}

/// Waits until an nsqd of the producer is connected.
///
/// # Errors
/// The first attempt has failed at each of them; why at the first.
pub(crate) async fn reach(producer: &Producer) -> Result<(), Arc<ConnectError>> {
    let mut events = producer.events();
    loop {
        let nodes = producer.nodes();
        if nodes.iter().any(|node| node.connected) {
            return Ok(());
        }
        let errors = nodes.into_iter().map(|node| node.last_error);
        if let Some([error, ..]) = errors.collect::<Option<Vec<_>>>().as_deref() {
            return Err(Arc::clone(error));
        }
        // Whatever has happened, or was missed, is seen above.
        let _ = events.recv().await;
    }
}

/// How long the nsqds named may take to be there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The nsqd of this machine.
pub(crate) fn local_nsqd() -> Address {
    Address::Tcp("127.0.0.1:4150".to_owned())
}
