//! The servers of a database: a URL may name several, of which one is the primary.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{ConnectOptions, Connection, Executor, Row};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::APPLICATION;
use crate::sql::migrations::{OpenError, open_error};

/// How long a server may take to answer whether it is the primary.
const TIMEOUT: Duration = Duration::from_secs(2);
const SESSION: &str = "target_session_attrs";

/// The servers of a URL.
#[derive(Debug)]
pub(super) struct Servers(Vec<PgConnectOptions>);

impl Servers {
    /// Parses `postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME`.
    pub(super) fn parse(url: &str) -> Result<Self, OpenError> {
        let (before, hosts, after) = split(url);
        let (after, session) = without_session(after);
        if let Some(session) = session
            && !["read-write", "primary"].contains(&session)
        {
            let error = format!("{SESSION} must be read-write or primary");
            return Err(OpenError::Database(error.into()));
        }
        let server = |host: &str| -> Result<_, OpenError> {
            let server: PgConnectOptions = format!("{before}{host}{after}").parse().map_err(open_error)?;
            let named = server.get_application_name().is_some();
            let server = if named { server } else { server.application_name(APPLICATION) };
            // Poolers reject this start-up parameter, and no column is a float.
            Ok(server.extra_float_digits(None))
        };
        hosts.split(',').map(server).collect::<Result<_, _>>().map(Self)
    }

    /// Returns whether another server may become the primary.
    pub(super) fn are_several(&self) -> bool {
        self.0.len() > 1
    }

    /// Changes the options of all connections.
    pub(super) fn map(self, change: impl FnMut(PgConnectOptions) -> PgConnectOptions) -> Self {
        Self(self.0.into_iter().map(change).collect())
    }

    /// Returns the first server.
    pub(super) fn first(&self) -> PgConnectOptions {
        self.0[0].clone()
    }

    /// Returns the server that accepts writes. A single server is not asked.
    pub(super) async fn primary(&self) -> sqlx::Result<PgConnectOptions> {
        if let [server] = &self.0[..] {
            return Ok(server.clone());
        }
        let mut last = "each is a standby, or read-only".to_owned();
        for server in &self.0 {
            match tokio::time::timeout(TIMEOUT, is_primary(server)).await {
                Ok(Ok(true)) => return Ok(server.clone()),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => last = format!("{}: {error}", server.get_host()),
                Err(_) => last = format!("{} does not answer", server.get_host()),
            }
        }
        Err(sqlx::Error::Configuration(format!("no server of the URL accepts writes: {last}").into()))
    }
}

async fn is_primary(server: &PgConnectOptions) -> sqlx::Result<bool> {
    let mut connection = server.connect().await?;
    let read_only = "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool";
    let read_only: bool = connection.fetch_one(read_only).await?.try_get(0)?;
    connection.close().await?;
    Ok(!read_only)
}

/// The primary, and when it became it. Connections from before are closed instead of used: their server may
/// be frozen, or may still take writes although another one was promoted.
#[derive(Debug)]
pub(super) struct Failover {
    current: Mutex<(PgConnectOptions, Option<Instant>)>,
    switched: Notify,
    /// How long a connection may take to open.
    connecting: Duration,
}

impl Failover {
    pub(super) fn new(primary: PgConnectOptions, connecting: Duration) -> Self {
        Self { current: Mutex::new((primary, None)), switched: Notify::new(), connecting }
    }

    /// Leads the new connections of the pools to this server.
    pub(super) fn switch(&self, server: &PgConnectOptions, pools: &[PgPool]) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let place = |server: &PgConnectOptions| (server.get_host().to_owned(), server.get_port());
        if place(&current.0) == place(server) {
            return;
        }
        for pool in pools {
            pool.set_connect_options(server.clone());
        }
        *current = (server.clone(), Some(Instant::now()));
        self.switched.notify_waiters();
        let (host, port) = place(server);
        tracing::warn!(host, port, "the database has another primary");
    }

    /// Waits for the next switch.
    pub(super) async fn switched(&self) -> sqlx::Error {
        self.switched.notified().await;
        switched_error()
    }

    /// Returns whether a connection of this age may lead to an earlier primary. Its age begins when it is
    /// open, so one that was being opened during the switch is younger.
    pub(super) fn is_outdated(&self, age: Duration) -> bool {
        let switched = self.current.lock().unwrap_or_else(PoisonError::into_inner).1;
        switched.is_some_and(|switched| switched.elapsed() <= age + self.connecting)
    }
}

/// Returns the error of a call to an earlier primary.
pub(super) fn switched_error() -> sqlx::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "another server became the primary").into()
}

/// Splits a URL before and after its hosts.
fn split(url: &str) -> (&str, &str, &str) {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    let hosts = url[start..end].rfind('@').map_or(start, |at| start + at + 1);
    (&url[..hosts], &url[hosts..end], &url[end..])
}

/// Removes the parameter that the driver does not know. Returns its value.
fn without_session(after: &str) -> (String, Option<&str>) {
    let Some((path, query)) = after.split_once('?') else { return (after.to_owned(), None) };
    let value = |parameter| str::strip_prefix(parameter, SESSION).and_then(|rest| rest.strip_prefix('='));
    let session = query.split('&').find_map(value);
    let kept: Vec<_> = query.split('&').filter(|parameter| value(parameter).is_none()).collect();
    (format!("{path}?{}", kept.join("&")), session)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(url: &str) -> Vec<(String, u16)> {
        let servers = Servers::parse(url).unwrap();
        servers.0.iter().map(|server| (server.get_host().to_owned(), server.get_port())).collect()
    }

    #[test]
    fn url_may_name_several_servers() {
        for (url, expected) in [
            ("postgres://me@one/db", &[("one", 5432)][..]),
            ("postgres://me@one:1/db?target_session_attrs=primary", &[("one", 1)]),
            ("postgres://me:p,w%40d@one:1,two,[::1]:3/db", &[("one", 1), ("two", 5432), ("[::1]", 3)]),
            (
                "postgres://me@one,two:2/db?sslmode=disable&target_session_attrs=read-write&application_name=a",
                &[("one", 5432), ("two", 2)],
            ),
        ] {
            let expected: Vec<_> = expected.iter().map(|(host, port)| ((*host).to_owned(), *port)).collect();
            assert_eq!(places(url), expected, "{url}");
            let servers = Servers::parse(url).unwrap();
            let (me, db) = (servers.0[0].get_username(), servers.0[0].get_database());
            assert_eq!((me, db), ("me", Some("db")), "{url}");
        }
    }

    #[test]
    fn other_sessions_are_rejected() {
        for session in ["standby", "any", ""] {
            let url = format!("postgres://one,two/db?target_session_attrs={session}");
            let error = Servers::parse(&url).unwrap_err().to_string();
            assert!(error.contains("must be read-write or primary"), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn connections_from_before_a_switch_are_outdated() {
        let failover = Failover::new(PgConnectOptions::new().host("one"), Duration::from_secs(5));
        failover.switch(&PgConnectOptions::new().host("one"), &[]);
        assert!(!failover.is_outdated(Duration::from_hours(1)), "nothing was switched");
        failover.switch(&PgConnectOptions::new().host("two"), &[]);
        assert!(failover.is_outdated(Duration::from_hours(1)));
        assert!(failover.is_outdated(Duration::ZERO), "it was opened during the switch, perhaps");
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(!failover.is_outdated(Duration::ZERO) && failover.is_outdated(Duration::from_secs(6)));
    }
}
