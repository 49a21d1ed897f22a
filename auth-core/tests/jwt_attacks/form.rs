//! Groups fmt, size, crit and json: what a token may look like before anyone asks what it says.

use std::time::{Duration, Instant};

use auth_core::jwt::{JsonFault, Part, Rejection};

use crate::{
    kit::{A, claims, claims_open, ecdsa, kit},
    table::{Row, refuse_all, row},
};

const HEADER: &str = r#"{"alg":"ES256","typ":"at+jwt","kid":"a1"}"#;

fn good() -> String {
    kit().es256(HEADER, claims(A))
}

fn with_header(member: &str) -> String {
    kit().es256(
        &format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"a1",{member}}}"#),
        claims(A),
    )
}

fn encoding(part: Part) -> Rejection {
    Rejection::Encoding { part }
}

#[test]
fn only_the_compact_form_is_a_token() {
    let token = good();
    let parts: Vec<&str> = token.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let flattened =
        format!(r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#);
    let general = format!(
        r#"{{"payload":"{payload}","signatures":[{{"protected":"{header}","signature":"{signature}"}}]}}"#
    );
    let polyglot = format!(r#"{{"x":"{header}.{payload}.{signature}"}}"#);
    let rows = [
        row("flattened JSON", flattened, Rejection::NotCompact),
        row("general JSON", general, Rejection::NotCompact),
        row("a token inside JSON", polyglot, encoding(Part::Header)),
        row("empty", "", Rejection::NotCompact),
        row(
            "two dots",
            "..",
            Rejection::Json {
                part: Part::Header,
                fault: JsonFault::Syntax,
            },
        ),
        row(
            "no signature part",
            format!("{header}.{payload}"),
            Rejection::NotCompact,
        ),
        row("a fourth part", format!("{token}."), Rejection::NotCompact),
        row("a dot in front", format!(".{token}"), Rejection::NotCompact),
        row("six parts", "a.b.c.d.e.f", Rejection::NotCompact),
        row("JWE", format!("{header}.AA.AA.AA.AA"), Rejection::Encrypted),
        row(
            "JWE with a good token in it",
            format!("{token}.AA.AA"),
            Rejection::Encrypted,
        ),
        row(
            "two tokens",
            format!("{token},{token}"),
            Rejection::Encrypted,
        ),
    ];
    refuse_all("fmt parts", "T-09 T-11", 3, &rows);
}

#[test]
fn base64url_has_one_spelling() {
    let token = good();
    let parts: Vec<&str> = token.split('.').collect();
    let put = |at: usize, text: &str| {
        let mut parts: Vec<&str> = parts.clone();
        parts[at] = text;
        parts.join(".")
    };
    let mut rows = Vec::new();
    for (at, part) in [(0, Part::Header), (1, Part::Payload), (2, Part::Signature)] {
        let text = parts[at];
        for (name, text) in [
            ("padding", format!("{text}=")),
            ("two of padding", format!("{text}==")),
            ("a blank", format!("{text} ")),
            ("a blank in front", format!(" {text}")),
            ("a line end", format!("{text}\n")),
            (
                "a line break inside",
                format!("{}\r\n{}", &text[..8], &text[8..]),
            ),
            ("a NUL", format!("{text}\0")),
            ("?", format!("{text}?")),
            ("non-ASCII", format!("{text}é")),
            ("percent", format!("{text}%3D")),
            ("+", format!("+{}", &text[1..])),
            ("/", format!("/{}", &text[1..])),
        ] {
            rows.push(row(
                format!("{part:?}: {name}"),
                put(at, &text),
                encoding(part),
            ));
        }
    }
    // 64 bytes leave four unused bits in the last character: 15 other spellings of one signature.
    let last = parts[2].as_bytes()[85];
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let value = ALPHABET.iter().position(|byte| *byte == last).unwrap();
    for bits in 1..16 {
        let other = char::from(ALPHABET[value | bits]);
        let text = format!("{}{other}", &parts[2][..85]);
        rows.push(row(
            format!("trailing bits {bits}"),
            put(2, &text),
            encoding(Part::Signature),
        ));
    }
    refuse_all("fmt base64", "T-09", 40, &rows);
    assert_eq!(kit().verdict(&token), Ok(()), "the spelling itself");
}

#[test]
fn a_large_token_is_refused_before_it_is_read() {
    let header = format!(
        r#"{{"alg":"ES256","typ":"at+jwt","kid":"a1","x":"{}"}}"#,
        "x".repeat(2_001)
    );
    let rows = [
        row("1 MiB", "A".repeat(1 << 20), Rejection::TokenTooLong),
        row(
            "1 MiB of dots",
            ".".repeat(1 << 20),
            Rejection::TokenTooLong,
        ),
        row("8 KiB of dots", ".".repeat(8 << 10), Rejection::NotCompact),
        row(
            "8 KiB and one",
            format!("{}{}", good(), "A".repeat(8 << 10)),
            Rejection::TokenTooLong,
        ),
        row(
            "header beyond 2 KiB",
            kit().es256(&header, claims(A)),
            Rejection::HeaderTooLong,
        ),
        row(
            "claims beyond 8 KiB",
            kit().es256(
                HEADER,
                claims_open(A) + r#","x":""# + &"x".repeat(8 << 10) + r#""}"#,
            ),
            Rejection::TokenTooLong,
        ),
    ];
    refuse_all("size", "T-10", 3, &rows);
    let dots = ".".repeat(1 << 20);
    let start = Instant::now();
    for _ in 0..100 {
        assert!(kit().verdict(&dots).is_err());
    }
    let each = start.elapsed() / 100;
    assert!(each < Duration::from_millis(1), "{each:?} for 1 MiB");
}

#[test]
fn any_crit_is_refused() {
    let rows: Vec<Row> = [
        "[]",
        r#"["exp"]"#,
        r#"["b64"]"#,
        r#"["alg"]"#,
        r#"["unknown"]"#,
        r#"["exp","exp"]"#,
        r#"[""]"#,
        "[1]",
        "null",
        r#""b64""#,
        "{}",
        "true",
        "[[]]",
    ]
    .into_iter()
    .map(|value| {
        row(
            format!("crit {value}"),
            with_header(&format!(r#""crit":{value}"#)),
            Rejection::Critical,
        )
    })
    .collect();
    refuse_all("crit", "T-08", 11, &rows);
}

#[test]
fn what_changes_the_reading_is_refused() {
    let inner = good();
    let nested = |cty: &str| {
        let header = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"a1","cty":{cty}}}"#);
        kit().es256(&header, &inner)
    };
    let rows = [
        row(
            "b64 false",
            with_header(r#""b64":false"#),
            Rejection::UnencodedPayload,
        ),
        row(
            "b64 true",
            with_header(r#""b64":true"#),
            Rejection::UnencodedPayload,
        ),
        row(
            "b64 false, in crit",
            with_header(r#""b64":false,"crit":["b64"]"#),
            Rejection::Critical,
        ),
        row(
            "zip DEF",
            with_header(r#""zip":"DEF""#),
            Rejection::Compressed,
        ),
        row(
            "zip GZ",
            with_header(r#""zip":"GZ""#),
            Rejection::Compressed,
        ),
        row(
            "zip null",
            with_header(r#""zip":null"#),
            Rejection::Compressed,
        ),
        row("nested", nested(r#""JWT""#), Rejection::Nested),
        row(
            "nested, media type",
            nested(r#""application/jwt""#),
            Rejection::Nested,
        ),
        row(
            "cty of another type",
            nested("[]"),
            Rejection::HeaderMember { name: "cty" },
        ),
    ];
    refuse_all("crit extensions", "T-11", 5, &rows);
}

#[test]
fn json_is_strict() {
    let header =
        |text: &[u8]| kit().signed(text, claims(A).as_bytes(), |input| ecdsa(&kit().ec, input));
    let fault = |part, fault| Rejection::Json { part, fault };
    let utf16: Vec<u8> = HEADER.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let mut rows = Vec::new();
    for (name, text, expected) in [
        (
            "duplicate alg",
            r#"{"alg":"ES256","alg":"ES256","typ":"at+jwt"}"#.into(),
            JsonFault::DuplicateMember,
        ),
        (
            "duplicate alg, none last",
            r#"{"alg":"ES256","alg":"none","typ":"at+jwt"}"#.into(),
            JsonFault::DuplicateMember,
        ),
        (
            "duplicate kid",
            r#"{"alg":"ES256","typ":"at+jwt","kid":"a1","kid":"a1"}"#.into(),
            JsonFault::DuplicateMember,
        ),
        (
            "duplicate by escape",
            r#"{"alg":"ES256","\u0061lg":"none","typ":"at+jwt"}"#.into(),
            JsonFault::DuplicateMember,
        ),
        (
            "BOM",
            format!("\u{feff}{HEADER}").into_bytes(),
            JsonFault::Syntax,
        ),
        ("UTF-16", utf16, JsonFault::Syntax),
        (
            "Latin-1",
            b"{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"x\":\"\xe9\"}".to_vec(),
            JsonFault::Syntax,
        ),
        (
            "trailing data",
            format!("{HEADER}x").into_bytes(),
            JsonFault::Syntax,
        ),
        (
            "two objects",
            format!("{HEADER}{HEADER}").into_bytes(),
            JsonFault::Syntax,
        ),
        (
            "trailing NUL",
            format!("{HEADER}\0").into_bytes(),
            JsonFault::Syntax,
        ),
        (
            "comment",
            format!("/**/{HEADER}").into_bytes(),
            JsonFault::Syntax,
        ),
        (
            "single quotes",
            b"{'alg':'ES256'}".to_vec(),
            JsonFault::Syntax,
        ),
        (
            "trailing comma",
            br#"{"alg":"ES256",}"#.to_vec(),
            JsonFault::Syntax,
        ),
        ("list", br#"["ES256"]"#.to_vec(), JsonFault::NotAnObject),
        ("text", br#""ES256""#.to_vec(), JsonFault::NotAnObject),
        ("null", b"null".to_vec(), JsonFault::NotAnObject),
        ("nothing", Vec::new(), JsonFault::Syntax),
        (
            "depth",
            format!(r#"{{"alg":"ES256","x":{}}}"#, deep(16)).into_bytes(),
            JsonFault::TooDeep,
        ),
        (
            "depth 900",
            format!(r#"{{"alg":"ES256","x":{}}}"#, deep(900)).into_bytes(),
            JsonFault::TooDeep,
        ),
        (
            "NaN",
            br#"{"alg":"ES256","x":NaN}"#.to_vec(),
            JsonFault::Syntax,
        ),
    ] {
        let text: Vec<u8> = text;
        rows.push(row(
            format!("header: {name}"),
            header(&text),
            fault(Part::Header, expected),
        ));
    }
    for (name, member, expected) in [
        (
            "duplicate sub",
            r#","sub":"bob""#.to_owned(),
            JsonFault::DuplicateMember,
        ),
        (
            "duplicate exp",
            r#","exp":99999999999"#.to_owned(),
            JsonFault::DuplicateMember,
        ),
        (
            "duplicate by escape",
            r#","\u0073ub":"bob""#.to_owned(),
            JsonFault::DuplicateMember,
        ),
        (
            "duplicate inside",
            r#","realm_access":{"roles":[],"roles":["admin"]}"#.to_owned(),
            JsonFault::DuplicateMember,
        ),
        (
            "depth 500",
            format!(r#","x":{}"#, deep(500)),
            JsonFault::TooDeep,
        ),
        ("depth", format!(r#","x":{}"#, deep(16)), JsonFault::TooDeep),
        (
            "huge integer",
            r#","id":123456789012345678901234567890"#.to_owned(),
            JsonFault::NumberRange,
        ),
        (
            "huge float",
            r#","id":1e300"#.to_owned(),
            JsonFault::NumberRange,
        ),
    ] {
        let token = kit().es256(HEADER, claims_open(A) + &member + "}");
        rows.push(row(
            format!("claims: {name}"),
            token,
            fault(Part::Payload, expected),
        ));
    }
    for (name, member) in [
        ("NaN", r#","x":NaN"#),
        ("Infinity", r#","x":-Infinity"#),
        ("1e999", r#","x":1e999"#),
        ("leading zero", r#","x":01"#),
        ("lone surrogate", r#","x":"\ud800""#),
        ("raw control character", ",\"x\":\"\n\""),
        ("hex", r#","x":0x10"#),
    ] {
        let token = kit().es256(HEADER, claims_open(A) + member + "}");
        rows.push(row(
            format!("claims: {name}"),
            token,
            fault(Part::Payload, JsonFault::Syntax),
        ));
    }
    for (name, payload, expected) in [
        (
            "BOM",
            format!("\u{feff}{}", claims(A)),
            fault(Part::Payload, JsonFault::Syntax),
        ),
        (
            "trailing data",
            claims(A) + "{}",
            fault(Part::Payload, JsonFault::Syntax),
        ),
        (
            "empty",
            String::new(),
            fault(Part::Payload, JsonFault::Syntax),
        ),
        (
            "list",
            format!(r#"["{A}"]"#),
            fault(Part::Payload, JsonFault::NotAnObject),
        ),
        (
            "two issuers",
            claims_open(A) + r#","iss":"https://b.example"}"#,
            Rejection::MalformedClaim { name: "iss" },
        ),
    ] {
        rows.push(row(
            format!("claims: {name}"),
            kit().es256(HEADER, payload),
            expected,
        ));
    }
    refuse_all("json", "T-09", 30, &rows);
}
