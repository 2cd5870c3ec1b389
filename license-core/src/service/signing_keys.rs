//! Manages signing keys.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::clock::ClockService;
use super::context::ServiceContext;
use crate::access::Actor;
use crate::clock::RngError;
use crate::error::{Resource, ServiceError, SetupError};
use crate::signing::{
    NewSigningKey, SigningKey, SigningKeyCommand, SigningKeyContext, SigningKeyId, SigningKeyOutcome,
    SigningKeyPair, SigningKeySet,
};
use crate::store::{SigningKeyStore, StoreError};

/// Manages signing keys. Clones share everything but the [actor](Self::by).
///
/// A change returns [`ServiceError::SigningKey`] if a rule denies it. Once a change is acknowledged, this node
/// has it; other nodes follow when the change stream tells them.
#[derive(Clone)]
pub struct SigningKeyService {
    store: Arc<dyn SigningKeyStore>,
    current: Arc<RwLock<Arc<SigningKeySet>>>,
    clock: ClockService,
    context: Arc<ServiceContext>,
    actor: Option<Arc<Actor>>,
}

impl fmt::Debug for SigningKeyService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeyService").field("store", &self.store).finish_non_exhaustive()
    }
}

impl SigningKeyService {
    pub(super) fn new(
        store: Arc<dyn SigningKeyStore>,
        clock: ClockService,
        context: Arc<ServiceContext>,
    ) -> Self {
        Self { store, current: Arc::default(), clock, context, actor: None }
    }

    /// Returns the service on behalf of `actor`: changes are written to the audit log, in the same commit.
    #[must_use]
    pub fn by(&self, actor: &Arc<Actor>) -> Self {
        Self { actor: Some(Arc::clone(actor)), ..self.clone() }
    }

    /// Adds the first keys, if the database has none. All nodes that start at once get the same keys.
    pub(super) async fn start(&self) -> Result<(), SetupError> {
        self.load().await?;
        if self.current().keys().is_empty() {
            let command = SigningKeyCommand::Start { active: self.generate()?, next: self.generate()? };
            let outcome = self.store.execute_signing_keys(&command, &self.context_now()).await?;
            if let SigningKeyOutcome::Done(set) = outcome {
                self.replace(set);
            }
        }
        Ok(())
    }

    /// Returns the keys, as this node knows them.
    #[must_use]
    pub fn current(&self) -> Arc<SigningKeySet> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the keys again if another node changed them, and returns them.
    pub async fn reload(&self) -> Result<Arc<SigningKeySet>, ServiceError> {
        self.load().await?;
        Ok(self.current())
    }

    pub(super) async fn load(&self) -> Result<(), StoreError> {
        if let Some(set) = self.store.load_signing_keys(self.current().revision()).await? {
            self.replace(Arc::new(set));
        }
        Ok(())
    }

    /// Makes the next key active. The key before it is retiring until its last token has ended; until then,
    /// another rotation needs `force`.
    pub async fn rotate(&self, force: bool) -> Result<Arc<SigningKeySet>, ServiceError> {
        self.execute(&SigningKeyCommand::Rotate { next: self.generate()?, force }).await
    }

    /// Revokes a key: no token that it signed is valid. A revoked key stays revoked.
    pub async fn revoke(&self, id: &SigningKeyId) -> Result<Arc<SigningKeySet>, ServiceError> {
        self.execute(&SigningKeyCommand::Revoke { id: id.clone(), next: self.generate()? }).await
    }

    /// Makes a key from elsewhere the next one. Another rotation makes it active.
    pub async fn import(&self, pair: &SigningKeyPair) -> Result<Arc<SigningKeySet>, ServiceError> {
        self.execute(&SigningKeyCommand::Import(self.sealed(pair)?)).await
    }

    /// Returns a key pair, to store it elsewhere.
    ///
    /// # Errors
    /// Returns [`ServiceError::NotFound`] if no key has this id, and [`ServiceError::SealedSigningKey`] if
    /// its row was altered.
    pub async fn export(&self, id: &SigningKeyId) -> Result<SigningKeyPair, ServiceError> {
        let set = self.reload().await?;
        self.open(set.get(id).ok_or(ServiceError::NotFound(Resource::SigningKey))?)
    }

    /// Retires the keys whose tokens have all ended. Does nothing while the clock is implausible.
    pub async fn retire(&self) -> Result<(), ServiceError> {
        if self.clock.plausible_now().is_some() {
            self.execute(&SigningKeyCommand::Retire).await?;
        }
        Ok(())
    }

    fn generate(&self) -> Result<NewSigningKey, RngError> {
        let pair = self.context.sources.with_rng(|rng| SigningKeyPair::generate(rng))?;
        self.sealed(&pair)
    }

    fn sealed(&self, pair: &SigningKeyPair) -> Result<NewSigningKey, RngError> {
        let public = pair.public();
        let (seed, id) = (pair.seed(), public.id());
        let vault = &self.context.vault;
        let sealed = self.context.sources.with_rng(|rng| vault.seal_signing_key(&seed, id.as_str(), rng))?;
        Ok(NewSigningKey { public, sealed })
    }

    pub(super) fn open(&self, key: &SigningKey) -> Result<SigningKeyPair, ServiceError> {
        let opened = self.context.vault.open_signing_key(&key.sealed, key.id.as_str());
        let seed = opened.map_err(|_| ServiceError::SealedSigningKey(key.id.clone()))?;
        Ok(SigningKeyPair::from_seed(&seed))
    }

    async fn execute(&self, command: &SigningKeyCommand) -> Result<Arc<SigningKeySet>, ServiceError> {
        match self.store.execute_signing_keys(command, &self.context_now()).await? {
            SigningKeyOutcome::Done(set) => {
                self.replace(Arc::clone(&set));
                Ok(set)
            }
            SigningKeyOutcome::Denied(denial) => Err(ServiceError::SigningKey(denial)),
        }
    }

    fn context_now(&self) -> SigningKeyContext {
        SigningKeyContext { now: self.context.now(), by: self.actor.clone() }
    }

    /// Replaces the keys, unless newer ones were seen meanwhile.
    fn replace(&self, set: Arc<SigningKeySet>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if set.revision() > current.revision() {
            *current = set;
        }
    }
}
