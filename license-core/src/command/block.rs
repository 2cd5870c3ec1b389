//! Blocks domains and devices, and removes blocks.

use serde_json::{Value, json};

use super::Draft;
use super::lifecycle::refuse_revoked;
use super::release::find;
use crate::event::EventType;
use crate::license::{Activation, ActivationTarget, Block, BlockId, ReleaseCause};
use crate::validation::Denial;

/// Blocks a name, and frees the slot that exactly this name holds. A blocked name gets no second block.
pub(super) fn block(
    draft: &mut Draft,
    activations: &[Activation],
    target: &ActivationTarget,
) -> Result<(), Denial> {
    refuse_revoked(draft)?;
    let (held, binding) = match target {
        ActivationTarget::Id(id) => {
            let held = find(activations, id)?;
            (Some(held), &held.binding)
        }
        ActivationTarget::Binding(binding) => {
            (activations.iter().find(|held| held.binding == *binding), binding)
        }
    };
    if let Some(held) = held {
        draft.release(held, ReleaseCause::Admin);
    }
    if draft.license.blocks.of(binding).is_some() {
        return Ok(());
    }
    if draft.license.blocks.is_full() {
        return Err(Denial::TooManyBlocks);
    }
    let id = BlockId::new(&draft.license.id, draft.license.last_event + 1);
    let block = Block { id, binding: binding.clone(), reason: draft.reason.clone(), created_at: draft.now };
    let data = json!({ "block": block_json(&block), "reason": draft.reason_json() });
    draft.emit(EventType::ActivationBlocked, data);
    draft.license.blocks.push(block);
    Ok(())
}

pub(super) fn unblock(draft: &mut Draft, id: &BlockId) -> Result<(), Denial> {
    refuse_revoked(draft)?;
    let block = draft.license.blocks.remove(id).ok_or(Denial::BlockNotFound)?;
    draft.emit(EventType::ActivationUnblocked, json!({ "block": block_json(&block) }));
    Ok(())
}

/// Returns the JSON of a block for events and the audit, without its reason, which may name a person.
pub(super) fn block_json(block: &Block) -> Value {
    json!({
        "id": block.id.as_str(),
        "kind": block.binding.kind().as_str(),
        "name": block.binding.value(),
    })
}
