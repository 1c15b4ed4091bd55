//! `tempo` / `charge` of nothing: a wallet proves itself by a signature that moves no money and needs no chain
//! (draft-tempo-charge-00, "Proof Payload"; domain and members as mppx 0.11 has them, version 3).

use serde_json::{Map, Value, json};

use super::challenge::{Challenge, Terms};
use super::credential::Credential;
use super::{CredentialFault, encode, object};
use crate::pay::eip712::{Address, Signature, hash_struct, keccak256, recover, typed_digest, word};

/// The method.
pub const METHOD: &str = "tempo";
/// The intent.
pub const INTENT: &str = "charge";
/// The chain in whose name the proof is signed: Tempo's test network. Nothing happens there.
pub const CHAIN_ID: u64 = 42_431;
/// The token that none is asked of: pathUSD, which every Tempo network has.
const CURRENCY: &str = "0x20c0000000000000000000000000000000000000";

const DOMAIN_TYPE: &[u8] = b"EIP712Domain(string name,string version,uint256 chainId)";
const PROOF_TYPE: &[u8] = b"Proof(address account,string challengeId,string realm)";

/// What a challenge asks for: nothing, of nobody in particular, to `payee`.
#[must_use]
pub fn terms(payee: &Address) -> Terms {
    let request = object([
        ("amount", json!("0")),
        ("currency", json!(CURRENCY)),
        ("recipient", json!(payee.checksummed())),
        ("methodDetails", json!({ "chainId": CHAIN_ID })),
    ]);
    Terms { method: METHOD, intent: INTENT, request }
}

/// Whether a credential is to prove a wallet.
#[must_use]
pub fn is_of(credential: &Credential) -> bool {
    credential.challenge.method == METHOD && credential.challenge.intent == INTENT
}

/// The wallet that proves itself by a credential whose challenge was checked.
///
/// # Errors
/// Its challenge asks for something else, or the wallet that it names did not sign it.
pub fn wallet(credential: &Credential, payee: &Address) -> Result<Address, CredentialFault> {
    if credential.challenge.request != encode(&terms(payee).request) {
        return Err(CredentialFault::OtherTerms);
    }
    let signature = signature(&credential.payload)?;
    let wallet = credential.source.as_deref().and_then(wallet_of).ok_or(CredentialFault::WrongSource)?;
    let signer = recover(digest(&wallet, &credential.challenge), &signature);
    if signer == Some(wallet) && signature.is_low_s() {
        Ok(wallet)
    } else {
        Err(CredentialFault::WrongSigner)
    }
}

fn signature(payload: &Map<String, Value>) -> Result<Signature, CredentialFault> {
    let text = |member: &str| payload.get(member).and_then(Value::as_str);
    if text("type") != Some("proof") {
        return Err(CredentialFault::WrongPayload("type".to_owned()));
    }
    let signature = text("signature").and_then(|signature| signature.parse().ok());
    signature.ok_or_else(|| CredentialFault::WrongPayload("signature".to_owned()))
}

/// The wallet in `did:pkh:eip155:42431:0x…`.
fn wallet_of(source: &str) -> Option<Address> {
    let rest = source.strip_prefix("did:pkh:eip155:")?;
    let (chain, address) = rest.split_once(':')?;
    if chain == CHAIN_ID.to_string() { Address::parse_checked(address).ok() } else { None }
}

/// What the wallet signs.
fn digest(wallet: &Address, challenge: &Challenge) -> [u8; 32] {
    let domain = [keccak256(b"MPP"), keccak256(b"3"), word(&CHAIN_ID.to_be_bytes())];
    let message =
        [word(wallet.as_bytes()), keccak256(challenge.id.as_bytes()), keccak256(challenge.realm.as_bytes())];
    typed_digest(hash_struct(DOMAIN_TYPE, &domain), hash_struct(PROOF_TYPE, &message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pay::eip712::SigningKey;

    const WALLET: &str = "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1";
    const SIGNATURE: &str = "0x53f5d64d9f995e841b4212639b2e17e508e96752e10316df3814a16443dcbdb626c082190a4c3ecc3148101eb443d15bd83b579380b1be735a9c99f0df36c9fe1b";

    fn payee() -> Address {
        "0x209693Bc6afc0C5328bA36FaF03C514EF312287C".parse().unwrap()
    }

    /// mppx 0.11, `src/tempo/Proof.conformance.test.ts`: the key is 32 times 0x01.
    fn vector() -> Credential {
        let challenge = json!({
            "id": "kM9xPqWvT2nJrHsY4aDfEb", "realm": "api.example.com", "method": METHOD, "intent": INTENT,
            "request": encode(&terms(&payee()).request),
        });
        Credential {
            challenge: serde_json::from_value(challenge).unwrap(),
            payload: object([("type", json!("proof")), ("signature", json!(SIGNATURE))]),
            source: Some(format!("did:pkh:eip155:42431:{WALLET}")),
        }
    }

    #[test]
    fn the_digest_and_the_wallet_are_those_of_the_published_vector() {
        let wallet_of_vector: Address = WALLET.parse().unwrap();
        assert_eq!(
            hex::encode(digest(&wallet_of_vector, &vector().challenge)),
            "3860a700a55e02ad3c2dc047e92489feceecbdb0a801d948e1d9f0b61ea9bc3f"
        );
        assert_eq!(SigningKey::from_hex(&"01".repeat(32)).unwrap().address(), wallet_of_vector);
        assert_eq!(wallet(&vector(), &payee()), Ok(wallet_of_vector));
        let lower = Credential { source: vector().source.map(|source| source.to_lowercase()), ..vector() };
        assert_eq!(wallet(&lower, &payee()), Ok(wallet_of_vector));
    }

    #[test]
    fn a_proof_of_something_else_proves_nothing() {
        let signed = |change: &dyn Fn(&mut Credential)| {
            let mut credential = vector();
            change(&mut credential);
            wallet(&credential, &payee())
        };
        let other = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
        let source = |text: String| move |c: &mut Credential| c.source = Some(text.clone());
        let member = |name: &'static str, value: Value| {
            move |c: &mut Credential| {
                c.payload.insert(name.to_owned(), value.clone());
            }
        };
        assert_eq!(signed(&|c| c.challenge.id.push('x')), Err(CredentialFault::WrongSigner));
        assert_eq!(signed(&|c| c.challenge.realm.push('x')), Err(CredentialFault::WrongSigner));
        assert_eq!(signed(&|c| c.challenge.request.push('x')), Err(CredentialFault::OtherTerms));
        assert_eq!(
            signed(&source(format!("did:pkh:eip155:42431:{other}"))),
            Err(CredentialFault::WrongSigner)
        );
        for text in [format!("did:pkh:eip155:1:{WALLET}"), format!("did:key:{WALLET}"), WALLET.to_owned()] {
            assert_eq!(signed(&source(text)), Err(CredentialFault::WrongSource));
        }
        assert_eq!(signed(&|c| c.source = None), Err(CredentialFault::WrongSource));
        let wrong = |name: &str| Err(CredentialFault::WrongPayload(name.to_owned()));
        assert_eq!(signed(&member("type", json!("transaction"))), wrong("type"));
        assert_eq!(signed(&member("signature", json!("0x1234"))), wrong("signature"));
        assert_eq!(signed(&member("signature", json!(7))), wrong("signature"));
    }
}
