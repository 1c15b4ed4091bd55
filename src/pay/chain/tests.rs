use super::*;

const ASSET: &str = "0x036cbd53842c5426634e7929541ec2318f3dcf7e";
const PAYER: &str = "0x857b06519e91e3a54538791bdbb0e22373e36b66";
const PAYEE: &str = "0x209693bc6afc0c5328ba36faf03c514ef312287c";
const OTHER: &str = "0x000000000000000000000000000000000000dead";

fn authorization() -> TransferWithAuthorization {
    TransferWithAuthorization {
        from: PAYER.parse().unwrap(),
        to: PAYEE.parse().unwrap(),
        value: 1_000,
        valid_after: 0,
        valid_before: 1_740_672_154,
        nonce: Hash32::new([0x11; 32]),
    }
}

fn find(logs: &[Value], block: Block, now: u64) -> Finding {
    let authorization = authorization();
    let authorized =
        Authorized { chain_id: 84_532, asset: ASSET.parse().unwrap(), authorization: &authorization };
    let receipt = json!({
        "status": "0x1", "blockNumber": "0x10", "transactionHash": Hash32::new([7; 32]).to_string(), "logs": logs,
    });
    read_receipt(&authorized, receipt, block, now)
}

fn log(address: &str, topics: &[String], value: u128) -> Value {
    json!({ "address": address, "topics": topics, "data": format!("0x{value:064x}"), "transactionHash": "0x07" })
}

fn used(nonce: [u8; 32]) -> Value {
    log(ASSET, &[used_topic(), topic(PAYER.parse().unwrap()), Hash32::new(nonce).to_string()], 0)
}

fn moved(token: &str, payee: &str, value: u128) -> Value {
    let topics = [transfer_topic(), topic(PAYER.parse().unwrap()), topic(payee.parse().unwrap())];
    log(token, &topics, value)
}

const BLOCK: Block = Block { number: 16, timestamp: 1_740_672_100 };
const LATER: u64 = 1_740_672_104;

#[test]
fn topics_and_selectors_are_those_of_eip_3009_and_erc_20() {
    assert_eq!(used_topic(), "0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5");
    assert_eq!(canceled_topic(), "0x1cdd46ff242716cdaa72d159d339a485b3438398348d68f09d7c8c0a59353d81");
    assert_eq!(transfer_topic(), "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
    let authorization = authorization();
    let authorized =
        Authorized { chain_id: 84_532, asset: ASSET.parse().unwrap(), authorization: &authorization };
    let data = state_query(&authorized)[0]["data"].as_str().unwrap().to_owned();
    assert!(data.starts_with("0xe94a0102") && data.len() == 2 + 8 + 128, "{data}");
}

#[test]
fn the_transfer_that_follows_the_use_decides() {
    let paid = Finding::Paid { transaction: Hash32::new([7; 32]) };
    let elsewhere = Finding::Never { why: "authorization_used_for_another_payment".to_owned() };
    let nonce = [0x11; 32];
    for (logs, finding) in [
        (vec![used(nonce), moved(ASSET, PAYEE, 1_000)], &paid),
        // Logs of other contracts stand in between.
        (
            vec![moved(OTHER, OTHER, 5), used(nonce), moved(OTHER, OTHER, 5), moved(ASSET, PAYEE, 1_000)],
            &paid,
        ),
        (vec![used(nonce), moved(ASSET, OTHER, 1_000)], &elsewhere),
        (vec![used(nonce), moved(ASSET, PAYEE, 999)], &elsewhere),
        // Another authorization of the payer's paid us in the same transaction.
        (
            vec![used(nonce), moved(ASSET, OTHER, 1_000), used([0x22; 32]), moved(ASSET, PAYEE, 1_000)],
            &elsewhere,
        ),
    ] {
        assert_eq!(&find(&logs, BLOCK, LATER), finding, "{logs:?}");
    }
    let canceled =
        log(ASSET, &[canceled_topic(), topic(PAYER.parse().unwrap()), Hash32::new(nonce).to_string()], 0);
    assert_eq!(find(&[canceled], BLOCK, LATER), Finding::Never { why: "authorization_canceled".to_owned() });
}

#[test]
fn what_is_fresh_or_unclear_decides_nothing() {
    let logs = [used([0x11; 32]), moved(ASSET, PAYEE, 1_000)];
    assert_eq!(find(&logs, BLOCK, LATER - 1), Finding::TooFresh);
    for (logs, block) in [
        (vec![], BLOCK),
        (vec![used([0x22; 32]), moved(ASSET, PAYEE, 1_000)], BLOCK),
        (vec![used([0x11; 32])], BLOCK),
        (vec![moved(ASSET, PAYEE, 1_000), used([0x11; 32])], BLOCK),
        (logs.to_vec(), Block { number: 17, ..BLOCK }),
    ] {
        assert!(matches!(find(&logs, block, LATER), Finding::Unclear { .. }), "{logs:?}");
    }
}

#[test]
fn an_unused_authorization_is_dead_a_minute_after_its_last_second_by_the_chains_clock() {
    let authorization = authorization();
    let authorized =
        Authorized { chain_id: 84_532, asset: ASSET.parse().unwrap(), authorization: &authorization };
    let at = |timestamp, word: u8| {
        let result = json!(format!("0x{word:064x}"));
        read_state(&authorized, &result, Block { number: 1, timestamp })
    };
    assert_eq!(at(1_740_672_214, 0), Finding::Unused);
    assert_eq!(at(1_740_672_215, 0), Finding::Never { why: "authorization_expired".to_owned() });
    assert!(matches!(at(1_740_672_215, 1), Finding::Unclear { .. }));
    assert!(matches!(
        read_state(&authorized, &json!("0x"), Block { number: 1, timestamp: 0 }),
        Finding::Unclear { .. }
    ));
}

#[test]
fn only_a_node_of_the_chain_is_believed() {
    let authorization = authorization();
    let authorized =
        Authorized { chain_id: 84_532, asset: ASSET.parse().unwrap(), authorization: &authorization };
    for (answer, is_of_it) in [(json!("0x14a34"), true), (json!("0x2105"), false), (Value::Null, false)] {
        assert_eq!(is_of_chain(&authorized, &answer), is_of_it, "{answer}");
    }
}

#[test]
fn logs_are_looked_for_from_well_before_the_payment() {
    let latest = Block { number: 50_000, timestamp: 1_000_000 };
    let earlier = Block { number: 49_000, timestamp: 998_000 };
    // 700 s at 2 s a block, and a quarter more.
    assert_eq!(first_block(latest, earlier, 999_900), 50_000 - 438);
    assert_eq!(
        first_block(Block { number: 30, ..latest }, Block { number: 0, timestamp: 999_990 }, 999_999),
        0
    );
    assert_eq!(first_block(latest, latest, 0), 50_000, "a chain of one block");
}
