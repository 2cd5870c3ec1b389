//! A new secret, which is shown once.

use askama::Template;

use crate::page::Page;

/// A new secret, which is shown once.
#[derive(Template)]
#[template(path = "secret.html")]
pub(super) struct SecretPage<'a> {
    pub(super) page: Page,
    /// The name of the token or the URL of the webhook.
    pub(super) name: &'a str,
    pub(super) about: &'static str,
    pub(super) secret: &'a str,
    /// The URL of the page after it.
    pub(super) back: String,
}
