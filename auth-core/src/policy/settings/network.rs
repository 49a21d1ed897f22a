//! Networks of addresses, as `192.0.2.0/24`, `2001:db8::/32` or a single address.

use std::{net::IpAddr, str::FromStr};

/// A network of addresses, never all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text names no network that may be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Not an address, with or without a prefix length.
    #[error("`{0}` is no address or network, as `192.0.2.1` or `192.0.2.0/24`")]
    Malformed(String),
    /// The prefix length takes in everyone.
    #[error("`{0}` takes in every address; name the proxies")]
    Everyone(String),
    /// Bits stand beyond the prefix, so that it is not clear what is meant.
    #[error("`{0}` has bits set beyond its prefix length")]
    HostBits(String),
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let malformed = || NetworkError::Malformed(text.chars().take(64).collect());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| malformed())?;
        let longest = width(address);
        let prefix = match prefix {
            None => longest,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| malformed())?
            }
            Some(_) => return Err(malformed()),
        };
        if prefix > longest {
            return Err(malformed());
        }
        if prefix == 0 {
            return Err(NetworkError::Everyone(text.to_owned()));
        }
        let network = Self { address, prefix };
        if bits(address) != network.masked(address) {
            return Err(NetworkError::HostBits(text.to_owned()));
        }
        Ok(network)
    }
}

/// As the policy file has it.
impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Network {
    /// Whether one of the networks holds the address.
    #[must_use]
    pub fn any_contains(networks: &[Self], address: IpAddr) -> bool {
        networks.iter().any(|network| network.contains(address))
    }

    /// Whether the address is in the network. An IPv4 address that came as an IPv6 one
    /// (`::ffff:192.0.2.1`) counts as what it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        width(address) == width(self.address) && self.masked(address) == bits(self.address)
    }

    fn masked(&self, address: IpAddr) -> u128 {
        let host = u32::from(width(address).saturating_sub(self.prefix));
        bits(address).checked_shr(host).unwrap_or(0) << host
    }
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        for (network, address, expected) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.0/24", "::ffff:192.0.2.7", true),
            ("128.0.0.0/1", "255.255.255.255", true),
            ("128.0.0.0/1", "127.0.0.1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("::1", "::1", true),
            ("::1", "0.0.0.1", false),
        ] {
            let parsed: Network = network.parse().unwrap();
            let address = address.parse().unwrap();
            assert_eq!(parsed.contains(address), expected, "{network} {address}");
        }
    }

    #[test]
    fn what_trusts_everyone_or_is_unclear_is_refused() {
        for text in ["0.0.0.0/0", "::/0"] {
            assert!(matches!(
                text.parse::<Network>(),
                Err(NetworkError::Everyone(_))
            ));
        }
        for text in [
            "",
            "proxy",
            "192.0.2.0/33",
            "192.0.2.0/",
            "192.0.2.0/+8",
            "*",
        ] {
            assert!(matches!(
                text.parse::<Network>(),
                Err(NetworkError::Malformed(_))
            ));
        }
        assert!(matches!(
            "192.0.2.1/24".parse::<Network>(),
            Err(NetworkError::HostBits(_))
        ));
    }
}
