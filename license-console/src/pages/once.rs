//! A random value in a form, so that a form that is sent twice has its effect once.

use license_core::command::IdempotencyKey;
use rand::TryRng;
use rand::rngs::SysRng;

use crate::failure::Failure;
use crate::form::Form;

/// Returns a new value.
pub(super) fn new() -> Result<String, Failure> {
    let number = SysRng.try_next_u64().map_err(|error| {
        tracing::error!(%error, "the random generator of the system failed");
        Failure::internal()
    })?;
    Ok(format!("{number:016x}"))
}

/// Returns the idempotency key of a sent form.
pub(super) fn key(form: &Form) -> Result<IdempotencyKey, Failure> {
    let missing = || Failure::field("Form", "its hidden field is missing");
    IdempotencyKey::parse(&format!("console-{}", form.text("once").ok_or_else(missing)?))
        .map_err(|_| missing())
}
