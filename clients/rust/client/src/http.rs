//! Questions to the server over HTTP.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use ureq::Body;
use ureq::http::{HeaderMap, Response, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::clock::Clock;
use crate::error::Error;

/// Asks one server, each question within one deadline.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    agent: ureq::Agent,
    base: String,
    deadline: Duration,
    clock: Clock,
}

/// An answer, of the server or of something between.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    /// The header `Date`, in Unix seconds.
    pub(crate) date: Option<i64>,
    pub(crate) body: Vec<u8>,
}

impl Http {
    pub(crate) fn new(
        server: &str,
        roots: Option<&str>,
        deadline: Duration,
        clock: Clock,
    ) -> Result<Self, Error> {
        let (base, is_loopback) = check_server(server)?;
        let roots = match roots {
            Some(pem) => RootCerts::Specific(Arc::new(certificates(pem)?)),
            None => RootCerts::PlatformVerifier,
        };
        let mut config = ureq::Agent::config_builder()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_global(Some(deadline))
            .user_agent(concat!("license-client/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots).build());
        if is_loopback {
            // A proxy of the environment cannot reach this machine.
            config = config.proxy(None);
        }
        Ok(Self { agent: config.build().new_agent(), base, deadline, clock })
    }

    /// Posts a JSON body. Returns `None` if no answer came within the deadline, or if its body is longer than
    /// `limit`.
    pub(crate) fn post(&self, path: &str, body: &[u8], limit: usize) -> Option<Reply> {
        let request = self
            .agent
            .post(format!("{}{path}", self.base))
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .header("prefer", "handling=lenient");
        self.within_deadline(limit, || request.send(body))
    }

    /// As [`post`](Self::post), without a body.
    pub(crate) fn get(&self, path: &str, limit: usize) -> Option<Reply> {
        let request = self.agent.get(format!("{}{path}", self.base)).header("accept", "application/json");
        self.within_deadline(limit, || request.call())
    }

    fn within_deadline(
        &self,
        limit: usize,
        send: impl FnOnce() -> Result<Response<Body>, ureq::Error>,
    ) -> Option<Reply> {
        let stopwatch = self.clock.stopwatch();
        let mut response = send().ok()?;
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let body = response.body_mut().with_config().limit(limit).read_to_vec().ok()?;
        if stopwatch.is_past(self.deadline) {
            return None;
        }
        let headers = response.headers();
        let retry_after = text(headers, "retry-after").map(str::to_owned);
        let date = text(headers, "date").and_then(unix_seconds);
        Some(Reply { status: response.status().as_u16(), retry_after, date, body })
    }
}

impl Reply {
    /// Returns the body if it is a JSON object.
    pub(crate) fn object(&self) -> Option<Map<String, Value>> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Returns the fields of the question that the server ignored.
    pub(crate) fn ignored(&self) -> Vec<String> {
        let body = self.object().unwrap_or_default();
        let fields = body.get("ignored").and_then(Value::as_array);
        fields.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Returns the answer of the server, or its refusal.
    pub(crate) fn into_result(self) -> Result<Map<String, Value>, Error> {
        let fields = self.ignored();
        if !fields.is_empty() {
            return Err(Error::ServerTooOld { fields });
        }
        let body = self.object().ok_or(Error::NoAnswer)?;
        let member = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        if let Some(code) = member("error").or_else(|| member("code")) {
            let message = member("message").or_else(|| member("detail")).unwrap_or_default();
            return Err(Error::Refused { code, message });
        }
        if (200..300).contains(&self.status) { Ok(body) } else { Err(Error::NoAnswer) }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn unix_seconds(date: &str) -> Option<i64> {
    let time = httpdate::parse_http_date(date).ok()?;
    i64::try_from(time.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// Returns the address without a slash at its end, and whether it is this machine. The license key is sent
/// there, so the connection must be encrypted.
fn check_server(server: &str) -> Result<(String, bool), Error> {
    let uri: Uri = server.trim().parse().map_err(|_| Error::InvalidServer("it is no URL"))?;
    let authority = uri.authority().ok_or(Error::InvalidServer("it has no host"))?;
    let is_loopback = matches!(authority.host(), "localhost" | "127.0.0.1" | "[::1]");
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if is_loopback => {}
        _ => return Err(Error::InvalidServer("it must begin with https://, except on this machine")),
    }
    if authority.as_str().contains('@') || uri.query().is_some() {
        return Err(Error::InvalidServer("it must have neither a user nor a query"));
    }
    Ok((server.trim().trim_end_matches('/').to_owned(), is_loopback))
}

fn certificates(pem: &str) -> Result<Vec<Certificate<'static>>, Error> {
    let mut certificates = Vec::new();
    for item in parse_pem(pem.as_bytes()) {
        if let PemItem::Certificate(certificate) = item.map_err(|_| Error::InvalidCertificates)? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() { Err(Error::InvalidCertificates) } else { Ok(certificates) }
}
