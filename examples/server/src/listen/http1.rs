//! HTTP/1.1 settings.

use hyper::server::conn::http1;
use license_core::limits;

/// Largest head that hyper accepts. It exceeds the router's limit, so that the router answers: hyper's own
/// answer has no body.
const HEAD_BUFFER: usize = 8 * limits::HEADER_BYTES;

/// Returns the settings of HTTP/1.1 connections.
pub(super) fn builder() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.max_buf_size(HEAD_BUFFER);
    // The stream enforces the head timeout: hyper's also runs while the connection is idle.
    http.header_read_timeout(None);
    // A client that shuts down its sending half after the request still gets the answer.
    http.half_close(true);
    // Answers are small: one copy costs less than the vectored write.
    http.writev(false);
    http
}
