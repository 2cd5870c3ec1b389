//! Free one slot.

use super::Draft;
use crate::activation::{Activation, ActivationId};
use crate::verdict::Denial;

pub(super) fn release(
    draft: &mut Draft,
    activations: &[Activation],
    id: &ActivationId,
) -> Result<(), Denial> {
    super::lifecycle::refuse_revoked(draft)?;
    let activation =
        activations.iter().find(|activation| activation.id == *id).ok_or(Denial::ActivationNotFound)?;
    draft.release(activation);
    Ok(())
}
