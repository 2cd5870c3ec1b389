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

/// The fields of a form, with the values of each name in their order.
#[derive(Debug, Default)]
pub(crate) struct Form(BTreeMap<String, Vec<String>>);

/// The fields of a query.
#[derive(Debug, Default)]
pub(crate) struct Query(pub(crate) Form);

impl Form {
    pub(crate) fn of_query(text: &str) -> Self {
        Self::parse(text.as_bytes())
    }

    fn parse(text: &[u8]) -> Self {
        Self::of_pairs(form_urlencoded::parse(text).into_owned())
    }

    pub(crate) fn of_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut fields = BTreeMap::<_, Vec<_>>::new();
        for (name, value) in pairs {
            fields.entry(name).or_default().push(value);
        }
        Self(fields)
    }

    /// Returns all fields as the text of a query.
    pub(crate) fn query(&self) -> String {
        let pairs = self.0.iter().flat_map(|(name, texts)| texts.iter().map(move |text| (name, text)));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }

    /// Returns the form with another text of a field.
    pub(crate) fn with(mut self, name: &str, text: &str) -> Self {
        self.0.insert(name.to_owned(), vec![text.to_owned()]);
        self
    }

    /// Returns the trimmed text of a field, also an empty one; `None` if the form does not have the field.
    pub(crate) fn sent(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.last().map(|text| text.trim())
    }

    /// Returns the text of a field with its spaces; an empty text if it is missing. Browsers send a newline as
    /// CR LF.
    pub(crate) fn untrimmed(&self, name: &str) -> String {
        self.0
            .get(name)
            .and_then(|texts| texts.last())
            .map(|text| text.replace("\r\n", "\n"))
            .unwrap_or_default()
    }

    /// Returns the trimmed text of a field; `None` if it is missing or empty. Of several with one name, the
    /// last one counts.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.last().map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// Returns the values of all fields with a name.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get(name).into_iter().flatten().map(String::as_str)
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
