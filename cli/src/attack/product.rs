//! Which proxies a request passed, by what they say in answers and what they add to requests.

use serde::Serialize;

use super::wire::Headers;

/// A proxy of which Sidegate prints a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Product {
    /// nginx.
    Nginx,
    /// Caddy.
    Caddy,
    /// Traefik.
    Traefik,
    /// Envoy.
    Envoy,
}

impl Product {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Nginx, Self::Caddy, Self::Traefik, Self::Envoy];

    /// Its name, as its makers write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "Caddy",
            Self::Traefik => "Traefik",
            Self::Envoy => "Envoy",
        }
    }

    /// The one of them that hands on names with an underscore, which the others do not.
    #[must_use]
    pub const fn with_aliases(self) -> &'static str {
        match self {
            Self::Nginx => "nginx with `underscores_in_headers on`",
            Self::Caddy => "Caddy before 2.11.4",
            Self::Traefik => "Traefik without `aliasHeadersStrategy: delete`",
            Self::Envoy => "Envoy without `headers_with_underscores_action: DROP_HEADER`",
        }
    }

    /// Those that an honest request has passed, by its answer and by what reached the app of it.
    #[must_use]
    pub fn passed(answer: &Headers, reached: &Headers) -> Vec<Self> {
        let all = Self::ALL.into_iter();
        all.filter(|it| it.says(answer) || it.adds(reached))
            .collect()
    }

    fn says(self, answer: &Headers) -> bool {
        let name = self.name().to_ascii_lowercase();
        let names = ["server", "via"].into_iter();
        let mut values = names.flat_map(|header| answer.all(header));
        values.any(|value| value.to_ascii_lowercase().contains(&name))
    }

    /// Traefik says nothing of itself in answers.
    fn adds(self, reached: &Headers) -> bool {
        let is_there = |name: &str| reached.first(name).is_some();
        match self {
            Self::Nginx | Self::Caddy => false,
            Self::Traefik => ["X-Forwarded-Server", "X-Forwarded-Port", "X-Real-Ip"]
                .into_iter()
                .all(is_there),
            Self::Envoy => is_there("X-Envoy-Expected-Rq-Timeout-Ms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> Headers {
        let lines: Vec<_> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
        Headers::parse(&lines)
    }

    #[test]
    fn a_proxy_is_known_by_what_it_says_or_adds() {
        let traefik = [
            "X-Forwarded-Server: h",
            "X-Forwarded-Port: 80",
            "X-Real-Ip: ::1",
        ];
        let rows: [(&[&str], &[&str], &[Product]); 7] = [
            (&["Server: nginx/1.22.1"], &[], &[Product::Nginx]),
            (&["Server: Caddy"], &[], &[Product::Caddy]),
            (
                &["Via: 1.1 Caddy", "Server: envoy"],
                &[],
                &[Product::Caddy, Product::Envoy],
            ),
            (&[], &traefik, &[Product::Traefik]),
            // Apache adds the first as well.
            (&[], &traefik[..1], &[]),
            (
                &[],
                &["x-envoy-expected-rq-timeout-ms: 15000"],
                &[Product::Envoy],
            ),
            (&["Via: 1.1 sidegate"], &["X-Real-Ip: ::1"], &[]),
        ];
        for (answer, reached, expected) in rows {
            let passed = Product::passed(&headers(answer), &headers(reached));
            assert_eq!(passed, expected, "{answer:?} {reached:?}");
        }
    }
}
