//! Host names, origins and places to sign in.

use super::super::Faults;
use crate::policy::scalar::At;

pub(super) fn host(at: &At<String>, faults: &mut Faults<'_>) -> String {
    let is_name = !at.is_empty()
        && at
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    if !is_name {
        let message = format!("`{}` is no host name", at.escape_debug());
        let help = "write a name without scheme or port, as `sidegate.internal`";
        faults.add("listen.hosts", at, &message, Some(help));
    }
    at.value.to_ascii_lowercase()
}

/// An origin is a scheme, a host and perhaps a port (RFC 6454 section 6.2).
pub(super) fn origin(at: &At<String>, faults: &mut Faults<'_>) -> String {
    let rest = at
        .strip_prefix("https://")
        .or_else(|| at.strip_prefix("http://"));
    let is_origin = rest.is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"/?#@*".contains(&b))
    });
    if !is_origin {
        let message = format!("`{}` is no origin", at.escape_debug());
        let help = "write scheme and host without a path, as `https://books.example`";
        faults.add("listen.origins", at, &message, Some(help));
    }
    at.value.to_ascii_lowercase()
}

/// A path of the app, or an `https://` URL: what browsers are sent to is written here and nowhere
/// else (SECURITY C-09).
pub(super) fn check_login(at: &At<String>) -> Result<(), (String, &'static str)> {
    let help = "write a path as `/login`, or a URL as `https://id.example/login`";
    let rest = match at.strip_prefix("https://") {
        Some(rest) if !rest.starts_with(['/', '?', '#', '@']) => rest,
        None if at.starts_with('/') && !at.starts_with("//") => at,
        _ => "",
    };
    let is_clean = |byte: u8| byte.is_ascii_graphic() && !b"\\#\"<>@".contains(&byte);
    if rest.is_empty() || !rest.bytes().all(is_clean) {
        let message = format!("`{}` is no place to sign in", at.escape_debug());
        return Err((message, help));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c09_a_place_to_sign_in_is_a_path_of_the_app_or_a_whole_url_of_https() {
        for (login, is_good) in [
            ("/login", true),
            ("/login?from=app", true),
            ("https://id.example/login", true),
            ("https://id.example:8443/login", true),
            ("//evil.example", false),
            ("///evil.example", false),
            ("/\\evil.example", false),
            ("\\evil.example", false),
            ("/login\\", false),
            ("https://id.example@evil.example/", false),
            ("https://user:password@id.example/", false),
            ("https://@evil.example/", false),
            ("https:///evil.example", false),
            ("https:/evil.example", false),
            ("https:evil.example", false),
            ("http://id.example/login", false),
            ("javascript:alert(1)", false),
            ("data:text/html,x", false),
            ("login", false),
            ("", false),
            ("/login#top", false),
            ("/log in", false),
            ("/login\r\nset-cookie: a=b", false),
            ("/\t/evil.example", false),
            ("/ä", false),
        ] {
            let told = check_login(&At::nowhere(login.to_owned()));
            assert_eq!(told.is_ok(), is_good, "{login:?}");
        }
    }
}
