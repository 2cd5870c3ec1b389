//! What is served.

use std::convert::Infallible;
use std::future::Future;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use tower::Service;

use super::quiet::QuietBody;
use crate::client::Origin;

/// Answers requests.
pub(crate) trait App: Clone + Send + Sync + 'static {
    /// Its answer to one that comes from there.
    fn call(
        &self,
        request: Request<QuietBody>,
        origin: Origin,
    ) -> impl Future<Output = Result<Response, Infallible>> + Send;
}

impl App for Router {
    fn call(
        &self,
        request: Request<QuietBody>,
        origin: Origin,
    ) -> impl Future<Output = Result<Response, Infallible>> + Send {
        let mut request = request.map(Body::new);
        origin.insert_into(request.extensions_mut());
        Service::call(&mut self.clone(), request)
    }
}
