//! What mends a hole in a proxy's configuration.

use crate::attack::judge::Finding;

const PRINT: &str = "print the configuration anew with `sidegate proxy print`, and keep its lines \
                     on paths: what is decided must be what is forwarded";
const ALIASES: &str = "nginx: `underscores_in_headers off`. Caddy: 2.11 or newer. Traefik: 3.7 or \
                       newer with `aliasHeadersStrategy: delete`. Envoy: \
                       `headers_with_underscores_action: DROP_HEADER` and the stripping filter of \
                       `sidegate proxy print envoy`";
const SPOOFED: &str = "set or remove every `Sidegate-` header towards the app, as `sidegate proxy \
                       print` does. Caddy before 2.11 and Traefik's unlisted headers let a \
                       client's own copy pass";
const FRAMING: &str = "use a newer version of the proxy: it forwards requests whose end is read in \
                       two ways (RFC 9112 section 6.3)";
const CREDENTIALS: &str = "send every copy of a credential to Sidegate unjoined and let it refuse \
                           them, as `sidegate proxy print` does";
const UNDECIDED: &str = "let the proxy ask Sidegate for every path before it asks the app, as \
                         `sidegate proxy print` does, and let the policy deny this one";
const DOWN: &str = "the proxy stopped serving: see its log, and its limits on connections";

/// What mends it.
pub(super) fn advice(finding: &Finding) -> &'static str {
    match finding.class.as_str() {
        _ if finding.what.contains("closed target") => UNDECIDED,
        "" => DOWN,
        "identity" | "write_back" | "hop_by_hop" | "injection" if is_alias(finding) => ALIASES,
        "identity" | "write_back" | "hop_by_hop" | "injection" | "agent" => SPOOFED,
        "framing" | "bomb" => FRAMING,
        "credentials" => CREDENTIALS,
        _ => PRINT,
    }
}

/// Whether what reached the app is another spelling of a name of ours.
fn is_alias(finding: &Finding) -> bool {
    let what = finding.what.to_ascii_lowercase();
    what.contains("`sidegate_") || what.contains("`sidegate.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::corpus::{header_sets, targets};

    fn finding(class: &str, what: &str) -> Finding {
        Finding {
            name: "n".to_owned(),
            class: class.to_owned(),
            what: what.to_owned(),
            why: String::new(),
        }
    }

    #[test]
    fn another_spelling_is_told_from_a_plain_copy() {
        let alias = finding("identity", "brought `Sidegate_Subject: evil` to the app");
        let plain = finding("identity", "brought `sidegate-subject: evil` to the app");
        assert_eq!((advice(&alias), advice(&plain)), (ALIASES, SPOOFED));
    }

    #[test]
    fn a_closed_target_that_was_reached_is_the_decisions_fault() {
        let reached = finding("identity", "reached the app on a closed target");
        assert_eq!(advice(&reached), UNDECIDED);
    }

    #[test]
    fn each_class_of_headers_has_its_own_advice() {
        let classes = header_sets().unwrap().into_iter().map(|it| it.class);
        for class in classes.collect::<std::collections::BTreeSet<_>>() {
            let expected = match class.as_str() {
                "framing" | "bomb" => FRAMING,
                "credentials" => CREDENTIALS,
                // The printed configurations remove these, and set their own.
                "forwarded" | "method_override" | "original" => PRINT,
                _ => SPOOFED,
            };
            assert_eq!(advice(&finding(&class, "x")), expected, "{class}");
        }
    }

    #[test]
    fn only_a_proxy_that_stopped_is_called_down() {
        let classes = targets().unwrap().into_iter().map(|it| it.class);
        for class in classes.chain(header_sets().unwrap().into_iter().map(|it| it.class)) {
            assert_ne!(advice(&finding(&class, "x")), DOWN, "{class}");
        }
    }
}
