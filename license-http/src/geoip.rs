//! Country of the caller, from the header of a trusted proxy or a MaxMind database. The address itself is
//! not stored.

#[cfg(feature = "geoip")]
mod database;

use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue};
#[cfg(feature = "geoip")]
use license_core::metrics::Metric;
use license_core::usage::{Country, Location};

use crate::client_ip::ByTrustedProxy;
#[cfg(feature = "geoip")]
use crate::client_ip::ClientAddress;

#[cfg(feature = "geoip")]
pub use database::{GeoIpDatabase, GeoIpError};

/// Country code that Cloudflare and others send for an unknown country. (`T1`, for Tor, is not two letters.)
const UNKNOWN_COUNTRY: &str = "XX";

/// Sources of a caller's country. The default has none. Cloning is cheap.
///
/// A [`Location`] that the host app sets as an extension of the request overrides all sources.
///
/// ```
/// use license_http::{GeoIp, HeaderName};
/// let geoip = GeoIp::default().country_header(HeaderName::from_static("cf-ipcountry"));
/// ```
#[must_use]
#[derive(Clone, Debug, Default)]
pub struct GeoIp {
    country_header: Option<HeaderName>,
    #[cfg(feature = "geoip")]
    database: Option<GeoIpDatabase>,
}

impl GeoIp {
    /// Uses this header of trusted proxies, which has two letters of ISO 3166. The database is the fallback.
    pub fn country_header(mut self, name: HeaderName) -> Self {
        self.country_header = Some(name);
        self
    }

    /// Looks up the client address in this database.
    #[cfg(feature = "geoip")]
    pub fn database(self, database: GeoIpDatabase) -> Self {
        Self { database: Some(database), ..self }
    }

    /// Returns the location of a request, if any source knows it.
    pub(crate) fn location(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<Location> {
        if let Some(known) = extensions.get::<Location>() {
            return Some(known.clone());
        }
        let location = extensions.get::<ByTrustedProxy>().and_then(|_| self.location_in_header(headers));
        #[cfg(feature = "geoip")]
        let location =
            location.or_else(|| self.database.as_ref()?.location(extensions.get::<ClientAddress>()?.0));
        location
    }

    fn location_in_header(&self, headers: &HeaderMap) -> Option<Location> {
        let name = self.country_header.as_ref()?;
        // The last header is the nearest proxy's; a caller may have sent others before it.
        let text =
            headers.get_all(name).iter().next_back().and_then(|value| HeaderValue::to_str(value).ok())?;
        let country = Country::parse(text.trim()).filter(|country| country.as_str() != UNKNOWN_COUNTRY);
        country.map(Location::of)
    }

    #[cfg(feature = "geoip")]
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        self.database.iter().flat_map(GeoIpDatabase::metrics).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(lines: &[&str], trusted: bool) -> Option<String> {
        let geoip = GeoIp::default().country_header(HeaderName::from_static("cf-ipcountry"));
        let (mut headers, mut extensions) = (HeaderMap::new(), Extensions::new());
        for line in lines {
            headers.append("cf-ipcountry", HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        headers.insert("x-country", HeaderValue::from_static("FR"));
        if trusted {
            extensions.insert(ByTrustedProxy);
        }
        geoip.location(&headers, &extensions).map(|location| location.country.to_string())
    }

    #[test]
    fn country_header_counts_only_from_a_trusted_proxy() {
        for (lines, expected) in [
            (&["DE"][..], Some("DE")),
            (&[" de "], Some("DE")),
            (&["FR", "DE"], Some("DE")),
            (&["DE", "XX"], None),
            (&["XX"], None),
            (&["xx"], None),
            (&["T1"], None),
            (&[""], None),
            (&["DEU"], None),
            (&["\u{e9}"], None),
            (&[], None),
        ] {
            assert_eq!(location(lines, true).as_deref(), expected, "{lines:?}");
            assert_eq!(location(lines, false), None, "{lines:?}, untrusted");
        }
    }
}
