//! A license server for one test, over HTTP or TLS.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use license_verify::Digest;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};

use crate::signer::{TestKey, verdict_claims, with};

/// What the client sent.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Request line and headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// Signs a verdict about this request, with changed claims.
    pub(crate) fn proof(&self, key: TestKey, changes: &Value) -> String {
        let request = json!({"nonce": self.json()["nonce"], "req": Digest::of_body(&self.body).to_text()});
        key.verdict(&with(with(verdict_claims(), &request), changes))
    }
}

/// What the server does.
pub(crate) enum Reply {
    /// Answers with a status, further headers, and a body.
    Answer(u16, &'static str, String),
    /// Keeps the connection open without an answer.
    Hang,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::Answer(status, "", body.to_string())
    }
}

pub(crate) fn valid(asked: &Asked) -> Reply {
    Reply::json(200, &json!({"proof": asked.proof(TestKey::Active, &json!({}))}))
}

pub(crate) struct Server {
    address: SocketAddr,
    scheme: &'static str,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// The certificate of the server.
    pub(crate) certificate: String,
}

impl Server {
    pub(crate) fn new(reply: impl Fn(&Asked) -> Reply + Send + 'static) -> Self {
        Self::start("http", String::new(), move |stream, asked| serve(stream, asked, &reply))
    }

    pub(crate) fn with_tls(reply: impl Fn(&Asked) -> Reply + Send + 'static) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("versions of TLS")
                .with_no_client_auth()
                .with_single_cert(vec![made.cert.der().clone()], key)
                .expect("a certificate and its key");
        let config = Arc::new(config);
        Self::start("https", made.cert.pem(), move |stream, asked| {
            let session = rustls::ServerConnection::new(config.clone()).expect("a session");
            serve(rustls::StreamOwned::new(session, stream), asked, &reply)
        })
    }

    fn start<S>(
        scheme: &'static str,
        certificate: String,
        serve: impl Fn(TcpStream, &Mutex<Vec<Asked>>) -> Option<S> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let log = asked.clone();
        thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming().flatten() {
                open.extend(serve(stream, &log));
            }
        });
        Self { address, scheme, asked, certificate }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.address.port())
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("the log").clone()
    }
}

/// Serves one request. Returns a stream that stays open.
fn serve<S: Read + Write>(stream: S, log: &Mutex<Vec<Asked>>, reply: &dyn Fn(&Asked) -> Reply) -> Option<S> {
    let mut reader = BufReader::new(stream);
    let asked = read(&mut reader)?;
    log.lock().expect("the log").push(asked.clone());
    let mut stream = reader.into_inner();
    match reply(&asked) {
        Reply::Hang => Some(stream),
        Reply::Answer(status, headers, body) => {
            let length = body.len();
            // The client closes the connection if it has read enough.
            let _ = write!(
                stream,
                "HTTP/1.1 {status} x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
            );
            let _ = stream.flush();
            None
        }
    }
}

fn read(reader: &mut BufReader<impl Read>) -> Option<Asked> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(Some(0), |length| length.parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { head, body })
}
