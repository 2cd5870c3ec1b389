//! `license-server healthcheck`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use tempfile::tempdir;

use crate::process::{Server, command};

/// Returns the exit code and the message of a check of this address.
fn check(folder: &Path, address: &str, args: &[&str]) -> (Option<i32>, String) {
    let output =
        command(folder).env("LICENSE_LISTEN", address).args(args).arg("healthcheck").output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn running_server_is_healthy_until_it_stops() {
    let (folder, server) = Server::start_in_memory(&[]);
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    assert_eq!(check(folder.path(), &address, &[]), (Some(0), String::new()));
    let (_, port) = address.split_once(':').unwrap();
    assert_eq!(
        check(folder.path(), &format!("0.0.0.0:{port}"), &[]).0,
        Some(0),
        "it listens on every address"
    );
    server.kill();
    let (code, message) = check(folder.path(), &address, &[]);
    assert_eq!(code, Some(1));
    let refused = format!("license-server: {address} is not healthy: Connection refused");
    assert!(message.starts_with(&refused) && message.lines().count() == 1, "{message}");
}

#[test]
fn server_with_tls_is_healthy_whatever_its_certificate_names() {
    let folder = tempdir().unwrap();
    let created = rcgen::generate_simple_self_signed(vec!["licenses.example.com".to_owned()]).unwrap();
    std::fs::write(folder.path().join("cert.pem"), created.cert.pem()).unwrap();
    std::fs::write(folder.path().join("key.pem"), created.signing_key.serialize_pem()).unwrap();
    let tls = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let server = Server::start_with(folder.path(), &[&tls[..], &["--database", "memory:"]].concat(), &[]);
    let address = server.url.strip_prefix("https://").unwrap();
    assert_eq!(check(folder.path(), address, &tls), (Some(0), String::new()));
    assert_eq!(check(folder.path(), address, &[]).0, Some(1), "a check without TLS gets no answer");
}

#[test]
fn other_answer_is_not_healthy() {
    let folder = tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answers = ["HTTP/1.1 503 Service Unavailable\r\n\r\n", ""];
    let other = thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let request = BufReader::new(&stream).lines().map(Result::unwrap);
            let request: Vec<_> = request.take_while(|line| !line.is_empty()).collect();
            assert_eq!(request[0], "GET /health HTTP/1.1");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let (code, message) = check(folder.path(), &address, &[]);
    assert!(message.contains("it answered \"HTTP/1.1 503 Service Unavailable\""), "{message}");
    assert_eq!((code, check(folder.path(), &address, &[]).0), (Some(1), Some(1)));
    other.join().unwrap();
}
