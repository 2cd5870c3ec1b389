//! The router behind a real socket.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;

use super::app::TestApp;
use super::bad_requests::Table;
use super::call::Reply;

/// Serves the router until the test ends.
pub(crate) async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn bad_request_gets_the_same_answer_over_a_socket() {
    let app = TestApp::new().await;
    let table = Table::new(&app).await;
    let address = serve(app.router.clone()).await;
    for row in &table.rows {
        row.check(&Reply::over_socket(address, &row.call.bytes()).await, &table.key);
    }
    table.check_nothing_changed(&app).await;
}
