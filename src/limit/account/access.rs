//! What a client may do with its account beside requests: sign in, look up receipts, administer.

use super::Account;
use crate::limit::bucket::{Bucket, BucketPolicy};
use crate::limit::tokens::{Rate, Tokens};
use crate::time::Millis;

/// How often receipts may be looked up: ten a minute.
pub(super) const RECEIPT_LOOKUPS: BucketPolicy = TEN_A_MINUTE;

/// How often an address may try a wrong admin token: ten a minute.
pub(super) const ADMIN_TRIES: BucketPolicy = TEN_A_MINUTE;

const TEN_A_MINUTE: BucketPolicy =
    BucketPolicy { capacity: Tokens::whole(10), rate: Rate::per_minute(Tokens::whole(10)), shown_limit: 10 };

impl Account {
    /// Whether a wallet may sign in with that nonce: once, while it is good.
    #[must_use]
    pub fn sign_in(mut self, nonce: String, expires: Millis, now: Millis) -> (Self, bool) {
        self.nonces.retain(|_, expires| now < *expires);
        let unused = now < expires && !self.nonces.contains_key(&nonce);
        if unused {
            self.nonces.insert(nonce, expires);
        }
        (self, unused)
    }

    /// Whether the client may look up one more receipt: ten at once, ten a minute.
    #[must_use]
    pub fn look_up_receipt(mut self, now: Millis) -> (Self, bool) {
        let bucket = self.lookups.unwrap_or(Bucket::full(&RECEIPT_LOOKUPS, now)).at(&RECEIPT_LOOKUPS, now);
        let taken = bucket.take(Tokens::ONE, &RECEIPT_LOOKUPS, now);
        self.lookups = Some(taken.unwrap_or(bucket));
        (self, taken.is_ok())
    }

    /// Whether this address may administer with a token that is right, or try one that is wrong. Who tried too many
    /// wrong ones waits with the right one, too: an answer would tell which it is.
    #[must_use]
    pub fn try_admin(mut self, is_right: bool, now: Millis) -> (Self, bool) {
        let bucket = self.admin_tries.unwrap_or(Bucket::full(&ADMIN_TRIES, now)).at(&ADMIN_TRIES, now);
        let taken = bucket.take(Tokens::ONE, &ADMIN_TRIES, now);
        self.admin_tries = if is_right { self.admin_tries } else { Some(taken.unwrap_or(bucket)) };
        (self, taken.is_ok())
    }
}
