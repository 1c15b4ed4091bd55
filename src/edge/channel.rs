//! A session's channel in an object of its own: what it is asked, stored before anything follows from it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use futures_channel::oneshot;
use worker::wasm_bindgen::JsValue;
use worker::{Env, Error, Result, console_error, console_warn};

use super::deadline::within;
use super::ledger::{Ledger, number};
use super::record::{self, Storage};
use super::{clock, escrow_chain, objects};
use crate::config::payment::SessionConfig;
use crate::contract::{AccountCall, Attempt, Charged, Credit, Done};
use crate::limit::decision::Decision;
use crate::pay::amount::Amount;
use crate::pay::eip712::Hash32;
use crate::pay::mpp::session::action::Action;
use crate::pay::mpp::session::channel::{Channel, ChannelFault, ChannelStanding, Charge, StoredChannel};
use crate::pay::x402::PaymentId;
use crate::time::{Millis, Span};

/// What a channel says, if it does what it is asked.
type Said<T> = std::result::Result<T, ChannelFault>;

const PUT: &str = "INSERT INTO channels (id, chain_id, escrow, payer, deposit, accepted, spent, signature, closed, updated_at) \
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO UPDATE SET deposit = excluded.deposit, \
accepted = excluded.accepted, spent = excluded.spent, signature = excluded.signature, closed = excluded.closed, \
updated_at = excluded.updated_at WHERE excluded.updated_at >= channels.updated_at";

/// Does what a session's credential asks.
pub(super) async fn act(
    session: &SessionConfig,
    store: &impl Storage,
    action: Action,
) -> Result<Said<ChannelStanding>> {
    let escrow = &session.escrow;
    match action {
        Action::Voucher(voucher) => change(store, |channel| channel.accept(escrow, &voucher)),
        Action::Close(last) => change(store, |channel| channel.close(escrow, &last)),
        Action::Open(transaction, first) => {
            if load(store)?.is_some() {
                return change(store, |channel| channel.accept(escrow, &first));
            }
            if !transaction.opens(escrow) {
                return Ok(Err(ChannelFault::OtherTransaction));
            }
            let on_chain = match escrow_chain::carry_out(session, &transaction, &first.channel).await {
                Ok(on_chain) => on_chain,
                Err(fault) => return Ok(Err(fault)),
            };
            // Another request may have been faster.
            if load(store)?.is_some() {
                return change(store, |channel| channel.accept(escrow, &first));
            }
            keep(store, Channel::open(escrow, &on_chain, &first))
        }
        Action::TopUp(transaction, channel) => {
            if load(store)?.is_none() {
                return Ok(Err(ChannelFault::NotFound));
            }
            if !transaction.tops_up(escrow, &channel) {
                return Ok(Err(ChannelFault::OtherTransaction));
            }
            match escrow_chain::carry_out(session, &transaction, &channel).await {
                Ok(on_chain) => change(store, |channel| channel.topped_up(escrow, &on_chain)),
                Err(fault) => Ok(Err(fault)),
            }
        }
    }
}

/// Charges a request, and lets the session's account decide about it with what it paid for.
pub(super) async fn charge(
    (env, session, carrier): (&Env, &SessionConfig, &Carrier),
    store: &impl Storage,
    charge: Charge,
    attempt: Attempt,
) -> Result<Said<Charged>> {
    let (standing, decision) = match spend((env, session, carrier), store, charge, Some(attempt)).await? {
        Ok(spent) => spent,
        Err(fault) => return Ok(Err(fault)),
    };
    let decision = decision.ok_or_else(|| Error::RustError("a credit without its decision".to_owned()))?;
    Ok(Ok(Charged { standing, decision }))
}

/// Charges what a request uses while it is answered.
pub(super) async fn charge_further(
    (env, session, carrier): (&Env, &SessionConfig, &Carrier),
    store: &impl Storage,
    charge: Charge,
) -> Result<Said<ChannelStanding>> {
    let spent = spend((env, session, carrier), store, charge, None).await?;
    Ok(spent.map(|(standing, _)| standing))
}

/// Spends what something costs, and brings the account what it paid for. Should the process die in between, [`finish`] does.
async fn spend(
    (env, session, carrier): (&Env, &SessionConfig, &Carrier),
    store: &impl Storage,
    charge: Charge,
    attempt: Option<Attempt>,
) -> Result<Said<(ChannelStanding, Option<Decision>)>> {
    let Some(channel) = load(store)? else { return Ok(Err(ChannelFault::NotFound)) };
    let id = channel.standing().channel;
    let (channel, credit) = match channel.charge(&session.escrow, charge) {
        Ok(charged) => charged,
        Err(fault) => return Ok(Err(fault)),
    };
    let standing = channel.standing();
    save(store, channel.used(clock::now()))?;
    let decision = carrier.bring(env, store, &id, (credit, attempt)).await?;
    Ok(Ok((standing, decision)))
}

/// Those who wait for a voucher of a channel.
#[derive(Default)]
pub(super) struct Waiting(RefCell<Vec<oneshot::Sender<()>>>);

impl Waiting {
    /// Something of the channel changed.
    pub(super) fn wake(&self) {
        for waiting in self.0.take() {
            // Who does not wait any more need not know.
            let _ = waiting.send(());
        }
    }

    fn changed(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.0.borrow_mut().push(sender);
        receiver
    }
}

/// Where the channel stands as soon as its vouchers reach `required` or it is closed, or else when it is `until`.
pub(super) async fn await_voucher(
    store: &impl Storage,
    waiting: &Waiting,
    required: Amount,
    until: Millis,
) -> Result<Said<ChannelStanding>> {
    loop {
        let Some(channel) = load(store)? else { return Ok(Err(ChannelFault::NotFound)) };
        let (standing, left) = (channel.standing(), until.since(clock::now()));
        if standing.accepted >= required || channel.is_closed() || left == Span::ZERO {
            return Ok(Ok(standing));
        }
        within(left, waiting.changed()).await;
    }
}

/// Brings the account what was spent and may not have reached it, but for what is on its way. Whether all of it is there.
pub(super) async fn finish(env: &Env, carrier: &Carrier, store: &impl Storage) -> Result<bool> {
    let mut tried = BTreeSet::new();
    // Looked up anew each time: meanwhile a request may have brought its own.
    while let Some(channel) = load(store)? {
        let is_due = |credit: &&Credit| !tried.contains(&credit.payment) && !carrier.has(&credit.payment);
        let Some(credit) = channel.charges().iter().find(is_due).cloned() else {
            return Ok(channel.charges().is_empty());
        };
        let (id, payment) = (channel.standing().channel, credit.payment.clone());
        if let Err(error) = carrier.bring(env, store, &id, (credit, None)).await {
            console_error!("channel {id}: {payment} has not reached the account: {error}");
        }
        tried.insert(payment);
    }
    Ok(true)
}

/// Tells the ledger where the channel stands.
pub(super) async fn tell(env: &Env, session: &SessionConfig, store: &impl Storage) -> Result<()> {
    match load(store)? {
        Some(channel) => put(env, session, &channel).await,
        None => Ok(()),
    }
}

/// How long a credit counts as on its way: 60 s. A call that was not answered by then is lost.
const ON_ITS_WAY: Span = Span::seconds(60);

/// Brings accounts their credits, each once at a time: the account forgets one that has arrived, and would add it again.
#[derive(Default)]
pub(super) struct Carrier(RefCell<BTreeMap<PaymentId, Millis>>);

/// A credit on its way, until this is dropped.
struct OnItsWay<'a>(&'a Carrier, PaymentId);

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        self.0.0.borrow_mut().remove(&self.1);
    }
}

impl Carrier {
    fn has(&self, payment: &PaymentId) -> bool {
        self.0.borrow().get(payment).is_some_and(|since| clock::now().since(*since) < ON_ITS_WAY)
    }

    fn set_out(&self, payment: &PaymentId) -> OnItsWay<'_> {
        self.0.borrow_mut().insert(payment.clone(), clock::now());
        OnItsWay(self, payment.clone())
    }

    async fn bring(
        &self,
        env: &Env,
        store: &impl Storage,
        channel: &Hash32,
        (credit, attempt): (Credit, Option<Attempt>),
    ) -> Result<Option<Decision>> {
        let account = Channel::account(channel).ok_or_else(|| Error::RustError("no account".to_owned()))?;
        let payment = credit.payment.clone();
        let _on_its_way = self.set_out(&payment);
        let decision = objects::account(env, &account, AccountCall::Credit(credit, attempt)).await?;
        // Stored first: once acknowledged, the same credit would count again.
        if let Some(channel) = load(store)? {
            save(store, channel.credited(&payment))?;
        }
        let acknowledged = objects::account::<Done>(env, &account, AccountCall::Acknowledge(payment)).await;
        if let Err(error) = acknowledged {
            // The credit is there: all that is lost is that the account remembers it for good.
            console_warn!("channel {channel}: {error}");
        }
        Ok(decision)
    }
}

fn change(
    store: &impl Storage,
    change: impl FnOnce(Channel) -> Said<Channel>,
) -> Result<Said<ChannelStanding>> {
    match load(store)? {
        Some(channel) => keep(store, change(channel)),
        None => Ok(Err(ChannelFault::NotFound)),
    }
}

fn keep(store: &impl Storage, changed: Said<Channel>) -> Result<Said<ChannelStanding>> {
    match changed {
        Ok(channel) => {
            let standing = channel.standing();
            save(store, channel.used(clock::now())).map(|()| Ok(standing))
        }
        Err(fault) => Ok(Err(fault)),
    }
}

pub(super) fn load(store: &impl Storage) -> Result<Option<Channel>> {
    Ok(record::load(store)?.map(|StoredChannel::ChannelV1(channel)| channel))
}

pub(super) fn save(store: &impl Storage, channel: Channel) -> Result<()> {
    record::save(store, &StoredChannel::ChannelV1(channel))
}

async fn put(env: &Env, session: &SessionConfig, channel: &Channel) -> Result<()> {
    let ChannelStanding { channel: id, payer, deposit, accepted, spent } = channel.standing();
    let ledger = Ledger::open(env)?;
    let values = [
        id.to_string().into(),
        number(session.escrow.chain_id),
        session.escrow.contract.to_string().into(),
        payer.to_string().into(),
        deposit.to_string().into(),
        accepted.to_string().into(),
        spent.to_string().into(),
        channel.signature().into(),
        JsValue::from(i32::from(channel.is_closed())),
        number(clock::now().get()),
    ];
    ledger.change(vec![ledger.ask(PUT, &values)?]).await?;
    Ok(())
}
