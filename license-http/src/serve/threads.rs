//! Threads of which each serves its own connections.

use std::future::Future;
use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Threads that serve connections, each of them its own: a connection stays on the thread that it is given to, and nothing of it is
/// handed to another one. Cloning shares them; they end when the last clone is dropped.
///
/// For [`ServeOptions::threads`](super::ServeOptions::threads). Where answers are at hand, that is quicker than the runtime of all;
/// where each waits for a task elsewhere, such as a commit, it is not.
///
/// Each is a runtime, and what a request opens or spawns may belong to it: a connection of a database, which others use
/// afterwards. So keep a clone until that is closed.
#[derive(Clone, Debug)]
pub struct ServeThreads(Arc<[ServeThread]>);

#[derive(Debug)]
struct ServeThread {
    runtime: Handle,
    /// One clone for each connection.
    connections: Arc<()>,
    /// Ends the thread where it is dropped.
    _running: oneshot::Sender<()>,
}

impl ServeThreads {
    /// Starts so many; one for each processor is the most that is of use.
    ///
    /// # Errors
    /// When the system has no thread, or no file descriptor, left.
    pub fn start(count: NonZero<usize>) -> io::Result<Self> {
        (0..count.get()).map(ServeThread::start).collect::<io::Result<_>>().map(Self)
    }

    /// Runs what serves the stream, on the thread that has the fewest connections.
    pub(super) fn spawn<F>(
        &self,
        tasks: &mut JoinSet<()>,
        stream: TcpStream,
        serve: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send,
    {
        let Some(thread) = self.0.iter().min_by_key(|thread| Arc::strong_count(&thread.connections)) else {
            return;
        };
        let connection = Arc::clone(&thread.connections);
        // It leaves the runtime that it was accepted on.
        let stream = stream.into_std();
        let task = async move {
            match stream.and_then(TcpStream::from_std) {
                Ok(stream) => serve(stream).await,
                Err(error) => tracing::error!(%error, "a connection can't be served"),
            }
            drop(connection);
        };
        tasks.spawn_on(task, &thread.runtime);
    }
}

impl ServeThread {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel();
        thread::Builder::new().name(format!("serve-{number}")).spawn(move || {
            // Nothing is ever sent.
            let _ = runtime.block_on(ended);
        })?;
        Ok(Self { runtime: handle, connections: Arc::default(), _running: running })
    }
}
