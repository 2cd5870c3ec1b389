//! The API as an app of its own, in which validations pass no router.

use std::convert::Infallible;

use axum::Router;
use axum::http::{Method, Request};
use axum::response::Response;

use crate::client::Origin;
use crate::guard::Guard;
use crate::request_log::{self, LogRequests, Route};
use crate::routes::{VALIDATE, validate};
use crate::serve::app::App;
use crate::serve::quiet::QuietBody;
use crate::state::HttpState;

/// Calls the handler of validations as the router does, within the same guard and the same log, but without what a router does for
/// any handler: to match paths, to copy the route, and to put each future into a box. By callgrind that was a seventh of a
/// validation's instructions. All else goes to the router.
#[derive(Clone)]
pub(crate) struct Direct {
    pub(crate) router: Router,
    pub(crate) state: HttpState,
    pub(crate) log: Option<LogRequests>,
}

impl App for Direct {
    async fn call(&self, request: Request<QuietBody>, origin: Origin) -> Result<Response, Infallible> {
        if request.method() != Method::POST || request.uri().path() != VALIDATE {
            return self.router.call(request, origin).await;
        }
        let started = request_log::now();
        let logged = self.log.as_ref().map(|log| log.begin(&request, Route::Validate, started));
        let answer = async |request| Ok(validate::answered(&self.state, request, origin, started).await);
        let mut response = Guard::refusals().around(request, answer).await?;
        if let Some(logged) = logged {
            logged.answered(&mut response);
        }
        Ok(response)
    }
}
