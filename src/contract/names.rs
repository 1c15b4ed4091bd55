//! How objects are named, and receipts, whose ids lead back to the object of their payment.

use crate::client::AccountId;
use crate::client::key::KeyHash;
use crate::pay::eip712::Address;
use crate::pay::x402::PaymentId;

/// The name of an account's object.
#[must_use]
pub fn account_object(account: &AccountId) -> String {
    account.to_string()
}

/// The name of a payment's object.
#[must_use]
pub fn payment_object(payment: &PaymentId) -> String {
    payment.to_string()
}

/// The name of the object that remembers which payment answered a challenge of MPP.
#[must_use]
pub fn challenge_object(challenge: &str) -> String {
    format!("challenge:{challenge}")
}

/// The name of the object that remembers a backend's request id.
#[must_use]
pub fn request_object(request_id: &str) -> String {
    format!("request:{request_id}")
}

/// The name of the object that keeps the plan book.
pub const PLANS_OBJECT: &str = "plans";

/// The name of the object that knows the account of a key.
#[must_use]
pub fn key_object(key: &KeyHash) -> String {
    format!("key:{}", key.as_str())
}

/// The name of the object in which one payment claims a transaction; `network` is CAIP-2.
#[must_use]
pub fn transaction_object(network: &str, transaction: &str) -> String {
    let hexadecimal = network.starts_with("eip155:");
    let spelling = if hexadecimal { transaction.to_ascii_lowercase() } else { transaction.to_owned() };
    format!("tx:{network}:{spelling}")
}

/// The name of the object that knows how far a payer is trusted, with one token and by one payee; `network` is CAIP-2.
#[must_use]
pub fn trust_object(network: &str, token: Address, payer: Address, to: Address) -> String {
    format!("trust:{network}:{token}:{payer}:{to}")
}

/// The id of a payment's receipt. `suffix` is random, so that who knows the payment from the chain cannot guess it.
#[must_use]
pub fn receipt_id(payment: &PaymentId, suffix: &str) -> String {
    let digits = payment.as_str().trim_start_matches("pay_");
    format!("rcpt_{digits}{suffix}")
}

/// The payment whose receipt has that id, if it is one of ours.
#[must_use]
pub fn payment_of_receipt(receipt_id: &str) -> Option<PaymentId> {
    let digits = receipt_id.strip_prefix("rcpt_")?.get(..32)?;
    format!("pay_{digits}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::key::ApiKey;

    #[test]
    fn object_names_are_pinned() {
        let payment: PaymentId = format!("pay_{}", "ab".repeat(16)).parse().unwrap();
        assert_eq!(account_object(&"ip:203.0.113.7".parse().unwrap()), "ip:203.0.113.7");
        assert_eq!(payment_object(&payment), "pay_abababababababababababababababab");
        assert_eq!(transaction_object("eip155:84532", "0xAB"), "tx:eip155:84532:0xab");
        assert_eq!(transaction_object("solana:5eykt", "4AbC"), "tx:solana:5eykt:4AbC");
        assert_eq!(request_object("r-1"), "request:r-1");
        assert_eq!(challenge_object("X6v1"), "challenge:X6v1");
        let key = ApiKey::new([0; 32]).hash();
        assert_eq!(key_object(&key), format!("key:{}", key.as_str()));
        assert_eq!(PLANS_OBJECT, "plans");
        let address = |digit: &str| format!("0x{}", digit.repeat(40)).parse().unwrap();
        let trust = trust_object("eip155:84532", address("1"), address("a"), address("b"));
        assert_eq!(
            trust,
            format!("trust:eip155:84532:0x{}:0x{}:0x{}", "1".repeat(40), "a".repeat(40), "b".repeat(40))
        );
    }

    #[test]
    fn a_receipt_id_leads_back_to_its_payment() {
        let payment: PaymentId = format!("pay_{}", "ab".repeat(16)).parse().unwrap();
        let id = receipt_id(&payment, "0123456789abcdef");
        assert_eq!(id, "rcpt_abababababababababababababababab0123456789abcdef");
        assert_eq!(payment_of_receipt(&id), Some(payment));
        for foreign in ["", "rcpt_", "rcpt_short", "pay_abababababababababababababababab"] {
            assert_eq!(payment_of_receipt(foreign), None, "{foreign}");
        }
    }
}
