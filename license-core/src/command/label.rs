//! Labels activations.

use serde_json::json;

use super::{Draft, activation_json};
use crate::event::EventType;
use crate::license::{Activation, ActivationId, Label};
use crate::validation::Denial;

/// Sets the label; the same label changes nothing.
pub(super) fn label(
    draft: &mut Draft,
    activations: &[Activation],
    id: &ActivationId,
    label: Option<&Label>,
) -> Result<(), Denial> {
    super::lifecycle::refuse_revoked(draft)?;
    let activation = super::release::find(activations, id)?;
    if activation.label.as_ref() != label {
        draft.emit(EventType::ActivationLabelled, json!({ "activation": activation_json(activation) }));
        draft.labelled = Some((id.clone(), label.cloned()));
    }
    Ok(())
}
