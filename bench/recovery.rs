//! What a look at a payment costs in WASM: the recovery of its signer (EIP-712, secp256k1) alone, and the whole of what is
//! checked at the gate before anybody is asked. `bench/recovery.sh` builds and runs it.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    missing_docs,
    reason = "a benchmark fails loudly and has no readers but us"
)]

use std::hint::black_box;

use tollgate::pay::amount::Amount;
use tollgate::pay::eip712::{Signature, recover};
use tollgate::pay::network::{Network, known_asset};
use tollgate::pay::offer::{EvmTender, Flow, Offer, Tender, TransferMethod};
use tollgate::pay::x402::{Payment, Signer, v2};
use wasm_bindgen::prelude::wasm_bindgen;

/// Vector V1 of the x402 specification, as a stock client sends it.
const HEADER: &str = include_str!("recovery.header");
/// A second within its time.
const NOW: u64 = 1_740_672_100;

fn offer() -> Offer {
    let network = Network::parse("base-sepolia").unwrap();
    let tender = EvmTender {
        network,
        asset: known_asset(&network, "USDC").unwrap(),
        pay_to: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C".parse().unwrap(),
        transfer_method: TransferMethod::Eip3009,
    };
    Offer {
        tender: Tender::Evm(tender),
        amount: Amount::new(10_000),
        max_timeout_seconds: 60,
        flow: Flow::Upfront,
    }
}

fn checked(offers: &[Offer]) -> Payment {
    v2::check(&v2::decode(black_box(HEADER.trim())).unwrap(), offers, NOW).unwrap()
}

/// Checks a payment header so many times: base64, JSON, the offer, times, amounts, and the signature.
#[wasm_bindgen]
pub fn check(times: u32) {
    let offers = [offer()];
    for _ in 0..times {
        assert_eq!(black_box(checked(&offers)).signer(), Signer::Proven);
    }
}

/// Recovers the signer of a payment so many times.
#[wasm_bindgen]
pub fn recover_signer(times: u32) {
    let payment = checked(&[offer()]);
    let authorization = payment.authorization().unwrap();
    let domain = payment.offer().tender.evm().unwrap().domain();
    let signature = payment.payload().pointer("/payload/signature").unwrap().as_str().unwrap();
    let signature: Signature = signature.parse().unwrap();
    for _ in 0..times {
        let digest = black_box(authorization).digest(&domain);
        assert_eq!(recover(digest, black_box(&signature)), payment.payer());
    }
}
