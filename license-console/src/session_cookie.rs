//! The cookie that has the secret of a session.

use axum::http::{HeaderMap, HeaderValue, header};
use license_core::access::TokenSecret;

const NAME: &str = "license_console_session";

/// Returns the secret that a request sends.
pub(crate) fn secret(headers: &HeaderMap) -> Option<&str> {
    value(headers, NAME)
}

/// Returns the cookie for a new session. It ends with the browser; the session ends on the server.
pub(crate) fn of_session(secret: &TokenSecret, prefix: &str, https: bool) -> Option<HeaderValue> {
    let mut cookie = of(NAME, secret.reveal(), "", prefix, https)?;
    cookie.set_sensitive(true);
    Some(cookie)
}

/// Returns the cookie that removes the one of a session.
pub(crate) fn removed(prefix: &str, https: bool) -> Option<HeaderValue> {
    of(NAME, "", "; Max-Age=0", prefix, https)
}

/// Returns the value of a cookie. Of two with one name, neither counts: a sibling app may have set one.
pub(crate) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let cookies = lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    let mut values = cookies.filter(|(found, _)| *found == name).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// Returns a cookie that browsers send to the console, to no path beside it, and to no script.
pub(crate) fn of(name: &str, value: &str, age: &str, prefix: &str, https: bool) -> Option<HeaderValue> {
    let secure = if https { "; Secure" } else { "" };
    let path = if prefix.is_empty() { "/" } else { prefix };
    // A prefix with parameters is as the browser sent it.
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b';' && byte != b',';
    if !path.bytes().all(plain) {
        return None;
    }
    format!("{name}={value}; Path={path}{age}; HttpOnly; SameSite=Strict{secure}").try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookie_is_read_if_it_is_the_only_one() {
        let read = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, line.parse().unwrap());
            }
            secret(&headers).map(str::to_owned)
        };
        assert_eq!(read(&["a=b; license_console_session=lks_1; c=d"]), Some("lks_1".to_owned()));
        for lines in [
            &["license_console_session=1; license_console_session=2"][..],
            &["license_console_session=1", "license_console_session=1"],
            &["xlicense_console_session=1"],
            &["license_console_session"],
            &[],
        ] {
            assert_eq!(read(lines), None, "{lines:?}");
        }
    }
}
