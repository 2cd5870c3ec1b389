//! Frame-level HTTP/2 client that can misbehave.

use std::collections::HashMap;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::harness::Listener;
use super::tls;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;

pub(crate) const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// A received frame.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Returns the error code at this offset of the payload.
    pub(crate) fn error(&self, offset: usize) -> u32 {
        u32::from_be_bytes(self.payload[offset..offset + 4].try_into().unwrap())
    }
}

/// A connection that has negotiated `h2`.
pub(crate) struct Http2Client {
    stream: TlsStream<TcpStream>,
    /// Whether pings are answered.
    pub(crate) pongs: bool,
}

impl Http2Client {
    /// Connects and sends nothing.
    pub(crate) async fn connect(server: &Listener, known: &CertificateDer<'static>) -> Self {
        let stream = tls::connect(server, known, &["h2"]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Self { stream, pongs: true }
    }

    /// Connects, and sends the preface with these settings.
    pub(crate) async fn start(server: &Listener, known: &CertificateDer<'static>, settings: &[u8]) -> Self {
        let mut client = Self::connect(server, known).await;
        client.send(&[PREFACE, &frame(SETTINGS, 0, 0, settings)].concat()).await;
        client
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Receives a frame. Returns `None` if the connection has ended.
    pub(crate) async fn receive(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload).await.ok()?;
        if (kind, flags & ACK) == (PING, 0) && self.pongs {
            self.send(&frame(PING, ACK, 0, &payload)).await;
        }
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    /// Receives frames until one is of this kind.
    pub(crate) async fn receive_kind(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.receive().await.expect("the connection is open");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// Receives frames until `count` streams have ended. Returns the bodies by stream.
    pub(crate) async fn answers(&mut self, count: usize) -> HashMap<u32, String> {
        let (mut bodies, mut ended) = (HashMap::<u32, String>::new(), 0);
        while ended < count {
            let frame = self.receive().await.expect("the connection is open");
            if frame.kind == DATA {
                bodies.entry(frame.stream).or_default().push_str(&String::from_utf8(frame.payload).unwrap());
            }
            if matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0 {
                ended += 1;
            }
        }
        bodies
    }

    /// Reads frames until the connection ends.
    pub(crate) async fn ends(&mut self) -> bool {
        while self.receive().await.is_some() {}
        true
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Returns a HEADERS frame, in HPACK without dynamic table and Huffman code.
pub(crate) fn head(stream: u32, method: &str, path: &str, headers: &[(&str, &str)], flags: u8) -> Vec<u8> {
    fn text(text: &str) -> Vec<u8> {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 127).unwrap();
        [&[length], text.as_bytes()].concat()
    }
    // Indexed: ":method" is GET or POST, ":scheme" is https. Literal with an indexed name: ":path",
    // ":authority".
    let mut block = vec![if method == "GET" { 0x82 } else { 0x83 }, 0x87];
    block.extend([&[0x04][..], &text(path), &[0x01], &text("localhost")].concat());
    for (name, value) in headers {
        block.extend([&[0x00][..], &text(name), &text(value)].concat());
    }
    frame(HEADERS, flags | END_HEADERS, stream, &block)
}

/// Returns a complete request without a body.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    head(stream, "GET", path, &[], END_STREAM)
}
