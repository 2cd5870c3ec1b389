//! A browser: keeps cookies by path, and sends the headers of browsers.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, header};
use tower::ServiceExt;

#[derive(Clone)]
pub(crate) struct Browser {
    router: Router,
    /// Name, value and path.
    pub(crate) cookies: Vec<(String, String, String)>,
    /// Replaces or adds headers; an empty text removes one.
    pub(crate) headers: Vec<(&'static str, String)>,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    /// Returns the value of a header, or an empty text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn assert_shows(&self, status: u16, text: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        assert!(self.body.contains(text), "{text:?} is not in {}", self.body);
    }

    #[track_caller]
    pub(crate) fn assert_redirects(&self, target: &str) {
        assert_eq!((self.status, self.header("location")), (303, target), "{}", self.body);
    }

    /// Returns the value of a hidden field.
    pub(crate) fn field(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let (_, rest) =
            self.body.split_once(&start).unwrap_or_else(|| panic!("no field {name}: {}", self.body));
        rest.split_once('"').unwrap().0.to_owned()
    }
}

impl Browser {
    pub(crate) fn new(router: Router) -> Self {
        Self { router, cookies: Vec::new(), headers: Vec::new() }
    }

    /// Returns a copy that sends another header; an empty text leaves it out.
    pub(crate) fn with_header(&self, name: &'static str, value: &str) -> Self {
        let mut other = self.clone();
        other.headers.push((name, value.to_owned()));
        other
    }

    pub(crate) fn session(&self) -> Option<&str> {
        let found = self.cookies.iter().find(|(name, ..)| name == "license_console_session");
        found.map(|(_, value, _)| value.as_str())
    }

    pub(crate) async fn get(&mut self, target: &str) -> Reply {
        self.send("GET", target, String::new()).await
    }

    pub(crate) async fn post(&mut self, target: &str, fields: &[(&str, &str)]) -> Reply {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send("POST", target, body).await
    }

    pub(crate) async fn send(&mut self, method: &str, target: &str, body: String) -> Reply {
        let path = target.split('?').next().unwrap();
        let sent = self
            .cookies
            .iter()
            .filter(|(.., of)| path == of || path.starts_with(&format!("{of}/")) || of == "/");
        let cookies: Vec<_> = sent.map(|(name, value, _)| format!("{name}={value}")).collect();
        let mut request = Request::builder().method(method).uri(target).body(Body::from(body)).unwrap();
        let headers = request.headers_mut();
        headers.insert(header::HOST, "localhost:8080".parse().unwrap());
        if method != "GET" {
            headers.insert("sec-fetch-site", "same-origin".parse().unwrap());
        }
        if !cookies.is_empty() {
            headers.insert(header::COOKIE, cookies.join("; ").parse().unwrap());
        }
        for (name, value) in &self.headers {
            headers.remove(*name);
            if !value.is_empty() {
                headers.insert(*name, value.parse().unwrap());
            }
        }
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        for line in parts.headers.get_all(header::SET_COOKIE) {
            self.keep(line.to_str().unwrap());
        }
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    fn keep(&mut self, line: &str) {
        let mut parts = line.split("; ");
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let path = parts.find_map(|part| part.strip_prefix("Path=")).unwrap();
        self.cookies.retain(|(known, ..)| known != name);
        if !line.contains("Max-Age=0") {
            self.cookies.push((name.to_owned(), value.to_owned(), path.to_owned()));
        }
    }
}
