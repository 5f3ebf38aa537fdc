//! Ranges of addresses: `127.0.0.1/8`, `fd00::/8`.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// A range of IP addresses. Bits of the address below the prefix are ignored, as in the reference's `127.0.0.1/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    /// How many leading bits count: 0 to 32, or 0 to 128.
    prefix: u32,
}

/// The text is no range of addresses.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a range of addresses; allowed is address/bits, as in 127.0.0.1/8 or fd00::/8")]
pub struct CidrError;

impl Cidr {
    /// True if `address` is in the range. An IPv4 address that arrives in IPv6 form is taken for what it is.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let differing = (ours.to_bits() ^ theirs.to_bits()).leading_zeros();
                differing >= self.prefix
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let differing = (ours.to_bits() ^ theirs.to_bits()).leading_zeros();
                differing >= self.prefix
            }
            _ => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, bits) = text.split_once('/').ok_or(CidrError)?;
        let address: IpAddr = address.parse().map_err(|_| CidrError)?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let is_plain = bits.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = bits.parse().ok().filter(|bits| *bits <= bits_max);
        let prefix = prefix.filter(|_| is_plain).ok_or(CidrError)?;
        Ok(Self { address, prefix })
    }
}

/// True for addresses that mean something else on each host: link-local ones, where clouds keep their credentials.
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address == METADATA_V6,
    }
}

/// The metadata service of a large cloud, which is not link-local in IPv6.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_in_their_range_only() {
        let check = |range: &str, address: &str, is_in| {
            let range: Cidr = range.parse().unwrap();
            assert_eq!(range.contains(address.parse().unwrap()), is_in, "{address}");
        };
        check("127.0.0.1/8", "127.255.0.9", true);
        check("127.0.0.1/8", "::ffff:127.0.0.1", true);
        check("127.0.0.1/8", "128.0.0.1", false);
        check("127.0.0.1/8", "::1", false);
        check("0.0.0.0/0", "255.1.2.3", true);
        check("10.1.2.3/32", "10.1.2.3", true);
        check("10.1.2.3/32", "10.1.2.2", false);
        check("fd00::/8", "fd12::1", true);
        check("::1/128", "::1", true);
        check("::1/128", "::2", false);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "/",
            "127.0.0.1",
            "127.0.0.1/33",
            "::1/129",
            "a/8",
            "1.2.3.4/+8",
            "1.2.3.4/",
        ] {
            assert_eq!(text.parse::<Cidr>(), Err(CidrError), "{text:?}");
        }
    }

    #[test]
    fn link_local_addresses_are_known_in_every_form() {
        for text in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
        ] {
            assert!(is_link_local(text.parse().unwrap()), "{text}");
        }
        for text in ["127.0.0.1", "10.0.0.1", "::1", "fd00::254"] {
            assert!(!is_link_local(text.parse().unwrap()), "{text}");
        }
    }
}
