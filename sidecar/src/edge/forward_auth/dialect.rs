//! How each proxy asks: at an endpoint of its own, with headers of its own (PROTOCOLS 1.3). An
//! endpoint reads no other dialect's headers, since a proxy passes on what it does not set itself.

use axum::http::HeaderName;

/// What all endpoints are below.
const ROOT: &str = "/forward-auth";

/// A proxy's way to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// No proxy's in particular.
    Plain,
    /// `auth_request` of nginx, with the headers that our printed configuration sets.
    Nginx,
    /// ForwardAuth of Traefik.
    Traefik,
    /// `forward_auth` of Caddy, from 2.11.4.
    Caddy,
}

/// The headers in which a proxy describes a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Described {
    pub(super) method: &'static str,
    pub(super) host: &'static str,
    pub(super) uri: &'static str,
    pub(super) proto: &'static str,
    pub(super) needs_proto: bool,
    pub(super) client: &'static str,
}

const FORWARDED: Described = Described {
    method: "x-forwarded-method",
    host: "x-forwarded-host",
    uri: "x-forwarded-uri",
    proto: "x-forwarded-proto",
    needs_proto: true,
    client: "x-forwarded-for",
};

impl Dialect {
    /// All.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Nginx, Self::Traefik, Self::Caddy];

    /// Its name, in logs and in the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Nginx => "nginx",
            Self::Traefik => "traefik",
            Self::Caddy => "caddy",
        }
    }

    /// The path of its endpoint.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Plain => ROOT,
            Self::Nginx => "/forward-auth/nginx",
            Self::Traefik => "/forward-auth/traefik",
            Self::Caddy => "/forward-auth/caddy",
        }
    }

    pub(super) const fn described(self) -> Described {
        match self {
            Self::Plain => Described {
                needs_proto: false,
                ..FORWARDED
            },
            Self::Traefik | Self::Caddy => FORWARDED,
            // Names that no client library sets by itself, and of nginx only the configuration.
            Self::Nginx => Described {
                method: "x-original-method",
                host: "x-original-host",
                uri: "x-original-uri",
                proto: "x-original-proto",
                needs_proto: false,
                client: "x-original-for",
            },
        }
    }

    /// Whether a refusal must be 401 or 403: nginx makes a 500 of any other status.
    pub(super) const fn knows_two_refusals(self) -> bool {
        matches!(self, Self::Nginx)
    }

    /// Whether a header of ours in the proxy's question is one that it hands on to the app: nginx takes
    /// headers away by their whole name only, and our printed configuration takes those that it
    /// knows away from both.
    pub(super) const fn hands_on_ours(self) -> bool {
        matches!(self, Self::Nginx)
    }

    /// Whether an allow has its cookies in headers of their own too: nginx and Caddy keep one
    /// `Set-Cookie` only, or join several with a comma (PROTOCOLS section 5).
    pub(super) const fn numbers_cookies(self) -> bool {
        matches!(self, Self::Nginx | Self::Caddy)
    }
}

impl Described {
    pub(super) fn client(&self) -> HeaderName {
        HeaderName::from_static(self.client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_has_an_endpoint_of_its_own() {
        for (index, dialect) in Dialect::ALL.into_iter().enumerate() {
            let others = &Dialect::ALL[index + 1..];
            assert!(others.iter().all(|other| other.path() != dialect.path()));
            assert!(dialect.path().ends_with(dialect.as_str()) || dialect == Dialect::Plain);
        }
    }
}
