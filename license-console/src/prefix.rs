//! The prefix under which the app has mounted the console.

use axum::extract::OriginalUri;
use axum::http::request::Parts;

/// Returns the prefix, such as `/console`, without a slash at its end; empty at the root.
pub(crate) fn of(parts: &Parts) -> String {
    let Some(OriginalUri(original)) = parts.extensions.get::<OriginalUri>() else { return String::new() };
    let (outer, inner) = (original.path(), parts.uri.path());
    outer.strip_suffix(inner).unwrap_or(outer).trim_end_matches('/').to_owned()
}
