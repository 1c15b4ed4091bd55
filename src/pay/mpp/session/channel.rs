//! The accounting of one channel: deposit, what vouchers allow, and what was spent (draft-tempo-session-00, "Server-Side
//! Accounting"). A value; its Durable Object stores it after each step.
//!
//! What must stay true, in whatever order and however often things are asked:
//! - `spent` ≤ `accepted` ≤ `deposit`, and none of the three ever falls, but for `accepted` when the channel is closed with
//!   a last voucher;
//! - `accepted` is the amount of a voucher that the channel's signer signed, and that voucher is kept;
//! - what was spent is credited to the session's account, once, or stands in `charges` until it is;
//! - a closed channel takes and spends nothing; one that its payer asked the chain to close is closed.

use serde::{Deserialize, Serialize};

use super::Escrow;
use super::escrow::OnChain;
pub use super::fault::ChannelFault;
use super::voucher::Voucher;
use crate::client::AccountId;
use crate::contract::Credit;
use crate::endpoint::EndpointName;
use crate::limit::decision::Grant;
use crate::pay::amount::Amount;
use crate::pay::eip712::{Address, Hash32};
use crate::pay::x402::PaymentId;
use crate::time::{Millis, Span};

/// How soon to look whether the first transaction closed it: 5 s, several blocks of such chains.
const FIRST_CONFIRMED: Span = Span::seconds(5);
/// The longest wait before another is sent: a day.
const LAST_CONFIRMED: Span = Span::seconds(86_400);

/// A channel. See the module for what must stay true of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    id: Hash32,
    payer: Address,
    signer: Address,
    deposit: Amount,
    accepted: Amount,
    spent: Amount,
    /// The signature of the voucher of `accepted`: with it the payee redeems that amount.
    signature: String,
    closed: bool,
    /// What the chain was seen to have done about it.
    #[serde(default, skip_serializing_if = "ChainView::is_nothing")]
    chain: ChainView,
    /// When a client last asked something of it.
    #[serde(default, skip_serializing_if = "is_never")]
    used_at: Millis,
    /// How many transactions were sent that close it on the chain.
    #[serde(default, skip_serializing_if = "is_none")]
    closings: u32,
    /// How many charges there were.
    count: u64,
    /// Charges of which it is not known whether the account has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    charges: Vec<Credit>,
}

/// What the chain was seen to have done about a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChainView {
    /// Paid out to the payee.
    settled: Amount,
    /// Been asked by the payer to close it without the payee.
    closing: bool,
    /// Closed it, and paid out.
    finalized: bool,
}

impl ChainView {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_never(at: &Millis) -> bool {
    *at == Millis::default()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_none(count: &u32) -> bool {
    *count == 0
}

/// What the payee does about a channel on the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redemption {
    /// Nothing: it is closed there, or nothing was earned with it.
    None,
    /// Look at it again: its payer may ask the chain to close it.
    Watch,
    /// Close it with this voucher.
    Close(Voucher),
}

/// How a channel is stored, with the version of its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredChannel {
    /// The first form.
    ChannelV1(Channel),
}

/// Where a channel stands, as its payer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelStanding {
    /// The channel.
    pub channel: Hash32,
    /// Who deposited.
    pub payer: Address,
    /// What is locked in it.
    pub deposit: Amount,
    /// The highest voucher.
    pub accepted: Amount,
    /// What was spent of it.
    pub spent: Amount,
}

/// What a request is charged for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// What it costs.
    pub cost: Amount,
    /// The endpoint whose limits the charge adds to.
    pub endpoint: EndpointName,
    /// What it adds.
    pub grants: Vec<Grant>,
}

impl Channel {
    /// A channel that the chain knows, with its first voucher.
    ///
    /// # Errors
    /// The channel cannot be redeemed here, or the voucher is not good.
    pub fn open(escrow: &Escrow, on_chain: &OnChain, first: &Voucher) -> Result<Self, ChannelFault> {
        on_chain.check(escrow)?;
        let channel = Self {
            id: first.channel,
            payer: on_chain.payer,
            signer: on_chain.signer(),
            deposit: on_chain.deposit,
            // What was paid out before cannot be spent here.
            accepted: on_chain.settled,
            spent: on_chain.settled,
            signature: String::new(),
            closed: false,
            chain: ChainView::default(),
            used_at: Millis::default(),
            closings: 0,
            count: 0,
            charges: Vec::new(),
        };
        channel.accept(escrow, first)
    }

    /// The account of the session.
    #[must_use]
    pub fn account(channel: &Hash32) -> Option<AccountId> {
        format!("session:{channel}").parse().ok()
    }

    /// The signature of the highest voucher: with it the payee redeems what was accepted.
    #[must_use]
    pub fn signature(&self) -> &str {
        &self.signature
    }

    /// Whether it was closed.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Where it stands.
    #[must_use]
    pub const fn standing(&self) -> ChannelStanding {
        ChannelStanding {
            channel: self.id,
            payer: self.payer,
            deposit: self.deposit,
            accepted: self.accepted,
            spent: self.spent,
        }
    }

    /// Takes a voucher. One of the same amount again changes nothing.
    ///
    /// # Errors
    /// The channel is closed, or the voucher is not the signer's, of less than an earlier one or of more than the deposit.
    pub fn accept(mut self, escrow: &Escrow, voucher: &Voucher) -> Result<Self, ChannelFault> {
        self.check(escrow, voucher)?;
        if voucher.cumulative < self.accepted {
            return Err(ChannelFault::DeltaTooSmall);
        }
        self.accepted = voucher.cumulative;
        self.signature.clone_from(&voucher.signature);
        Ok(self)
    }

    fn check(&self, escrow: &Escrow, voucher: &Voucher) -> Result<(), ChannelFault> {
        if self.closed {
            return Err(ChannelFault::Finalized);
        }
        voucher.check(escrow, self.signer)?;
        if voucher.cumulative > self.deposit { Err(ChannelFault::AmountExceedsDeposit) } else { Ok(()) }
    }

    /// Takes note of what the chain has locked now.
    ///
    /// # Errors
    /// The channel is closed, here or there, or the deposit did not grow.
    pub fn topped_up(mut self, escrow: &Escrow, on_chain: &OnChain) -> Result<Self, ChannelFault> {
        on_chain.check(escrow)?;
        if self.closed {
            return Err(ChannelFault::Finalized);
        }
        self.deposit = self.deposit.max(on_chain.deposit);
        Ok(self)
    }

    /// Notes that a client asked something of it.
    #[must_use]
    pub const fn used(mut self, now: Millis) -> Self {
        self.used_at = now;
        self
    }

    /// Notes what the chain says of it now. What its payer asked the chain to close is closed here, too: nobody knows how long a
    /// voucher can still be redeemed.
    #[must_use]
    pub fn seen(mut self, on_chain: &OnChain) -> Self {
        self.chain =
            ChainView { settled: on_chain.settled, closing: on_chain.closing, finalized: on_chain.finalized };
        self.closed |= on_chain.closing || on_chain.finalized;
        self
    }

    /// Closes it without a further voucher.
    #[must_use]
    pub const fn given_up(mut self) -> Self {
        self.closed = true;
        self
    }

    /// Notes that a transaction was sent that closes it on the chain.
    #[must_use]
    pub const fn closing_sent(mut self) -> Self {
        self.closings = self.closings.saturating_add(1);
        self
    }

    /// How long after a transaction that closes it was sent to look what came of it: one that was reverted was paid for, so
    /// that each next one waits twice as long.
    #[must_use]
    pub fn until_confirmed(&self) -> Span {
        let factor = 1_u64.checked_shl(self.closings.saturating_sub(1)).unwrap_or(u64::MAX);
        Span::millis(FIRST_CONFIRMED.get().saturating_mul(factor)).min(LAST_CONFIRMED)
    }

    /// Whether the chain has closed it and paid out.
    #[must_use]
    pub const fn is_finalized(&self) -> bool {
        self.chain.finalized
    }

    /// What the payee does about it: it is redeemed once it is closed, or nobody asked anything of it for so long.
    #[must_use]
    pub fn redemption(&self, idle: Span, now: Millis) -> Redemption {
        if self.chain.finalized || (self.spent <= self.chain.settled && !self.is_to_refund()) {
            return Redemption::None;
        }
        if self.closed || now.since(self.used_at) >= idle {
            let Self { id: channel, accepted: cumulative, signature, .. } = self.clone();
            return Redemption::Close(Voucher { channel, cumulative, signature });
        }
        Redemption::Watch
    }

    /// Whether its payer closed it here, and gets back what was not spent when the payee closes it there.
    const fn is_to_refund(&self) -> bool {
        self.closed && !self.chain.closing
    }

    /// Spends what a request costs. The credit stands in [`Channel::charges`] until it is told to be done.
    ///
    /// # Errors
    /// The channel is closed, or its vouchers do not cover it.
    pub fn charge(mut self, escrow: &Escrow, charge: Charge) -> Result<(Self, Credit), ChannelFault> {
        if self.closed {
            return Err(ChannelFault::Finalized);
        }
        let required = self.spent.checked_add(charge.cost).ok_or(ChannelFault::AmountExceedsDeposit)?;
        if required > self.accepted {
            return Err(ChannelFault::InsufficientBalance(required));
        }
        let count = self.count.saturating_add(1);
        let payment = PaymentId::of(&format!("{}:{count}", escrow.name_of(&self.id)));
        let Charge { cost, endpoint, grants } = charge;
        let credit = Credit { payment, endpoint, grants, amount: cost };
        self.spent = required;
        self.count = count;
        self.charges.push(credit.clone());
        Ok((self, credit))
    }

    /// What was spent and may not have been credited.
    #[must_use]
    pub fn charges(&self) -> &[Credit] {
        &self.charges
    }

    /// Notes that the account has that credit, and that it will not be repeated.
    #[must_use]
    pub fn credited(mut self, payment: &PaymentId) -> Self {
        self.charges.retain(|credit| credit.payment != *payment);
        self
    }

    /// Closes it with a last voucher, which covers what was spent and may be of less than an earlier one: it is what the
    /// payee redeems. Closing again with the same voucher changes nothing.
    ///
    /// # Errors
    /// It was closed with another voucher, or the voucher is not good or does not cover what was spent.
    pub fn close(mut self, escrow: &Escrow, last: &Voucher) -> Result<Self, ChannelFault> {
        if self.closed && self.accepted == last.cumulative && self.signature == last.signature {
            return Ok(self);
        }
        self.check(escrow, last)?;
        if last.cumulative < self.spent {
            return Err(ChannelFault::DeltaTooSmall);
        }
        self.accepted = last.cumulative;
        self.signature.clone_from(&last.signature);
        self.closed = true;
        Ok(self)
    }
}
