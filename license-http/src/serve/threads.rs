//! Threads of which each serves its own connections.

use std::future::Future;
use std::io;
use std::num::NonZero;
use std::sync::{Arc, mpsc};
use std::thread;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::give_way::{counted, give_way};

/// Threads that serve connections, each of them its own: a connection stays on the thread that it is given to, and nothing of it is
/// handed to another one. Cloning shares them; they end when the last clone is dropped.
///
/// For [`ServeOptions::threads`](super::ServeOptions::threads). Where answers are at hand, that is quicker than the runtime of all;
/// where each waits for a task elsewhere, such as a commit, it is not. A handler that computes for long holds up all connections
/// of its thread; `tokio::task::block_in_place` panics there, `spawn_blocking` does not. With many calls at once a thread lets others
/// have its processor before it looks for more calls, unless they keep it for more than a millisecond.
///
/// Each is a runtime, and what a request opens or spawns may belong to it: a connection of a database, which others use
/// afterwards, or a task that goes on behind the answer. It ends with the thread, so keep a clone as long as stores are in use.
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
        let thread = self.0.iter().min_by_key(|thread| Arc::strong_count(&thread.connections));
        let thread = thread.expect("there is one at least");
        let connection = Arc::clone(&thread.connections);
        // It leaves the runtime that it was accepted on.
        let stream = stream.into_std();
        let task = async move {
            match stream.and_then(TcpStream::from_std) {
                Ok(stream) => counted(serve(stream)).await,
                Err(error) => tracing::error!(%error, "a connection can't be served"),
            }
            drop(connection);
        };
        tasks.spawn_on(task, &thread.runtime);
    }
}

impl ServeThread {
    fn start(number: usize) -> io::Result<Self> {
        let (running, ended) = oneshot::channel();
        let (sender, made) = mpsc::sync_channel(1);
        // The runtime is made there: to drop one here, where there is no thread for it, panics if this is a task.
        thread::Builder::new().name(format!("serve-{number}")).spawn(move || {
            match Builder::new_current_thread().enable_all().on_thread_park(give_way).build() {
                Ok(runtime) => {
                    let _ = sender.send(Ok(runtime.handle().clone()));
                    // Nothing is ever sent.
                    let _ = runtime.block_on(ended);
                }
                Err(error) => drop(sender.send(Err(error))),
            }
        })?;
        let runtime = made.recv().map_err(io::Error::other)??;
        Ok(Self { runtime, connections: Arc::default(), _running: running })
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::serve::give_way::served;

    /// What is there already is known to a task when its thread has looked for more, and not before.
    #[tokio::test]
    async fn a_thread_gives_way_before_it_looks_for_more() {
        let threads = ServeThreads::start(NonZero::<usize>::MIN).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.send_to(b"here", socket.local_addr().unwrap()).unwrap();
        let (sender, told) = oneshot::channel();
        let waits = counted(async {
            let socket = tokio::net::UdpSocket::from_std(socket).unwrap();
            socket.readable().await.unwrap();
            let _ = sender.send(served());
        });
        threads.0[0].runtime.spawn(waits);
        assert_eq!(told.await, Ok(1), "polls since it looked for more");
    }
}
