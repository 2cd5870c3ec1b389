//! Stream with a read deadline and a write timeout.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::activity::Activity;

/// Stream with the read deadline of an [`Activity`] and a write timeout.
///
/// At the read deadline it reports end of file, so that hyper closes the connection gracefully. A fast
/// client costs no timer operation: the read timer is reset only when it fires or when a head arrives in
/// parts.
#[derive(Debug)]
pub(super) struct TimedStream<S> {
    stream: S,
    activity: Arc<Activity>,
    read_timer: Pin<Box<Sleep>>,
    /// Runs from the first blocked write until everything is flushed. Reading single bytes does not extend
    /// it.
    write_timer: Option<Pin<Box<Sleep>>>,
}

impl<S> TimedStream<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        let read_timer = Box::pin(sleep_until(activity.read_deadline()));
        Self { stream, activity, read_timer, write_timer: None }
    }

    fn poll_read_deadline(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let deadline = self.activity.read_deadline();
            if deadline < self.read_timer.deadline() {
                self.read_timer.as_mut().reset(deadline);
            }
            ready!(self.read_timer.as_mut().poll(context));
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            self.read_timer.as_mut().reset(deadline);
        }
    }

    /// Ends a write that has been blocked for too long.
    fn or_timeout<T>(
        &mut self,
        write: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if write.is_ready() {
            return write;
        }
        let timeout = self.activity.timeouts().write;
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client did not read its answer in time",
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(result) => {
                if buffer.filled().len() > before {
                    self.activity.received();
                }
                Poll::Ready(result)
            }
            Poll::Pending => self.poll_read_deadline(context).map(|()| {
                tracing::debug!("a connection was idle, or its head took too long");
                Ok(())
            }),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.or_timeout(write, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = Pin::new(&mut self.stream).poll_flush(context);
        if flush.is_ready() {
            self.write_timer = None;
        }
        self.or_timeout(flush, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shutdown = Pin::new(&mut self.stream).poll_shutdown(context);
        self.or_timeout(shutdown, context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::listen::activity::{Protocol, Timeouts};

    fn streams(protocol: Protocol) -> (TimedStream<DuplexStream>, Arc<Activity>, DuplexStream) {
        let (ours, theirs) = duplex(16);
        let activity = Activity::new(protocol, Timeouts::default());
        (TimedStream::new(ours, Arc::clone(&activity)), activity, theirs)
    }

    #[tokio::test(start_paused = true)]
    async fn slow_reader_is_cut_off_after_the_write_timeout() {
        let (mut ours, _, mut theirs) = streams(Protocol::Http1);
        let began = Instant::now();
        let reader = tokio::spawn(async move {
            let mut byte = [0];
            while theirs.read(&mut byte).await.is_ok_and(|read| read > 0) {
                sleep(Duration::from_secs(5)).await;
            }
        });
        let error = ours.write_all(&[0; 1000]).await.unwrap_err();
        assert_eq!((error.kind(), began.elapsed().as_secs()), (io::ErrorKind::TimedOut, 30));
        drop(ours);
        reader.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn each_answer_has_its_own_write_timeout() {
        let (mut ours, _, mut theirs) = streams(Protocol::Http1);
        let reader = tokio::spawn(async move {
            let mut taken = 0;
            let mut bytes = [0; 16];
            while let Ok(read @ 1..) = theirs.read(&mut bytes).await {
                taken += read;
                sleep(Duration::from_secs(5)).await;
            }
            taken
        });
        for _ in 0..10 {
            ours.write_all(&[0; 32]).await.unwrap();
            ours.flush().await.unwrap();
        }
        drop(ours);
        assert_eq!(reader.await.unwrap(), 320);
    }

    /// Reads until the stream ends; returns after how many seconds.
    async fn seconds_until_end(stream: &mut TimedStream<DuplexStream>) -> u64 {
        let began = Instant::now();
        let _ = stream.read_to_end(&mut Vec::new()).await.unwrap();
        began.elapsed().as_secs()
    }

    /// Sends a byte every 4 seconds for as long as the other side reads.
    fn trickle(mut theirs: DuplexStream) {
        tokio::spawn(async move {
            loop {
                sleep(Duration::from_secs(4)).await;
                if theirs.write_all(b"x").await.is_err() {
                    break;
                }
            }
        });
    }

    #[tokio::test(start_paused = true)]
    async fn silent_stream_ends_after_the_idle_timeout() {
        let (mut ours, _, _theirs) = streams(Protocol::Http1);
        assert_eq!(seconds_until_end(&mut ours).await, 75);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_head_ends_after_the_head_timeout_from_its_first_byte() {
        let (mut ours, _, theirs) = streams(Protocol::Http1);
        trickle(theirs);
        assert_eq!(seconds_until_end(&mut ours).await, 4 + 10);
    }

    #[tokio::test(start_paused = true)]
    async fn request_in_flight_has_no_read_deadline() {
        let (mut ours, activity, _theirs) = streams(Protocol::Http1);
        let request = activity.begin_request();
        tokio::spawn(async move {
            sleep(Duration::from_secs(1000)).await;
            drop(request);
        });
        assert_eq!(seconds_until_end(&mut ours).await, 1000 + 75);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_of_idle_http2_connection_do_not_extend_it() {
        let (mut ours, activity, theirs) = streams(Protocol::Http2);
        drop(activity.begin_request());
        trickle(theirs);
        assert_eq!(seconds_until_end(&mut ours).await, 75);
    }

    #[tokio::test(start_paused = true)]
    async fn stopped_connection_without_a_request_ends_at_once() {
        let (mut ours, activity, _theirs) = streams(Protocol::Http2);
        activity.stop();
        assert_eq!(seconds_until_end(&mut ours).await, 0);
    }
}
