//! What is done once a day: usage that is kept by the hour long enough is kept by the month from then on.

use worker::{Env, console_error};

use super::{bill_ledger, clock, settings};
use crate::time::Millis;

/// Prunes what is older than the setting `usage_retention`. What fails is done the next day.
pub(super) async fn prune(env: &Env) {
    let Ok(settings) = settings::load(env).inspect_err(|faults| console_error!("misconfigured: {faults}"))
    else {
        return;
    };
    let age = clock::now().since(Millis::new(0)).minus(settings.config.usage_retention);
    let before = Millis::new(age.get()).hour();
    if let Err(error) = bill_ledger::prune(env, before).await {
        console_error!(
            "usage of the hours before {}: {error}; tried again tomorrow",
            before.start().rfc3339()
        );
    }
}
