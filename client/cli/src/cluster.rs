//! The daemons of a cluster in this process, on the loopback interface.

use std::fmt::{self, Write as _};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use clap::Parser as _;
use client::connection::Address;
use client::daemon::log::{self, LogLevel};
use tempfile::TempDir;

use crate::error::Error;

/// Where all daemons listen.
const HOST: &str = "127.0.0.1";

/// Where the daemons listen and keep their data.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Data of nsqd; `None` is a new directory that goes with the cluster.
    pub(crate) data_path: Option<PathBuf>,
    /// Port of nsqd for the protocol; 0 is any free one.
    pub(crate) tcp_port: u16,
    /// Port of nsqd for HTTP; 0 is any free one.
    pub(crate) http_port: u16,
    /// Port of nsqlookupd for nsqds; 0 is any free one.
    pub(crate) lookupd_tcp_port: u16,
    /// Port of nsqlookupd for HTTP; 0 is any free one.
    pub(crate) lookupd_http_port: u16,
    /// Port of nsqadmin; 0 is any free one.
    pub(crate) admin_http_port: u16,
    /// What the daemons log on stderr.
    pub(crate) log_level: LogLevel,
}

impl Default for Settings {
    /// Any free ports, data that goes with the cluster, and a log of what is odd.
    fn default() -> Settings {
        Settings {
            data_path: None,
            tcp_port: 0,
            http_port: 0,
            lookupd_tcp_port: 0,
            lookupd_http_port: 0,
            admin_http_port: 0,
            log_level: LogLevel::Warn,
        }
    }
}

/// Daemons that run.
pub(crate) struct Cluster {
    /// In the order of their start.
    components: Vec<Component>,
    nsqd_tcp_address: Address,
    lookupd_http_address: String,
    data: Data,
}

/// One daemon.
struct Component {
    name: &'static str,
    /// What is spoken there, and the address.
    addresses: Vec<(&'static str, String)>,
    /// Owns the daemon, and stops it when polled.
    stop: Pin<Box<dyn Future<Output = io::Result<()>>>>,
}

impl Cluster {
    /// Starts every daemon.
    pub(crate) async fn start(settings: Settings) -> Result<Cluster, Error> {
        let data = Data::open(settings.data_path.as_deref())?;
        let lookupd = start_lookupd(&settings).await?;
        let nsqd = start_nsqd(&settings, lookupd.tcp_address(), data.path()).await?;
        let nsqd_tcp_address = nsqd.tcp_address().parse();
        let nsqd_tcp_address = nsqd_tcp_address.expect("nsqd listens where one can connect");
        let lookupd_http_address = lookupd.http_address().to_owned();
        let admin = start_admin(&settings, &lookupd_http_address).await?;
        Ok(Cluster {
            components: vec![
                lookupd_component(lookupd),
                nsqd_component(nsqd),
                admin_component(admin),
            ],
            nsqd_tcp_address,
            lookupd_http_address,
            data,
        })
    }

    /// Where to ask who has a topic.
    pub(crate) fn lookupd_http_address(&self) -> &str {
        &self.lookupd_http_address
    }

    /// Where to publish and consume.
    pub(crate) fn nsqd_tcp_address(&self) -> &Address {
        &self.nsqd_tcp_address
    }

    /// Stops every daemon cleanly, the last one started first.
    pub(crate) async fn stop(self) -> Result<(), Error> {
        for component in self.components.into_iter().rev() {
            component.stop.await.map_err(|error| Error::Daemon {
                daemon: component.name,
                cause: error.to_string(),
            })?;
        }
        Ok(())
    }
}

impl fmt::Display for Cluster {
    /// Who runs where, a line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for component in &self.components {
            let mut addresses = String::new();
            for (protocol, address) in &component.addresses {
                write!(addresses, "  {protocol} {address}")?;
            }
            writeln!(f, "{:<10}{addresses}", component.name)?;
        }
        match &self.data {
            Data::Kept(path) => writeln!(f, "{:<10}  {}", "data", path.display()),
            Data::Temporary(directory) => {
                let path = directory.path().display();
                writeln!(f, "{:<10}  {path}, removed at the end", "data")
            }
        }
    }
}

/// Where data lies.
enum Data {
    Kept(PathBuf),
    /// Removed when dropped.
    Temporary(TempDir),
}

impl Data {
    fn open(path: Option<&Path>) -> Result<Data, Error> {
        if let Some(path) = path {
            let failed = |cause| Error::DataDirectory {
                path: path.to_owned(),
                cause,
            };
            std::fs::create_dir_all(path).map_err(failed)?;
            return Ok(Data::Kept(path.to_owned()));
        }
        let directory = tempfile::Builder::new().prefix("nsq-dev-").tempdir();
        directory
            .map(Data::Temporary)
            .map_err(|cause| Error::DataDirectory {
                path: std::env::temp_dir(),
                cause,
            })
    }

    fn path(&self) -> &Path {
        match self {
            Data::Kept(path) => path,
            Data::Temporary(directory) => directory.path(),
        }
    }
}

async fn start_lookupd(settings: &Settings) -> Result<lookupd::Daemon, Error> {
    let failed = |cause: String| Error::Daemon {
        daemon: "nsqlookupd",
        cause,
    };
    let mut flags = lookupd::Flags::parse_from(["nsqlookupd"]);
    flags.tcp_address = loopback(settings.lookupd_tcp_port);
    flags.http_address = loopback(settings.lookupd_http_port);
    flags.broadcast_address = Some(HOST.to_owned());
    let options = lookupd::Options::check(flags).map_err(|error| failed(error.to_string()))?;
    let log = log::init("[nsq] ", settings.log_level);
    let started = lookupd::Daemon::start(options, log).await;
    started.map_err(|error| failed(error.to_string()))
}

fn lookupd_component(daemon: lookupd::Daemon) -> Component {
    Component {
        name: "nsqlookupd",
        addresses: vec![
            ("TCP", daemon.tcp_address().to_owned()),
            ("HTTP", format!("http://{}", daemon.http_address())),
        ],
        stop: Box::pin(async {
            daemon.stop().await;
            Ok(())
        }),
    }
}

async fn start_nsqd(
    settings: &Settings,
    lookupd: &str,
    data_path: &Path,
) -> Result<nsqd::Daemon, Error> {
    let failed = |cause: String| Error::Daemon {
        daemon: "nsqd",
        cause,
    };
    let mut flags = nsqd::Flags::parse_from(["nsqd"]);
    flags.tcp_address = loopback(settings.tcp_port);
    flags.http_address = loopback(settings.http_port);
    flags.broadcast_address = Some(HOST.to_owned());
    flags.lookupd_tcp_address = vec![lookupd.to_owned()];
    flags.data_path = data_path.into();
    let options = nsqd::Options::check(flags).map_err(|error| failed(error.to_string()))?;
    let log = log::init("[nsq] ", settings.log_level);
    let started = nsqd::Daemon::start(options, log).await;
    started.map_err(|error| failed(error.to_string()))
}

async fn start_admin(settings: &Settings, lookupd_http: &str) -> Result<admin::Daemon, Error> {
    let failed = |cause: String| Error::Daemon {
        daemon: "nsqadmin",
        cause,
    };
    let mut flags = admin::Flags::parse_from(["nsqadmin"]);
    flags.http_address = loopback(settings.admin_http_port);
    flags.lookupd_http_address = vec![lookupd_http.to_owned()];
    let options = admin::Options::check(flags).map_err(|error| failed(error.to_string()))?;
    let log = log::init("[nsq] ", settings.log_level);
    let started = admin::Daemon::start(options, log).await;
    started.map_err(|error| failed(error.to_string()))
}

fn admin_component(daemon: admin::Daemon) -> Component {
    Component {
        name: "nsqadmin",
        addresses: vec![("HTTP", format!("http://{}", daemon.http_address()))],
        stop: Box::pin(async {
            daemon.stop().await;
            Ok(())
        }),
    }
}

fn loopback(port: u16) -> String {
    format!("{HOST}:{port}")
}

fn nsqd_component(daemon: nsqd::Daemon) -> Component {
    let mut addresses = vec![("TCP", daemon.tcp_address().to_owned())];
    if let Some(address) = daemon.http_address() {
        addresses.push(("HTTP", format!("http://{address}")));
    }
    Component {
        name: "nsqd",
        addresses,
        stop: Box::pin(daemon.stop()),
    }
}
