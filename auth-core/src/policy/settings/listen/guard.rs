//! What an address that other machines reach must have.

/// What keeps strangers from reading along where an address can be reached from other machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Guard {
    /// The listener speaks TLS.
    Tls,
    /// It would, with `tls` under this key.
    Missing(&'static str),
    /// It is served in the clear only.
    Never,
    /// What is wrong with such an address is said elsewhere.
    Elsewhere,
}

impl Guard {
    /// What to do about such an address.
    pub(super) fn help(self) -> Option<String> {
        match self {
            Self::Tls | Self::Elsewhere => None,
            Self::Missing(key) => Some(format!(
                "add `tls: {{ certificate: FILE, key: FILE }}` to `{key}`, or write a loopback \
                 address as `127.0.0.1:7480`, or `unix:PATH`"
            )),
            Self::Never => Some(
                "probes and metrics are served to this machine only: write a loopback address as \
                 `127.0.0.1:7482`"
                    .to_owned(),
            ),
        }
    }
}
