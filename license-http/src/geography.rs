//! Where callers are: what a proxy says that is trusted, or a file of MaxMind's form. The address itself is not kept.

#[cfg(feature = "geography")]
mod file;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
#[cfg(feature = "geography")]
use license_core::figure::Figure;
use license_core::place::{Country, Place};

use crate::client::Origin;

#[cfg(feature = "geography")]
pub use file::{GeoFile, GeoFileError};

/// What proxies write where they know no country: `XX` of Cloudflare and others. (Its `T1`, for Tor, are no two letters.)
const NOBODY_KNOWS: &str = "XX";

/// Marks a request that came by way of a trusted proxy, as an extension of it.
/// [`TrustedProxies::annotate`](crate::TrustedProxies::annotate) sets it. Only then a header that tells of a country is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByTrustedProxy;

/// How it is found out where a caller is. By itself: not at all.
///
/// A [`Place`] that is an extension of a request goes before all: an app of your own may know better. Cloning is cheap.
///
/// ```
/// use license_http::{Geography, HeaderName};
/// let geography = Geography::default().country_header(HeaderName::from_static("cf-ipcountry"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Geography {
    country_header: Option<HeaderName>,
    #[cfg(feature = "geography")]
    file: Option<GeoFile>,
}

impl Geography {
    /// By the header in which trusted proxies write a country, two letters of ISO 3166. Where it says nothing of use, by the file.
    #[must_use]
    pub fn country_header(mut self, name: HeaderName) -> Self {
        self.country_header = Some(name);
        self
    }

    /// By a file, of the caller's address.
    #[cfg(feature = "geography")]
    #[must_use]
    pub fn file(self, file: GeoFile) -> Self {
        Self { file: Some(file), ..self }
    }

    /// Where a request comes from, as far as can be told.
    pub(crate) fn place(&self, headers: &HeaderMap, origin: &Origin) -> Option<Place> {
        if origin.place.is_some() {
            return origin.place.clone();
        }
        let place = self.of_header(headers, origin);
        #[cfg(feature = "geography")]
        let place = place.or_else(|| self.file.as_ref()?.place(origin.address?.0));
        place
    }

    fn of_header(&self, headers: &HeaderMap, origin: &Origin) -> Option<Place> {
        let name = self.country_header.as_ref()?;
        if !origin.by_trusted_proxy {
            return None;
        }
        // The last one is the nearest proxy's, whatever a caller wrote before it.
        let text =
            headers.get_all(name).iter().next_back().and_then(|value| HeaderValue::to_str(value).ok())?;
        let country = Country::parse(text.trim()).filter(|country| country.as_str() != NOBODY_KNOWS);
        country.map(Place::of)
    }

    #[cfg(feature = "geography")]
    pub(crate) fn figures(&self) -> Vec<Figure> {
        self.file.iter().flat_map(GeoFile::figures).collect()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Extensions;

    use super::*;

    fn place(lines: &[&str], trusted: bool) -> Option<String> {
        let geography = Geography::default().country_header(HeaderName::from_static("cf-ipcountry"));
        let (mut headers, mut extensions) = (HeaderMap::new(), Extensions::new());
        for line in lines {
            headers.append("cf-ipcountry", HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        headers.insert("x-country", HeaderValue::from_static("FR"));
        if trusted {
            extensions.insert(ByTrustedProxy);
        }
        geography.place(&headers, &Origin::of(&extensions)).map(|place| place.country.to_string())
    }

    #[test]
    fn a_header_is_believed_of_a_trusted_proxy() {
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
            assert_eq!(place(lines, true).as_deref(), expected, "{lines:?}");
            assert_eq!(place(lines, false), None, "{lines:?} of nobody");
        }
    }

    #[test]
    fn an_app_that_knows_better_is_believed() {
        let known = Place::of(Country::parse("SE").unwrap());
        let mut extensions = Extensions::new();
        extensions.insert(known.clone());
        assert_eq!(Geography::default().place(&HeaderMap::new(), &Origin::of(&extensions)), Some(known));
        assert_eq!(Geography::default().place(&HeaderMap::new(), &Origin::default()), None);
    }
}
