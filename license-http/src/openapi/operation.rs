//! Builder of one operation.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use license_core::access::Scope;
use license_core::limits;
use license_core::validation::DenialCode;
use serde_json::Value;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, ObjectBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Schema};

use super::error_responses::{ErrorResponses, header};
use super::schema::{activation_id, email, event_id, id, matching, named, string, text, whole};
use crate::problem::Code;

/// Name of the security scheme.
pub(super) const TOKEN: &str = "token";

/// Errors of a call that reads a body.
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
    summary: &'static str,
    about: &'static str,
    parameters: Vec<Parameter>,
    body: Option<RequestBody>,
    good: Vec<(StatusCode, Response)>,
    errors: ErrorResponses,
    refusals: bool,
}

macro_rules! constructors {
    ($($name:ident $method:ident,)+) => {
        $(pub(super) fn $name(path: &'static str, id: &'static str, summary: &'static str) -> Op {
            Op::new(Method::$method, path, id, summary)
        })+
    };
}

constructors! { get GET, post POST, put PUT, patch PATCH, delete DELETE, }

impl Op {
    fn new(method: Method, path: &'static str, id: &'static str, summary: &'static str) -> Self {
        let mut errors = ErrorResponses::default();
        // Errors of every route.
        errors.add(&[Code::UriTooLong, Code::HeadersTooLarge, Code::Internal, Code::Overloaded]);
        let (about, parameters, body, good) = ("", Vec::new(), None, Vec::new());
        Self { method, path, id, summary, about, parameters, body, good, errors, refusals: false }
            .path_parameters()
    }

    fn tag(&self) -> &'static str {
        match self.path.trim_start_matches("/api/v1/").split('/').next() {
            Some("validate" | "deactivate") => "validation",
            Some("licenses" | "usage") => "licenses",
            Some("customers") => "customers",
            Some("events") => "events",
            Some("webhook-endpoints") => "webhooks",
            Some("tokens") => "tokens",
            Some("audit") => "audit",
            _ => "server",
        }
    }

    fn path_parameters(mut self) -> Self {
        for name in self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let of_endpoint = self.path.contains("/webhook-endpoints/");
            let (schema, about, missing) = match name {
                "activation_id" => (activation_id(), "Id of the activation.", Some(Code::ActivationNotFound)),
                "token_id" => (id("tok"), "Id of the token.", Some(Code::TokenNotFound)),
                "delivery_id" => (event_id(), "Id of the delivered event.", Some(Code::DeliveryNotFound)),
                "email" => (email(limits::EMAIL_BYTES), "E-mail address of the customer.", None),
                _ if of_endpoint => (id("whe"), "Id of the endpoint.", Some(Code::EndpointNotFound)),
                _ => (id("lic"), "Id of the license.", Some(Code::LicenseNotFound)),
            };
            self.parameters.push(parameter(ParameterIn::Path, name, schema, about));
            self.errors.add(missing.as_slice());
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

    /// Adds `limit` and `cursor`.
    pub(super) fn pages(self, cursor: ObjectBuilder) -> Self {
        let limit = whole(1, limits::PAGE_ITEMS).default(Some(Value::from(limits::PAGE_ITEMS_DEFAULT)));
        self.query("limit", limit, "Maximum number of items.").query(
            "cursor",
            cursor,
            "The `next_cursor` of the previous page.",
        )
    }

    /// Answers with a page of this schema.
    pub(super) fn lists(self, schema: &str, cursor: ObjectBuilder) -> Self {
        self.pages(cursor).answers(schema, "One page.")
    }

    /// Adds `If-Match`.
    pub(super) fn versioned(mut self) -> Self {
        let schema = matching(r#"^(\*|(W/)?"[!#-~]*")$"#);
        let about = "ETag that the license must have; otherwise nothing is changed.";
        self.parameters.push(parameter(ParameterIn::Header, "If-Match", schema, about));
        self.errors.deny(StatusCode::PRECONDITION_FAILED, &[DenialCode::LicenseStale]);
        self.errors(&[Code::BadRequest])
    }

    /// Adds `Idempotency-Key`.
    pub(super) fn idempotent(mut self) -> Self {
        let schema = text(limits::IDEMPOTENCY_KEY_BYTES).pattern(Some("^[ -~]+$"));
        let about = "Your key for this request. If it is repeated with the same key, it is executed once and answered as the first time.";
        self.parameters.push(parameter(ParameterIn::Header, "Idempotency-Key", schema, about));
        self.errors(&[Code::BadRequest, Code::IdempotencyKeyReused])
    }

    /// Adds a required body.
    pub(super) fn reads(self, schema: &str) -> Self {
        self.reads_or(schema, &BODY)
    }

    /// Adds a required body with these errors.
    pub(super) fn reads_or(mut self, schema: &str, errors: &[Code]) -> Self {
        self.body = Some(body(schema, Required::True));
        self.errors(errors)
    }

    /// Accepts no body, or an empty object.
    pub(super) fn reads_nothing(mut self) -> Self {
        // RFC 9110 gives the body of a DELETE no meaning, so it is not documented. A body with fields is
        // refused.
        if self.method != Method::DELETE {
            self.body = Some(body("Nothing", Required::False));
        }
        self.errors(&BODY)
    }

    /// Answers 200 with this schema.
    pub(super) fn answers(self, schema: &str, about: &str) -> Self {
        self.answers_status(StatusCode::OK, schema, about)
    }

    pub(super) fn answers_status(self, status: StatusCode, schema: &str, about: &str) -> Self {
        self.success(status, "application/json", named(schema), about)
    }

    /// Answers 200 with this media type.
    pub(super) fn answers_as(self, content_type: &str, schema: ObjectBuilder, about: &str) -> Self {
        self.success(StatusCode::OK, content_type, schema.into(), about)
    }

    fn success(mut self, status: StatusCode, content_type: &str, schema: RefOr<Schema>, about: &str) -> Self {
        let content = Content::new(Some(schema));
        self.good
            .push((status, ResponseBuilder::new().description(about).content(content_type, content).build()));
        self
    }

    /// Adds another media type to the last response.
    pub(super) fn or_as(mut self, content_type: &str, about: &str) -> Self {
        if let Some((_, response)) = self.good.last_mut() {
            let schema = string().description(Some(about));
            response.content.insert(content_type.to_owned(), Content::new(Some(schema)).into());
        }
        self
    }

    /// Adds a header to the last response.
    pub(super) fn with_header(mut self, name: &str) -> Self {
        if let Some((_, response)) = self.good.last_mut() {
            response.headers.insert(name.to_owned(), header(name));
        }
        self
    }

    pub(super) fn license(self) -> Self {
        self.answers("LicenseAnswer", "The license.").with_header("ETag")
    }

    pub(super) fn errors(mut self, codes: &[Code]) -> Self {
        self.errors.add(codes);
        self
    }

    pub(super) fn conflicts(self, codes: &[DenialCode]) -> Self {
        self.denials(StatusCode::CONFLICT, codes)
    }

    pub(super) fn denials(mut self, status: StatusCode, codes: &[DenialCode]) -> Self {
        self.errors.deny(status, codes);
        self
    }

    /// Uses the errors of `/validate`.
    pub(super) fn refuses(self) -> Self {
        Self { refusals: true, ..self }
    }

    /// Builds the operation. Problem responses go to `shared`.
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
            self.errors.add(&[
                Code::BadRequest,
                Code::Unauthorized,
                Code::InsufficientScope,
                Code::RateLimited,
                Code::StoreUnavailable,
            ]);
        }
        let mut operation = OperationBuilder::new()
            .operation_id(Some(self.id))
            .tag(self.tag())
            .summary(Some(self.summary))
            .description((!about.is_empty()).then_some(about))
            .parameters(Some(self.parameters))
            .request_body(self.body);
        let good = self.good.into_iter().map(|(status, response)| (status.as_u16(), response));
        let refusals: Vec<_> = if self.refusals { self.errors.refusals().collect() } else { Vec::new() };
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
            for (status, name, response) in self.errors.problems() {
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

fn parameter(location: ParameterIn, name: &str, schema: ObjectBuilder, about: &str) -> Parameter {
    let required = if matches!(location, ParameterIn::Path) { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(location)
        .required(required)
        .description(Some(about))
        .schema(Some(schema))
        .build()
}

fn body(schema: &str, required: Required) -> RequestBody {
    let content = Content::new(Some(named(schema)));
    RequestBodyBuilder::new().content("application/json", content).required(Some(required)).build()
}
