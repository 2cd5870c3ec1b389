//! The header `Prefer` of RFC 7240.

use axum::http::{HeaderMap, HeaderName};

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Returns whether the caller prefers that unknown fields are ignored: `handling=lenient`. If a preference
/// occurs twice, the first counts.
pub(crate) fn prefers_lenient(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(PREFER).iter().filter_map(|line| line.to_str().ok());
    let handling = lines.flat_map(|line| line.split(',')).find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("handling").then(|| value.trim().trim_matches('"'))
    });
    handling.is_some_and(|value| value.eq_ignore_ascii_case("lenient"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handling_is_read_from_any_preference() {
        for (lines, expected) in [
            (&["handling=lenient"][..], true),
            (&["Handling = \"Lenient\""], true),
            (&["return=minimal, handling=lenient; x=y"], true),
            (&["wait=10", "handling=lenient"], true),
            (&["handling=strict, handling=lenient"], false),
            (&["handling"], false),
            (&["lenient"], false),
            (&["respond-async; handling=lenient"], false),
            (&[""], false),
            (&[], false),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(PREFER, line.parse().expect("a value"));
            }
            assert_eq!(prefers_lenient(&headers), expected, "{lines:?}");
        }
    }
}
