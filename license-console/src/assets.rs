//! Style sheet and scripts, which are part of the program.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::failure::Failure;

/// Name, media type and content.
const ASSETS: [(&str, &str, &str); 4] = [
    ("console.css", "text/css; charset=utf-8", include_str!("../assets/console.css")),
    ("console.js", "text/javascript; charset=utf-8", include_str!("../assets/console.js")),
    ("icon.svg", "image/svg+xml", include_str!("../assets/icon.svg")),
    // Version 2.0.11, 0BSD: `htmx.LICENSE`.
    ("htmx-2.0.11.min.js", "text/javascript; charset=utf-8", include_str!("../assets/htmx-2.0.11.min.js")),
];

/// Changes with the content, so that browsers can keep the files for ever.
pub(crate) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    ASSETS.hash(&mut hasher);
    format!("{:x}", hasher.finish())
});

pub(crate) async fn asset(Path((version, name)): Path<(String, String)>) -> Result<Response, Failure> {
    let found = ASSETS.iter().find(|(known, ..)| *known == name).filter(|_| version == *VERSION);
    let (_, media_type, content) = found.ok_or_else(Failure::page_not_found)?;
    let headers =
        [(header::CONTENT_TYPE, *media_type), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, *content).into_response())
}
