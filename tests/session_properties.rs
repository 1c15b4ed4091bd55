//! A session's channel, whatever its client does in whatever order: the words of `src/pay/mpp/session/channel.rs`, and what
//! is refused. And what a request costs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "helpers of tests stand outside of test functions"
)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;
use tollgate::endpoint::EndpointName;
use tollgate::limit::allowance::BUCKET;
use tollgate::limit::decision::{Grant, SaleTerms};
use tollgate::limit::tokens::Tokens;
use tollgate::pay::amount::Amount;
use tollgate::pay::eip712::{Address, Hash32, SigningKey};
use tollgate::pay::mpp::session::Escrow;
use tollgate::pay::mpp::session::channel::{Channel, ChannelFault, Charge, Redemption, StoredChannel};
use tollgate::pay::mpp::session::escrow::OnChain;
use tollgate::pay::mpp::session::voucher::Voucher;
use tollgate::time::{Millis, Span};

const DEPOSIT: u128 = 1_000;

fn escrow() -> Escrow {
    let address = |digits: &str| format!("0x{}", digits.repeat(20)).parse().unwrap();
    Escrow {
        contract: address("44"),
        chain_id: 42_431,
        currency: address("33"),
        decimals: 6,
        payee: address("22"),
    }
}

fn key(digit: u8) -> SigningKey {
    SigningKey::from_hex(&hex::encode([digit; 32])).unwrap()
}

fn voucher_by(signer: &SigningKey, cumulative: u128) -> Voucher {
    let mut voucher = Voucher {
        channel: Hash32::new([7; 32]),
        cumulative: Amount::new(cumulative),
        signature: String::new(),
    };
    let text = signer.sign_digest(voucher.digest(&escrow())).to_string();
    let (rs, v) = text.split_at(text.len() - 2);
    voucher.signature = format!("{rs}{}", if v == "00" { "1b" } else { "1c" });
    voucher
}

fn voucher(cumulative: u128) -> Voucher {
    voucher_by(&key(1), cumulative)
}

fn on_chain(deposit: u128) -> OnChain {
    OnChain {
        finalized: false,
        closing: false,
        payer: key(1).address(),
        payee: escrow().payee,
        token: escrow().currency,
        authorized: Address::ZERO,
        deposit: Amount::new(deposit),
        settled: Amount::default(),
    }
}

fn on_chain_seen(settled: u128, closing: bool) -> OnChain {
    OnChain { settled: Amount::new(settled), closing, ..on_chain(DEPOSIT) }
}

fn opened(first: u128) -> Channel {
    Channel::open(&escrow(), &on_chain(DEPOSIT), &voucher(first)).unwrap()
}

fn endpoint() -> EndpointName {
    serde_json::from_value(json!("GET /cpu")).unwrap()
}

fn charge(cost: u128) -> Charge {
    let grants = vec![Grant { limit: BUCKET.to_owned(), quantity: Tokens::ONE }];
    Charge { cost: Amount::new(cost), endpoint: endpoint(), grants }
}

#[test]
fn vouchers_rise_within_the_deposit_and_are_the_signers() {
    let channel = opened(100);
    let accept = |voucher: &Voucher| channel.clone().accept(&escrow(), voucher);
    assert_eq!(accept(&voucher(100)).unwrap(), channel, "the same again changes nothing");
    assert_eq!(accept(&voucher(250)).unwrap().standing().accepted, Amount::new(250));
    assert_eq!(accept(&voucher(99)), Err(ChannelFault::DeltaTooSmall));
    assert_eq!(accept(&voucher(DEPOSIT + 1)), Err(ChannelFault::AmountExceedsDeposit));
    assert_eq!(accept(&voucher_by(&key(2), 250)), Err(ChannelFault::SignerMismatch));
    let other = Voucher { channel: Hash32::new([8; 32]), ..voucher(250) };
    assert_eq!(accept(&other), Err(ChannelFault::SignerMismatch), "another channel's");
    let garbled = Voucher { signature: "0x00".to_owned(), ..voucher(250) };
    assert_eq!(accept(&garbled), Err(ChannelFault::InvalidSignature));
    let topped_up = channel.clone().topped_up(&escrow(), &on_chain(5_000)).unwrap();
    assert!(topped_up.accept(&escrow(), &voucher(DEPOSIT + 1)).is_ok());
}

#[test]
fn what_vouchers_cover_is_spent_once_and_no_more() {
    let (channel, credit) = opened(100).charge(&escrow(), charge(60)).unwrap();
    assert_eq!(channel.charges(), std::slice::from_ref(&credit));
    let refused = channel.clone().charge(&escrow(), charge(60)).unwrap_err();
    assert_eq!(refused, ChannelFault::InsufficientBalance(Amount::new(120)));
    let (more, second) =
        channel.accept(&escrow(), &voucher(120)).unwrap().charge(&escrow(), charge(60)).unwrap();
    assert_ne!(second.payment, credit.payment);
    assert_eq!(more.clone().credited(&credit.payment).charges(), &[second]);
    assert_eq!(more.standing().spent, Amount::new(120));
}

#[test]
fn a_closed_channel_takes_and_spends_nothing() {
    let (channel, _) = opened(100).charge(&escrow(), charge(60)).unwrap();
    assert_eq!(channel.clone().close(&escrow(), &voucher(59)), Err(ChannelFault::DeltaTooSmall));
    let closed = channel.close(&escrow(), &voucher(60)).unwrap();
    assert_eq!(closed.standing().accepted, Amount::new(60), "what the payee redeems");
    assert_eq!(closed.clone().close(&escrow(), &voucher(60)).unwrap(), closed);
    assert_eq!(closed.clone().close(&escrow(), &voucher(70)), Err(ChannelFault::Finalized));
    assert_eq!(closed.clone().accept(&escrow(), &voucher(100)), Err(ChannelFault::Finalized));
    assert_eq!(closed.clone().topped_up(&escrow(), &on_chain(5_000)), Err(ChannelFault::Finalized));
    assert_eq!(closed.charge(&escrow(), charge(0)), Err(ChannelFault::Finalized));
}

#[test]
fn what_was_paid_out_on_the_chain_before_cannot_be_spent_here() {
    let on_chain = OnChain { settled: Amount::new(300), ..on_chain(DEPOSIT) };
    let low = Channel::open(&escrow(), &on_chain, &voucher(100));
    assert_eq!(low, Err(ChannelFault::DeltaTooSmall));
    let channel = Channel::open(&escrow(), &on_chain, &voucher(400)).unwrap();
    assert!(channel.clone().charge(&escrow(), charge(100)).is_ok());
    assert!(channel.charge(&escrow(), charge(101)).is_err());
}

#[test]
fn a_request_costs_its_part_of_a_refill_by_the_token_rounded_up() {
    let terms = |price: &str, refill: Tokens, need: Tokens| SaleTerms {
        price: price.parse().unwrap(),
        grants: vec![Grant { limit: BUCKET.to_owned(), quantity: refill }],
        single: vec![Grant { limit: BUCKET.to_owned(), quantity: need }],
        one_call: false,
    };
    for (price, refill, need, cost) in [
        ("0.001", Tokens::whole(4), Tokens::ONE, Some(250)),
        ("0.001", Tokens::whole(3), Tokens::ONE, Some(334)),
        ("0.001", Tokens::whole(3), Tokens::whole(2), Some(668)),
        ("0.001", Tokens::whole(4), Tokens::micro(500_000), Some(125)),
        ("0.001", Tokens::micro(500_000), Tokens::micro(500_000), Some(1_000)),
        ("0.000001", Tokens::whole(1_000), Tokens::ONE, Some(1)),
        ("0.001", Tokens::ZERO, Tokens::ONE, None),
        ("0.001", Tokens::whole(4), Tokens::ZERO, None),
    ] {
        assert_eq!(
            escrow().cost(&terms(price, refill, need)),
            cost.map(Amount::new),
            "{price} {refill:?} {need:?}"
        );
    }
}

const IDLE: Span = Span::seconds(100);

fn second(second: u64) -> Millis {
    Millis::new(second * 1_000)
}

#[test]
fn a_channel_is_redeemed_when_it_is_closed_or_nobody_uses_it() {
    let (channel, _) = opened(100).charge(&escrow(), charge(60)).unwrap();
    let used = channel.used(second(1_000));
    assert_eq!(used.redemption(IDLE, second(1_099)), Redemption::Watch);
    assert_eq!(used.redemption(IDLE, second(1_100)), Redemption::Close(voucher(100)));
    assert_eq!(opened(100).redemption(IDLE, second(9_999)), Redemption::None, "nothing was earned with it");
    let paid_out = used.clone().seen(&on_chain_seen(60, false));
    assert_eq!(paid_out.redemption(IDLE, second(1_100)), Redemption::None, "all was paid out");
    let closed = used.close(&escrow(), &voucher(60)).unwrap();
    assert_eq!(closed.redemption(IDLE, second(1_000)), Redemption::Close(voucher(60)));
    let refunds = opened(100).close(&escrow(), &voucher(100)).unwrap();
    assert_eq!(
        refunds.redemption(IDLE, second(0)),
        Redemption::Close(voucher(100)),
        "the payer gets the rest back"
    );
    let done = closed.seen(&OnChain { finalized: true, ..on_chain_seen(60, false) });
    assert!(done.is_finalized());
    assert_eq!(done.redemption(IDLE, second(9_999)), Redemption::None);
}

#[test]
fn a_transaction_that_does_not_close_it_is_sent_again_after_twice_as_long() {
    let (mut channel, _) = opened(100).charge(&escrow(), charge(60)).unwrap();
    let mut waits = Vec::new();
    for _ in 0..40 {
        channel = channel.closing_sent();
        waits.push(channel.until_confirmed());
    }
    assert_eq!(&waits[..3], &[5, 10, 20].map(Span::seconds));
    assert!(waits.iter().all(|wait| *wait <= Span::seconds(86_400)));
    assert_eq!(waits.last(), Some(&Span::seconds(86_400)));
    let stored = serde_json::to_value(StoredChannel::ChannelV1(channel.clone())).unwrap();
    assert_eq!(stored["channel_v1"]["closings"], json!(40));
    assert_eq!(serde_json::from_value::<StoredChannel>(stored).unwrap(), StoredChannel::ChannelV1(channel));
}

#[test]
fn a_channel_that_its_payer_asked_the_chain_to_close_spends_nothing_and_is_redeemed_at_once() {
    let (channel, _) = opened(100).charge(&escrow(), charge(60)).unwrap();
    let closing = channel.used(second(1_000)).seen(&on_chain_seen(0, true));
    assert_eq!(closing.clone().charge(&escrow(), charge(1)), Err(ChannelFault::Finalized));
    assert_eq!(closing.clone().accept(&escrow(), &voucher(200)), Err(ChannelFault::Finalized));
    assert_eq!(closing.redemption(IDLE, second(1_000)), Redemption::Close(voucher(100)));
    let free = opened(100).seen(&on_chain_seen(0, true));
    assert_eq!(free.redemption(IDLE, second(0)), Redemption::None, "the payer takes its own back");
}

#[test]
fn the_stored_form_of_a_channel_is_pinned() {
    let form = include_str!("golden/channel_v1.json");
    let stored: StoredChannel = serde_json::from_str(form).unwrap();
    let written: serde_json::Value = serde_json::to_value(&stored).unwrap();
    assert_eq!(written, serde_json::from_str::<serde_json::Value>(form).unwrap());
    let (channel, _) = opened(100).charge(&escrow(), charge(60)).unwrap();
    assert_eq!(stored, StoredChannel::ChannelV1(channel.clone()));
    let seen = include_str!("golden/channel_v1_seen.json");
    let stored: StoredChannel = serde_json::from_str(seen).unwrap();
    assert_eq!(
        serde_json::to_value(&stored).unwrap(),
        serde_json::from_str::<serde_json::Value>(seen).unwrap()
    );
    let view = OnChain { finalized: true, ..on_chain_seen(60, true) };
    assert_eq!(stored, StoredChannel::ChannelV1(channel.used(second(1_000)).seen(&view)));
}

#[derive(Clone, Debug)]
enum Step {
    Accept(u128),
    Forged(u128),
    Charge(u128),
    TopUp(u128),
    Seen(u128, bool),
    Credited(usize),
    Close(u128),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2_500_u128).prop_map(Step::Accept),
        1 => (0..2_500_u128).prop_map(Step::Forged),
        4 => (0..400_u128).prop_map(Step::Charge),
        1 => (0..3_000_u128).prop_map(Step::TopUp),
        1 => (0..3_000_u128, prop::bool::weighted(0.1)).prop_map(|(settled, closing)| Step::Seen(settled, closing)),
        2 => (0..3_usize).prop_map(Step::Credited),
        1 => (0..2_500_u128).prop_map(Step::Close),
    ]
}

/// The channel after a step, or as it was where the step is refused.
fn after(channel: &Channel, step: &Step, credits: &mut Vec<(String, u128)>) -> Channel {
    let kept = channel.clone();
    let next = match step {
        Step::Accept(amount) => kept.accept(&escrow(), &voucher(*amount)),
        Step::Forged(amount) => kept.accept(&escrow(), &voucher_by(&key(2), *amount)),
        Step::TopUp(deposit) => kept.topped_up(&escrow(), &on_chain(*deposit)),
        Step::Seen(settled, closing) => Ok(kept.seen(&on_chain_seen(*settled, *closing))),
        Step::Close(amount) => kept.close(&escrow(), &voucher(*amount)),
        Step::Charge(cost) => kept.charge(&escrow(), charge(*cost)).map(|(channel, credit)| {
            credits.push((credit.payment.to_string(), credit.amount.atomic()));
            channel
        }),
        Step::Credited(index) => match kept.charges().get(*index).map(|credit| credit.payment.clone()) {
            Some(payment) => Ok(kept.credited(&payment)),
            None => Ok(kept),
        },
    };
    next.unwrap_or_else(|_| channel.clone())
}

proptest! {
    // Each step signs.
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn a_channel_keeps_its_promises(steps in prop::collection::vec(step(), 0..20)) {
        let mut channel = opened(50);
        let mut credits = Vec::new();
        let mut closed = false;
        for step in &steps {
            let before = channel.standing();
            let next = after(&channel, step, &mut credits);
            let now = next.standing();
            prop_assert!(now.spent <= now.accepted && now.accepted <= now.deposit, "{step:?}");
            prop_assert!(now.spent >= before.spent && now.deposit >= before.deposit);
            let closes = matches!(step, Step::Close(_) | Step::Seen(_, true)) && next.is_closed();
            prop_assert!(now.accepted >= before.accepted || closes);
            if closed {
                prop_assert_eq!(now, before, "closed: {:?}", step);
            }
            closed |= closes;
            channel = next;
            if let Redemption::Close(last) = channel.redemption(IDLE, Millis::default()) {
                prop_assert!(channel.is_closed());
                prop_assert_eq!(last.cumulative, channel.standing().accepted);
                prop_assert_eq!(last.check(&escrow(), key(1).address()), Ok(()));
            }
        }
        // Everything that was spent is a credit, each of another payment.
        let spent: u128 = credits.iter().map(|(_, amount)| amount).sum();
        prop_assert_eq!(channel.standing().spent, Amount::new(spent));
        let payments: BTreeSet<&String> = credits.iter().map(|(payment, _)| payment).collect();
        prop_assert_eq!(payments.len(), credits.len());
        prop_assert!(channel.charges().iter().all(|credit| payments.contains(&credit.payment.to_string())));
    }
}
