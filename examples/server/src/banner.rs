//! What a start prints: where it listens, what it uses, and commands to paste.

use std::net::SocketAddr;
use std::sync::Arc;

use license_core::plan::{Limit, Plan};
use license_core::token::TokenSecret;

/// What is to say of the admin token.
#[derive(Debug)]
pub(crate) enum AdminToken {
    /// Made now; shown this once.
    Made(TokenSecret),
    /// Made on an earlier start.
    Kept,
    /// Set by flag or environment.
    Given,
}

/// The facts of a start.
#[derive(Debug)]
pub(crate) struct Banner {
    pub(crate) scheme: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) database: String,
    pub(crate) secret: String,
    pub(crate) plans: String,
    /// The plan of the commands: the one with the fewest domains.
    pub(crate) plan: Arc<Plan>,
    pub(crate) admin_token: AdminToken,
}

impl Banner {
    /// Prints it to standard output; the log goes to standard error.
    pub(crate) fn print(&self) {
        let Self { scheme, address, database, secret, plans, plan, admin_token } = self;
        let second = match plan.max_domains {
            Limit::AtMost(1) => "which the plan's limit of one denies".to_owned(),
            limit => format!("the plan's limit of domains: {limit}"),
        };
        let plan = &plan.name;
        let (note, value) = match admin_token {
            AdminToken::Made(token) => {
                (format!("{} (shown this once: keep it)", token.reveal()), token.reveal())
            }
            AdminToken::Kept => (
                "the one made on the first start; lost? start with --admin-token".to_owned(),
                "PUT-YOUR-TOKEN-HERE",
            ),
            AdminToken::Given => ("as set".to_owned(), "PUT-YOUR-TOKEN-HERE"),
        };
        let version = env!("CARGO_PKG_VERSION");
        let text = format!(
            r#"license-server {version}
  address      {scheme}://{address}
  database     {database}
  secret       {secret}
  plans        {plans}
  admin token  {note}

Paste in another terminal, to issue a license:

  URL={scheme}://{address} TOKEN={value}
  LICENSE=$(curl -fsS "$URL/api/v1/licenses" -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
    -d '{{"plan":"{plan}","customer_email":"dev@example.com"}}') && echo "$LICENSE"

to validate it on one domain, then on another ({second}):

  KEY=$(echo "$LICENSE" | sed 's/.*"key":"\([^"]*\)".*/\1/')
  curl -sS "$URL/api/v1/validate" -H 'Content-Type: application/json' -d '{{"key":"'"$KEY"'","domain":"example.com"}}'; echo
  curl -sS "$URL/api/v1/validate" -H 'Content-Type: application/json' -d '{{"key":"'"$KEY"'","domain":"example.org"}}'; echo

and to revoke it:

  ID=$(echo "$LICENSE" | sed 's/.*"id":"\([^"]*\)".*/\1/')
  curl -sS -X DELETE "$URL/api/v1/licenses/$ID" -H "Authorization: Bearer $TOKEN"; echo

Ctrl-C stops the server.
"#
        );
        // A closed standard output is no reason not to serve.
        let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
    }
}
