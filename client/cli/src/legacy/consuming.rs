//! The flags that say where an old tool consumes, and how it connects there.

use crate::error::Error;
use crate::link::{Link, Setting, Sources};
use crate::targets::lookupd_address;

/// See the module.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Consuming {
    /// nsqd TCP address (may be given multiple times)
    #[arg(long)]
    nsqd_tcp_address: Vec<String>,

    /// lookupd HTTP address (may be given multiple times)
    #[arg(long)]
    lookupd_http_address: Vec<String>,

    /// option to passthrough to nsq.Consumer (may be given multiple times)
    #[arg(long)]
    consumer_opt: Vec<Setting>,
}

impl Consuming {
    /// nsqds or nsqlookupds, either of which must be named.
    pub(super) fn sources(&self) -> Result<Sources, Error> {
        let (nsqds, lookupds) = (&self.nsqd_tcp_address, &self.lookupd_http_address);
        if nsqds.is_empty() == lookupds.is_empty() {
            let rule = if nsqds.is_empty() {
                "--nsqd-tcp-address or --lookupd-http-address required"
            } else {
                "use --nsqd-tcp-address or --lookupd-http-address, not both"
            };
            return Err(Error::Usage(rule.to_owned()));
        }
        let lookupds = lookupds.iter().map(|address| {
            lookupd_address(address)
                .map_err(|rule| Error::Usage(format!("--lookupd-http-address {address:?}: {rule}")))
        });
        Ok(Sources {
            nsqd_tcp_address: super::addresses("nsqd-tcp-address", nsqds)?,
            lookupd_http_address: lookupds.collect::<Result<_, _>>()?,
        })
    }

    /// The options of the client.
    pub(super) fn link(self) -> Link {
        Link::of(self.consumer_opt)
    }
}
