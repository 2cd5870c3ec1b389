//! What can be set of the network's edge: whom to believe, and how much to take.

use clap::{Args, ValueEnum};
use license_http::{ForwardingHeader, IpNet, ServeOptions, TrustedProxies};

/// What stands between the open network and the API.
#[derive(Debug, Args)]
pub(crate) struct EdgeFlags {
    /// Network or address of a proxy that is believed when it says for whom it calls; may be repeated
    #[arg(long = "trusted-proxy", env = "LICENSE_TRUSTED_PROXY", value_name = "CIDR", value_delimiter = ',',
        value_parser = TrustedProxies::parse_network)]
    trusted_proxies: Vec<IpNet>,

    /// Header in which trusted proxies say it. Only this one is read: a proxy passes on the other as callers made it up
    #[arg(long, env = "LICENSE_PROXY_HEADER", value_enum, default_value_t = ProxyHeader::XForwardedFor)]
    proxy_header: ProxyHeader,
}

/// A header of proxies, as the flag names it.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProxyHeader {
    XForwardedFor,
    Forwarded,
}

impl EdgeFlags {
    pub(crate) fn serve_options(&self) -> ServeOptions {
        let header = match self.proxy_header {
            ProxyHeader::XForwardedFor => ForwardingHeader::XForwardedFor,
            ProxyHeader::Forwarded => ForwardingHeader::Forwarded,
        };
        let mut options = ServeOptions::default();
        options.trusted_proxies = TrustedProxies::new(self.trusted_proxies.iter().copied(), header);
        options
    }
}
