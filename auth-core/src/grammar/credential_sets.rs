//! Whole sets of headers, read together: what each of them presents (H-09, T-16, C-03).

use super::*;
use ApiKey as K;
use Authorization as A;
use Cookies as C;

/// Headers, and what they present to each strategy.
type Case = (
    &'static [(&'static str, &'static str)],
    A<'static>,
    K<'static>,
    C<'static>,
);

#[test]
fn h09_t16_header_sets_are_read_alike_however_they_were_joined() {
    let cases: &[Case] = &[
        // One credential or none.
        (&[], A::Absent, K::Absent, C::Absent),
        (
            &[("authorization", "Bearer t")],
            A::Bearer("t"),
            K::Absent,
            C::Absent,
        ),
        (&[("x-api-key", "k")], A::Absent, K::One("k"), C::Absent),
        (&[("cookie", "s=c")], A::Absent, K::Absent, C::One("c")),
        (
            &[("authorization", "Basic dTpw")],
            A::Other,
            K::Absent,
            C::Absent,
        ),
        // Different ones side by side.
        (
            &[("authorization", "Bearer t"), ("cookie", "s=c")],
            A::Bearer("t"),
            K::Absent,
            C::One("c"),
        ),
        (
            &[("authorization", "Bearer t"), ("x-api-key", "k")],
            A::Bearer("t"),
            K::One("k"),
            C::Absent,
        ),
        (
            &[("x-api-key", "k"), ("cookie", "s=c")],
            A::Absent,
            K::One("k"),
            C::One("c"),
        ),
        (
            &[("authorization", "Basic dTpw"), ("cookie", "s=c")],
            A::Other,
            K::Absent,
            C::One("c"),
        ),
        (
            &[("authorization", "Basic dTpw"), ("x-api-key", "k")],
            A::Other,
            K::One("k"),
            C::Absent,
        ),
        (
            &[("authorization", ""), ("cookie", "s=c")],
            A::Malformed,
            K::Absent,
            C::One("c"),
        ),
        (
            &[("authorization", "Bearer"), ("cookie", "s=c")],
            A::Malformed,
            K::Absent,
            C::One("c"),
        ),
        (
            &[("x-api-key", ""), ("cookie", "s=c")],
            A::Absent,
            K::Malformed,
            C::One("c"),
        ),
        (
            &[("authorization", "Bearer t"), ("cookie", "s=")],
            A::Bearer("t"),
            K::Absent,
            C::Malformed,
        ),
        // Two Authorization lines, then the same joined.
        (
            &[("authorization", "Bearer t"), ("authorization", "Bearer u")],
            A::Joined,
            K::Absent,
            C::Absent,
        ),
        (
            &[("authorization", "Bearer t,Bearer u")],
            A::Joined,
            K::Absent,
            C::Absent,
        ),
        (
            &[("authorization", "Bearer t"), ("authorization", "Bearer t")],
            A::Joined,
            K::Absent,
            C::Absent,
        ),
        (
            &[("authorization", "Bearer t, Bearer t")],
            A::Joined,
            K::Absent,
            C::Absent,
        ),
        (
            &[
                ("authorization", "Basic dTpw"),
                ("authorization", "Bearer t"),
            ],
            A::Joined,
            K::Absent,
            C::Absent,
        ),
        (
            &[("authorization", "Basic dTpw,Bearer t")],
            A::Joined,
            K::Absent,
            C::Absent,
        ),
        (
            &[
                ("authorization", "Bearer t"),
                ("authorization", "Basic dTpw"),
            ],
            A::Joined,
            K::Absent,
            C::Absent,
        ),
        (
            &[("authorization", "Bearer t,Basic dTpw")],
            A::Joined,
            K::Absent,
            C::Absent,
        ),
        (
            &[
                ("authorization", "Basic dTpw"),
                ("authorization", "Basic dTpw"),
            ],
            A::Joined,
            K::Absent,
            C::Absent,
        ),
        (
            &[("authorization", "Basic dTpw,Basic dTpw")],
            A::Joined,
            K::Absent,
            C::Absent,
        ),
        (
            &[("authorization", "Bearer t"), ("authorization", "")],
            A::Joined,
            K::Absent,
            C::Absent,
        ),
        (
            &[("authorization", "Bearer t,")],
            A::Joined,
            K::Absent,
            C::Absent,
        ),
        (
            &[
                ("authorization", "Negotiate"),
                ("authorization", "Bearer t"),
            ],
            A::Joined,
            K::Absent,
            C::Absent,
        ),
        (
            &[("authorization", "Negotiate,Bearer t")],
            A::Joined,
            K::Absent,
            C::Absent,
        ),
        (
            &[("authorization", "Basic dTpw"), ("authorization", "")],
            A::Joined,
            K::Absent,
            C::Absent,
        ),
        (
            &[("authorization", "Basic dTpw,")],
            A::Joined,
            K::Absent,
            C::Absent,
        ),
        (
            &[("authorization", ""), ("authorization", "Bearer t")],
            A::Joined,
            K::Absent,
            C::Absent,
        ),
        (
            &[("authorization", ",Bearer t")],
            A::Joined,
            K::Absent,
            C::Absent,
        ),
        // Two API keys, then the same joined.
        (
            &[("x-api-key", "k"), ("x-api-key", "l")],
            A::Absent,
            K::Joined,
            C::Absent,
        ),
        (&[("x-api-key", "k,l")], A::Absent, K::Joined, C::Absent),
        (
            &[("x-api-key", "k"), ("x-api-key", "k")],
            A::Absent,
            K::Joined,
            C::Absent,
        ),
        (&[("x-api-key", "k, k")], A::Absent, K::Joined, C::Absent),
        (
            &[("x-api-key", ""), ("x-api-key", "k")],
            A::Absent,
            K::Joined,
            C::Absent,
        ),
        (&[("x-api-key", ",k")], A::Absent, K::Joined, C::Absent),
        // Two cookies of ours, in one line, in crumbs, and joined by a comma.
        (&[("cookie", "s=c; s=d")], A::Absent, K::Absent, C::Many),
        (&[("cookie", "s=c; s=c")], A::Absent, K::Absent, C::Many),
        (
            &[("cookie", "s=c"), ("cookie", "s=d")],
            A::Absent,
            K::Absent,
            C::Many,
        ),
        (&[("cookie", "s=c,s=d")], A::Absent, K::Absent, C::Many),
        (
            &[("cookie", "s=evil; a=1"), ("cookie", "s=c")],
            A::Absent,
            K::Absent,
            C::Many,
        ),
        (&[("cookie", "s=c; S=d")], A::Absent, K::Absent, C::One("c")),
        (
            &[("cookie", "a=1"), ("cookie", "s=c"), ("cookie", "b=2")],
            A::Absent,
            K::Absent,
            C::One("c"),
        ),
        (
            &[("cookie", "a=\"1; s=c; b=2\"")],
            A::Absent,
            K::Absent,
            C::One("c"),
        ),
        (&[("cookie", "a=1,s=c")], A::Absent, K::Absent, C::Malformed),
        // All at once.
        (
            &[
                ("authorization", "Bearer t,u"),
                ("x-api-key", "k,l"),
                ("cookie", "s=c; s=d"),
            ],
            A::Joined,
            K::Joined,
            C::Many,
        ),
        (
            &[
                ("authorization", "Bearer \u{1}"),
                ("x-api-key", "k l"),
                ("cookie", "s=\u{1}"),
            ],
            A::Malformed,
            K::Malformed,
            C::Malformed,
        ),
    ];
    assert!(cases.len() >= 40, "{}", cases.len());
    for (headers, bearer, key, cookie) in cases {
        let of = |name| {
            headers
                .iter()
                .filter(move |(key, _)| *key == name)
                .map(|(_, value)| value.as_bytes())
        };
        assert_eq!(
            authorization_values(of("authorization")),
            *bearer,
            "{headers:?}"
        );
        assert_eq!(api_key_values(of("x-api-key")), *key, "{headers:?}");
        assert_eq!(
            cookie_values(of("cookie"), &CookieName::new("s")),
            *cookie,
            "{headers:?}"
        );
    }
}
