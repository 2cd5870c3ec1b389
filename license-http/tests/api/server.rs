//! A server of a test's own.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use axum::Router;
use license_http::{ServeOptions, serve};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::app::TestApp;

type Stopped = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An app on a port of its own.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) running: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Of the API alone.
    pub(crate) async fn start(app: &TestApp) -> Self {
        Self::start_with(app, ServeOptions::default()).await
    }

    pub(crate) async fn start_with(app: &TestApp, options: ServeOptions) -> Self {
        Self::of_router(&app.api.clone().router(), options).await
    }

    /// Of an app that may be another.
    pub(crate) async fn of_router(app: &Router, options: ServeOptions) -> Self {
        let app = app.clone();
        Self::run(|listener, stopped| serve(listener, app, options, stopped)).await
    }

    async fn run<F: Future<Output = std::io::Result<()>> + Send + 'static>(
        serve: impl FnOnce(TcpListener, Stopped) -> F,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        Self { address, stop, running: tokio::spawn(serve(listener, Box::pin(stopped))) }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap().unwrap();
    }
}
