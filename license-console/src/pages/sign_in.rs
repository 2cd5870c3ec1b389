//! Signing in with a token or a one-time link, and signing out.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};
use license_core::access::{ApiToken, TokenSecret};
use license_core::service::{Checked, SignIn};

use super::see_other;
use crate::console::{Console, Shared};
use crate::failure::Failure;
use crate::form::{Form, Query};
use crate::page::{Page, Section, render};
use crate::session_cookie;
use crate::visit::{SignedIn, Visit};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    page: Page,
    /// Why the last attempt failed.
    error: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage<'a> {
    page: Page,
    name: &'a str,
    scopes: String,
    secret: &'a str,
}

const SIGN_IN: &str = "Sign in";

pub(crate) async fn ask(visit: Visit) -> Result<Response, Failure> {
    if visit.visitor.is_some() {
        return Ok(see_other(visit.url("/")));
    }
    check_transport(&visit)?;
    Ok(render(&SignInPage { page: page(&visit), error: None })?.into_response())
}

pub(crate) async fn sign_in(
    State(console): State<Console>,
    visit: Visit,
    form: Form,
) -> Result<Response, Failure> {
    check_transport(&visit)?;
    check_attempts(&console, &visit)?;
    let token = form.text("token").unwrap_or_default();
    let found = console.services.access.check(token).await?;
    let is_excluded = matches!(&found, Checked::Active(token) if is_excluded(&console, token));
    let signed_in = if is_excluded {
        SignIn::Unknown
    } else {
        console.services.access.sign_in(token, visit.request.clone()).await?
    };
    let error = match signed_in {
        SignIn::Opened(_, secret) => return opened(&console, &visit, &secret).await,
        SignIn::Expired => "The token has expired. Sign in with another one.",
        SignIn::Revoked => "The token is revoked. Sign in with another one.",
        SignIn::Unknown => {
            "This is no token of the database. Copy the whole token, which begins with lkt_, or create one: \
             license-server token create --name you --scopes admin"
        }
    };
    console.failures.count(visit.connection.network(), visit.now);
    let html = render(&SignInPage { page: page(&visit), error: Some(error) })?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, html).into_response())
}

/// Shows whose session a link opens. It uses up nothing: mail scanners and previews follow links.
pub(crate) async fn ask_for_link(
    State(console): State<Console>,
    visit: Visit,
    Query(query): Query,
) -> Result<Response, Failure> {
    let secret = query.text("code").unwrap_or_default();
    let link = usable_link(&console, &visit, secret).await?;
    let (name, scopes) = (link.name.as_str(), link.scopes.to_string().replace(',', ", "));
    Ok(render(&LinkPage { page: page(&visit), name, scopes, secret })?.into_response())
}

pub(crate) async fn open_link(
    State(console): State<Console>,
    visit: Visit,
    form: Form,
) -> Result<Response, Failure> {
    let secret = form.text("code").unwrap_or_default();
    usable_link(&console, &visit, secret).await?;
    match console.services.access.sign_in_by_link(secret, visit.request.clone()).await? {
        SignIn::Opened(_, secret) => opened(&console, &visit, &secret).await,
        SignIn::Expired | SignIn::Revoked | SignIn::Unknown => Err(unusable_link(&console, &visit)),
    }
}

pub(crate) async fn sign_out(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
) -> Result<Response, Failure> {
    if let Some(session) = &visitor.session {
        console.services.access.sign_out(session, &visitor.actor).await?;
    }
    let cookie = session_cookie::removed(&visit.prefix, visit.connection.https);
    Ok(([(SET_COOKIE, cookie.ok_or_else(Failure::internal)?)], see_other(visit.url("/sign-in")))
        .into_response())
}

/// Sets the cookie of a new session. The session of before ends, so that one browser has one.
async fn opened(console: &Shared, visit: &Visit, secret: &TokenSecret) -> Result<Response, Failure> {
    if let Some(visitor) = &visit.visitor
        && let Some(session) = &visitor.session
    {
        console.services.access.sign_out(session, &visitor.actor).await?;
    }
    let cookie = session_cookie::of_session(secret, &visit.prefix, visit.connection.https);
    Ok(([(SET_COOKIE, cookie.ok_or_else(Failure::internal)?)], see_other(visit.url("/"))).into_response())
}

fn page(visit: &Visit) -> Page {
    Page::new(visit, SIGN_IN, Section::None)
}

fn is_excluded(console: &Shared, token: &ApiToken) -> bool {
    let excluded = console.options.excluded.as_ref();
    excluded.is_some_and(|excluded| *excluded == token.id || token.kind.parent() == Some(excluded))
}

/// Refuses to read a token or to send a session in clear over a network.
fn check_transport(visit: &Visit) -> Result<(), Failure> {
    if visit.is_private {
        return Ok(());
    }
    let advice = "Over plain HTTP, others in the network could read your token. Open the console by HTTPS: start the \
                  server with --tls-cert and --tls-key, or put a TLS proxy in front and name it by --trusted-proxy. On \
                  the machine of the server, http://localhost works.";
    Err(Failure::new(StatusCode::FORBIDDEN, "Sign-in needs HTTPS", advice))
}

fn check_attempts(console: &Shared, visit: &Visit) -> Result<(), Failure> {
    let Some(wait) = console.failures.wait(visit.connection.network(), visit.now) else { return Ok(()) };
    let advice = format!("Try again in {} seconds.", wait.num_seconds() + 1);
    Err(Failure::new(StatusCode::TOO_MANY_REQUESTS, "Too many failed attempts", advice))
}

/// Returns the link with this secret, within the limits of the caller.
async fn usable_link(console: &Shared, visit: &Visit, secret: &str) -> Result<ApiToken, Failure> {
    check_transport(visit)?;
    check_attempts(console, visit)?;
    match console.services.access.check_link(secret).await? {
        Checked::Active(link) if !is_excluded(console, &link) => Ok(link),
        _ => Err(unusable_link(console, visit)),
    }
}

fn unusable_link(console: &Shared, visit: &Visit) -> Failure {
    console.failures.count(visit.connection.network(), visit.now);
    let advice = "A link works once, within ten minutes. Create a new one: license-server console-link";
    Failure::new(StatusCode::GONE, "This link cannot be used", advice)
}
