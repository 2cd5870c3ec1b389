//! Content negotiation.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

/// Returns the preferred one of the `offered` media types. The first is the default.
pub(crate) fn preferred<'a>(headers: &HeaderMap, offered: &[&'a str]) -> Option<&'a str> {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let mut best: Option<(f32, &str)> = None;
    for range in lines.flat_map(|line| line.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let wanted = parts.next().unwrap_or_default();
        let weight =
            parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |text| text.parse().ok());
        let named = offered.iter().find(|media_type| media_type.eq_ignore_ascii_case(wanted));
        let any = if wanted == "*/*" { offered.first() } else { None };
        if let (Some(media_type), Some(weight)) = (named.or(any), weight)
            && weight > best.map_or(0.0, |(weight, _)| weight)
        {
            best = Some((weight, media_type));
        }
    }
    best.map(|(_, media_type)| media_type).or_else(|| offered.first().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn highest_weight_among_the_offered_types_wins() {
        for (accept, expected) in [
            ("", "application/json"),
            ("*/*", "application/json"),
            ("text/csv", "text/csv"),
            ("TEXT/CSV; charset=utf-8", "text/csv"),
            ("text/html, */*;q=0.1", "application/json"),
            ("text/csv;q=0.5, image/svg+xml", "image/svg+xml"),
            ("text/csv;q=0", "application/json"),
            ("text/csv;q=x", "application/json"),
            ("image/avif, image/webp, image/svg+xml, */*;q=0.8", "image/svg+xml"),
            ("application/json;q=0.9, text/csv;q=0.9", "application/json"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().expect("a value"));
            let offered = ["application/json", "text/csv", "image/svg+xml"];
            assert_eq!(preferred(&headers, &offered), Some(expected), "{accept:?}");
        }
    }
}
