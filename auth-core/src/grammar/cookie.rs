use memchr::memmem::Finder;

/// The longest value of a cookie that is read, in bytes (C-05).
const MAX_VALUE_BYTES: usize = 4096;

/// What the `Cookie` lines of a call hold under one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookies<'a> {
    /// No cookie of that name.
    Absent,
    /// One value, of characters that a cookie may have.
    One(&'a str),
    /// One value that no cookie of ours has; it counts as presented.
    Malformed,
    /// Several values, equal ones among them: somebody tossed one in (C-03).
    Many,
}

/// The name of a cookie, prepared for looking for it in many lines.
#[derive(Clone, Debug)]
pub struct CookieName {
    finder: Box<Finder<'static>>,
}

impl CookieName {
    /// Prepares a name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            finder: Box::new(Finder::new(name).into_owned()),
        }
    }
}

/// Reads the values of the cookie `name` from all `Cookie` lines of a call; the crumbs of HTTP/2 are lines.
///
/// This is the plain grammar of RFC 6265: quotes hide no `;`, there is no `$Version` mode (C-04), and the
/// name is compared as it stands, so `__host-session` is another cookie than `__Host-session` (C-02).
/// Some proxies join lines with a comma, which no value of ours holds: `a=1,__Host-session=x` is therefore
/// seen as a malformed cookie of ours, and not as part of `a`.
pub fn cookie_values<'a>(
    lines: impl IntoIterator<Item = &'a [u8]>,
    name: &CookieName,
) -> Cookies<'a> {
    let name = &name.finder;
    let mut found = Cookies::Absent;
    for line in lines {
        // Lines are long and mostly other people's cookies: the name is looked for first, and then
        // what stands around it.
        for at in name.find_iter(line) {
            let (before, rest) = line.split_at(at);
            let after = rest
                .get(name.needle().len()..)
                .and_then(|rest| rest.strip_prefix(b"="));
            let Some(after) = after else { continue };
            match before.iter().rev().find(|byte| !is_blank(byte)) {
                None | Some(b';') => {
                    let end = memchr::memchr(b';', after).unwrap_or(after.len());
                    let value = after.get(..end).unwrap_or_default();
                    found = found.and(read(trim_end(value)));
                }
                Some(b',') => found = found.and(Cookies::Malformed),
                Some(_) => {}
            }
        }
    }
    found
}

impl Cookies<'_> {
    /// What there is after `next` was found too.
    const fn and(self, next: Self) -> Self {
        match self {
            Self::Absent => next,
            Self::One(_) | Self::Malformed | Self::Many => Self::Many,
        }
    }
}

/// Reads a value as `1*cookie-octet` (RFC 6265 section 4.1.1).
fn read(value: &[u8]) -> Cookies<'_> {
    let is_octet =
        |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\');
    if value.is_empty() || value.len() > MAX_VALUE_BYTES || !value.iter().all(is_octet) {
        return Cookies::Malformed;
    }
    std::str::from_utf8(value).map_or(Cookies::Malformed, Cookies::One)
}

/// Only spaces and tabs may stand around a pair; other blanks are part of names and values.
const fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn trim_end(mut value: &[u8]) -> &[u8] {
    while let [rest @ .., last] = value
        && is_blank(last)
    {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use Cookies::{Absent, Malformed, Many, One};

    const NAME: &str = "__Host-session";

    #[test]
    fn cookies_are_read_plainly() {
        for (lines, expected) in [
            (&[][..], Absent),
            (&[""], Absent),
            (&["a=1; b=2"], Absent),
            (&["__Host-session=x"], One("x")),
            (&["a=1; __Host-session=x; b=2"], One("x")),
            (&["a=1;__Host-session=x;b=2"], One("x")),
            (&[";;\t __Host-session=x \t;;"], One("x")),
            (&["__Host-session=a=b=="], One("a=b==")),
            (&["a=1", "__Host-session=x", "b=2"], One("x")), // Crumbs of HTTP/2.
            // Other names (C-02).
            (&["__host-session=x"], Absent),
            (&["__HOST-session=x; __Host-Session=y"], Absent),
            (&["__host-session=evil; __Host-session=x"], One("x")),
            (&["__Host-session2=x"], Absent),
            (&["x__Host-session=x"], Absent),
            (&["__Host-session =x"], Absent),
            (&["\u{2003}__Host-session=x"], Absent), // Some frameworks trim this blank.
            (&["\u{a0}__Host-session=evil; __Host-session=x"], One("x")),
            (&["__Host%2Dsession=x"], Absent),
            // Nameless ones.
            (&["__Host-session"], Absent),
            (&["=__Host-session=x"], Absent),
            (&["=; __Host-session=x"], One("x")),
            // Two values (C-03).
            (&["__Host-session=x; __Host-session=y"], Many),
            (&["__Host-session=x; __Host-session=x"], Many),
            (&["__Host-session=x", "__Host-session=x"], Many),
            (&["__Host-session=x; a=1; __Host-session="], Many),
            (&["__Host-session=\0; __Host-session=x"], Many),
            // Quotes hide nothing, and there is no second mode (C-04).
            (&["a=\"1; __Host-session=x; b=2\""], One("x")),
            (
                &["$Version=1; __Host-session=\"x; a=secret; b=\""],
                Malformed,
            ),
            (&["$Version=\"1\"; __Host-session=x; $Path=/"], One("x")),
            (&["__Host-session=\"x\""], Malformed),
            // Values that no cookie has.
            (&["__Host-session="], Malformed),
            (&["__Host-session= x"], Malformed),
            (&["__Host-session=x y"], Malformed),
            (&["__Host-session=x\0"], Malformed),
            (&["__Host-session=x\r\ny"], Malformed),
            (&["__Host-session=ä"], Malformed),
            (&["__Host-session=x\\"], Malformed),
            // Lines joined by a comma.
            (&["__Host-session=x,b=2"], Malformed),
            (&["__Host-session=x,"], Malformed),
            (&["a=1,__Host-session=x"], Malformed),
            (&["a=1, __Host-session=x; b=2"], Malformed),
            (&["__Host-session=x,__Host-session=x"], Many),
            (&["a=1,__Host-session=x; __Host-session=y"], Many),
            (&["a=1,b=2; __Host-session=x"], One("x")),
        ] {
            let found = cookie_values(
                lines.iter().map(|line| line.as_bytes()),
                &CookieName::new(NAME),
            );
            assert_eq!(found, expected, "{lines:?}");
        }
    }

    #[test]
    fn a_value_beyond_the_limit_is_malformed() {
        let line = format!("{NAME}={}", "a".repeat(MAX_VALUE_BYTES));
        assert!(matches!(
            cookie_values([line.as_bytes()], &CookieName::new(NAME)),
            One(_)
        ));
        assert_eq!(
            cookie_values([(line + "a").as_bytes()], &CookieName::new(NAME)),
            Malformed
        );
    }

    #[test]
    fn bytes_that_are_not_utf_8_spoil_only_their_own_cookie() {
        assert_eq!(
            cookie_values([&b"a=\xff; __Host-session=x"[..]], &CookieName::new(NAME)),
            One("x")
        );
        assert_eq!(
            cookie_values([&b"__Host-session=\xff"[..]], &CookieName::new(NAME)),
            Malformed
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(
            lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..4),
            name in ".{0,8}",
        ) {
            let _ = cookie_values(lines.iter().map(Vec::as_slice), &CookieName::new(&name));
        }

        #[test]
        fn a_second_value_never_gives_one(before in "[ -~]{0,20}", after in "[ -~]{0,20}") {
            let line = format!("{NAME}=x; {before}; {NAME}=y;{after}");
            prop_assert_eq!(cookie_values([line.as_bytes()], &CookieName::new(NAME)), Many);
        }
    }
}
