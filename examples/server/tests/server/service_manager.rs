//! Messages to systemd, received by a socket of the test.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tempfile::{TempDir, tempdir};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::process::{BINARY, Server, command, command_of};

/// The receiving end of `NOTIFY_SOCKET`.
struct Manager {
    folder: TempDir,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let folder = tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        // A message that does not come fails the test.
        socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        Self { folder, socket }
    }

    fn start(&self, mut command: Command) -> Server {
        command.env("NOTIFY_SOCKET", self.folder.path().join("notify"));
        Server::run(command)
    }

    /// Returns the lines of the next message.
    fn next(&self) -> Vec<String> {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).lines().map(str::to_owned).collect()
    }
}

/// Writes a new certificate for localhost.
fn renew(folder: &Path) -> CertificateDer<'static> {
    let created = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), created.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), created.signing_key.serialize_pem()).unwrap();
    created.cert.der().clone()
}

/// Returns whether a new connection gets this certificate, and an answer.
fn serves(server: &Server, certificate: &CertificateDer<'static>) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let stream = TcpStream::connect(server.url.strip_prefix("https://").unwrap()).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    let mut answer = String::new();
    let request = b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.contains("200 OK")
}

fn signal(server: &Server, name: &str) {
    assert!(Command::new("kill").args([name, &server.pid()]).status().unwrap().success());
}

#[test]
fn systemd_hears_of_readiness_reloads_and_the_end() {
    let (manager, folder) = (Manager::new(), tempdir().unwrap());
    let first = renew(folder.path());
    let mut start = command(folder.path());
    start.args(["--database", "memory:", "--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
    let server = manager.start(start);
    let status = format!("STATUS=listening on {}", server.url);
    assert_eq!(manager.next(), ["READY=1", &status]);
    assert!(serves(&server, &first));

    // Returns the status after a reload, whose time is between the request and its end.
    let reload = || {
        let usec =
            |line: &str| line.strip_prefix("MONOTONIC_USEC=").and_then(|usec| usec.parse::<i128>().ok());
        let now = || usec(&NotifyState::monotonic_usec_now().unwrap().to_string()).unwrap();
        let before = now();
        signal(&server, "-HUP");
        let [reloading, time] = manager.next().try_into().unwrap();
        assert_eq!(reloading, "RELOADING=1");
        assert!((before..=now()).contains(&usec(&time).unwrap()), "{time}");
        let [ready, status] = manager.next().try_into().unwrap();
        assert_eq!(ready, "READY=1");
        status
    };
    let second = renew(folder.path());
    assert_eq!(reload(), status);
    assert!(serves(&server, &second) && !serves(&server, &first), "the new certificate is in use");

    std::fs::write(folder.path().join("cert.pem"), "no certificate").unwrap();
    let failed = format!("{status}; not reloaded: cert.pem: no certificate in PEM");
    // Also if the server has already noticed the change.
    assert_eq!([reload(), reload()], [failed.clone(), failed]);
    assert!(serves(&server, &second), "the old certificate stays in use");

    signal(&server, "-TERM");
    assert_eq!(manager.next(), ["STOPPING=1", "STATUS=finishing requests"]);
    assert_eq!(server.stop("-0").0, Some(0));
}

#[test]
fn failed_start_is_never_ready() {
    let (manager, folder) = (Manager::new(), tempdir().unwrap());
    let socket = manager.folder.path().join("notify");
    let output = command(folder.path()).args(["--tls-cert", "missing"]).env("NOTIFY_SOCKET", socket).output();
    assert_eq!(output.unwrap().status.code(), Some(2));
    manager.socket.set_nonblocking(true).unwrap();
    assert!(manager.socket.recv(&mut [0; 64]).is_err());
}

/// `script` runs the server on a terminal, which is closed when `script` ends.
#[cfg(target_os = "linux")]
#[test]
fn closed_terminal_stops_the_server() {
    let (manager, folder) = (Manager::new(), tempdir().unwrap());
    let mut start = command_of("script", folder.path());
    start.args(["--quiet", "--command", &format!("exec {BINARY} --database memory:"), "/dev/null"]);
    let terminal = manager.start(start);
    assert_eq!(manager.next()[0], "READY=1");
    terminal.kill();
    assert_eq!(manager.next()[0], "STOPPING=1");
}
