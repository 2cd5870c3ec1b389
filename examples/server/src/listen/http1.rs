//! HTTP/1.1 settings.

use hyper::server::conn::http1;
use license_core::limits;

/// Largest head that is read. It exceeds the router's limit so that the client gets the router's answer: hyper's own has
/// no body.
const HEAD_BUFFER: usize = 8 * limits::HEADER_BYTES;

/// Returns the settings of HTTP/1.1 connections.
pub(super) fn builder() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.max_buf_size(HEAD_BUFFER);
    // The stream has the head timeout: this one also runs while the connection is idle.
    http.header_read_timeout(None);
    // A client that shuts down its half after the request still gets the answer.
    http.half_close(true);
    // Answers are small: one copy costs less than the vectored write.
    http.writev(false);
    http
}
