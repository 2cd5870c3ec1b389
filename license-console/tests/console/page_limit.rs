//! How many requests of people run at once.

use std::num::NonZero;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::response::IntoResponse;
use license_console::ConsoleOptions;
use license_core::access::Scope;
use license_core::license::CustomerEmail;
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::app::{TestApp, local};

/// A page that takes long does not take the places of others. Strangers and files take no place.
#[tokio::test]
async fn requests_beyond_the_limit_are_refused_until_one_ends() {
    let (started, finish) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (begun, wait) = (Arc::clone(&started), Arc::clone(&finish));
    let slow = move |_: CustomerEmail| {
        let (begun, wait) = (Arc::clone(&begun), Arc::clone(&wait));
        async move {
            begun.add_permits(1);
            wait.acquire().await.unwrap().forget();
            "exported".into_response()
        }
    };
    let options = local(ConsoleOptions::new()).customer_export(slow).pages_at_once(NonZero::new(2).unwrap());
    let app = TestApp::with(options).await;
    let id = app.issue().await.detail.license.id.clone();
    let export = format!("/console/licenses/{id}/customer/export");
    let mut browser = app.signed_in(Scope::Admin).await;
    let running = [(); 2].map(|()| {
        let (mut browser, export) = (browser.clone(), export.clone());
        tokio::spawn(async move { browser.get(&export).await.body })
    });
    started.acquire_many(2).await.unwrap().forget();
    let refused = browser.get("/console/licenses").await;
    refused.assert_shows(503, "The server is busy");
    assert_eq!(refused.header("retry-after"), "1");
    browser.get("/console/sign-in").await.assert_redirects("/console");
    assert_eq!(app.browser().get("/console/licenses").await.status, 303, "a stranger signs in");
    finish.add_permits(2);
    for run in running {
        assert_eq!(run.await.unwrap(), "exported");
    }
    assert_eq!(browser.get("/console/licenses").await.status, 200);
}

/// The file is read page by page while its body is sent.
#[tokio::test]
async fn download_keeps_its_place_until_its_body_ends() {
    let options = local(ConsoleOptions::new()).pages_at_once(NonZero::new(1).unwrap());
    let app = TestApp::with(options).await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let cookie = browser.cookies.iter().map(|(name, value, _)| format!("{name}={value}"));
    let request = Request::builder()
        .uri("/console/licenses.csv")
        .header("host", "localhost:8080")
        .header("cookie", cookie.collect::<Vec<_>>().join("; "));
    let sent = app.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(sent.status(), 200);
    browser.get("/console/licenses").await.assert_shows(503, "The server is busy");
    let file = to_bytes(sent.into_body(), usize::MAX).await.unwrap();
    assert!(file.starts_with(b"id,"), "{file:?}");
    let page = browser.get("/console/licenses").await;
    assert_eq!(page.status, 200);
    assert!(!page.header("content-length").is_empty(), "a page that is not streamed has its length");
}
