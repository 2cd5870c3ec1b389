//! Network flags: trusted proxies, geography, rate limits, connections, timeouts, CORS and TLS.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use license_http::{
    ForwardingHeader, GeoIp, GeoIpDatabase, HeaderName, HeaderValue, IpNet, LimitOptions, Rate, RateLimits,
    TrustedProxies,
};
use license_server::listen::{ListenOptions, Timeouts, Tls};

use crate::duration;
use crate::environment::switch;

/// Flags of the listener and of the limits in front of the API.
#[derive(Debug, Args)]
pub(crate) struct NetworkFlags {
    /// Address or network of a proxy whose forwarding header is trusted; may be repeated
    #[arg(long = "trusted-proxy", env = "LICENSE_TRUSTED_PROXY", value_name = "CIDR", value_delimiter = ',',
        value_parser = TrustedProxies::parse_network)]
    trusted_proxies: Vec<IpNet>,

    /// Forwarding header of trusted proxies. The other one is ignored, because a proxy may pass it on as
    /// the client sent it
    #[arg(long, env = "LICENSE_PROXY_HEADER", value_enum, default_value_t = ProxyHeader::XForwardedFor)]
    proxy_header: ProxyHeader,

    /// MaxMind database that maps addresses to countries; reloaded when it changes
    #[arg(long, env = "LICENSE_GEOIP", value_name = "FILE.mmdb")]
    geoip: Option<PathBuf>,

    /// Header in which trusted proxies send the country, such as CF-IPCountry; takes precedence over --geoip
    #[arg(long, env = "LICENSE_COUNTRY_HEADER", value_name = "NAME", value_parser = header_name)]
    country_header: Option<HeaderName>,

    /// Whether rate limits apply
    #[arg(long, env = "LICENSE_RATE_LIMIT", value_name = "on|off", value_parser = switch,
        action = ArgAction::Set, default_value = "on")]
    rate_limit: bool,

    /// Rate limit of validations per address (per /64 network for IPv6), as N/s, N/m or N/h, then : and the
    /// burst; known keys are answered past it
    #[arg(long, env = "LICENSE_RATE_PER_ADDRESS", value_name = "RATE", default_value = "50/s:500")]
    rate_per_address: Rate,

    /// Rate limit of validations per license key
    #[arg(long, env = "LICENSE_RATE_PER_KEY", value_name = "RATE", default_value = "20/s:200")]
    rate_per_key: Rate,

    /// Rate limit of malformed or unknown keys and of wrong tokens, per address; known keys are answered
    /// past it, except imported ones that can be guessed
    #[arg(long, env = "LICENSE_RATE_FAILURES", value_name = "RATE", default_value = "30/m:60")]
    rate_failures: Rate,

    /// Rate limit of admin calls per token
    #[arg(long, env = "LICENSE_RATE_PER_TOKEN", value_name = "RATE", default_value = "50/s:200")]
    rate_per_token: Rate,

    /// Maximum number of open connections
    #[arg(long, env = "LICENSE_CONNECTIONS", value_name = "N", default_value = "4096")]
    connections: NonZero<usize>,

    /// Maximum number of open connections per address; trusted proxies are exempt
    #[arg(long, env = "LICENSE_CONNECTIONS_PER_ADDRESS", value_name = "N", default_value = "512")]
    connections_per_address: NonZero<usize>,

    /// Maximum number of validations in flight; further ones are answered 503 at once
    #[arg(long, env = "LICENSE_VALIDATIONS_AT_ONCE", value_name = "N", default_value = "2048")]
    validations_at_once: NonZero<usize>,

    /// Maximum number of admin calls in flight, counted apart from validations; further ones are answered
    /// 503 at once
    #[arg(long, env = "LICENSE_ADMIN_CALLS_AT_ONCE", value_name = "N", default_value = "64")]
    admin_calls_at_once: NonZero<usize>,

    /// Address and port of a second listener with /metrics alone: all metrics, without a token. Keep it
    /// private
    #[arg(long, env = "LICENSE_METRICS_LISTEN", value_name = "ADDRESS")]
    pub(crate) metrics_listen: Option<String>,

    /// Time that a client has to send a request's head, from its first byte, or to finish a TLS handshake
    #[arg(long, env = "LICENSE_HEAD_TIMEOUT", value_name = "DURATION", default_value = "10s",
        value_parser = duration::within("1s", "1h"))]
    head_timeout: Duration,

    /// Time without a request after which a connection is closed; set it above the idle timeout of your
    /// load balancer
    #[arg(long, env = "LICENSE_IDLE_TIMEOUT", value_name = "DURATION", default_value = "75s",
        value_parser = duration::within("1s", "1h"))]
    idle_timeout: Duration,

    /// Time that a client has to send a request's body
    #[arg(long, env = "LICENSE_BODY_TIMEOUT", value_name = "DURATION", default_value = "10s",
        value_parser = duration::within("1s", "1h"))]
    body_timeout: Duration,

    /// Time that a client has to read its answer
    #[arg(long, env = "LICENSE_WRITE_TIMEOUT", value_name = "DURATION", default_value = "30s",
        value_parser = duration::within("1s", "1h"))]
    write_timeout: Duration,

    #[arg(long = "cors-origin", env = "LICENSE_CORS_ORIGIN", value_name = "ORIGIN", value_delimiter = ',',
        value_parser = origin, help = "Origin of web pages that may call /validate, /deactivate and /activations/list from a \
        browser, such as https://example.com, or *; may be repeated")]
    cors_origins: Vec<HeaderValue>,

    /// PEM file of the certificate and its chain, for HTTPS; reloaded when it changes
    #[arg(long, env = "LICENSE_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,

    /// PEM file of the certificate's private key
    #[arg(long, env = "LICENSE_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,
}

/// Forwarding header of proxies.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProxyHeader {
    XForwardedFor,
    Forwarded,
}

impl NetworkFlags {
    /// Loads the certificate, and returns the options of the listener.
    pub(crate) fn listen_options(&self) -> Result<ListenOptions, String> {
        let header = match self.proxy_header {
            ProxyHeader::XForwardedFor => ForwardingHeader::XForwardedFor,
            ProxyHeader::Forwarded => ForwardingHeader::Forwarded,
        };
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(Tls::load(certificate, key).map_err(|error| format!("TLS: {error}"))?)
            }
            (None, None) => None,
            (Some(_), None) => return Err("--tls-cert requires --tls-key".to_owned()),
            (None, Some(_)) => return Err("--tls-key requires --tls-cert".to_owned()),
        };
        Ok(ListenOptions {
            trusted_proxies: TrustedProxies::new(self.trusted_proxies.iter().copied(), header),
            max_connections: self.connections.get(),
            max_connections_per_address: self.connections_per_address.get(),
            timeouts: Timeouts {
                head: self.head_timeout,
                idle: self.idle_timeout,
                write: self.write_timeout,
            },
            tls,
        })
    }

    pub(crate) fn has_tls(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// Returns the file of the certificate.
    pub(crate) fn certificate(&self) -> Option<&Path> {
        self.tls_cert.as_deref()
    }

    pub(crate) fn max_connections(&self) -> usize {
        self.connections.get()
    }

    pub(crate) fn has_trusted_proxy(&self) -> bool {
        !self.trusted_proxies.is_empty()
    }

    /// Returns the sources of the country, and the database to watch.
    pub(crate) fn geoip(&self) -> Result<(GeoIp, Option<GeoIpDatabase>), String> {
        let mut geography = GeoIp::default();
        if let Some(name) = &self.country_header {
            if self.trusted_proxies.is_empty() {
                return Err("--country-header requires --trusted-proxy".to_owned());
            }
            geography = geography.country_header(name.clone());
        }
        let Some(path) = &self.geoip else { return Ok((geography, None)) };
        let file = GeoIpDatabase::load(path).map_err(|error| format!("--geoip {error}"))?;
        Ok((geography.database(file.clone()), Some(file)))
    }

    /// Returns the rate and concurrency limits.
    pub(crate) fn limits(&self) -> LimitOptions {
        let mut limits = RateLimits::default();
        limits.per_address = self.rate_per_address;
        limits.per_key = self.rate_per_key;
        limits.failures = self.rate_failures;
        limits.per_token = self.rate_per_token;
        let mut options = LimitOptions::default();
        options.rate_limits = self.rate_limit.then_some(limits);
        options.validations_at_once = self.validations_at_once.get();
        options.admin_calls_at_once = self.admin_calls_at_once.get();
        options.body_timeout = self.body_timeout;
        options.cors_origins.clone_from(&self.cors_origins);
        options
    }
}

fn header_name(text: &str) -> Result<HeaderName, &'static str> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| "must be the name of a header, such as CF-IPCountry")
}

/// Parses `*`, or scheme and host as a browser sends them.
pub(crate) fn origin(text: &str) -> Result<HeaderValue, &'static str> {
    const ERROR: &str = "must be an origin such as https://example.com (lower case, without a path), or *";
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_valid = |host: &str| {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.:[]".contains(&byte);
        !host.is_empty() && host.bytes().all(allowed)
    };
    if text != "*" && !host.is_some_and(is_valid) {
        return Err(ERROR);
    }
    HeaderValue::from_str(text).map_err(|_| ERROR)
}
