//! Builder of one operation.

use axum::http::{Method, StatusCode};
use license_core::access::Scope;
use license_core::limits;
use license_core::validation::DenialCode;
use serde_json::{Map, Value, json};

use super::error_responses::{ErrorResponses, add_headers};
use super::schema::{about, activation_id, email, event_id, id, matching, named, string, text, whole, with};
use crate::problem::Code;

/// Prefix of most paths.
pub(super) const API: &str = "/api/v1";
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

/// Errors of a call that needs scopes.
const SCOPED: [Code; 5] = [
    Code::BadRequest,
    Code::Unauthorized,
    Code::InsufficientScope,
    Code::RateLimited,
    Code::StoreUnavailable,
];

pub(super) struct Op {
    pub(super) method: Method,
    /// Without [`API`].
    pub(super) path: &'static str,
    about: &'static str,
    json: Value,
    /// Status of the response that was added last.
    status: StatusCode,
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
    fn new(method: Method, path: &'static str, id: &str, summary: &str) -> Self {
        let json = json!({ "tags": [tag(path)], "summary": summary, "operationId": id, "parameters": [] });
        let (status, errors) = (StatusCode::OK, ErrorResponses::default());
        let op = Self { method, path, about: "", json, status, errors, refusals: false };
        // Errors of every route.
        op.errors(&[Code::UriTooLong, Code::HeadersTooLarge, Code::Internal, Code::Overloaded])
            .path_parameters()
    }

    fn path_parameters(mut self) -> Self {
        for name in self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let of_product = self.path.starts_with("/products/");
            let of_endpoint = self.path.starts_with("/webhook-endpoints/");
            let (schema, about, missing) = match name {
                "activation_id" => (activation_id(), "Id of the activation.", Some(Code::ActivationNotFound)),
                "token_id" => (id("tok"), "Id of the token.", Some(Code::TokenNotFound)),
                "block_id" => {
                    (matching("^blk_[a-z0-9_]{1,68}$"), "Id of the block.", Some(Code::BlockNotFound))
                }
                "delivery_id" => (event_id(), "Id of the delivered event.", Some(Code::DeliveryNotFound)),
                "name" if of_product => (string(), "Name of the product.", Some(Code::ProductNotFound)),
                "name" => (string(), "Name of the plan.", Some(Code::PlanNotFound)),
                "job_id" => (id("job"), "Id of the job.", Some(Code::JobNotFound)),
                "key_id" => (
                    matching("^[0-9A-Za-z_-]{43}$"),
                    "Id of the signing key.",
                    Some(Code::SigningKeyNotFound),
                ),
                "email" => (email(), "E-mail address of the customer.", None),
                _ if of_endpoint => (id("whe"), "Id of the endpoint.", Some(Code::EndpointNotFound)),
                _ => (id("lic"), "Id of the license.", Some(Code::LicenseNotFound)),
            };
            self = self.parameter("path", name, schema, about).errors(missing.as_slice());
        }
        self
    }

    fn parameter(self, location: &str, name: &str, schema: Value, about: &str) -> Self {
        self.parameter_that(location == "path", (location, name), schema, about)
    }

    fn parameter_that(
        mut self,
        required: bool,
        (location, name): (&str, &str),
        schema: Value,
        about: &str,
    ) -> Self {
        if let Some(parameters) = self.json["parameters"].as_array_mut() {
            parameters.push(json!({
                "name": name, "in": location, "description": about, "required": required, "schema": schema
            }));
        }
        self
    }

    pub(super) fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    pub(super) fn query(self, name: &str, schema: Value, about: &str) -> Self {
        self.parameter("query", name, schema, about)
    }

    pub(super) fn required_query(self, name: &str, schema: Value, about: &str) -> Self {
        self.parameter_that(true, ("query", name), schema, about)
    }

    pub(super) fn pages(self, cursor: Value) -> Self {
        let limit = with(whole(1, limits::PAGE_ITEMS), "default", limits::PAGE_ITEMS_DEFAULT);
        let op = self.query("limit", limit, "Maximum number of items.");
        op.query("cursor", cursor, "The `next_cursor` of the previous page.")
    }

    pub(super) fn lists(self, schema: &str, cursor: Value) -> Self {
        self.pages(cursor).answers(schema, "One page.").errors(&[Code::QueryTooBroad])
    }

    pub(super) fn versioned(self) -> Self {
        self.if_match("license").denials(StatusCode::PRECONDITION_FAILED, &[DenialCode::LicenseStale])
    }

    /// Lets the caller name the `ETag` that a license or plan must have.
    pub(super) fn if_match(self, noun: &str) -> Self {
        let schema = matching(r#"^(\*|(W/)?"[!#-~]*")$"#);
        let about = format!("ETag that the {noun} must have; otherwise nothing is changed.");
        self.parameter("header", "If-Match", schema, &about).errors(&[Code::BadRequest])
    }

    /// Lets the caller choose that unknown fields are ignored.
    pub(super) fn lenient(self) -> Self {
        let about =
            "`handling=lenient` ignores unknown fields; the answer lists them in `ignored` (RFC 7240).";
        self.parameter("header", "Prefer", string(), about)
    }

    pub(super) fn idempotent(self) -> Self {
        let schema = with(text(limits::IDEMPOTENCY_KEY_BYTES), "pattern", "^[ -~]+$");
        let about = "Your key for this request, kept for at least 30 days. A repeated request with the same key, method, path, \
             token and content has no further effect: it is answered with the resource as it is now, and with \
             Idempotent-Replayed. The content is compared as parsed, so white space and the order of fields do not matter.";
        self.parameter("header", "Idempotency-Key", schema, about)
            .with_header("Idempotent-Replayed")
            .errors(&[Code::BadRequest])
            .conflicts(&[DenialCode::IdempotencyKeyReused])
    }

    /// As [`idempotent`](Self::idempotent), for a resource with a name: its content is the key.
    pub(super) fn repeatable(self) -> Self {
        let schema = with(text(limits::IDEMPOTENCY_KEY_BYTES), "pattern", "^[ -~]+$");
        let about = "With any key, a request for what exists already is a repetition: if it was created with the same content, it is \
             answered as it is now, with Idempotent-Replayed.";
        self.parameter("header", "Idempotency-Key", schema, about)
            .with_header("Idempotent-Replayed")
            .errors(&[Code::BadRequest])
    }

    pub(super) fn shows_secret(self) -> Self {
        self.errors(&[Code::IdempotencyKeyUnsupported])
    }

    /// Accepts an optional body with a reason.
    pub(super) fn reason(self) -> Self {
        self.accepts("ReasonGiven")
    }

    /// Accepts an optional body.
    pub(super) fn accepts(self, schema: &str) -> Self {
        self.body(schema, false).errors(&BODY)
    }

    pub(super) fn reads(self, schema: &str) -> Self {
        self.reads_or(schema, &BODY)
    }

    /// Adds a required body with these errors.
    pub(super) fn reads_or(self, schema: &str, errors: &[Code]) -> Self {
        self.body(schema, true).errors(errors)
    }

    fn body(mut self, schema: &str, required: bool) -> Self {
        let content = json!({ "application/json": { "schema": named(schema) } });
        self.json["requestBody"] = json!({ "content": content, "required": required });
        self
    }

    pub(super) fn answers(self, schema: &str, about: &str) -> Self {
        self.answers_status(StatusCode::OK, schema, about)
    }

    pub(super) fn answers_status(self, status: StatusCode, schema: &str, about: &str) -> Self {
        self.success(status, "application/json", named(schema), about)
    }

    /// Answers 200 with this media type.
    pub(super) fn answers_as(self, content_type: &str, schema: Value, about: &str) -> Self {
        self.success(StatusCode::OK, content_type, schema, about)
    }

    fn success(mut self, status: StatusCode, content_type: &str, schema: Value, about: &str) -> Self {
        self.status = status;
        *self.response() = json!({ "description": about, "content": { content_type: { "schema": schema } } });
        self
    }

    /// Returns the response that was added last.
    fn response(&mut self) -> &mut Value {
        &mut self.json["responses"][self.status.as_str()]
    }

    /// Adds another media type to the last response.
    pub(super) fn or_as(mut self, content_type: &str, description: &str) -> Self {
        self.response()["content"][content_type] = json!({ "schema": about(string(), description) });
        self
    }

    pub(super) fn with_header(mut self, name: &str) -> Self {
        add_headers(self.response(), &[name]);
        self
    }

    /// Lets the caller send the `ETag` of an answer that it has.
    pub(super) fn if_none_match(self) -> Self {
        let about = "ETag of the answer that the caller has.";
        let mut op = self.with_header("ETag").parameter("header", "If-None-Match", string(), about);
        op.json["responses"]["304"] = json!({ "description": "The caller has the newest answer." });
        add_headers(&mut op.json["responses"]["304"], &["ETag"]);
        op
    }

    pub(super) fn license(self) -> Self {
        self.answers("LicenseAnswer", "The license.").with_header("ETag")
    }

    pub(super) fn errors(mut self, codes: &[Code]) -> Self {
        self.errors.add(codes);
        self
    }

    /// Adds errors whose codes have another status elsewhere.
    pub(super) fn errors_as(mut self, status: StatusCode, codes: &[Code]) -> Self {
        self.errors.add_as(status, codes);
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
    pub(super) fn build(mut self, scopes: Option<&[Scope]>, shared: &mut Map<String, Value>) -> Value {
        let mut paragraphs: Vec<_> =
            Some(self.about.to_owned()).filter(|about| !about.is_empty()).into_iter().collect();
        if let Some(scopes) = scopes {
            let names: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
            paragraphs.push(format!("Needs `{}`.", names.join("` and `")));
            self.json["security"] = json!([{ TOKEN: names }]);
            self = self.errors(&SCOPED);
        }
        if [Method::POST, Method::DELETE].contains(&self.method) && self.json.get("requestBody").is_none() {
            // No body, or an empty object. A body of DELETE has no meaning (RFC 9110) and is not described.
            let op = if self.method == Method::DELETE { self } else { self.body("Nothing", false) };
            self = op.errors(&BODY);
        }
        let Self { mut json, errors, refusals, .. } = self;
        if !paragraphs.is_empty() {
            json["description"] = paragraphs.join("\n\n").into();
        }
        let further: &[&str] = match (scopes, refusals) {
            (Some(_), _) => &["RateLimit", "RateLimit-Policy", "X-Request-Id"],
            (_, true) => &["Preference-Applied", "X-License-Store", "X-Request-Id"],
            _ => &["X-Request-Id"],
        };
        if refusals {
            for (status, response) in errors.refusals() {
                json["responses"][status] = response;
            }
        }
        for response in json["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
            add_headers(response, further);
        }
        if !refusals {
            for (status, name, response) in errors.problems() {
                let reference = format!("#/components/responses/{name}");
                json["responses"][status.to_string()] = json!({ "$ref": reference });
                shared.insert(name, response);
            }
        }
        json
    }
}

fn tag(path: &str) -> &'static str {
    match path.split('/').nth(1) {
        Some("validate" | "deactivate" | "activations") => "validation",
        Some("licenses" | "usage") => "licenses",
        Some("customers") => "customers",
        Some("jobs") => "jobs",
        Some("events") => "events",
        Some("webhook-endpoints") => "webhooks",
        Some("tokens") => "tokens",
        Some("audit") => "audit",
        Some("products" | "plans") => "catalog",
        Some("leases" | "lease-requests" | "revocations") => "leases",
        Some("signing-keys") => "signing keys",
        _ => "server",
    }
}
