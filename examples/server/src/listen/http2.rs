//! HTTP/2 settings.

use std::future::Future;
use std::time::Duration;

use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper_util::rt::TokioTimer;
use license_core::limits;

/// Maximum number of concurrent streams per connection.
const MAX_STREAMS: u32 = 64;
/// Maximum time for a stream, from its head to the end of its answer. Flow control lets a client stall an
/// answer without blocking the socket, so the write timeout does not see it.
const STREAM_TIMEOUT: Duration = Duration::from_mins(2);
/// Interval of pings, and the time for their answer.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Maximum number of streams that the client can reset before the server has accepted them.
const MAX_PENDING_RESETS: usize = 20;
/// Maximum number of streams that the server resets because of client errors.
const MAX_ERROR_RESETS: usize = 128;
/// Flow-control windows: the largest body for a stream, and four of them for a connection.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;
/// Maximum number of buffered answer bytes per stream.
const SEND_BUFFER: usize = 64 * 1024;
/// Largest head. Twice the router's limit, so that the router answers: HTTP/2 counts 32 extra bytes per line.
const HEAD_BYTES: usize = 2 * limits::HEADER_BYTES;

/// Returns the settings of HTTP/2 connections.
pub(super) fn builder() -> http2::Builder<StreamExecutor> {
    let mut http = http2::Builder::new(StreamExecutor);
    http.timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_ERROR_RESETS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX));
    http
}

/// Runs each stream as a task that ends after [`STREAM_TIMEOUT`]. The task also ends if the client resets
/// the stream or the connection closes.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamExecutor;

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        tokio::spawn(async {
            if tokio::time::timeout(STREAM_TIMEOUT, stream).await.is_err() {
                tracing::debug!("a stream took too long");
            }
        });
    }
}
