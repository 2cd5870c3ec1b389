//! Commands of mutants that are wrong about leases.

use license_core::command::{Command, CommandOutcome, LeaseChanges};

use super::licenses::ExecuteCall;
use super::{Flaw, Mutant, gap};
use crate::Result;
use crate::layer::Layer;

impl Mutant {
    /// Executes a command, and spoils the leases that it writes.
    pub(super) async fn with_spoiled_leases(&self, call: ExecuteCall<'_>) -> Result<CommandOutcome> {
        let (id, command, context) = call;
        match (self.flaw, command) {
            (Flaw::ForgetsHolds, Command::Lease(_)) => self.spoiled(
                call,
                |_, _| {},
                |changes| {
                    changes.leases.held.clear();
                    changes.added.iter_mut().for_each(|added| added.held_until = None);
                },
            ),
            (Flaw::KeepsSlotsOfLeakedKeys, Command::RotateKey { digest, sealed, .. }) => {
                let (digest, sealed) = (*digest, sealed.clone());
                let rotation = Command::RotateKey { digest, sealed, release: false };
                self.inner().execute(id, &rotation, context).await
            }
            (Flaw::IgnoresSigningKeys, Command::Lease(_)) => self.spoiled(call, |_, _| {}, |_| {}),
            (Flaw::ForgetsEndsOfLeases, _) => {
                self.spoiled(call, |_, _| {}, |changes| changes.leases.ended.clear())
            }
            (Flaw::ChecksSigningKeyFirst, Command::Lease(new)) => {
                let active = self.inner.data().signing_keys.active().map(|key| key.id.clone());
                if active.as_ref() != Some(new.signer.id()) {
                    return self.inner().execute(id, command, context).await;
                }
                gap().await;
                let mut written = LeaseChanges::default();
                let outcome = self.spoiled(call, |_, _| {}, |changes| written = changes.leases.clone())?;
                self.inner.data().keep_signing_key(&written);
                Ok(outcome)
            }
            _ => self.inner().execute(id, command, context).await,
        }
    }
}
