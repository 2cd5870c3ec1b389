//! Callers that mean no good, against the server's process.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::process::{Server, starter};

const TOKEN: &str = "a-token-of-my-own-0123456789";

/// Bytes that a socket trickles in the end.
const TRICKLED: usize = 1_000;

fn start(args: &[&str]) -> (tempfile::TempDir, Server) {
    let folder = tempdir().unwrap();
    let args = [&["--database", "memory:", "--admin-token", TOKEN], args].concat();
    let server = Server::start_with(folder.path(), &args, &[]);
    (folder, server)
}

fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.url.trim_start_matches("http://")).unwrap()
}

fn validate(server: &Server, license: &Value) -> (u16, Value) {
    server.call("POST", "/api/v1/validate", None, Some(&json!({ "key": license["key"] })))
}

/// Sends a call of `/health` and reads its status. The connection stays open.
fn health(stream: &mut TcpStream) -> std::io::Result<String> {
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")?;
    let mut bytes = [0; 1024];
    let count = stream.read(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..count]).split(' ').nth(1).unwrap_or_default().to_owned())
}

/// A thousand sockets that trickle heads, bodies and nothing: validations are answered meanwhile, and each socket is cut off by the
/// server. Nobody waits for a time: the end of each socket is what is read.
#[test]
fn a_thousand_trickling_sockets_are_cut_off_and_hinder_nobody() {
    let (_folder, server) =
        start(&["--connections-per-address", "2000", "--head-timeout", "2", "--body-timeout", "2"]);
    let license = server.issue(TOKEN, &starter());
    let starts = [
        "GET /health HTTP/1.1\r\nx: ",
        "POST /api/v1/validate HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n",
        "",
    ];
    let mut sockets = Vec::new();
    for number in 0..1_000 {
        let mut stream = connect(&server);
        stream.write_all(starts[number % 3].as_bytes()).unwrap();
        stream.set_nonblocking(true).unwrap();
        sockets.push(stream);
        if number % 50 == 0 {
            // Those that are open go on.
            for stream in &mut sockets {
                let _ = stream.write(b"x");
            }
            let (status, answer) = validate(&server, &license);
            assert_eq!((status, &answer["valid"]), (200, &json!(true)), "{answer}");
        }
    }
    for stream in &mut sockets {
        // Trickles on, short of what would be too much: what is sent meanwhile gains no time.
        let sent = (0..TRICKLED).take_while(|_| stream.write(b"x").is_ok()).count();
        stream.set_nonblocking(false).unwrap();
        let mut answer = Vec::new();
        // A reset is an end as well.
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 408 "), "after {sent} more: {text}");
    }
    assert_eq!(validate(&server, &license).1["valid"], true);
}

/// More connections than there are places: told so at once, while those that have one are served; then all is as before.
#[test]
fn a_flood_of_connections_is_refused_and_passes() {
    let (_folder, server) = start(&["--connections", "50", "--connections-per-address", "2000"]);
    let license = server.issue(TOKEN, &starter());
    // The connection that issued it is one of the fifty, for as long as the agent keeps it: until it is closed, 49 are free.
    let mut held: Vec<_> = Vec::new();
    loop {
        let mut stream = connect(&server);
        match health(&mut stream).unwrap().as_str() {
            "200" => held.push(stream),
            "503" => break,
            other => panic!("{other}"),
        }
    }
    assert!((45..=50).contains(&held.len()), "{}", held.len());
    let mut refused = 0;
    for number in 0..1_000 {
        let mut stream = connect(&server);
        // Reset without a word where more than a few are told so at once.
        match health(&mut stream).as_deref() {
            Ok("503") => refused += 1,
            Ok("") | Err(_) => {}
            Ok(other) => panic!("{other} to connection {number} too many"),
        }
        if number % 100 == 0 {
            assert_eq!(health(&mut held[number / 100]).unwrap(), "200", "who has a place keeps it");
        }
    }
    assert!(refused >= 900, "{refused} of 1000 were told so");
    drop(held);
    // The server hears of a close a moment after it.
    while health(&mut connect(&server)).unwrap_or_default() != "200" {}
    assert_eq!(validate(&server, &license).1["valid"], true);
}

/// The end of each socket is what is read.
#[test]
fn silent_and_idle_connections_are_closed() {
    let (_folder, server) = start(&["--idle-timeout", "1"]);
    let (mut silent, mut idle) = (connect(&server), connect(&server));
    assert_eq!(health(&mut idle).unwrap(), "200");
    for stream in [&mut silent, &mut idle] {
        assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
    }
}
