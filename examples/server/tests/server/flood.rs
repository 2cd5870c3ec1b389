//! Abusive clients of the server process.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::process::{Server, TOKEN, starter};

/// Bytes that each socket sends after the load.
const TRICKLED: usize = 1_000;

fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.url.trim_start_matches("http://")).unwrap()
}

fn validate(server: &Server, license: &Value) -> (u16, Value) {
    server.call("POST", "/api/v1/validate", None, Some(&json!({ "key": license["key"] })))
}

/// Calls `/health` and returns its status. The connection stays open.
fn health(stream: &mut TcpStream) -> std::io::Result<String> {
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")?;
    let mut bytes = [0; 1024];
    let count = stream.read(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..count]).split(' ').nth(1).unwrap_or_default().to_owned())
}

/// Sockets that send heads, bodies or nothing, slowly. The test reads the end of each socket, and measures
/// no time.
#[test]
fn trickling_sockets_are_cut_off_and_block_no_caller() {
    let args = ["--connections-per-address", "2000", "--head-timeout", "2s", "--body-timeout", "2s"];
    let (_folder, server) = Server::start_in_memory(&args);
    let license = server.issue(TOKEN, &starter());
    let starts = [
        "GET /health HTTP/1.1\r\nhost: a\r\nx: ",
        "POST /api/v1/validate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n",
        "",
    ];
    let mut sockets = Vec::new();
    for number in 0..1_000 {
        let mut stream = connect(&server);
        stream.write_all(starts[number % 3].as_bytes()).unwrap();
        stream.set_nonblocking(true).unwrap();
        sockets.push(stream);
        if number % 50 == 0 {
            // The open sockets continue.
            for stream in &mut sockets {
                let _ = stream.write(b"x");
            }
            let (status, answer) = validate(&server, &license);
            assert_eq!((status, &answer["valid"]), (200, &json!(true)), "{answer}");
        }
    }
    for stream in &mut sockets {
        // Stays below the size limits: more bytes must not extend the timeout.
        let sent = (0..TRICKLED).take_while(|_| stream.write(b"x").is_ok()).count();
        stream.set_nonblocking(false).unwrap();
        let mut answer = Vec::new();
        // A reset is an end too.
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 408 "), "after {sent} more: {text}");
    }
    assert_eq!(validate(&server, &license).1["valid"], true);
}

#[test]
fn connections_over_the_limit_are_refused() {
    let (_folder, server) =
        Server::start_in_memory(&["--connections", "50", "--connections-per-address", "2000"]);
    let license = server.issue(TOKEN, &starter());
    // The connection that issued the license counts until it is closed.
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
        // If many connections are refused at once, some are reset without an answer.
        match health(&mut stream).as_deref() {
            Ok("503") => refused += 1,
            Ok("") | Err(_) => {}
            Ok(other) => panic!("connection {number} over the limit was answered {other}"),
        }
        if number % 100 == 0 {
            assert_eq!(health(&mut held[number / 100]).unwrap(), "200", "open connections are served");
        }
    }
    assert!(refused >= 900, "{refused} of 1000 were answered 503");
    drop(held);
    // The server notices a close with a short delay.
    while health(&mut connect(&server)).unwrap_or_default() != "200" {}
    assert_eq!(validate(&server, &license).1["valid"], true);
}

#[test]
fn silent_and_idle_connections_are_closed() {
    let (_folder, server) = Server::start_in_memory(&["--idle-timeout", "1s"]);
    let (mut silent, mut idle) = (connect(&server), connect(&server));
    assert_eq!(health(&mut idle).unwrap(), "200");
    for stream in [&mut silent, &mut idle] {
        assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
    }
}
