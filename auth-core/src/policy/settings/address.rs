//! Where to listen, and whom to trust.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// A unix socket.
    Unix(PathBuf),
    /// TCP; port 0 picks one.
    Tcp(SocketAddr),
}

impl Address {
    /// Reads `unix:PATH`, `IP:PORT` or `localhost:PORT`; a relative path is taken from `folder`.
    ///
    /// # Errors
    ///
    /// Says what is wrong, in words for a diagnostic.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() || path.contains('\0') {
                return Err(format!("`{}` names no socket", text.escape_debug()));
            }
            return Ok(Self::Unix(folder.join(path)));
        }
        let numeric = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => text.to_owned(),
        };
        numeric
            .parse()
            .map(Self::Tcp)
            .map_err(|_| format!("`{}` is no address", text.escape_debug()))
    }

    /// Whether only processes on this machine can reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(address) => is_loopback(address.ip()),
        }
    }
}

/// As the policy file has it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// An address or a network of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    ip: IpAddr,
    /// How many leading bits count.
    prefix: u8,
}

impl Network {
    /// Whether the address belongs to it. An IPv4 address in IPv6 form counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.ip, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.prefix.min(32));
                (u32::from(own) ^ u32::from(other))
                    .checked_shr(shift)
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.prefix.min(128));
                (u128::from(own) ^ u128::from(other))
                    .checked_shr(shift)
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// Reads `192.0.2.1` or `192.0.2.0/24`.
impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{}` is no address or network", text.escape_debug());
        let (ip, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((ip, prefix)) => (ip, Some(prefix)),
        };
        let ip: IpAddr = ip.parse().map_err(|_| bad())?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(prefix) => prefix.parse().map_err(|_| bad())?,
        };
        if prefix > most {
            return Err(format!("`{text}` has more than {most} leading bits"));
        }
        Ok(Self { ip, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_the_addresses_that_share_its_leading_bits() {
        for (network, address, expected) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("192.0.2.0/24", "::ffff:192.0.2.7", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db8::1", true),
        ] {
            let parsed: Network = network.parse().unwrap();
            let address = address.parse().unwrap();
            assert_eq!(parsed.contains(address), expected, "{network} {address}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "localhost",
            "192.0.2.0/33",
            "192.0.2.0/-1",
            "192.0.2.0/",
            "::/129",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
