//! `[vars.TOLLGATE.payment.session]`: the escrow of payment channels, and the chain node that is asked about them.

use url::Url;

use crate::config::address::address;
use crate::config::positive_span;
use crate::config::table::{Faults, Table, number};
use crate::pay::mpp::session::Escrow;
use crate::pay::offer::EvmTender;
use crate::time::Span;

/// How long a stream waits for a voucher, if the settings do not say it.
const VOUCHER_TIMEOUT: Span = Span::seconds(60);
/// How long a channel may be idle, if the settings do not say it: a day.
const CLOSE_AFTER: Span = Span::seconds(86_400);

/// Where sessions' channels are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// The escrow.
    pub escrow: Escrow,
    /// A node of its chain.
    pub rpc: Url,
    /// How long a stream that vouchers do not cover waits for the next one.
    pub voucher_timeout: Span,
    /// How long nobody asks anything of a channel before the payee closes it.
    pub close_after: Span,
}

/// Reads the table. `tender` is what is paid with otherwise; `rpc` is the node that stands beside the table.
pub(super) fn read(
    mut t: Table<'_>,
    tender: Option<&EvmTender>,
    rpc: Option<Url>,
    faults: &mut Faults,
) -> Option<SessionConfig> {
    let contract = t.required("escrow", address, faults);
    let chain_id = t.required("chain_id", number::<u64>, faults);
    let currency = t.required("currency", address, faults);
    let decimals = t.optional("decimals", number::<u8>, faults).unwrap_or(6);
    let rpc = t.optional("rpc", super::rpc, faults).or(rpc);
    let name = t.name_of("decimals");
    let voucher_timeout = t.optional("voucher_timeout", positive_span, faults).unwrap_or(VOUCHER_TIMEOUT);
    let close_after = t.optional("close_after", positive_span, faults).unwrap_or(CLOSE_AFTER);
    t.finish(faults);
    let tender = tender?;
    if decimals != tender.asset.decimals {
        let others = tender.asset.decimals;
        faults.add(name, format!("must be {others}, as of the asset above: bills add up what both paid"));
        return None;
    }
    let escrow = Escrow {
        contract: contract?,
        chain_id: chain_id?,
        currency: currency?,
        decimals,
        payee: tender.pay_to,
    };
    Some(SessionConfig { escrow, rpc: rpc?, voucher_timeout, close_after })
}
