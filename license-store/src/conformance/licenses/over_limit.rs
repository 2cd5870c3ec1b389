//! Races for slots beyond the limit of a license.

use super::slots::{CALLERS, ROUNDS};
use crate::conformance::prelude::*;

/// Exactly as many claims get a slot as the limit and the plan admit together, and each slot beyond the limit
/// has its event.
pub async fn slots_beyond_the_limit_are_never_oversold(Handles { both: handles, .. }: &Handles) {
    for (full, kind) in [
        (DenialCode::DeviceLimitReached, ActivationKind::Device),
        (DenialCode::DomainLimitReached, ActivationKind::Domain),
    ] {
        for round in 0..ROUNDS {
            let license = issue(&handles[0], &spec("generous")).await;
            let won = race(handles, CALLERS, |task, store| {
                let (id, name) = (license.id.clone(), format!("d{task}.com"));
                let command = match kind {
                    ActivationKind::Device => activate(None, Some(&name)),
                    ActivationKind::Domain => activate(Some(&name), None),
                };
                async move { ask(&store, &id, &command).await }
            })
            .await;
            let wins = won.iter().filter(|result| result.is_ok()).count();
            assert_eq!(wins, 3, "round {round}: {wins} of {CALLERS} claims won 2 slots and 1 beyond them");
            assert!(won.iter().all(|result| result.is_ok() || *result == Err(full)), "{won:?}");
            let over = won.iter().flatten().filter(|license| license.is_over_limit()).count();
            assert_eq!(over, 1, "one winner is over the limit");
            let found = detail(&handles[1], &license.id).await;
            assert_counts(&found);
            assert_eq!((found.license.slots(kind).used, found.license.is_over_limit()), (3, true));
            if let Some(events) = license_events(&handles[0], &license.id, 1).await {
                let over = types(&events).into_iter().filter(|name| *name == "license.over_limit").count();
                assert_eq!(over, 1, "one slot is beyond the limit");
            }
        }
    }
}
