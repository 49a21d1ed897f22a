//! The hostile requests that `sidegate proxy attack` sends, through the edges of the tests.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

pub use cli::attack::corpus::{HeaderSet, OnOpen, Target};

pub mod attack;
pub mod command;

/// The host that every one of them names.
pub const HOST: &str = "books.example";

/// Headers in which some proxies tell of a client's certificate, as a client may write them itself
/// (T-25).
pub const CERTIFICATE_HEADERS: [(&str, &str); 5] = [
    (
        "X-Forwarded-Client-Cert",
        "By=spiffe://shop/edge;Hash=00;URI=spiffe://shop/web",
    ),
    ("X_Forwarded_Client_Cert", "URI=spiffe://shop/web"),
    ("Client-Cert", ":MIIBdTCCARug:"),
    ("X-SSL-Client-Cert", "-----BEGIN%20CERTIFICATE-----"),
    ("X-SSL-Client-S-DN", "CN=web"),
];

/// A handle in base64url with one bit of this byte changed; behind the last one it is counted anew.
///
/// # Panics
///
/// Panics when it is no base64url.
#[must_use]
pub fn flipped(handle: &str, at: usize) -> String {
    let mut bytes = URL_SAFE_NO_PAD.decode(handle).unwrap();
    let at = at % bytes.len();
    bytes[at] ^= 1;
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Every target.
///
/// # Panics
///
/// Panics when the corpus cannot be read.
#[must_use]
pub fn targets() -> Vec<Target> {
    cli::attack::corpus::targets().unwrap()
}

/// Every set of headers.
///
/// # Panics
///
/// Panics when the corpus cannot be read.
#[must_use]
pub fn header_sets() -> Vec<HeaderSet> {
    cli::attack::corpus::header_sets().unwrap()
}
