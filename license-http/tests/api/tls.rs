use std::path::Path;
use std::sync::Arc;

use license_http::{ServeOptions, Tls};
use tempfile::{TempDir, tempdir};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::app::TestApp;
use super::server::Server;

struct Files(TempDir);

impl Files {
    fn new() -> (Self, CertificateDer<'static>) {
        let files = Self(tempdir().unwrap());
        let certificate = files.renew();
        (files, certificate)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// Puts a new certificate and its key in place.
    fn renew(&self) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(self.path("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(self.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
        made.cert.der().clone()
    }

    fn load(&self) -> Tls {
        Tls::load(self.path("cert.pem"), self.path("key.pem")).unwrap()
    }
}

async fn connect(server: &Server, known: &CertificateDer<'static>) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(known.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(server.address).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await
}

async fn answers(server: &Server, known: &CertificateDer<'static>) -> bool {
    let Ok(mut stream) = connect(server, known).await else { return false };
    stream.write_all(b"GET /health HTTP/1.1\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer.starts_with(b"HTTP/1.1 200 OK\r\n")
}

async fn start(tls: &Tls) -> Server {
    let mut options = ServeOptions::default();
    options.tls = Some(tls.clone());
    Server::start_with(&TestApp::new().await, options).await
}

/// Past the next look at the files.
async fn look() {
    tokio::time::sleep(Duration::from_secs(6)).await;
}

#[tokio::test(start_paused = true)]
async fn a_renewed_certificate_is_taken_and_a_broken_one_is_not() {
    let (files, first) = Files::new();
    let tls = files.load();
    let server = start(&tls).await;
    let watching = tokio::spawn(tls.watch());
    assert!(answers(&server, &first).await);

    let second = files.renew();
    look().await;
    assert!(answers(&server, &second).await);
    assert!(!answers(&server, &first).await, "the old one is gone");

    let key = std::fs::read(files.path("key.pem")).unwrap();
    for broken in [&b"no certificate"[..], b"", &key] {
        std::fs::write(files.path("cert.pem"), broken).unwrap();
        look().await;
        assert!(answers(&server, &second).await);
    }
    std::fs::remove_file(files.path("cert.pem")).unwrap();
    look().await;
    assert!(answers(&server, &second).await);
    // A certificate whose key is still the old one: halfway through a renewal.
    let third = files.renew();
    let new_key = std::fs::read(files.path("key.pem")).unwrap();
    std::fs::write(files.path("key.pem"), &key).unwrap();
    look().await;
    assert!(answers(&server, &second).await);
    std::fs::write(files.path("key.pem"), new_key).unwrap();
    look().await;
    assert!(answers(&server, &third).await);
    watching.abort();
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_handshake_is_not_waited_for() {
    let (files, known) = Files::new();
    let server = start(&files.load()).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    silent.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
    let began = Instant::now();
    assert_eq!(silent.read(&mut [0; 16]).await.unwrap_or(0), 0, "closed");
    assert_eq!(began.elapsed().as_secs(), 10);
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain.write_all(b"GET /health HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "plain HTTP is not spoken");
    assert!(answers(&server, &known).await);
    server.stop().await;
}

#[test]
fn files_that_are_no_certificate_are_refused_at_the_start() {
    let (files, _) = Files::new();
    let load = |certificate: &Path, key: &Path| Tls::load(certificate, key).unwrap_err().to_string();
    let (certificate, key) = (files.path("cert.pem"), files.path("key.pem"));
    assert!(load(&files.path("missing.pem"), &key).contains("missing.pem: No such file"));
    assert!(load(&key, &key).contains("key.pem: no certificate in PEM"));
    assert!(load(&certificate, &certificate).contains("cert.pem: no private key in PEM"));
    let (other, _) = Files::new();
    assert!(load(&certificate, &other.path("key.pem")).contains("not usable with its key"));
}
