//! MPP sessions at the gate: what a session's credential asks, and a request that its channel pays for.

use worker::web_sys;

use super::exchange::{Exchange, Outcome};
use super::over_limit::too_many_failures;
use super::paid_call::Alive;
use super::{answer, clock, identity, mpp, objects, pay_page, presented};
use crate::client::AccountId;
use crate::config::payment::SessionConfig;
use crate::contract::{AccountCall, Charged, Done, PaymentCall};
use crate::limit::decision::{Decision, SaleTerms};
use crate::pay::mpp::challenge::Challenge;
use crate::pay::mpp::credential::Credential;
use crate::pay::mpp::session::action::Action;
use crate::pay::mpp::session::channel::{Channel, ChannelFault, ChannelStanding, Charge};
use crate::pay::mpp::{CredentialFault, Receipt, session};
use crate::problem::Problem;
use crate::time::Span;

type Checked<T> = std::result::Result<T, CredentialFault>;
/// What a channel says, if it does what it is asked.
type Said = std::result::Result<ChannelStanding, ChannelFault>;

/// Where sessions' channels are, if sessions are offered.
pub(super) fn config(exchange: &Exchange) -> Option<&SessionConfig> {
    exchange.settings.config.payment.as_ref()?.session.as_ref()
}

/// The account of the session whose credential the request brings, once its channel took the voucher.
pub(super) async fn account(exchange: &Exchange, credential: &Credential) -> Outcome<Checked<AccountId>> {
    let checked = mpp::check_issue(exchange, &credential.challenge, clock::now());
    let standing = act(exchange, credential, checked).await?;
    Ok(standing.and_then(|standing| {
        hand_receipt(exchange, &credential.challenge, standing);
        exchange.note_session(&credential.challenge, standing.channel);
        Channel::account(&standing.channel).ok_or(CredentialFault::Channel(ChannelFault::NotFound))
    }))
}

/// What a session asks beside any request: to top its channel up, to close it, or, by a POST without a body, to take a
/// voucher. It is answered here and costs nothing.
pub(super) async fn manage(
    exchange: &Exchange,
) -> Outcome<Option<std::result::Result<web_sys::Response, CredentialFault>>> {
    let Some(credential) = presented::credential(exchange).filter(session::is_of) else { return Ok(None) };
    let bare = exchange.request.method() == "POST" && has_no_body(exchange);
    let managed = match Action::read(&credential.payload) {
        Ok(Action::TopUp(..) | Action::Close(_)) => true,
        Ok(Action::Open(..) | Action::Voucher(_)) => bare,
        Err(_) => false,
    };
    if !managed {
        return Ok(None);
    }
    // Nothing is priced here: a voucher or a close is good for what it says, and a stream or a session may outlast the time in
    // which its challenge can be answered.
    let checked = mpp::check_origin(exchange, &credential.challenge);
    let standing = match act(exchange, &credential, checked).await? {
        Ok(standing) => standing,
        Err(fault) => return Ok(Some(Err(fault))),
    };
    hand_receipt(exchange, &credential.challenge, standing);
    exchange.ours(answer::empty(204)).map(|answer| Some(Ok(answer)))
}

fn has_no_body(exchange: &Exchange) -> bool {
    exchange.request.body().is_none() || exchange.header("Content-Length").as_deref() == Some("0")
}

/// The answer where a session asks something beside any request and does not get it. Nothing is for sale there, so that the
/// challenge is one that costs nothing.
pub(super) fn refuse(exchange: &Exchange, fault: &CredentialFault) -> Outcome<web_sys::Response> {
    let problem = Problem::new(fault.problem(), fault.to_string()).with("reason", fault.reason());
    let address = identity::address(exchange);
    let sale =
        mpp::Sale { account: &address, endpoint: "", offers: &[], session: None, answers_credential: false };
    exchange.ours((|| {
        let answer = pay_page::answer(exchange, &problem, None)?;
        for challenge in mpp::challenges(exchange, &sale)? {
            answer.headers().append("WWW-Authenticate", &challenge)?;
        }
        Ok(answer)
    })())
}

/// Asks the channel what the credential asks.
async fn act(
    exchange: &Exchange,
    credential: &Credential,
    checked: Checked<()>,
) -> Outcome<Checked<ChannelStanding>> {
    let Some(session) = config(exchange) else { return Ok(Err(CredentialFault::UnknownChallenge)) };
    let action = match checked.and_then(|()| Action::read(&credential.payload)) {
        Ok(action) => action,
        Err(fault) => return Ok(Err(fault)),
    };
    let address = identity::address(exchange);
    let asks_the_chain = matches!(action, Action::Open(..) | Action::TopUp(..));
    if asks_the_chain {
        // Counted beforehand, as every payment that may fail: the caller is not known yet, but for its address.
        let wait: Option<Span> = exchange.ask(&address, AccountCall::FailPayment).await?;
        if let Some(wait) = wait {
            return Err(too_many_failures(wait));
        }
    }
    let name = session.escrow.name_of(&action.channel());
    let call = PaymentCall::ActOnChannel(action);
    let said: Said = exchange.ours(objects::payment(&exchange.env, &name, &call).await)?;
    if asks_the_chain && said.as_ref().err().is_none_or(ChannelFault::is_ours) {
        let _: Done = exchange.ask(&address, AccountCall::UnfailPayment).await?;
    }
    Ok(said.map_err(CredentialFault::from))
}

/// Charges the request to its session's channel: what it needs beyond the free allowance, at this endpoint's price. What
/// was decided with that, and who paid.
pub(super) async fn charge(
    exchange: &Exchange,
    credential: &Credential,
    (denied, terms): (&Decision, &SaleTerms),
    attempt: crate::contract::Attempt,
) -> Outcome<Checked<(Decision, String)>> {
    let Some(session) = config(exchange) else { return Ok(Err(CredentialFault::UnknownChallenge)) };
    let escrow = &session.escrow;
    let Some(cost) = escrow.cost(terms) else { return Ok(Err(CredentialFault::OtherTerms)) };
    if !credential.challenge.is_for(denied.endpoint.as_str()) {
        return Ok(Err(CredentialFault::OtherEndpoint));
    }
    if !escrow.asks(credential, cost) {
        return Ok(Err(CredentialFault::OtherTerms));
    }
    let channel = match Action::read(&credential.payload) {
        Ok(action) => action.channel(),
        Err(fault) => return Ok(Err(fault)),
    };
    // What is spent is used, or at least credited, though the client may be gone.
    let _alive = Alive::keep(exchange);
    let charge = Charge { cost, endpoint: denied.endpoint.clone(), grants: terms.single.clone() };
    let call = PaymentCall::ChargeChannel(charge, attempt);
    let charged: std::result::Result<Charged, ChannelFault> =
        exchange.ours(objects::payment(&exchange.env, &escrow.name_of(&channel), &call).await)?;
    Ok(charged.map_err(CredentialFault::from).map(|Charged { standing, decision }| {
        hand_receipt(exchange, &credential.challenge, standing);
        (decision, standing.payer.to_string())
    }))
}

fn hand_receipt(exchange: &Exchange, challenge: &Challenge, standing: ChannelStanding) {
    let reference = standing.channel.to_string();
    let receipt = Receipt {
        challenge,
        reference: &reference,
        chain_id: config(exchange).map(|session| session.escrow.chain_id),
        channel: Some(standing),
        at: clock::now(),
    };
    exchange.hand_payment_receipt(receipt.field());
}
