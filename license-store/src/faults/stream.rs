//! A change stream that has only the notices that a test sends.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use license_core::store::{ChangeNotice, ChangeStream, StreamState};
use tokio::sync::mpsc;

/// A notice, and a sender that is dropped when the listener has applied it.
type Sent = (ChangeNotice, mpsc::Sender<()>);

#[derive(Debug, Default)]
pub(super) struct ScriptedStream {
    listeners: Mutex<Vec<mpsc::UnboundedSender<Sent>>>,
    is_lost: AtomicBool,
}

impl ScriptedStream {
    fn listeners(&self) -> MutexGuard<'_, Vec<mpsc::UnboundedSender<Sent>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn listen(&self) -> Box<dyn ChangeStream> {
        let (listener, notices) = mpsc::unbounded_channel();
        self.listeners().push(listener);
        Box::new(FaultListener { notices, current: None })
    }

    /// Sends a notice, and waits until each listener asks for the next one.
    pub(super) async fn send(&self, notice: ChangeNotice) {
        let (sent, mut applied) = mpsc::channel(1);
        self.listeners().retain(|listener| listener.send((notice.clone(), sent.clone())).is_ok());
        drop(sent);
        // Listeners send nothing: the wait ends when the last of them drops its sender.
        assert_eq!(applied.recv().await, None);
    }

    pub(super) fn state(&self) -> StreamState {
        if self.is_lost.load(Ordering::SeqCst) { StreamState::Lost } else { StreamState::Listening }
    }

    pub(super) fn set_state(&self, state: StreamState) {
        self.is_lost.store(state == StreamState::Lost, Ordering::SeqCst);
    }
}

struct FaultListener {
    notices: mpsc::UnboundedReceiver<Sent>,
    /// The sender of the last notice. Dropped when the next one is asked for.
    current: Option<mpsc::Sender<()>>,
}

#[async_trait]
impl ChangeStream for FaultListener {
    async fn next(&mut self) -> ChangeNotice {
        self.current = None;
        match self.notices.recv().await {
            Some((notice, current)) => {
                self.current = Some(current);
                notice
            }
            // The store was dropped.
            None => pending().await,
        }
    }
}
