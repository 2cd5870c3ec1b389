//! Light or dark.

use axum::http::{HeaderMap, HeaderValue};

use crate::session_cookie;

const COOKIE: &str = "license_console_theme";

/// The theme that a person chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Theme {
    /// As the system prefers.
    #[default]
    Auto,
    Light,
    Dark,
}

impl Theme {
    pub(crate) const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == text)
    }

    pub(crate) fn of(headers: &HeaderMap) -> Self {
        session_cookie::value(headers, COOKIE).and_then(Self::parse).unwrap_or_default()
    }

    pub(crate) fn cookie(self, prefix: &str, https: bool) -> Option<HeaderValue> {
        session_cookie::of(COOKIE, self.as_str(), "; Max-Age=31536000", prefix, https)
    }
}
