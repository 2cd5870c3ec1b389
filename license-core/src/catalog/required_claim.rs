//! The parts of a claim that a plan requires.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A part of a claim that a plan can require.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequiredClaim {
    /// The product: a validation without one is `PRODUCT_REQUIRED`.
    Product,
    /// The domain: a validation without one is `DOMAIN_REQUIRED`.
    Domain,
    /// The device: a validation without a fingerprint is `DEVICE_REQUIRED`.
    Device,
}

/// The parts of a claim that a plan requires. As JSON and TOML: a list such as `["product", "device"]`.
pub type RequiredClaims = BTreeSet<RequiredClaim>;
