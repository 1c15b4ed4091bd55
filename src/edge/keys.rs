//! Which account a key belongs to. Each key has an object that knows it; an isolate remembers what it was told, since a
//! key never changes its account. Whether the key is still good, the account itself knows.

use std::cell::RefCell;
use std::collections::HashMap;

use worker::{Env, Result};

use super::objects;
use crate::client::AccountId;
use crate::client::key::KeyHash;
use crate::contract::{Done, PaymentCall, key_object};

/// Keys that an isolate remembers: at about 200 bytes each, 2 MB.
const REMEMBERED: usize = 10_000;

thread_local! {
    static KNOWN: RefCell<HashMap<KeyHash, AccountId>> = RefCell::new(HashMap::new());
}

/// The account of a key, if the key was ever issued.
pub(super) async fn account(env: &Env, key: &KeyHash) -> Result<Option<AccountId>> {
    if let Some(account) = KNOWN.with_borrow(|known| known.get(key).cloned()) {
        return Ok(Some(account));
    }
    let account: Option<AccountId> =
        objects::payment(env, &key_object(key), &PaymentCall::AccountOfKey).await?;
    if let Some(account) = &account {
        remember(key, account);
    }
    Ok(account)
}

/// Lets a key lead to an account.
pub(super) async fn assign(env: &Env, key: &KeyHash, account: &AccountId) -> Result<()> {
    let call = PaymentCall::AssignKey(account.clone());
    objects::payment::<Done>(env, &key_object(key), &call).await.map(|_| ())
}

fn remember(key: &KeyHash, account: &AccountId) {
    KNOWN.with_borrow_mut(|known| {
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key.clone(), account.clone());
    });
}
