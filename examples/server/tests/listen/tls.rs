//! TLS: certificate renewal, handshakes and ALPN.

use std::path::Path;
use std::sync::Arc;

use license_server::listen::{ListenOptions, Tls};
use tempfile::{TempDir, tempdir};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::harness::{Hold, Listener, ends};

/// A self-signed certificate and its key, in a temporary folder.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> (Self, CertificateDer<'static>) {
        let files = Self(tempdir().unwrap());
        let certificate = files.renew();
        (files, certificate)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// Replaces the certificate and its key.
    fn renew(&self) -> CertificateDer<'static> {
        let created = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(self.path("cert.pem"), created.cert.pem()).unwrap();
        std::fs::write(self.path("key.pem"), created.signing_key.serialize_pem()).unwrap();
        created.cert.der().clone()
    }

    pub(crate) fn load(&self) -> Tls {
        Tls::load(self.path("cert.pem"), self.path("key.pem")).unwrap()
    }
}

/// Connects with these ALPN protocols.
pub(crate) async fn connect(
    server: &Listener,
    known: &CertificateDer<'static>,
    alpn: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(known.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = server.connect().await;
    TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await
}

pub(crate) async fn answers(server: &Listener, known: &CertificateDer<'static>) -> bool {
    let Ok(mut stream) = connect(server, known, &[]).await else { return false };
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer.starts_with(b"HTTP/1.1 200 OK\r\n")
}

fn options(tls: &Tls) -> ListenOptions {
    ListenOptions { tls: Some(tls.clone()), ..ListenOptions::default() }
}

async fn start(tls: &Tls) -> Listener {
    Listener::start(&Arc::new(Hold::default()).router(), options(tls)).await
}

/// Waits past the next reload.
async fn reload() {
    tokio::time::sleep(Duration::from_secs(6)).await;
}

#[tokio::test(start_paused = true)]
async fn renewed_certificate_is_served_unless_it_is_broken() {
    let (files, first) = Files::new();
    let tls = files.load();
    let server = start(&tls).await;
    let watching = tokio::spawn(tls.watch());
    assert!(answers(&server, &first).await);

    let second = files.renew();
    reload().await;
    assert!(answers(&server, &second).await);
    assert!(!answers(&server, &first).await, "the old certificate is not served");

    let key = std::fs::read(files.path("key.pem")).unwrap();
    for broken in [&b"no certificate"[..], b"", &key] {
        std::fs::write(files.path("cert.pem"), broken).unwrap();
        reload().await;
        assert!(answers(&server, &second).await);
    }
    std::fs::remove_file(files.path("cert.pem")).unwrap();
    reload().await;
    assert!(answers(&server, &second).await);
    // Halfway through a renewal: a new certificate with the old key.
    let third = files.renew();
    let new_key = std::fs::read(files.path("key.pem")).unwrap();
    std::fs::write(files.path("key.pem"), &key).unwrap();
    reload().await;
    assert!(answers(&server, &second).await);
    std::fs::write(files.path("key.pem"), new_key).unwrap();
    reload().await;
    assert!(answers(&server, &third).await);
    watching.abort();
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn slow_handshake_is_cut_off() {
    let (files, known) = Files::new();
    let server = start(&files.load()).await;
    for sent in [&[][..], &[0x16, 0x03, 0x01]] {
        let mut silent = server.connect().await;
        silent.write_all(sent).await.unwrap();
        let began = Instant::now();
        assert!(ends(&mut silent).await, "{sent:?}");
        assert_eq!(began.elapsed().as_secs(), 10, "{sent:?}");
    }
    let mut plain = server.connect().await;
    plain.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "plain HTTP is not answered");
    assert!(answers(&server, &known).await);
    server.stop().await;
}

#[test]
fn unusable_tls_files_are_rejected() {
    let (files, _) = Files::new();
    let load = |certificate: &Path, key: &Path| Tls::load(certificate, key).unwrap_err().to_string();
    let (certificate, key) = (files.path("cert.pem"), files.path("key.pem"));
    assert!(load(&files.path("missing.pem"), &key).contains("missing.pem: No such file"));
    assert!(load(&key, &key).contains("key.pem: no certificate in PEM"));
    assert!(load(&certificate, &certificate).contains("cert.pem: no private key in PEM"));
    let (other, _) = Files::new();
    assert!(load(&certificate, &other.path("key.pem")).contains("not usable with its key"));
}

#[tokio::test(start_paused = true)]
async fn half_a_handshake_does_not_delay_the_shutdown() {
    let (files, known) = Files::new();
    let server = start(&files.load()).await;
    let mut silent = server.connect().await;
    silent.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
    assert!(answers(&server, &known).await);
    let began = Instant::now();
    server.stop().await;
    assert_eq!(began.elapsed().as_secs(), 0);
    assert!(ends(&mut silent).await);
}
