//! The fields of a form or of a query.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use license_core::limits;

use crate::failure::Failure;

/// Time that a browser has to send a form.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The fields of a form. Of several with one name, the last one counts.
#[derive(Debug, Default)]
pub(crate) struct Form(BTreeMap<String, String>);

/// The fields of a query.
#[derive(Debug, Default)]
pub(crate) struct Query(pub(crate) Form);

impl Form {
    pub(crate) fn of_query(text: &str) -> Self {
        Self::parse(text.as_bytes())
    }

    fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    pub(crate) fn of_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// Returns the form with another text of a field.
    pub(crate) fn with(mut self, name: &str, text: &str) -> Self {
        self.0.insert(name.to_owned(), text.to_owned());
        self
    }

    /// Returns the trimmed text of a field, also an empty one; `None` if the form does not have the field.
    pub(crate) fn sent(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|text| text.trim())
    }

    /// Returns the trimmed text of a field; `None` if it is missing or empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// Returns whether a box is checked.
    pub(crate) fn is_checked(&self, name: &str) -> bool {
        self.text(name).is_some()
    }

    /// Parses a field; `None` if it is empty.
    pub(crate) fn parsed<T, E: std::fmt::Display>(
        &self,
        name: &str,
        label: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Failure> {
        self.text(name).map(parse).transpose().map_err(|why| Failure::field(label, why))
    }
}

impl<S: Sync> FromRequest<S> for Form {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let read =
            tokio::time::timeout(BODY_TIMEOUT, to_bytes(request.into_body(), limits::BODY_BYTES)).await;
        let Ok(read) = read else {
            let advice = "Check the connection and send the form again.";
            return Err(Failure::new(StatusCode::REQUEST_TIMEOUT, "The form did not arrive in time", advice));
        };
        let body = read.map_err(|_| {
            let advice = format!("A form can have at most {} bytes.", limits::BODY_BYTES);
            Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "The form is too large", advice)
        })?;
        Ok(Self::parse(&body))
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(Self(Form::of_query(parts.uri.query().unwrap_or_default())))
    }
}
