//! Products: what a vendor sells.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::name::check_name;
use crate::limits;

/// The name of the product of plans that name none. It always exists.
pub const DEFAULT_PRODUCT: &str = "default";

/// A product: what a vendor sells. Each plan belongs to one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// The name: 1 to 64 of `a–z 0–9 _ -`. It never changes.
    pub name: String,
    /// The name for people.
    pub display_name: String,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
    /// Time of the last change.
    pub updated_at: DateTime<Utc>,
}

impl Product {
    /// Creates a product.
    #[must_use]
    pub fn new(name: impl Into<String>, display_name: impl Into<String>, now: DateTime<Utc>) -> Self {
        Self { name: name.into(), display_name: display_name.into(), created_at: now, updated_at: now }
    }

    /// Checks the names. Returns the field at fault and the reason.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        check_name("a product", &self.name).map_err(|reason| ("name", reason))?;
        let shown = &self.display_name;
        let length = 1..=limits::PRODUCT_DISPLAY_NAME_BYTES;
        if length.contains(&shown.len()) && !shown.chars().any(char::is_control) {
            return Ok(());
        }
        let most = limits::PRODUCT_DISPLAY_NAME_BYTES;
        Err(("display_name", format!("display_name must have 1 to {most} bytes and no control characters")))
    }
}
