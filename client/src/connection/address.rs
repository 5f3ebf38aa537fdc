//! Where an nsqd listens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// `host:port`, or the path of a unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// Host name or IP address, and port; resolved anew for each connection.
    Tcp(String),
    /// A unix socket.
    Unix(PathBuf),
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no address; allowed are host:port, [IPv6]:port and the path of a unix socket with a '/'"
)]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    /// What has a `/` is a path, anything else must end in `:port`.
    fn from_str(text: &str) -> Result<Address, AddressError> {
        if text.contains('/') && !text.contains("://") {
            return Ok(Address::Unix(text.into()));
        }
        let bare_ipv6 = |host: &str| host.contains(':') && !host.ends_with(']');
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && !bare_ipv6(host) && is_port(port) => {
                Ok(Address::Tcp(text.to_owned()))
            }
            _ => Err(AddressError(text.to_owned())),
        }
    }
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 0)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(host_and_port) => f.write_str(host_and_port),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_paths_are_told_apart() {
        let tcp = |text: &str| assert_eq!(text.parse(), Ok(Address::Tcp(text.into())));
        tcp("127.0.0.1:4150");
        tcp("nsqd.example:65535");
        tcp("[::1]:4150");
        let unix = |text: &str| assert_eq!(text.parse(), Ok(Address::Unix(text.into())));
        unix("/run/nsqd.sock");
        unix("./nsqd.sock");
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in [
            "",
            "host",
            ":4150",
            "host:",
            "host:0",
            "host:65536",
            "::1:4150",
            "http://a:1",
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("{text:?} is no address"))
            );
        }
    }
}
