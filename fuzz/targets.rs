//! Fuzz targets. Each takes any bytes and panics if an invariant is broken. `license-http/tests/corpus.rs`
//! runs the corpus through the same functions.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use license_core::access::TokenDigest;
use license_core::clock::ManualClock;
use license_core::domain::DomainName;
use license_core::key::{KeyError, KeyFormat, Secret};
use license_core::service::{ServiceOptions, Services};
use license_core::store::FullStore;
use license_http::{AdminAuth, ClientAddress, ForwardingHeader, TrustedProxies, router};
use license_store::memory::MemoryStore;
use license_verify::{
    Answer, Digest, HttpAnswer, KeySet, KeyToken, Lease, LicenseFile, Nonce, Policy, ProvenVerdict,
    PublicKey, ReleaseCode, Request as LicenseRequest, RequestCode, Revocations, State, decide,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tower::ServiceExt;

/// A fuzz target.
pub(crate) type Target = fn(&[u8]);

/// All targets, with the names of their corpus folders.
pub(crate) const ALL: [(&str, Target); 8] = [
    ("key", key),
    ("domain", domain),
    ("body", body),
    ("header", header),
    ("target", target),
    ("token", token),
    ("license_file", license_file),
    ("code", code),
];

const TOKEN: &str = "a token for the fuzzer";
/// Calls after which the app is replaced, because its store grows.
const CALLS_PER_APP: usize = 2_000;

/// Checks that spellings of a key parse to the same key, and that a suggestion is a valid key.
pub(crate) fn key(data: &[u8]) {
    let Ok(typed) = std::str::from_utf8(data) else { return };
    let formats = [KeyFormat::default(), KeyFormat::new("ACME0", 7).expect("a sound format")];
    for format in formats {
        match format.parse(typed) {
            Ok(key) => {
                assert_eq!(format.parse(key.reveal()).as_ref(), Ok(&key));
                assert_eq!(format.parse(&key.reveal().to_lowercase().replace('-', "")).as_ref(), Ok(&key));
            }
            Err(KeyError::Check { suggestion: Some(key) }) => {
                assert_eq!(format.parse(key.reveal()).as_ref(), Ok(&key));
            }
            Err(_) => {}
        }
    }
}

/// Checks that a canonical domain name parses to itself and covers itself.
pub(crate) fn domain(data: &[u8]) {
    let Ok(typed) = std::str::from_utf8(data) else { return };
    for parsed in [DomainName::parse(typed), DomainName::parse_registered(typed)].into_iter().flatten() {
        let text = parsed.as_str();
        assert!(text.is_ascii() && !text.is_empty() && text == text.to_ascii_lowercase(), "{text}");
        assert_eq!(DomainName::from_stored(text).as_ref(), Ok(&parsed));
        assert_eq!(DomainName::parse_registered(text).as_ref(), Ok(&parsed));
        if parsed.is_wildcard() {
            assert!(DomainName::parse(text).is_err());
        } else {
            assert_eq!(DomainName::parse(text).as_ref(), Ok(&parsed));
            assert!(parsed.covers(&parsed));
        }
    }
}

/// Sends a request body. The first byte selects the route. Routes with webhook URLs are left out, because
/// they resolve names.
pub(crate) fn body(data: &[u8]) {
    let Some((route, body)) = data.split_first() else { return };
    let (method, path) = match route % 6 {
        0 => ("POST", "/api/v1/validate"),
        1 => ("POST", "/api/v1/licenses"),
        2 => ("PUT", "/api/v1/licenses/lic_a1b2c3d4e5"),
        3 => ("POST", "/api/v1/licenses/lic_a1b2c3d4e5/suspend"),
        4 => ("POST", "/api/v1/webhook-endpoints/whe_a1b2c3d4e5/replay"),
        _ => ("POST", "/api/v1/licenses/lic_a1b2c3d4e5/grants"),
    };
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    send(authorised(request).body(Body::from(body.to_vec())).expect("a sound request"));
}

/// Sends headers, one per line. The first byte of a line selects the name, the rest is the value.
pub(crate) fn header(data: &[u8]) {
    const NAMES: [&str; 10] = [
        "authorization",
        "idempotency-key",
        "if-match",
        "content-type",
        "content-encoding",
        "x-request-id",
        "x-forwarded-for",
        "forwarded",
        "origin",
        "content-length",
    ];
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(16) {
        let Some((name, value)) = line.split_first() else { continue };
        let Ok(value) = HeaderValue::from_bytes(value) else { continue };
        headers.append(HeaderName::from_static(NAMES[usize::from(*name) % NAMES.len()]), value);
    }
    let (peer, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([192, 0, 2, 1]));
    for kind in [ForwardingHeader::XForwardedFor, ForwardingHeader::Forwarded] {
        let network = TrustedProxies::parse_network("10.0.0.0/8").expect("a network");
        let proxies = TrustedProxies::new([network], kind);
        assert_eq!(
            proxies.client(other, &headers),
            ClientAddress(other),
            "an untrusted peer is the client itself"
        );
        let ClientAddress(client) = proxies.client(peer, &headers);
        assert_eq!(client, client.to_canonical());
    }
    for (method, path, body) in [
        ("POST", "/api/v1/licenses", r#"{"plan":"starter","customer_email":"dev@example.com"}"#),
        ("PUT", "/api/v1/licenses/lic_a1b2c3d4e5", "{}"),
        ("POST", "/api/v1/validate", r#"{"key":"x"}"#),
    ] {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.contains_key("authorization") {
            request = authorised(request);
        }
        let mut request = request.body(Body::from(body)).expect("a sound request");
        request.headers_mut().extend(headers.clone());
        send(request);
    }
}

/// Sends a GET request. The first byte selects the route, the rest is part of the path or the query.
pub(crate) fn target(data: &[u8]) {
    let Some((route, rest)) = data.split_first() else { return };
    let Ok(rest) = std::str::from_utf8(rest) else { return };
    let target = match route % 6 {
        0 => format!("/api/v1/licenses?{rest}"),
        1 => format!("/api/v1/licenses/{rest}"),
        2 => format!("/api/v1/licenses/lic_a1b2c3d4e5/usage?{rest}"),
        3 => format!("/api/v1/events?{rest}"),
        4 => format!("/api/v1/customers/{rest}/export"),
        _ => format!("/{rest}"),
    };
    let Ok(request) = authorised(Request::builder().uri(target)).body(Body::empty()) else { return };
    send(request);
}

/// Verifies a text as each type of token, reads it as a state and as an answer, and decides.
pub(crate) fn token(data: &[u8]) {
    const NOW: i64 = 1_800_000_000;
    let nonce = Nonce::from_random(&[7; 16]).expect("a nonce");
    // The key of the corpus, so that some of its tokens are accepted.
    let key = PublicKey::parse("aCaj4Ne-snDSrEN9LmHL50wy8e3acxUoSEHxKXrs7NQ").expect("a key");
    let keys = KeySet::new([key]);
    if let Ok(text) = std::str::from_utf8(data) {
        let accepted = [
            Lease::verify(text, &keys, "editor", &Digest::of_device("editor", "8f14e45f-ceea-467f"), NOW)
                .is_ok(),
            ProvenVerdict::verify(text, &keys, "editor", &nonce, b"{}").is_ok(),
            Revocations::verify(text, &keys, "editor").is_ok(),
            KeyToken::verify(text, &keys, "editor", NOW).is_ok(),
        ];
        assert!(accepted.into_iter().filter(|accepted| *accepted).count() <= 1, "{accepted:?}");
        let _ = PublicKey::from_jwk(text);
    }
    for keys in [keys, KeySet::default()] {
        let policy = Policy::new("editor", "8f14e45f-ceea-467f").keys(keys);
        let mut state = State::from_json(data).unwrap_or_default();
        let http = HttpAnswer { status: 200, retry_after: None, date: None, body: data };
        let answer = http.read(LicenseRequest { nonce: &nonce, body: b"{}" }, &mut state, &policy);
        for answer in [answer, Answer::NotAsked, Answer::MISSING] {
            let _ = decide(NOW, &mut state, &answer, &policy);
            assert_eq!(State::from_json(state.to_json().as_bytes()).as_ref(), Ok(&state));
        }
    }
}

/// Checks that a license file is read back from the text that it is written as.
pub(crate) fn license_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(file) = LicenseFile::parse(text) {
        assert_eq!(LicenseFile::parse(&file.to_string()).as_ref(), Ok(&file));
    }
}

/// Checks that a code is read back from the text that it is written as.
pub(crate) fn code(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(code) = RequestCode::parse(text) {
        assert_eq!(RequestCode::parse(&code.to_text()).as_ref(), Ok(&code));
    }
    if let Ok(code) = ReleaseCode::parse(text) {
        assert_eq!(ReleaseCode::parse(&code.to_text()).as_ref(), Ok(&code));
    }
}

fn authorised(request: axum::http::request::Builder) -> axum::http::request::Builder {
    request.header("authorization", format!("Bearer {TOKEN}"))
}

struct App {
    runtime: tokio::runtime::Runtime,
    router: Router,
    calls: usize,
}

impl App {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let secret = Secret::from_hex(&"0123456789abcdef".repeat(4)).expect("a secret");
        let clock = ManualClock::at("2026-01-01T00:00:00Z".parse().expect("a time"));
        let store: Arc<dyn FullStore> = Arc::new(MemoryStore::new());
        let options = ServiceOptions::new(&secret, clock, ChaCha20Rng::seed_from_u64(1));
        let services = runtime.block_on(Services::open(store, options)).expect("services");
        let auth = AdminAuth::new([TokenDigest::of(TOKEN)]);
        Self { runtime, router: router(services, auth), calls: 0 }
    }
}

thread_local! {
    static APP: RefCell<Option<App>> = const { RefCell::new(None) };
}

/// Sends a request, and checks that the answer is JSON and not 500.
fn send(request: Request<Body>) {
    APP.with_borrow_mut(|app| {
        if app.as_ref().is_none_or(|app| app.calls >= CALLS_PER_APP) {
            *app = Some(App::new());
        }
        let App { runtime, router, calls } = app.as_mut().expect("the app exists");
        *calls += 1;
        runtime.block_on(async {
            let page = request.uri().path().starts_with("/docs") || request.uri().path() == "/metrics";
            let response = router.clone().oneshot(request).await.expect("an answer");
            let (parts, body) = response.into_parts();
            let body = to_bytes(body, usize::MAX).await.expect("a whole answer");
            assert_ne!(parts.status, StatusCode::INTERNAL_SERVER_ERROR, "{body:?}");
            if !page {
                let json: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
                assert!(json.is_object(), "{json}");
            }
        });
    });
}
