//! Names of plans and products.

use crate::limits;

/// Checks the name of a plan or product. `noun` says which, in the error.
pub(super) fn check_name(noun: &str, name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if !name.is_empty() && name.len() <= limits::PLAN_NAME_BYTES && name.chars().all(allowed) {
        return Ok(());
    }
    Err(format!("the name of {noun} must be 1 to {} of a–z, 0–9, _ and -", limits::PLAN_NAME_BYTES))
}
