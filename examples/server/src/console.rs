//! The console: its flags, its place in the app, and links that open sessions.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::any;
use clap::{ArgAction, Args};
use license_console::{Connection, ConsoleOptions};
use license_core::access::{Actor, Principal, Scope, TokenId};
use license_core::clock::{SystemClock, SystemRng};
use license_core::service::{AccessService, ClockAndRng, Services};
use license_http::{ByTrustedProxy, ClientAddress};
use tower::ServiceExt;

use crate::database::Database;
use crate::environment::switch;
use crate::flags::Flags;
use crate::network;
use crate::startup_message::AdminToken;

/// The path of the console.
const PATH: &str = "/console";

/// Flags of the console.
#[derive(Debug, Args)]
pub(crate) struct ConsoleFlags {
    /// Whether the console is served at /console
    #[arg(long, env = "LICENSE_CONSOLE", value_name = "on|off", value_parser = switch,
        action = ArgAction::Set, default_value = "on")]
    console: bool,

    #[arg(long, env = "LICENSE_CONSOLE_ORIGIN", value_name = "ORIGIN", value_parser = origin,
        help = "Origin of the console as browsers see it, such as https://licenses.example.com. Set it if a proxy \
        rewrites the host, or ends TLS without X-Forwarded-Proto")]
    console_origin: Option<String>,
}

/// Arguments of `license-server console-link`.
#[derive(Debug, Args)]
pub(crate) struct LinkArgs {
    /// Token whose session the link opens
    #[arg(long, value_name = "ID", default_value = "tok_first", value_parser = crate::tokens::id)]
    token: TokenId,
}

impl ConsoleFlags {
    /// Adds the console to the app. Browsers that open `/` come to the console.
    pub(crate) fn mount(
        &self,
        app: Router,
        services: Services,
        https: bool,
        options: ConsoleOptions,
    ) -> Router {
        if !self.console {
            return app;
        }
        let options = options.connection(move |parts| connection(parts, https));
        let options = match &self.console_origin {
            Some(origin) => options.public_origin(origin.clone()),
            None => options,
        };
        let index = app.clone();
        app.nest(PATH, license_console::router(services, options))
            .route("/", any(|request| home(index, request)))
    }

    /// Returns the address of the console, unless it is off.
    pub(crate) fn url(&self, scheme: &str, address: &str) -> Option<String> {
        let own = || format!("{scheme}://{}", reachable(address));
        let origin = self.console_origin.clone().unwrap_or_else(own);
        self.console.then(|| format!("{origin}{PATH}"))
    }
}

/// Creates a link that opens a session of a token. Returns its address.
pub(crate) async fn link(
    access: &AccessService,
    token: &TokenId,
    url: &str,
    by: Principal,
) -> Result<String, String> {
    let created = access.create_link(token, Scope::Admin.into(), &Actor::new(by)).await;
    let (_, secret) = created.map_err(|error| format!("{token}: {error}"))?;
    Ok(format!("{url}/link?code={}", secret.reveal()))
}

/// Returns the address of the console and how to sign in. A link is shown on a terminal only: elsewhere, the
/// message may be kept in a log.
pub(crate) async fn sign_in_line(
    access: &AccessService,
    admin_token: &AdminToken,
    url: &str,
    is_terminal: bool,
) -> String {
    if matches!(admin_token, AdminToken::Configured) {
        let command = "license-server token create --name you --scopes admin";
        return format!("{url} (sign in with a token: {command})");
    }
    let by_command = format!("{url} (to sign in: license-server console-link)");
    if !is_terminal {
        return by_command;
    }
    let link = link(access, &TokenId::first(), url, Principal::System).await;
    link.map_or(by_command, |link| format!("{link} (opens one session, within 10 minutes)"))
}

/// Runs `license-server console-link` on an existing database.
pub(crate) async fn run(args: &LinkArgs, flags: &Flags) -> Result<(), String> {
    let scheme = if flags.network.has_tls() { "https" } else { "http" };
    let url =
        flags.console.url(scheme, &flags.listen).ok_or("the console is off: start with --console on")?;
    let store = Database::parse(&flags.database)?.open_existing("tokens").await?;
    let sources = Arc::new(ClockAndRng::new(SystemClock, SystemRng));
    let shared = || Arc::clone(&store);
    let access = AccessService::new(shared() as _, shared() as _, shared() as _, sources);
    let link = link(&access, &args.token, &url, Principal::CommandLine).await;
    store.close().await;
    #[expect(clippy::print_stdout, reason = "output of the command")]
    link.map(|link| println!("{link}"))
}

/// Sends browsers to the console, and other callers to the index of the API.
async fn home(index: Router, request: Request) -> Result<Response, Infallible> {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    if reads && accept.is_some_and(|accept| accept.contains("text/html")) {
        return Ok(([(header::VARY, "accept")], Redirect::to(PATH)).into_response());
    }
    index.oneshot(request).await
}

fn connection(parts: &Parts, https: bool) -> Connection {
    let by_trusted_proxy = parts.extensions.get::<ByTrustedProxy>().is_some();
    let proto = parts.headers.get("x-forwarded-proto").and_then(|proto| proto.to_str().ok());
    Connection {
        client: parts.extensions.get::<ClientAddress>().map(|address| address.0),
        https: https || (by_trusted_proxy && proto == Some("https")),
        request_id: license_http::request_id(&parts.extensions, &parts.headers),
    }
}

/// Returns an address that a browser on this machine can open.
fn reachable(address: &str) -> String {
    match address.rsplit_once(':') {
        Some(("0.0.0.0" | "[::]" | "", port)) => format!("localhost:{port}"),
        _ => address.to_owned(),
    }
}

fn origin(text: &str) -> Result<String, &'static str> {
    let origin = network::origin(text)?;
    let origin = origin.to_str().ok().filter(|origin| *origin != "*");
    origin.map(str::to_owned).ok_or("must be an origin such as https://example.com")
}

#[cfg(test)]
mod tests {
    use license_core::Secret;
    use license_core::service::{SignIn, SignInRequest};
    use license_store::{Engine, MemoryStore};

    use super::*;

    /// A log must not have a link, since it opens a session.
    #[tokio::test]
    async fn start_message_has_a_link_on_a_terminal_only() {
        let secret = Secret::generate(&mut SystemRng).unwrap();
        let engine = Engine::builder(Arc::new(MemoryStore::new()), &secret).start().await.unwrap();
        engine.access.first_token().await.unwrap();
        let (access, url) = (&engine.access, "http://127.0.0.1:8080/console");
        let line = async |token, is_terminal| sign_in_line(access, &token, url, is_terminal).await;
        for (line, part) in [
            (line(AdminToken::Existing, false).await, "(to sign in: license-server console-link)"),
            (line(AdminToken::Configured, true).await, "license-server token create"),
            (line(AdminToken::Configured, false).await, "license-server token create"),
        ] {
            assert!(line.starts_with(url) && line.contains(part) && !line.contains("code="), "{line}");
        }
        let line = line(AdminToken::Existing, true).await;
        let code = line.strip_prefix(&format!("{url}/link?code=")).unwrap().split(' ').next().unwrap();
        let opened = access.sign_in_by_link(code, SignInRequest::default()).await.unwrap();
        assert!(matches!(opened, SignIn::Opened(..)), "{opened:?}");
        engine.shutdown().await;
    }

    #[test]
    fn printed_address_can_be_opened() {
        for (address, shown) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("0.0.0.0:80", "localhost:80"),
            ("[::]:80", "localhost:80"),
            ("[::1]:80", "[::1]:80"),
            (":80", "localhost:80"),
            ("licenses.example.com:80", "licenses.example.com:80"),
        ] {
            assert_eq!(reachable(address), shown);
        }
        assert_eq!(origin("https://licenses.example.com"), Ok("https://licenses.example.com".to_owned()));
        for text in ["*", "licenses.example.com", "https://example.com/console", ""] {
            assert!(origin(text).is_err(), "{text}");
        }
    }
}
