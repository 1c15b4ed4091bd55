//! The steps of a purchase that reach outside of its object: facilitator, account, chain, ledger, receipts.

use futures_util::future::join;
use worker::{Env, Error, Result, console_error, console_log};

use crate::config::payment::PaymentConfig;
use crate::contract::{self, AccountCall, Attempt, Credit, Done, PaymentCall, transaction_object};
use crate::edge::settings::Settings;
use crate::edge::{authorization_search, clock, facilitator_client, objects, payment_ledger, receipt_store};
use crate::limit::decision::{Decision, Verdict};
use crate::notice::{Kind, Sum};
use crate::pay::amount::Amount;
use crate::pay::chain::{Authorized, Finding};
use crate::pay::purchase::{Event, Purchase, SettlementPolicy, State, Step};
use crate::pay::receipt::Receipt;
use crate::pay::x402::facilitator::SettleAnswer;
use crate::time::Span;

/// How long the gate has to bring the receipt of an answer: 5 min, longer than any answer may take to begin.
const RECEIPT_PATIENCE: Span = Span::seconds(300);
/// After the payer's time is over, an unknown outcome is retried for a day.
const GIVE_UP_AFTER: Span = Span::seconds(24 * 3600);

/// What a step is done for, and with.
pub(super) struct Job<'a> {
    pub(super) env: &'a Env,
    pub(super) settings: &'a Settings,
    pub(super) config: &'a PaymentConfig,
    pub(super) purchase: &'a Purchase,
}

impl Job<'_> {
    pub(super) async fn perform(
        &self,
        step: &Step,
        request: &mut Option<Attempt>,
        decision: &mut Option<Decision>,
    ) -> Result<Event> {
        let Self { env, settings, config, purchase } = *self;
        let owner = purchase.owner();
        let id = purchase.id();
        let tell = |call| objects::account::<Done>(env, owner, call);
        Ok(match step {
            Step::Verify => {
                let (facilitator, answer) =
                    facilitator_client::verify(settings, config, purchase.payment()).await;
                Event::Verified(facilitator, answer)
            }
            Step::Admit => {
                let admitted = self.admit(request.as_ref()).await?;
                let passes = matches!(admitted.verdict, Verdict::Admitted(_));
                *decision = Some(admitted);
                Event::Admitted(passes)
            }
            Step::Announce => tell(AccountCall::Announce(id)).await.map(|_| Event::Announced)?,
            Step::AskChain => Event::ChainSaid(self.ask_chain().await),
            Step::Settle => Event::Settled(join(self.settle(), self.show()).await.0),
            Step::ClaimTransaction(transaction) => {
                let network = purchase.payment().offer().tender.caip2();
                let name = transaction_object(&network, transaction);
                let free = objects::payment(env, &name, &PaymentCall::ClaimTransaction(id)).await?;
                Event::TransactionClaimed(free)
            }
            Step::Credit => {
                let call = AccountCall::Credit(credit(purchase, settings), request.take());
                *decision = objects::account(env, owner, call).await?;
                Event::Credited
            }
            Step::AskTrust => {
                let call = PaymentCall::AskTrust(id, purchase.payment().offer().amount);
                Event::Trusted(objects::payment(env, &trust_object(purchase)?, &call).await?)
            }
            Step::Advance => {
                let call = AccountCall::Advance(credit(purchase, settings), request.take());
                *decision = objects::account(env, owner, call).await?;
                Event::Credited
            }
            Step::TakeBack => {
                tell(AccountCall::TakeBack(credit(purchase, settings))).await.map(|_| Event::Withdrawn)?
            }
            Step::TellTrust(news) => {
                let at = purchase.settlement().map_or_else(clock::now, |settlement| settlement.at);
                let call = PaymentCall::TellTrust(id, *news, purchase.payment().offer().amount, at);
                let Done = objects::payment(env, &trust_object(purchase)?, &call).await?;
                Event::TrustTold(*news)
            }
            Step::Withdraw => tell(AccountCall::Withdraw(id)).await.map(|_| Event::Withdrawn)?,
            Step::Acknowledge => tell(AccountCall::Acknowledge(id)).await.map(|_| Event::Acknowledged)?,
            Step::Record => {
                payment_ledger::put_payment(env, purchase, clock::now()).await?;
                if purchase.state() == State::Unknown && wants_doubts(settings) {
                    tell(AccountCall::Doubt(sum(purchase, settings))).await?;
                }
                Event::Recorded(purchase.state())
            }
            Step::KeepReceipt => {
                if let Some(kept) = super::receipts::kept(purchase, settings) {
                    receipt_store::keep(env, &kept, clock::now()).await?;
                }
                Event::ReceiptKept
            }
            // These need the object's own storage, or nothing.
            Step::ForgetAnswer | Step::SignReceipt | Step::Rest(_) => Event::Resumed,
        })
    }

    /// Whether the account lets the call pass that is paid for.
    async fn admit(&self, request: Option<&Attempt>) -> Result<Decision> {
        let attempt = request.ok_or_else(|| Error::RustError("nobody waits for the call".to_owned()))?;
        objects::account(self.env, self.purchase.owner(), AccountCall::AttemptAgain(attempt.clone())).await
    }

    async fn settle(&self) -> SettleAnswer {
        let Self { settings, config, purchase, .. } = *self;
        let Some(url) = purchase.facilitator() else {
            return SettleAnswer::Unknown { why: "no facilitator verified it".to_owned(), transaction: None };
        };
        let answer = facilitator_client::settle(settings, config, url, purchase.payment()).await;
        console_log!("payment {}: {url}settle: {answer:?}", purchase.id());
        answer
    }

    /// Shows the owner a payment that is credited and still open. Should that fail, the end of it is shown.
    async fn show(&self) {
        if self.purchase.is_to_be_shown()
            && let Err(error) = payment_ledger::put_payment(self.env, self.purchase, clock::now()).await
        {
            console_error!("payment {} is not in the ledger yet: {error}", self.purchase.id());
        }
    }

    async fn ask_chain(&self) -> Finding {
        let Self { config, purchase, .. } = *self;
        let Some(rpc) = &config.rpc else {
            return Finding::Unclear { why: "no chain can be asked".to_owned() };
        };
        let payment = purchase.payment();
        let (Some(tender), Some(authorization)) = (payment.offer().tender.evm(), payment.authorization())
        else {
            return Finding::Unclear { why: "it is no authorization of a token".to_owned() };
        };
        let authorized =
            Authorized { chain_id: tender.network.chain_id(), asset: tender.asset.address, authorization };
        let finding =
            authorization_search::look(rpc, &authorized, purchase.presented_at(), clock::now()).await;
        console_log!("payment {}: the chain says {finding:?}", purchase.id());
        finding
    }

    /// The receipt of a payment whose answer the gate did not bring to its end.
    pub(super) fn sign_receipt(&self, response_hash: String) -> Result<Event> {
        let (Some(settlement), Some(keys)) = (self.purchase.settlement(), &self.settings.secrets.keys) else {
            return Err(Error::RustError("nothing was settled".to_owned()));
        };
        let (payment, service) = (self.purchase.payment(), self.purchase.service());
        let receipt =
            Receipt::of_payment(payment, settlement, self.purchase.receipt_id(), service, response_hash);
        Ok(Event::ReceiptSigned(Box::new(receipt.sign(&keys.receipts))))
    }
}

pub(super) fn policy(purchase: &Purchase, config: &PaymentConfig) -> SettlementPolicy {
    let payment = purchase.payment();
    let tender = &payment.offer().tender;
    // The node is one of the first offer's chain.
    let is_its_chain = config.tenders.first().is_some_and(|first| first.caip2() == tender.caip2());
    SettlementPolicy {
        // A limit that this token cannot express is no leave to credit.
        unconfirmed_limit: config.unconfirmed_limit.to_amount(tender.decimals()).unwrap_or_default(),
        give_up_after: config.max_timeout.plus(GIVE_UP_AFTER),
        receipt_patience: RECEIPT_PATIENCE,
        asks_chain: config.rpc.is_some() && is_its_chain && payment.authorization().is_some(),
    }
}

fn credit(purchase: &Purchase, settings: &Settings) -> Credit {
    let (endpoint, grants) = purchase.goods();
    let amount = counted(purchase, settings);
    Credit { payment: purchase.id(), endpoint: endpoint.clone(), grants: grants.to_vec(), amount }
}

/// The name of the object of the trust in who pays.
fn trust_object(purchase: &Purchase) -> Result<String> {
    let payment = purchase.payment();
    let tender = &payment.offer().tender;
    let (Some(evm), Some(payer)) = (tender.evm(), payment.payer()) else {
        return Err(Error::RustError("nobody is known to pay".to_owned()));
    };
    Ok(contract::trust_object(&tender.caip2(), evm.asset.address, payer, evm.pay_to))
}

fn wants_doubts(settings: &Settings) -> bool {
    settings.config.webhook.as_ref().is_some_and(|webhook| webhook.events.has(Kind::PaymentUnknown))
}

fn sum(purchase: &Purchase, settings: &Settings) -> Sum {
    let (endpoint, _) = purchase.goods();
    Sum { payment: purchase.id(), endpoint: endpoint.clone(), amount: counted(purchase, settings) }
}

/// What was paid, as bills count it: they add up payments in whatever token.
fn counted(purchase: &Purchase, settings: &Settings) -> Amount {
    purchase.payment().offer().counted(settings.config.currency().1)
}
