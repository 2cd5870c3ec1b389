//! Call an activation something.

use serde_json::json;

use super::{Draft, told};
use crate::activation::{Activation, ActivationId, Label};
use crate::event::EventType;
use crate::verdict::Denial;

/// The same label again: nothing.
pub(super) fn label(
    draft: &mut Draft,
    activations: &[Activation],
    id: &ActivationId,
    label: Option<&Label>,
) -> Result<(), Denial> {
    super::lifecycle::refuse_revoked(draft)?;
    let activation = super::release::find(activations, id)?;
    if activation.label.as_ref() != label {
        draft.emit(EventType::ActivationLabelled, json!({ "activation": told(activation) }));
        draft.labelled = Some((id.clone(), label.cloned()));
    }
    Ok(())
}
