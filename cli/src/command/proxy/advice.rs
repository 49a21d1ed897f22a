//! What mends a hole in a proxy's configuration.

use crate::attack::{judge::Finding, product::Product};

const PRINT: &str = "print the configuration anew with `sidegate proxy print`, and keep its lines \
                     on paths: what is decided must be what is forwarded";
const OVERRIDES: &str = "take away the headers by which a client names another method, path or \
                         origin than its own, as `sidegate proxy print` does";
const SPOOFED: &str = "set or remove every `Sidegate-` header and trailer towards the app, as \
                       `sidegate proxy print` does";
const LINES: &str = "use a newer version of the proxy, which refuses lines that are no header (RFC \
                     9112 section 5), and remove every `Sidegate-` header, as `sidegate proxy print` \
                     does";
const FRAMING: &str = "use a newer version of the proxy: it forwards requests whose end is read in \
                       two ways (RFC 9112 section 6.3)";
const LIMITS: &str = "let the proxy bound the headers of a request in number and in size: it made \
                      something else of too many";
const CREDENTIALS: &str = "send every copy of a credential to Sidegate unjoined and let it refuse \
                           them, as `sidegate proxy print` does; and let the policy open the target \
                           with `session: optional`, since with `none` nobody looks at credentials";
const UNDECIDED: &str = "let the proxy ask Sidegate for every path before it asks the app, as \
                         `sidegate proxy print` does, and let the policy deny this one";
const SILENT: &str = "let the proxy answer what it cannot read, or close: see its log, and how long \
                      it waits for a request";
const DOWN: &str = "the proxy stopped serving: see its log, and its limits on connections";

/// What mends it, where these proxies are known to be in the way.
pub(super) fn advice(finding: &Finding, products: &[Product]) -> String {
    let fixed = match finding.class.as_str() {
        _ if finding.what.contains("closed target") => UNDECIDED,
        "" => DOWN,
        _ if finding.what == "got no answer" => SILENT,
        "alias" => return aliases(finding, products),
        _ if is_alias(finding) => return aliases(finding, products),
        _ if is_copy(finding) => return spoofed(products),
        "injection" => LINES,
        "forwarded" | "original" | "method_override" => OVERRIDES,
        "framing" | "identity" | "write_back" | "hop_by_hop" => FRAMING,
        "bomb" => LIMITS,
        "credentials" => CREDENTIALS,
        _ => PRINT,
    };
    printing(fixed, products)
}

/// The advice with the command as it is typed for the one proxy in the way.
fn printing(advice: &str, products: &[Product]) -> String {
    match products {
        [one] => {
            let command = format!("`sidegate proxy print {}`", one.name().to_lowercase());
            advice.replace("`sidegate proxy print`", &command)
        }
        _ => advice.to_owned(),
    }
}

fn spoofed(products: &[Product]) -> String {
    let notes = products.iter().map(|product| match product {
        Product::Nginx => {
            "nginx hands on every name that no `proxy_set_header` takes away, and Sidegate refuses \
             those where it is asked at `/forward-auth/nginx`"
        }
        Product::Caddy => {
            "`forward_auth` of Caddy before 2.11.2 hands on a client's copy of what the answer lacks"
        }
        Product::Traefik => {
            "Traefik takes away what `authResponseHeaders` or `authResponseHeadersRegex` names, and \
             nothing else"
        }
        Product::Envoy => "Envoy's filter that strips them goes before all others",
    });
    let advice = std::iter::once(printing(SPOOFED, products));
    let all: Vec<_> = advice.chain(notes.map(str::to_owned)).collect();
    all.join(". ")
}

/// What mends it for the proxy that the finding names, else for those that are known, else for all.
fn aliases(finding: &Finding, products: &[Product]) -> String {
    let is_named = |it: &&Product| finding.what.contains(it.with_aliases());
    let named: Vec<_> = products.iter().filter(is_named).copied().collect();
    let meant = [&named, products, &Product::ALL];
    let meant = meant.into_iter().find(|some| !some.is_empty());
    let each = meant.into_iter().flatten();
    let each: Vec<_> = each.map(|it| without_aliases(*it)).collect();
    each.join(". ")
}

/// How a proxy hands on no name that an app might read as another one.
const fn without_aliases(product: Product) -> &'static str {
    match product {
        Product::Nginx => "nginx: `underscores_in_headers off` and `ignore_invalid_headers on`",
        Product::Caddy => {
            "Caddy: 2.11.4 or newer, which hands on a name with an underscore only where \
             `expected_underscore_headers` lists it"
        }
        Product::Traefik => {
            "Traefik: 3.7.12 or newer, with `aliasHeadersStrategy: delete` at every entry point, as \
             `sidegate proxy print traefik --part static` has it"
        }
        Product::Envoy => {
            "Envoy: `headers_with_underscores_action: DROP_HEADER` and the stripping filter, as \
             `sidegate proxy print envoy` has them"
        }
    }
}

/// Whether what reached the app is another spelling of a name of ours.
fn is_alias(finding: &Finding) -> bool {
    let what = finding.what.to_ascii_lowercase();
    what.starts_with("brought `sidegate_") || what.starts_with("brought `sidegate.")
}

/// Whether a header like any other reached the app, and no line that only some read as one.
fn is_copy(finding: &Finding) -> bool {
    let line = finding.what.strip_prefix("brought `");
    let name = line.and_then(|line| line.split(':').next());
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    name.is_some_and(|name| !name.is_empty() && name.chars().all(is_plain))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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

    fn header_classes() -> BTreeSet<String> {
        let sets = header_sets().unwrap().into_iter();
        sets.map(|it| it.class).collect()
    }

    #[test]
    fn another_spelling_is_told_from_a_plain_copy() {
        let alias = finding("identity", "brought `Sidegate_Subject: evil` to the app");
        let plain = finding("identity", "brought `sidegate-subject: evil` to the app");
        let (alias, plain) = (advice(&alias, &[]), advice(&plain, &[]));
        assert!(alias.contains("Caddy: 2.11.4 or newer"), "{alias}");
        assert_eq!(plain, SPOOFED);
    }

    #[test]
    fn a_known_proxy_is_told_of_itself_alone() {
        let alias = finding("identity", "brought `Sidegate_Subject: evil` to the app");
        let plain = finding("bomb", "brought `Sidegate-Subject: evil` to the app");
        for product in Product::ALL {
            let all = [advice(&alias, &[product]), advice(&plain, &[product])];
            for other in Product::ALL {
                let is_told = all.iter().any(|it| it.contains(other.name()));
                assert_eq!(is_told, other == product, "{product:?}: {all:?}");
            }
        }
    }

    #[test]
    fn of_several_proxies_the_one_that_hands_aliases_on_is_told() {
        let both = [Product::Caddy, Product::Traefik];
        let what = format!("is {}: it brought", Product::Caddy.with_aliases());
        let told = advice(&finding("alias", &what), &both);
        assert_eq!(told, without_aliases(Product::Caddy));
    }

    #[test]
    fn a_closed_target_that_was_reached_is_the_decisions_fault() {
        for class in header_classes() {
            let reached = finding(&class, "reached the app on a closed target");
            assert_eq!(advice(&reached, &[]), UNDECIDED, "{class}");
        }
    }

    /// A trailer, one copy of hundreds, or a line after an end that RFC 9112 lets pass (section 2.2) is
    /// mended like any other.
    #[test]
    fn what_is_of_ours_is_to_be_taken_away_whatever_brought_it() {
        for class in header_classes() {
            let brought = finding(&class, "brought `Sidegate-Subject: evil` to the app");
            assert_eq!(advice(&brought, &[]), SPOOFED, "{class}");
        }
    }

    #[test]
    fn a_line_that_is_no_header_is_to_be_refused() {
        for line in [":  Sidegate-Subject: evil", "Sidegate-Subject : evil"] {
            let brought = finding("injection", &format!("brought `{line}` to the app"));
            assert_eq!(advice(&brought, &[]), LINES, "{line}");
        }
    }

    #[test]
    fn each_class_of_headers_has_its_own_advice() {
        for class in header_classes() {
            let expected = match class.as_str() {
                "bomb" => LIMITS,
                "credentials" => CREDENTIALS,
                "forwarded" | "method_override" | "original" => OVERRIDES,
                "injection" => LINES,
                "agent" => PRINT,
                _ => FRAMING,
            };
            let became = finding(&class, "became `GET /public/evil`");
            assert_eq!(advice(&became, &[]), expected, "{class}");
        }
    }

    #[test]
    fn a_path_that_got_through_is_no_matter_of_headers() {
        for class in targets().unwrap().into_iter().map(|it| it.class) {
            let reached = finding(&class, "reached the app as `/public/../admin`");
            assert_eq!(advice(&reached, &[]), PRINT, "{class}");
            assert_eq!(advice(&finding(&class, "got no answer"), &[]), SILENT);
        }
    }

    #[test]
    fn the_command_to_print_anew_is_that_of_the_proxy() {
        let reached = finding("dot_segment", "reached the app as `/public/../admin`");
        let told = advice(&reached, &[Product::Traefik]);
        assert!(told.contains("`sidegate proxy print traefik`"), "{told}");
    }

    #[test]
    fn only_a_proxy_that_stopped_is_called_down() {
        assert_eq!(advice(&finding("", "did not pass"), &[]), DOWN);
        for class in targets().unwrap().into_iter().map(|it| it.class) {
            assert_ne!(advice(&finding(&class, "x"), &[]), DOWN, "{class}");
        }
    }
}
