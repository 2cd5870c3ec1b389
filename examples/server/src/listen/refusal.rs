//! Refusal of connections over the limit.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Maximum time for a refused client to read its answer.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);

const REFUSAL: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n\
    retry-after: 1\r\nconnection: close\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n\
    content-length: 217\r\n\r\n{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\
    \"detail\":\"The server has too many open connections. The request was not processed; retry later.\",\
    \"code\":\"OVERLOADED\",\"error\":\"OVERLOADED\",\"valid\":false}";

/// Answers 503 and closes the connection. Reads the request first: closing a socket with unread bytes
/// resets the connection, and the client would lose the answer.
pub(super) async fn refuse(mut stream: TcpStream) {
    let answer = async {
        let mut bytes = [0; 4096];
        let _ = stream.read(&mut bytes).await?;
        stream.write_all(REFUSAL.as_bytes()).await?;
        stream.shutdown().await?;
        while stream.read(&mut bytes).await? > 0 {}
        std::io::Result::Ok(())
    };
    // The client may be gone or silent. Either way the connection closes.
    let _ = tokio::time::timeout(REFUSAL_TIMEOUT, answer).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_has_its_content_length() {
        let (head, body) = REFUSAL.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!((&json["code"], &json["valid"]), (&"OVERLOADED".into(), &false.into()));
    }
}
