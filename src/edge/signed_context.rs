//! A request over its limit that brings a signed context: let through as the wallet that signed it, which owes for it.

use worker::web_sys;

use super::exchange::{Exchange, Outcome};
use super::paid_answer::{self, Bill, ReadAhead};
use super::{clock, gate, objects, origin};
use crate::client::AccountId;
use crate::client::context_nonce::NonceScope;
use crate::contract::{AccountCall, Attempt, PaymentCall, Pledged, Promise, payment_object, receipt_id};
use crate::endpoint::{EndpointName, Target};
use crate::fields::{X_402_NONCE, X_402_SIGNATURE};
use crate::limit::decision::{Decision, Verdict};
use crate::pay::context::{self, ContextOffer};
use crate::pay::eip712::Address;
use crate::pay::offer::Offer;
use crate::pay::purchase::Service;
use crate::pay::receipt::sha256_label;
use crate::problem::{Problem, ProblemKind};
use crate::time::Span;

/// Random bytes at the end of a receipt's id.
const RECEIPT_SUFFIX_BYTES: usize = 8;

/// Whom signed contexts are taken from, and for what.
pub(super) struct Desk<'a> {
    pub(super) exchange: &'a Exchange,
    /// The account that asked.
    pub(super) account: &'a AccountId,
    pub(super) target: &'a Target,
    pub(super) endpoint: &'a EndpointName,
    pub(super) offers: &'a [Offer],
}

/// A signed context as it came.
pub(super) struct Brought {
    signature: String,
    nonce: String,
}

/// A signed context that somebody signed for this request.
struct Signed {
    wallet: Address,
    offer: ContextOffer,
    nonce: String,
}

/// The signed context that the request brings, where they are taken.
pub(super) fn brought(exchange: &Exchange) -> Option<Brought> {
    is_on(exchange).then_some(())?;
    match (exchange.header(X_402_SIGNATURE), exchange.header(X_402_NONCE)) {
        (None, None) => None,
        (signature, nonce) => {
            Some(Brought { signature: signature.unwrap_or_default(), nonce: nonce.unwrap_or_default() })
        }
    }
}

fn is_on(exchange: &Exchange) -> bool {
    exchange.settings.config.payment.as_ref().is_some_and(|payment| payment.signed_context)
}

impl<'a> Desk<'a> {
    /// What a wallet may sign in place of a payment, under a new nonce; where that is taken.
    pub(super) fn offer(&self) -> worker::Result<Option<ContextOffer>> {
        let Some(keys) = self.exchange.settings.secrets.keys.as_ref().filter(|_| is_on(self.exchange)) else {
            return Ok(None);
        };
        let nonce = keys.sessions.issue_context_nonce(self.scope(), clock::random_bytes()?, clock::now());
        Ok(self.offer_under(&nonce))
    }

    fn scope(&self) -> NonceScope<'a> {
        NonceScope { account: self.account, endpoint: self.endpoint }
    }

    fn offer_under(&self, nonce: &str) -> Option<ContextOffer> {
        self.offers.iter().find_map(|offer| ContextOffer::of(offer, nonce))
    }

    /// Lets the request through as the wallet that signed for it.
    pub(super) async fn take(&self, brought: Brought) -> Outcome<web_sys::Response> {
        let signed = self.check(brought)?;
        let body = origin::read_body(self.exchange).await?;
        let service =
            Service { path: self.target.path.as_str().to_owned(), request_hash: sha256_label(&body) };
        let decimals = self.exchange.settings.config.currency().1;
        let (wallet, amount) = (AccountId::of_wallet(&signed.wallet), signed.offer.owed(decimals));
        let ttl = self.exchange.settings.config.receipt_ttl;
        let promise = Promise {
            account: wallet.clone(),
            // Where each call is paid, this one is: it is owed.
            attempt: Attempt { paid: true, ..self.exchange.attempt(self.target) },
            amount,
            receipt_expires_at: clock::now().plus(ttl).seconds(),
        };
        let id = context::id_of_nonce(&signed.nonce);
        let call = PaymentCall::Pledge(Box::new(promise));
        let pledged = objects::payment(&self.exchange.env, &payment_object(&id), &call).await;
        match self.exchange.ours(pledged)? {
            Pledged::Used => {
                let detail =
                    "this nonce was used before; ask again without it, and sign what the answer holds";
                Err(Problem::new(ProblemKind::PaymentUsed, detail))
            }
            Pledged::Unregistered => Err(self.unregistered(&signed).await?),
            Pledged::Decided(decision) => {
                let suffix = self.exchange.ours(clock::random_hex(RECEIPT_SUFFIX_BYTES))?;
                let bill = Bill {
                    object: payment_object(&id),
                    record: Some(signed.offer.record(signed.wallet)),
                    at: decision.at,
                    receipt_id: receipt_id(&id, &suffix),
                    service,
                };
                self.deliver(&wallet, &decision, bill, body).await
            }
        }
    }

    /// Whether we issued the nonce for this, and who signed.
    fn check(&self, Brought { signature, nonce }: Brought) -> Outcome<Signed> {
        let issued = self
            .exchange
            .settings
            .secrets
            .keys
            .as_ref()
            .and_then(|keys| keys.sessions.context_nonce_expires(self.scope(), &nonce, clock::now()));
        if issued.is_none() {
            return Err(refused(
                "the nonce in X-402-Nonce was not issued for this endpoint to this client, or is older than 300 s",
            ));
        }
        let signed = self.offer_under(&nonce).and_then(|offer| Some((offer.signer(&signature)?, offer)));
        let (wallet, offer) = signed.ok_or_else(|| {
            refused("X-402-Signature is not 65 bytes in hexadecimal that some wallet signed")
        })?;
        Ok(Signed { wallet, offer, nonce })
    }

    /// Any key makes another wallet, and asking about each costs a call: so it counts as a payment that failed.
    async fn unregistered(&self, signed: &Signed) -> Outcome<Problem> {
        let _: Option<Span> = self.exchange.ask(self.account, AccountCall::FailPayment).await?;
        Ok(refused(&format!(
            "{} signed this and is not registered here; ask the API's owner for a plan, or pay",
            signed.wallet.checksummed()
        )))
    }

    async fn deliver(
        &self,
        wallet: &AccountId,
        decision: &Decision,
        bill: Bill,
        body: Vec<u8>,
    ) -> Outcome<web_sys::Response> {
        self.exchange.note(&decision.standings, decision.at);
        if let Verdict::Denied(denied) = &decision.verdict {
            return Err(super::over_limit::rate_limited(decision, denied));
        }
        let introduction = origin::Introduction::read(wallet, decision, None, body);
        let forwarded = gate::forward(self.exchange, wallet, self.target, decision, &introduction).await;
        let answer = match forwarded {
            Ok(answer) => answer,
            // What was signed for is owed whatever the origin did, and has its receipt.
            Err(problem) if matches!(decision.verdict, Verdict::Admitted(_)) => {
                self.exchange.ours(gate::problem_answer(self.exchange, &problem))?
            }
            Err(problem) => return Err(problem),
        };
        let ahead = self.exchange.ours(ReadAhead::of(answer).await)?;
        self.exchange.ours(paid_answer::with_receipt(self.exchange, ahead, bill).await)
    }
}

fn refused(detail: &str) -> Problem {
    Problem::new(ProblemKind::InvalidSignature, detail)
}
