//! One request being answered: what was asked, with the settings, and the fields that its answer will carry whatever
//! comes of it.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use worker::{Context, Env, Result, console_error, web_sys};

use super::answer::make_private;
use super::ledger::{Answered, LedgerError};
use super::settings::Settings;
use super::{clock, objects, outgoing, plans_in_force};
use crate::client::key::KeyHash;
use crate::client::{AccountId, SESSION_LIFE};
use crate::config::Config;
use crate::contract::{AccountCall, Attempt, Refusal};
use crate::endpoint::{Target, site};
use crate::fields::SESSION;
use crate::limit::headers;
use crate::limit::standing::Standing;
use crate::limit::units::Units;
use crate::pay::eip712::Hash32;
use crate::pay::mpp::CredentialFault;
use crate::pay::mpp::challenge::Challenge;
use crate::problem::{Problem, ProblemKind};
use crate::time::Millis;

/// How an answer is made, or what went wrong instead.
pub(super) type Outcome<T> = std::result::Result<T, Problem>;

/// One request being answered.
pub(super) struct Exchange {
    pub(super) env: Env,
    pub(super) context: Context,
    pub(super) settings: Rc<Settings>,
    pub(super) request: web_sys::Request,
    pub(super) headers: web_sys::Headers,
    pub(super) request_id: String,
    /// The request's fields: names in lower case, and values.
    fields: Vec<(String, String)>,
    /// The request's body, where it was read to find the endpoint.
    pub(super) body: OnceCell<Vec<u8>>,
    /// Set when the request's body turned out larger than allowed while it streamed.
    pub(super) body_too_large: Rc<Cell<bool>>,
    /// Set when the request passes degraded.
    pub(super) degraded: Cell<bool>,
    standings: RefCell<(Vec<Standing>, Millis)>,
    /// The key in whose name the request comes, and whose it is.
    key: RefCell<Option<(AccountId, KeyHash, BroughtBy)>>,
    /// Whose session token the answer hands out.
    session_for: RefCell<Option<AccountId>>,
    /// Why the request's proof of who sent it proves nothing, if it brought one.
    sign_in_error: RefCell<Option<Value>>,
    /// Why the request's credential of MPP proves no wallet, if it was to.
    proof_fault: RefCell<Option<CredentialFault>>,
    /// The challenge that the request's session answered, and its channel.
    session: RefCell<Option<(Challenge, Hash32)>>,
    /// What a successful answer carries in `Payment-Receipt`.
    payment_receipt: RefCell<Option<String>>,
}

/// What brings the key in whose name a request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BroughtBy {
    /// A field of the request: the client has the key.
    Field,
    /// A session token that was handed out to it.
    Token,
}

/// The problem of a key that is not good here, or no longer.
pub(super) fn unknown_key() -> Problem {
    Problem::new(
        ProblemKind::UnknownKey,
        "the API key is not known here; check it, or send none: it may be mistyped, or revoked",
    )
}

impl Exchange {
    pub(super) fn new(
        env: Env,
        context: Context,
        settings: Rc<Settings>,
        request: web_sys::Request,
        request_id: String,
    ) -> Self {
        let headers = request.headers();
        let fields = outgoing::fields(&headers);
        Self {
            env,
            context,
            settings,
            request,
            headers,
            request_id,
            fields,
            body: OnceCell::new(),
            degraded: Cell::default(),
            body_too_large: Rc::default(),
            standings: RefCell::default(),
            key: RefCell::default(),
            session_for: RefCell::default(),
            sign_in_error: RefCell::default(),
            proof_fault: RefCell::default(),
            session: RefCell::default(),
            payment_receipt: RefCell::default(),
        }
    }

    /// A field of the request.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name))?;
        Some(value.clone())
    }

    /// All fields of the request: names in lower case, and values.
    pub(super) fn fields(&self) -> &[(String, String)] {
        &self.fields
    }

    /// The site that the client asked: its URL's scheme and host, of which forwarding fields change nothing.
    pub(super) fn site(&self) -> String {
        site::asked(&self.request.url(), self.header("X-Forwarded-Proto").as_deref())
    }

    /// Calls an account's object, in the name of the request's key where the account is the key's. A failure is a fault
    /// of ours, told to the log and not to the client.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        account: &AccountId,
        call: AccountCall,
    ) -> Outcome<T> {
        let key = self.key_of(account);
        let answer = objects::account_with_key(&self.env, account, key, call).await;
        self.ours(answer)?.map_err(|refusal| match refusal {
            Refusal::UnknownKey => unknown_key(),
            Refusal::Misconfigured(faults) => Problem::new(ProblemKind::Misconfigured, faults),
        })
    }

    /// Notes the key in whose name the request comes, whose it is, and what brought it.
    pub(super) fn note_key(&self, owner: AccountId, key: KeyHash, by: BroughtBy) {
        self.key.replace(Some((owner, key, by)));
    }

    /// Forgets the key in whose name the request came: what brought it, if there was one.
    pub(super) fn forget_key(&self) -> Option<BroughtBy> {
        self.key.take().map(|(_, _, by)| by)
    }

    /// The key in whose name the request comes, where the account is the key's or a session of that.
    fn key_of(&self, account: &AccountId) -> Option<KeyHash> {
        let is_of = |owner: &AccountId| owner == account || account.owner().as_ref() == Some(owner);
        self.key.borrow().as_ref().filter(|(owner, ..)| is_of(owner)).map(|(_, key, _)| key.clone())
    }

    /// The request, as its account is asked about it.
    pub(super) fn attempt(&self, target: &Target) -> Attempt {
        Attempt {
            request: self.request_id.clone(),
            target: target.clone(),
            units: Units::default(),
            paid: false,
        }
    }

    /// A fault of ours: the log has it, the client gets the request id.
    pub(super) fn ours<T>(&self, result: Result<T>) -> Outcome<T> {
        result.map_err(|error| {
            console_error!("{} internal: {error}", self.request_id);
            Problem::new(
                ProblemKind::Internal,
                format!("tell the API's owner the request id {}", self.request_id),
            )
        })
    }

    /// The settings with the plans that are in force.
    pub(super) async fn in_force(&self) -> Outcome<Rc<Config>> {
        let behind = |task| self.context.wait_until(task);
        let in_force = self.ours(plans_in_force::config(&self.env, behind).await)?;
        in_force.map_err(|faults| Problem::new(ProblemKind::Misconfigured, faults.to_string()))
    }

    /// A failure of the ledger: the log has it, and whoever asked is told what to count on.
    pub(super) fn ledger<T>(&self, answered: Answered<T>) -> Outcome<T> {
        match answered {
            Ok(answer) => Ok(answer),
            Err(LedgerError::Ours(error)) => self.ours(Err(error)),
            Err(LedgerError::Failed(failure, said)) => {
                console_error!("{} ledger: {said}", self.request_id);
                Err(failure.problem())
            }
        }
    }

    /// Notes where the client stands at that instant, for the fields of the answer.
    pub(super) fn note(&self, standings: &[Standing], at: Millis) {
        self.standings.replace((standings.to_vec(), at));
    }

    /// Notes that the answer hands out a session token, whatever its status: what earned it is used up.
    pub(super) fn hand_session_to(&self, account: &AccountId) {
        self.session_for.replace(Some(account.clone()));
    }

    /// Notes why the request's proof of who sent it proves nothing.
    pub(super) fn note_sign_in_error(&self, error: Value) {
        self.sign_in_error.replace(Some(error));
    }

    /// Why the request's proof of who sent it proves nothing, if it brought one.
    pub(super) fn sign_in_error(&self) -> Option<Value> {
        self.sign_in_error.borrow().clone()
    }

    /// Notes why the request's credential of MPP proves no wallet.
    pub(super) fn note_proof_fault(&self, fault: CredentialFault) {
        self.note_sign_in_error(json!({ "reason": fault.reason(), "detail": fault.to_string() }));
        self.proof_fault.replace(Some(fault));
    }

    /// Why the request's credential of MPP proves no wallet, if it was to.
    pub(super) fn proof_fault(&self) -> Option<CredentialFault> {
        self.proof_fault.borrow().clone()
    }

    /// Notes the session whose credential the request brought.
    pub(super) fn note_session(&self, challenge: &Challenge, channel: Hash32) {
        self.session.replace(Some((challenge.clone(), channel)));
    }

    /// The challenge that the request's session answered, and its channel.
    pub(super) fn session(&self) -> Option<(Challenge, Hash32)> {
        self.session.borrow().clone()
    }

    /// Notes MPP's receipt: a successful answer carries it.
    pub(super) fn hand_payment_receipt(&self, receipt: String) {
        self.payment_receipt.replace(Some(receipt));
    }

    /// Puts on the answer what every answer carries.
    pub(super) fn complete(&self, answer: web_sys::Response) -> Result<web_sys::Response> {
        let fields = answer.headers();
        fields.set("Tollgate-Request-Id", &self.request_id)?;
        if self.degraded.get() {
            fields.set("Tollgate-Degraded", "true")?;
        }
        let (standings, at) = &*self.standings.borrow();
        for (name, value) in headers::fields(standings, *at) {
            fields.set(&name, &value)?;
        }
        if let Some(receipt) = self.payment_receipt.borrow().as_ref().filter(|_| answer.ok()) {
            fields.set("Payment-Receipt", receipt)?;
            make_private(&fields)?;
        }
        self.put_session(&fields)?;
        Ok(answer)
    }

    /// Whoever holds the token spends what its account may use: no shared cache may hold it.
    fn put_session(&self, fields: &web_sys::Headers) -> Result<()> {
        let (Some(keys), Some(account)) = (&self.settings.secrets.keys, &*self.session_for.borrow()) else {
            return Ok(());
        };
        fields.set(
            SESSION,
            &keys.sessions.issue(account, self.key_of(account), clock::now().plus(SESSION_LIFE)),
        )?;
        make_private(fields)
    }
}
