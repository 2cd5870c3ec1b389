//! Checks the URL of a PostgreSQL server. A part of its password must never be taken for the host, which
//! messages and logs show.

/// Parameters that the driver knows. It logs the values of others.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "target_session_attrs",
];

/// Checks the URL in `flag`.
///
/// # Errors
/// Returns what is wrong. The message repeats no part of the URL that may be a password.
pub(crate) fn check(flag: &str, url: &str) -> Result<(), String> {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, after) = rest.split_at(end);
    // The user and the password end at an @. If it is behind one of these characters, they are not where the
    // password ends, but a part of it.
    if after.contains('@')
        && let Some(character) = after.chars().next()
    {
        return Err(format!(
            "{flag}: write {character:?} in the user or the password as %{:02X}, and an @ after the host as %40",
            u32::from(character)
        ));
    }
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let port = |host: &str| match host.rsplit_once(':') {
        Some((_, port)) if !host.ends_with(']') => port.to_owned(),
        _ => String::new(),
    };
    if !place.split(',').all(|host| port(host).chars().all(|character| character.is_ascii_digit())) {
        return Err(format!(
            "{flag}: the port is not a number; the form is postgres://USER:PASSWORD@HOST:PORT/NAME"
        ));
    }
    let query = after.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let name = parameter.split('=').next().unwrap_or_default();
        if !PARAMETERS.contains(&name) && name != "options" && !name.starts_with("options[") {
            return Err(format!(
                "{flag}: unknown parameter after the ?; known are {} and options",
                PARAMETERS.join(", ")
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_with_reserved_characters_in_the_password_is_rejected() {
        for (url, part) in [
            ("postgres://shop:Pa55w0rd#1@host/db", "\"#\""),
            ("postgres://shop:Pa55w0rd?1@host/db", "'?' in the user or the password as %3F"),
            ("postgres://shop:Pa55w0rd/1@host/db", "'/' in the user or the password as %2F"),
            ("postgres://shop:5432#Pa55w0rd@host/db", "'#' in the user or the password as %23"),
            ("postgres://shop:5432/Pa55w0rd?1@host/db", "as %2F"),
            ("postgres://shop:Pa55@w0rd#1@host/db", "as %23"),
            ("postgres://Pa55w0rd#@host/db", "as %23"),
            ("postgres://shop:Pa55w0rd", "the port is not a number"),
            ("postgres://shop:Pa55w0rd/db", "the port is not a number"),
            ("postgres://one:Pa55w0rd,two:1/db", "the port is not a number"),
            ("postgres://host/db?pasword=Pa55w0rd", "unknown parameter"),
            ("postgres://host/db?Pa55w0rd", "unknown parameter"),
        ] {
            let error = check("--database", url).expect_err(url);
            assert!(error.starts_with("--database: "), "{error}");
            assert!(error.contains(&part.replace('"', "'")), "{url}: {error}");
            for secret in ["Pa55", "w0rd", "5432"] {
                assert!(!error.contains(secret), "{url}: {error}");
            }
        }
    }

    #[test]
    fn usual_urls_are_accepted() {
        for url in [
            "postgres://me:hunter2@db.internal:5432/licenses?sslmode=require&password=hunter2",
            "postgresql://me:hunt@er2@db/licenses",
            "postgres://me:a%23b%3Fc%2Fd%40e@db/licenses",
            "postgres:///licenses?user=me&host=/var/run/postgresql",
            "postgres://me@[::1]/licenses",
            "postgres://me@[::1]:5432/licenses?options[search_path]=shop&application_name=a%40b",
            "postgres://db",
            "postgres://me@one:5432,two,[::1]:5433/licenses?target_session_attrs=read-write",
        ] {
            assert_eq!(check("--database", url), Ok(()), "{url}");
        }
    }
}
