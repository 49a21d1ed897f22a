use proptest::prelude::*;

use super::*;
use TargetError as E;

/// Class, target, refusal. None of them may ever name an operation (H-01, H-02, H-11).
const HOSTILE: &[(&str, &[u8], TargetError)] = &[
    ("form", b"", E::Empty),
    ("form", b"*", E::AsteriskForm),
    ("form", b"http://books.example/me", E::AbsoluteForm),
    ("form", b"HTTPS://books.example/me", E::AbsoluteForm),
    ("form", b"http:///me", E::AbsoluteForm),
    ("form", b"evil://books.example@other/me", E::AbsoluteForm),
    ("form", b"x/http://y", E::AbsoluteForm),
    ("form", b"books.example:443", E::NoLeadingSlash),
    ("form", b"[::1]:443", E::NoLeadingSlash),
    ("form", b"**", E::NoLeadingSlash),
    ("no leading slash", b"me", E::NoLeadingSlash),
    ("no leading slash", b"admin/users", E::NoLeadingSlash),
    ("no leading slash", b"./admin", E::NoLeadingSlash),
    ("no leading slash", b"../admin", E::NoLeadingSlash),
    ("no leading slash", b"?x=/me", E::NoLeadingSlash),
    ("no leading slash", b"#/me", E::NoLeadingSlash),
    ("no leading slash", b"\\admin", E::NoLeadingSlash),
    ("no leading slash", b"%2fadmin", E::NoLeadingSlash),
    ("no leading slash", b" /admin", E::NoLeadingSlash),
    ("no leading slash", b"\t/admin", E::NoLeadingSlash),
    ("no leading slash", b"\0/admin", E::NoLeadingSlash),
    ("no leading slash", b"\xef\xbb\xbf/admin", E::NoLeadingSlash),
    ("empty segment", b"//", E::EmptySegment),
    ("empty segment", b"//admin", E::EmptySegment),
    ("empty segment", b"//evil.example/admin", E::EmptySegment),
    ("empty segment", b"/admin//users", E::EmptySegment),
    ("empty segment", b"/admin//", E::EmptySegment),
    ("empty segment", b"/admin///users?x", E::EmptySegment),
    ("empty segment", b"/public//../admin", E::EmptySegment),
    ("dot segment", b"/.", E::DotSegment),
    ("dot segment", b"/..", E::DotSegment),
    ("dot segment", b"/./admin", E::DotSegment),
    ("dot segment", b"/../admin", E::DotSegment),
    ("dot segment", b"/public/../admin", E::DotSegment),
    ("dot segment", b"/public/./admin", E::DotSegment),
    ("dot segment", b"/public/..", E::DotSegment),
    ("dot segment", b"/public/.?x=1", E::DotSegment),
    ("dot segment", b"/public/../../../etc/passwd", E::DotSegment),
    ("encoded dot", b"/%2e", E::EncodedDot),
    ("encoded dot", b"/%2e%2e/admin", E::EncodedDot),
    ("encoded dot", b"/public/%2E%2E/admin", E::EncodedDot),
    ("encoded dot", b"/public/.%2e/admin", E::EncodedDot),
    ("encoded dot", b"/public/%2e./admin", E::EncodedDot),
    ("encoded dot", b"/books%2ejson", E::EncodedDot),
    ("encoded slash", b"/%2f", E::EncodedSlash),
    ("encoded slash", b"/%2Fadmin", E::EncodedSlash),
    ("encoded slash", b"/public%2fadmin", E::EncodedSlash),
    ("encoded slash", b"/public/..%2fadmin", E::EncodedSlash),
    ("encoded slash", b"/admin%2F", E::EncodedSlash),
    ("backslash", b"/\\admin", E::Backslash),
    ("backslash", b"/public\\..\\admin", E::Backslash),
    ("backslash", b"/public\\admin", E::Backslash),
    ("encoded backslash", b"/%5cadmin", E::EncodedBackslash),
    (
        "encoded backslash",
        b"/public%5C..%5Cadmin",
        E::EncodedBackslash,
    ),
    ("double encoding", b"/%252e%252e/admin", E::EncodedPercent),
    ("double encoding", b"/public%252fadmin", E::EncodedPercent),
    ("double encoding", b"/public%255cadmin", E::EncodedPercent),
    ("double encoding", b"/%2561dmin", E::EncodedPercent),
    ("double encoding", b"/%25", E::EncodedPercent),
    ("double encoding", b"/%25%32%66admin", E::EncodedPercent),
    ("matrix", b"/admin;", E::MatrixParameter),
    ("matrix", b"/admin;jsessionid=1", E::MatrixParameter),
    ("matrix", b"/public;/../admin", E::MatrixParameter),
    ("matrix", b"/public/..;/admin", E::MatrixParameter),
    ("matrix", b"/;x=1/admin", E::MatrixParameter),
    ("matrix", b"/admin/;/users", E::MatrixParameter),
    ("encoded delimiter", b"/admin%3bx", E::EncodedDelimiter),
    (
        "encoded delimiter",
        b"/public/..%3B/admin",
        E::EncodedDelimiter,
    ),
    ("encoded delimiter", b"/admin%3Fx=1", E::EncodedDelimiter),
    (
        "encoded delimiter",
        b"/admin%3f/public",
        E::EncodedDelimiter,
    ),
    (
        "encoded delimiter",
        b"/admin%23/public",
        E::EncodedDelimiter,
    ),
    ("fragment", b"/admin#", E::Fragment),
    ("fragment", b"/admin#/public", E::Fragment),
    ("fragment", b"/#/public", E::Fragment),
    ("fragment", b"/admin?x=1#/public", E::Fragment),
    ("control", b"/admin\0", E::ControlCharacter),
    ("control", b"/admin\r\nx-evil: 1", E::ControlCharacter),
    ("control", b"/admin\t", E::ControlCharacter),
    ("control", b"/admin\x7f", E::ControlCharacter),
    ("control", b"/me?x=\x01", E::ControlCharacter),
    ("control", b"/me?x=1\r\nhost: evil", E::ControlCharacter),
    ("encoded control", b"/admin%0a", E::ControlCharacter),
    (
        "encoded control",
        b"/admin%0D%0Ax-evil:1",
        E::ControlCharacter,
    ),
    ("encoded control", b"/admin%09", E::ControlCharacter),
    ("encoded control", b"/admin%7f", E::ControlCharacter),
    ("encoded control", b"/admin%1b[2J", E::ControlCharacter),
    ("encoded control", b"/admin%C2%85", E::ControlCharacter),
    ("encoded NUL", b"/admin%00", E::EncodedNul),
    ("encoded NUL", b"/admin%00/public", E::EncodedNul),
    ("encoded NUL", b"/%00admin", E::EncodedNul),
    ("bad escape", b"/%", E::BadEscape),
    ("bad escape", b"/admin%", E::BadEscape),
    ("bad escape", b"/admin%2", E::BadEscape),
    ("bad escape", b"/admin%zz", E::BadEscape),
    ("bad escape", b"/admin%2x", E::BadEscape),
    ("bad escape", b"/admin%u002f", E::BadEscape),
    ("bad escape", b"/admin%+1", E::BadEscape),
    ("bad escape", b"/admin%2/x", E::BadEscape),
    ("bad escape", b"/admin%?2f", E::BadEscape),
    ("bad escape", b"/admin%%32%66", E::BadEscape),
    ("bad UTF-8", b"/%ff", E::BadUtf8),
    ("bad UTF-8", b"/%c0%af", E::BadUtf8),
    ("bad UTF-8", b"/%c0%ae%c0%ae/admin", E::BadUtf8),
    ("bad UTF-8", b"/%e0%80%af", E::BadUtf8),
    ("bad UTF-8", b"/%c3", E::BadUtf8),
    ("bad UTF-8", b"/%c3/%a9", E::BadUtf8),
    ("bad UTF-8", b"/%ed%a0%80", E::BadUtf8),
    ("bad UTF-8", b"/%f4%90%80%80", E::BadUtf8),
    ("raw non-ASCII", b"/\xff", E::NonAscii),
    ("raw non-ASCII", b"/caf\xc3\xa9", E::NonAscii),
    ("raw non-ASCII", b"/\xc0\xafadmin", E::NonAscii),
    ("raw non-ASCII", b"/\xef\xbc\x8fadmin", E::NonAscii),
    ("raw non-ASCII", b"/me?x=\xc3\xa9", E::NonAscii),
    ("space", b"/admin ", E::Space),
    ("space", b"/ admin", E::Space),
    ("space", b"/admin HTTP/1.1", E::Space),
    ("space", b"/me?x=a b", E::Space),
    ("illegal", b"/<script>", E::IllegalCharacter),
    ("illegal", b"/books/{book_id}", E::IllegalCharacter),
    ("illegal", b"/a\"b", E::IllegalCharacter),
    ("illegal", b"/a`b", E::IllegalCharacter),
];

#[test]
fn h01_h11_hostile_targets_are_refused() {
    assert!(HOSTILE.len() >= 90, "{}", HOSTILE.len());
    for &(class, raw, refusal) in HOSTILE {
        let shown = String::from_utf8_lossy(raw);
        assert_eq!(Target::parse(raw), Err(refusal), "{class}: {shown:?}");
        assert!(Target::parse_grpc(raw).is_err(), "{class}: {shown:?}");
    }
}

#[test]
fn the_length_limit_is_8_kib_with_the_query() {
    let mut raw = vec![b'a'; MAX_TARGET_BYTES];
    raw[0] = b'/';
    raw[100] = b'?';
    assert!(Target::parse(&raw).is_ok());
    raw.push(b'a');
    assert_eq!(Target::parse(&raw), Err(E::TooLong));
}

#[test]
fn a_target_has_one_canonical_path() {
    for (raw, path, query, encoded) in [
        ("/", "/", None, "/"),
        ("/books", "/books", None, "/books"),
        ("/books/", "/books/", None, "/books/"),
        ("/%62ooks", "/books", None, "/books"),
        ("/b%6Foks", "/books", None, "/books"),
        ("/%7euser", "/~user", None, "/~user"),
        ("/caf%c3%a9", "/café", None, "/caf%C3%A9"),
        ("/a%20b", "/a b", None, "/a%20b"),
        ("/a+b", "/a+b", None, "/a+b"),
        ("/a%2bb", "/a+b", None, "/a+b"),
        (
            "/a:b@c!$&'()*,=",
            "/a:b@c!$&'()*,=",
            None,
            "/a:b@c!$&'()*,=",
        ),
        ("/a[1]|^", "/a[1]|^", None, "/a[1]|^"),
        ("/a%5b1%5d", "/a[1]", None, "/a[1]"),
        ("/%7bid%7d", "/{id}", None, "/%7Bid%7D"),
        ("/.well-known/x", "/.well-known/x", None, "/.well-known/x"),
        ("/...", "/...", None, "/..."),
        ("/a?", "/a", Some(""), "/a?"),
        (
            "/a?/../b;c//%2f",
            "/a",
            Some("/../b;c//%2f"),
            "/a?/../b;c//%2f",
        ),
        ("/%61?b?c", "/a", Some("b?c"), "/a?b?c"),
    ] {
        let target = Target::parse(raw.as_bytes()).unwrap();
        assert_eq!(target.path(), path, "{raw}");
        assert_eq!(target.query(), query, "{raw}");
        assert_eq!(target.canonical_encoded(), encoded, "{raw}");
    }
}

#[test]
fn a_target_without_escapes_is_borrowed() {
    let target = Target::parse(b"/books/7?full=%31").unwrap();
    assert!(matches!(target.path, Cow::Borrowed(_)));
    assert!(matches!(target.canonical_encoded(), Cow::Borrowed(_)));
}

#[test]
fn segments_keep_a_trailing_slash() {
    for (raw, segments) in [
        ("/", vec![""]),
        ("/a", vec!["a"]),
        ("/a/", vec!["a", ""]),
        ("/a/b%20c", vec!["a", "b c"]),
    ] {
        let target = Target::parse(raw.as_bytes()).unwrap();
        assert_eq!(target.segments().collect::<Vec<_>>(), segments, "{raw}");
    }
}

#[test]
fn query_values_are_decoded_when_asked_for() {
    for (query, values) in [
        ("", vec![]),
        ("id=7", vec![Ok("7")]),
        ("id", vec![Ok("")]),
        ("id=", vec![Ok("")]),
        ("ID=7", vec![]),
        ("i%64=7", vec![Ok("7")]),
        ("id=7&x=1&id=8", vec![Ok("7"), Ok("8")]),
        ("id=a+b%2Bc%26d", vec![Ok("a b+c&d")]),
        ("id=caf%C3%A9", vec![Ok("café")]),
        ("id=a=b", vec![Ok("a=b")]),
        ("id=%zz", vec![Err(E::BadEscape)]),
        ("id=%2", vec![Err(E::BadEscape)]),
        ("id=%ff", vec![Err(E::BadUtf8)]),
        ("id=%00", vec![Err(E::ControlCharacter)]),
        ("id=1%0d%0a", vec![Err(E::ControlCharacter)]),
        ("x=%zz&id=7", vec![Ok("7")]), // Nobody asked for `x`.
        ("id%zz=1&id=7", vec![Ok("7")]),
        ("id%00=1&id=7", vec![Ok("7")]),
        ("id=7;x=1", vec![Err(E::QuerySemicolon)]),
        ("x=1;id=8&id=7", vec![Err(E::QuerySemicolon), Ok("7")]),
        ("x=1;y=2&id=7", vec![Ok("7")]),
    ] {
        let raw = format!("/me?{query}");
        let target = Target::parse(raw.as_bytes()).unwrap();
        let found: Vec<_> = target.query_values("id").collect();
        let expected: Vec<_> = values.into_iter().map(|v| v.map(Cow::Borrowed)).collect();
        assert_eq!(found, expected, "{query}");
    }
    assert_eq!(Target::parse(b"/me").unwrap().query_values("id").count(), 0);
}

#[test]
fn a_grpc_target_is_a_service_and_a_method() {
    for (raw, accepted) in [
        ("/books.v1.BookService/DeleteBook", true),
        ("/Greeter/Say_Hello2", true),
        ("books.v1.BookService/DeleteBook", false),
        ("/books.v1.BookService", false),
        ("/books.v1.BookService/", false),
        ("/books.v1.BookService/DeleteBook/", false),
        ("/books.v1.BookService/DeleteBook?x", false),
        ("/books.v1.BookService/Delete/Book", false),
        ("//DeleteBook", false),
        ("/.books/DeleteBook", false),
        ("/books./DeleteBook", false),
        ("/books..v1/DeleteBook", false),
        ("/books.1v/DeleteBook", false),
        ("/books.v1.BookService/%44eleteBook", false),
        ("/books-v1/DeleteBook", false),
        ("/bücher/DeleteBook", false),
        ("/a/../b", false),
    ] {
        assert_eq!(
            Target::parse_grpc(raw.as_bytes()).is_ok(),
            accepted,
            "{raw}"
        );
    }
}

#[test]
fn a_name_is_taken_as_it_stands() {
    for name in [
        "books delete",
        "books  delete",
        "books.delete",
        "löschen",
        &"x".repeat(256),
    ] {
        assert_eq!(parse_name(name.as_bytes()), Ok(name));
    }
    let long = "x".repeat(257);
    for (raw, refusal) in [
        (&b""[..], E::Empty),
        (long.as_bytes(), E::TooLong),
        (b" books", E::SurroundingBlanks),
        (b"books ", E::SurroundingBlanks),
        ("\u{2003}books".as_bytes(), E::SurroundingBlanks),
        (b"books\tdelete", E::ControlCharacter),
        (b"books\n", E::ControlCharacter),
        (b"books\0", E::ControlCharacter),
        (b"\xff", E::BadUtf8),
    ] {
        assert_eq!(parse_name(raw), Err(refusal), "{raw:?}");
    }
}

fn targets() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z.:@|~-]",
        2 => "%[2-7][0-9a-fA-F]",
        1 => "%c[3-9a-f]%[89ab][0-9a-f]",
        1 => "[%;\\\\#? ]",
        3 => Just("/".to_owned()),
    ];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn canonical_targets_are_a_fixed_point(raw in targets()) {
        if let Ok(target) = Target::parse(raw.as_bytes()) {
            let encoded = target.canonical_encoded();
            prop_assert!(encoded.len() <= raw.len());
            let again = Target::parse(encoded.as_bytes()).unwrap();
            prop_assert_eq!(&again, &target);
            prop_assert_eq!(&again.canonical_encoded(), &encoded);
        }
    }

    #[test]
    fn an_accepted_path_is_unambiguous(raw in targets()) {
        if let Ok(target) = Target::parse(raw.as_bytes()) {
            let path = target.path();
            prop_assert!(path.starts_with('/') && !path.contains("//"));
            prop_assert!(!path.contains(['%', '?', '#', ';', '\\']) && !path.contains(char::is_control));
            prop_assert!(target.segments().all(|segment| segment != "." && segment != ".."));
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(raw in prop::collection::vec(any::<u8>(), 0..64), slash in any::<bool>()) {
        let raw = if slash { [b"/", raw.as_slice()].concat() } else { raw };
        if let Ok(target) = Target::parse(&raw) {
            prop_assert_eq!(raw.first(), Some(&b'/'));
            target.query_values("a").for_each(drop);
        }
        let _ = Target::parse_grpc(&raw);
        let _ = parse_name(&raw);
    }
}
