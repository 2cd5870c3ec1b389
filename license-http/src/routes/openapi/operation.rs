//! One route of the contract, being described.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use license_core::limits;
use license_core::token::Scope;
use license_core::verdict::DenialCode;
use serde_json::Value;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, ObjectBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Schema};

use super::faults::{Faults, header};
use super::schema::{activation_id, email, event_id, id, matching, named, string, text, whole};
use crate::problem::Code;

/// The name of the one way to say who calls.
pub(super) const TOKEN: &str = "token";

/// What a body that is read may be refused for.
const BODY: [Code; 6] = [
    Code::BadRequest,
    Code::MalformedJson,
    Code::RequestTimeout,
    Code::PayloadTooLarge,
    Code::UnsupportedMediaType,
    Code::InvalidField,
];

pub(super) struct Op {
    pub(super) method: Method,
    pub(super) path: &'static str,
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    about: &'static str,
    parameters: Vec<Parameter>,
    body: Option<RequestBody>,
    good: Vec<(StatusCode, Response)>,
    faults: Faults,
    refusals: bool,
}

impl Op {
    pub(super) fn new(
        method: Method,
        path: &'static str,
        tag: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        let mut faults = Faults::default();
        // Said of any request, whatever it asks.
        faults.add(&[Code::UriTooLong, Code::HeadersTooLarge, Code::Internal, Code::Overloaded]);
        let op = Self {
            method,
            path,
            id,
            tag,
            summary,
            about: "",
            parameters: Vec::new(),
            body: None,
            good: Vec::new(),
            faults,
            refusals: false,
        };
        op.path_parameters()
    }

    fn path_parameters(mut self) -> Self {
        for name in self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let of_endpoint = self.path.contains("/webhook-endpoints/");
            let (schema, about, missing) = match name {
                "activation_id" => {
                    (activation_id(), "The id of the activation.", Some(Code::ActivationNotFound))
                }
                "token_id" => (id("tok"), "The id of the token.", Some(Code::TokenNotFound)),
                "delivery_id" => {
                    (event_id(), "The id of the event that is delivered.", Some(Code::DeliveryNotFound))
                }
                "email" => (email(limits::EMAIL_BYTES), "The customer's e-mail address.", None),
                _ if of_endpoint => (id("whe"), "The id of the endpoint.", Some(Code::EndpointNotFound)),
                _ => (id("lic"), "The id of the license.", Some(Code::LicenseNotFound)),
            };
            self.parameters.push(parameter(ParameterIn::Path, name, schema, about));
            self.faults.add(missing.as_slice());
        }
        self
    }

    pub(super) fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    pub(super) fn query(mut self, name: &str, schema: ObjectBuilder, about: &str) -> Self {
        self.parameters.push(parameter(ParameterIn::Query, name, schema, about));
        self
    }

    /// `limit`, and `cursor` of this form.
    pub(super) fn pages(self, cursor: ObjectBuilder) -> Self {
        let limit = whole(1, limits::PAGE_ITEMS).default(Some(Value::from(limits::PAGE_ITEMS_DEFAULT)));
        self.query("limit", limit, "Items of a page, at most.").query(
            "cursor",
            cursor,
            "The `next_cursor` of the page before.",
        )
    }

    /// `If-Match`.
    pub(super) fn versioned(mut self) -> Self {
        let schema = matching(r#"^(\*|(W/)?"[!#-~]*")$"#);
        let about = "The ETag that the license must have, or nothing is done.";
        self.parameters.push(parameter(ParameterIn::Header, "If-Match", schema, about));
        self.faults.deny(StatusCode::PRECONDITION_FAILED, &[DenialCode::LicenseStale]);
        self.faults(&[Code::BadRequest])
    }

    /// `Idempotency-Key`.
    pub(super) fn idempotent(mut self) -> Self {
        let schema = text(limits::IDEMPOTENCY_KEY_BYTES).pattern(Some("^[ -~]+$"));
        let about = "Your name for this request: sent again under it, it is done once, and answered as the first time.";
        self.parameters.push(parameter(ParameterIn::Header, "Idempotency-Key", schema, about));
        self.faults(&[Code::BadRequest, Code::IdempotencyKeyReused])
    }

    /// A body that must be there.
    pub(super) fn reads(self, schema: &str) -> Self {
        self.reads_or(schema, &BODY)
    }

    /// Likewise, with all that it may be refused for.
    pub(super) fn reads_or(mut self, schema: &str, faults: &[Code]) -> Self {
        self.body = Some(body(schema, Required::True));
        self.faults(faults)
    }

    /// No body, or an empty object.
    pub(super) fn reads_nothing(mut self) -> Self {
        // RFC 9110 gives the body of a DELETE no meaning; it is refused all the same where it has one.
        if self.method != Method::DELETE {
            self.body = Some(body("Nothing", Required::False));
        }
        self.faults(&BODY)
    }

    pub(super) fn answers(self, status: StatusCode, schema: &str, about: &str) -> Self {
        self.answers_with(status, "application/json", named(schema), about)
    }

    pub(super) fn answers_with(
        mut self,
        status: StatusCode,
        content_type: &str,
        schema: impl Into<RefOr<Schema>>,
        about: &str,
    ) -> Self {
        let content = Content::new(Some(schema));
        self.good
            .push((status, ResponseBuilder::new().description(about).content(content_type, content).build()));
        self
    }

    /// The last answer in another form, for who accepts that.
    pub(super) fn or_as(mut self, content_type: &str, about: &str) -> Self {
        if let Some((_, response)) = self.good.last_mut() {
            let schema = string().description(Some(about));
            response.content.insert(content_type.to_owned(), Content::new(Some(schema)).into());
        }
        self
    }

    /// A header of the last answer.
    pub(super) fn with_header(mut self, name: &str) -> Self {
        if let Some((_, response)) = self.good.last_mut() {
            response.headers.insert(name.to_owned(), header(name));
        }
        self
    }

    pub(super) fn license(self) -> Self {
        self.answers(StatusCode::OK, "LicenseAnswer", "The license, as it is now.").with_header("ETag")
    }

    pub(super) fn faults(mut self, codes: &[Code]) -> Self {
        self.faults.add(codes);
        self
    }

    pub(super) fn denials(mut self, status: StatusCode, codes: &[DenialCode]) -> Self {
        self.faults.deny(status, codes);
        self
    }

    /// Errors have the form of `/validate`.
    pub(super) fn refuses(self) -> Self {
        Self { refusals: true, ..self }
    }

    /// The operation; the answers that it shares with others go to `shared`.
    pub(super) fn build(
        mut self,
        scopes: Option<&[Scope]>,
        shared: &mut BTreeMap<String, Response>,
    ) -> (HttpMethod, Operation) {
        let mut about = self.about.to_owned();
        if let Some(scopes) = scopes {
            let names: Vec<_> = scopes.iter().map(|scope| format!("`{scope}`")).collect();
            let gap = if about.is_empty() { "" } else { "\n\n" };
            about = format!("{about}{gap}Needs {}.", names.join(" and "));
            self.faults.add(&[
                Code::BadRequest,
                Code::Unauthorized,
                Code::InsufficientScope,
                Code::RateLimited,
                Code::StoreUnavailable,
            ]);
        }
        let mut operation = OperationBuilder::new()
            .operation_id(Some(self.id))
            .tag(self.tag)
            .summary(Some(self.summary))
            .description((!about.is_empty()).then_some(about))
            .parameters(Some(self.parameters))
            .request_body(self.body);
        let good = self.good.into_iter().map(|(status, response)| (status.as_u16(), response));
        let refusals: Vec<_> = if self.refusals { self.faults.refusals().collect() } else { Vec::new() };
        let further: &[&str] = match (scopes, self.refusals) {
            (Some(_), _) => &["RateLimit", "RateLimit-Policy", "X-Request-Id"],
            (_, true) => &["X-License-Store", "X-Request-Id"],
            _ => &["X-Request-Id"],
        };
        for (status, mut response) in good.chain(refusals) {
            response.headers.extend(further.iter().map(|name| ((*name).to_owned(), header(name))));
            operation = operation.response(status.to_string(), response);
        }
        if !self.refusals {
            for (status, name, response) in self.faults.problems() {
                operation = operation.response(status.to_string(), Ref::from_response_name(&name));
                shared.insert(name, response);
            }
        }
        if let Some(scopes) = scopes {
            operation = operation
                .security(SecurityRequirement::new(TOKEN, scopes.iter().map(|scope| scope.as_str())));
        }
        let method = match self.method {
            Method::POST => HttpMethod::Post,
            Method::PUT => HttpMethod::Put,
            Method::PATCH => HttpMethod::Patch,
            Method::DELETE => HttpMethod::Delete,
            _ => HttpMethod::Get,
        };
        (method, operation.build())
    }
}

fn parameter(place: ParameterIn, name: &str, schema: ObjectBuilder, about: &str) -> Parameter {
    let required = if matches!(place, ParameterIn::Path) { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(about))
        .schema(Some(schema))
        .build()
}

fn body(schema: &str, required: Required) -> RequestBody {
    let content = Content::new(Some(named(schema)));
    RequestBodyBuilder::new().content("application/json", content).required(Some(required)).build()
}
