//! A connection that is not woken for nothing.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

thread_local! {
    static READING: Cell<bool> = const { Cell::new(false) };
    /// Who was woken by what this thread read.
    static WOKEN: Cell<Option<Arc<ConnectionWaker>>> = const { Cell::new(None) };
}

/// The task of a connection, but while this thread reads a body, which only notes it.
struct ConnectionWaker(Waker);

impl Wake for ConnectionWaker {
    fn wake(self: Arc<Self>) {
        if READING.get() {
            WOKEN.set(Some(self));
        } else {
            self.0.wake_by_ref();
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        Arc::clone(self).wake();
    }
}

/// Polls a connection whose bodies are [`QuietBody`].
#[derive(Default)]
pub(super) struct Quiet {
    /// The one of the task, and the one that the connection is given for it.
    wakers: Option<(Waker, Waker)>,
}

impl Quiet {
    pub(super) fn poll<F: Future>(
        &mut self,
        connection: Pin<&mut F>,
        context: &mut Context<'_>,
    ) -> Poll<F::Output> {
        let task = context.waker();
        let known = self.wakers.take().filter(|(known, _)| known.will_wake(task));
        let (_, waker) = self
            .wakers
            .insert(known.unwrap_or_else(|| (task.clone(), Arc::new(ConnectionWaker(task.clone())).into())));
        connection.poll(&mut Context::from_waker(waker))
    }
}

/// A body that wakes its connection only where more of it is to come.
///
/// hyper wakes the connection for each part that is read, so that it reads on: also for the last, when nobody is there any more
/// who would. The whole connection, the handler with it, would be polled once more for each validation.
pub(crate) struct QuietBody(pub(super) Incoming);

impl Body for QuietBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let reading = Reading::begin();
        let frame = Pin::new(&mut self.0).poll_frame(context);
        drop(reading);
        if let Some(woken) = WOKEN.take()
            && !self.0.is_end_stream()
        {
            woken.wake();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Until it is dropped, also by a panic.
struct Reading;

impl Reading {
    fn begin() -> Self {
        READING.set(true);
        Self
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        READING.set(false);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use axum::http::{Request, Response};
    use futures_util::FutureExt;
    use http_body_util::{BodyExt, Empty};
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::sync::{Notify, mpsc};

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    const HEAD: &[u8] = b"POST / HTTP/1.1\r\ncontent-length: 8\r\n\r\n";

    /// A connection that is polled by hand: the wakes that its body caused, which came in so many parts.
    async fn wakes_of(parts: &[&[u8]]) -> Vec<usize> {
        let (ours, mut theirs) = duplex(4096);
        let answered = Notify::new();
        let service = service_fn(|request: Request<Incoming>| async {
            let body = QuietBody(request.into_body()).collect().await.unwrap().to_bytes();
            assert_eq!(body, b"abcdefgh".as_slice());
            answered.notified().await;
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        });
        let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(ours), service));
        let mut quiet = Quiet::default();
        let counted = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&counted));
        let mut counts = Vec::new();
        for part in parts {
            theirs.write_all(part).await.unwrap();
            counted.0.store(0, Ordering::Relaxed);
            loop {
                let before = counted.0.load(Ordering::Relaxed);
                assert!(quiet.poll(connection.as_mut(), &mut Context::from_waker(&waker)).is_pending());
                if counted.0.load(Ordering::Relaxed) == before {
                    break;
                }
            }
            counts.push(counted.0.load(Ordering::Relaxed));
        }
        answered.notify_one();
        assert!(quiet.poll(connection.as_mut(), &mut Context::from_waker(&waker)).is_pending());
        let mut answer = vec![0; 17];
        theirs.read_exact(&mut answer).now_or_never().expect("it is answered").unwrap();
        assert_eq!(answer, b"HTTP/1.1 200 OK\r\n");
        counts
    }

    #[tokio::test]
    async fn a_body_that_is_here_wakes_nobody() {
        assert_eq!(wakes_of(&[&[HEAD, b"abcdefgh"].concat()]).await, [0]);
    }

    #[tokio::test]
    async fn a_body_in_parts_is_waited_for() {
        assert_eq!(wakes_of(&[HEAD, b"abc", b"def", b"gh"]).await.len(), 4);
    }

    /// The connection is woken, not whoever reads.
    #[tokio::test(start_paused = true)]
    async fn a_body_may_be_read_by_another_task() {
        let (ours, mut theirs) = duplex(4096);
        let (sender, mut bodies) = mpsc::unbounded_channel();
        let reader = tokio::spawn(async move {
            let body: Incoming = bodies.recv().await.unwrap();
            QuietBody(body).collect().await.unwrap().to_bytes()
        });
        let connection = tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                sender.send(request.into_body()).unwrap();
                std::future::pending::<Result<Response<Empty<Bytes>>, Infallible>>()
            });
            let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(ours), service));
            let mut quiet = Quiet::default();
            std::future::poll_fn(|context| quiet.poll(connection.as_mut(), context)).await
        });
        for part in [HEAD, b"a", b"b", b"c", b"defgh"] {
            theirs.write_all(part).await.unwrap();
            tokio::task::yield_now().await;
        }
        let read = tokio::time::timeout(Duration::from_secs(1), reader).await.expect("all of it is read");
        assert_eq!(read.unwrap(), b"abcdefgh".as_slice());
        connection.abort();
    }
}
