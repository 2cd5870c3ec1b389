//! Sources of time and randomness.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use rand::TryCryptoRng;

use crate::clock::{Clock, ErasedRng, RngError};
use crate::debug::partial_debug;

type ServiceRng = Box<dyn TryCryptoRng<Error = RngError> + Send>;

/// Sources of time and randomness.
pub struct ClockAndRng {
    clock: Arc<dyn Clock>,
    rng: Mutex<ServiceRng>,
}

partial_debug!(ClockAndRng { clock });

impl ClockAndRng {
    /// Combines a clock and a random number generator.
    pub fn new(clock: impl Clock, rng: impl TryCryptoRng + Send + 'static) -> Self {
        Self { clock: Arc::new(clock), rng: Mutex::new(Box::new(ErasedRng(rng))) }
    }

    /// Returns the time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Returns the clock.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Draws from the generator.
    ///
    /// # Errors
    /// Returns the generator's error.
    pub fn with_rng<T>(
        &self,
        draw: impl FnOnce(&mut dyn TryCryptoRng<Error = RngError>) -> Result<T, RngError>,
    ) -> Result<T, RngError> {
        // A poisoned lock does not matter: after a panic, the next draw is as random as before.
        draw(&mut **self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
