//! Payments for one call: what the gate tells of the call and is told of the payment, and the answer that is kept.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use worker::{Error, Result};

use super::PaymentObject;
use crate::client::AccountId;
use crate::contract::{AccountCall, Attempt, Buys, Done, KeptAnswer, OriginAnswer, Presented};
use crate::edge::{clock, objects};
use crate::limit::decision::{Decision, Verdict};
use crate::pay::purchase::call::{Call, Told};
use crate::pay::purchase::{Event, ORIGIN_FAILED, Progress, Purchase, Step};
use crate::pay::receipt::sha256_label;
use crate::time::Span;

const CREATE: &str =
    "CREATE TABLE IF NOT EXISTS answer (id INTEGER PRIMARY KEY CHECK (id = 1), answer TEXT NOT NULL)";
const PUT: &str =
    "INSERT INTO answer (id, answer) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET answer = excluded.answer";

#[derive(serde::Deserialize)]
struct Row {
    answer: String,
}

impl PaymentObject {
    pub(super) fn happened(&self, event: Event) -> Result<()> {
        let settings = self.settings()?;
        match &settings.config.payment {
            Some(config) => self.advance(event, config),
            None => Err(Error::RustError("payments are off".to_owned())),
        }
    }

    fn call(&self) -> Option<Call> {
        self.purchase.borrow().as_ref().and_then(Purchase::call)
    }

    pub(super) fn still_serving(&self) -> Result<Done> {
        self.load()?;
        self.happened(Event::StillServing).map(|()| Done)
    }

    /// A payment that was settled and whose answer reached nobody: the gate is to call the origin again.
    pub(super) async fn serve_owed(&self, attempt: &Attempt) -> Result<Presented> {
        let Some(held) = self.purchase.borrow().clone() else { return Ok(Presented::Pending) };
        let call = AccountCall::AttemptAgain(attempt.clone());
        let decision: Decision = objects::account(&self.env, held.owner(), call).await?;
        if !matches!(decision.verdict, Verdict::Admitted(_)) {
            return Ok(Presented::Denied { decision });
        }
        // Another request may have been faster.
        if self.call() != Some(Call::Owed) {
            return Ok(Presented::Pending);
        }
        self.happened(Event::Admitted(true))?;
        self.ring_when_due().await?;
        Ok(Presented::Serve { decision, receipt_id: held.receipt_id().to_owned() })
    }

    pub(super) async fn ring_when_due(&self) -> Result<()> {
        let step = self.purchase.borrow().as_ref().map(|purchase| purchase.step(clock::now()));
        match step {
            Some(Step::Rest(at)) => self.rest(at).await,
            Some(_) => self.ring_at(clock::now()).await,
            None => Ok(()),
        }
    }

    /// The origin answered: the answer is kept, the payment settled, and the gate told what to do with what it holds.
    pub(super) async fn answered(&self, answer: OriginAnswer) -> Result<Presented> {
        self.load()?;
        if !matches!(self.call(), Some(Call::Running { .. })) {
            return self.answered_again().await;
        }
        if let Some(kept) = &answer.kept {
            self.put_answer(kept)?;
        }
        self.happened(Event::Answered(Told { status: answer.status, kept: answer.kept.is_some() }))?;
        if let Some(driver) = self.driver() {
            self.drive(&driver, None, true).await?;
        }
        self.hand_over().await
    }

    /// The gate did not hear what became of the answer that it told of. Where this object died while the payment was being
    /// settled, its outcome is in doubt, and the account is told of that before the gate hears of it.
    async fn answered_again(&self) -> Result<Presented> {
        let Some(driver) = self.driver() else { return Ok(Presented::Pending) };
        self.happened(Event::StepFailed("the process ended while it was being settled".to_owned()))?;
        self.drive(&driver, None, true).await?;
        drop(driver);
        let Some(held) = self.purchase.borrow().clone() else { return Ok(Presented::Pending) };
        match (held.progress(), held.call()) {
            (Progress::Credited(_), Some(Call::Kept { .. } | Call::Unkept { .. }))
            | (Progress::Pending, _) => self.hand_over().await,
            _ => Ok(self.presented(None)),
        }
    }

    /// What the gate does with the answer that it holds.
    async fn hand_over(&self) -> Result<Presented> {
        let Some(held) = self.purchase.borrow().clone() else { return Ok(Presented::Pending) };
        let receipt_id = held.receipt_id().to_owned();
        match (held.progress(), held.call()) {
            (Progress::Credited(settlement), Some(Call::Kept { .. } | Call::Unkept { .. })) => {
                self.happened(Event::Delivered)?;
                Ok(Presented::Sold { settlement: settlement.clone(), receipt_id })
            }
            // Of a payment that was settled before, too: its owner is owed the call still.
            (Progress::NotSold(_), _) | (Progress::Credited(_), Some(Call::Owed)) => Ok(Presented::NotSold),
            (Progress::Refused(reason), _) => {
                self.count_refusal(held.owner()).await?;
                Ok(Presented::Refused { reason: reason.to_owned() })
            }
            _ => {
                self.happened(Event::Undelivered)?;
                Ok(Presented::Pending)
            }
        }
    }

    async fn count_refusal(&self, owner: &AccountId) -> Result<()> {
        let _: Option<Span> = objects::account(&self.env, owner, AccountCall::FailPayment).await?;
        Ok(())
    }

    /// What a presenter is told; `decision` is there for the one whose request it is about.
    pub(super) fn presented(&self, decision: Option<Decision>) -> Presented {
        let Some(purchase) = self.purchase.borrow().clone() else { return Presented::Pending };
        let receipt_id = purchase.receipt_id().to_owned();
        match (purchase.progress(), decision) {
            (Progress::Serving, Some(decision)) => Presented::Serve { decision, receipt_id },
            (Progress::Credited(settlement), Some(decision)) => {
                Presented::Credited { decision, settlement: settlement.clone(), receipt_id }
            }
            (Progress::Advanced, Some(decision)) => Presented::Advanced { decision, receipt_id },
            (Progress::Unavailable(_), Some(decision)) if matches!(decision.verdict, Verdict::Denied(_)) => {
                Presented::Denied { decision }
            }
            (Progress::Credited(settlement), None) => {
                Presented::Used { settlement: settlement.clone(), receipt_id }
            }
            (Progress::Refused(reason), _) => Presented::Refused { reason: reason.to_owned() },
            (Progress::NotSold(_), _) => Presented::Refused { reason: ORIGIN_FAILED.to_owned() },
            (Progress::Unavailable(why), _) => Presented::Unavailable { why: why.to_owned() },
            (Progress::Pending | Progress::Serving | Progress::Advanced, _) => Presented::Pending,
        }
    }

    /// What somebody is told who presents it again: its answer, where it is kept and answers their question.
    pub(super) fn presented_again(&self, held: &Purchase, buys: &Buys) -> Result<Presented> {
        let asks_the_same = matches!(buys, Buys::Call { question, .. } if held.answers(question));
        let settlement = match held.progress() {
            Progress::Credited(settlement) => Some(settlement.clone()),
            Progress::NotSold(_) => None,
            _ => return Ok(self.presented(None)),
        };
        match held.call() {
            Some(Call::Kept { .. }) if asks_the_same => {
                let receipt_id = held.receipt_id().to_owned();
                let kept = self.kept_answer()?;
                Ok(match kept {
                    Some(answer) => Presented::Kept { answer, settlement, receipt_id },
                    None => self.presented(None),
                })
            }
            Some(Call::Running { .. } | Call::Unkept { .. }) if asks_the_same => Ok(Presented::Pending),
            _ => Ok(self.presented(None)),
        }
    }

    fn put_answer(&self, answer: &KeptAnswer) -> Result<()> {
        let sql = self.state.storage().sql();
        sql.exec(CREATE, None)?;
        sql.exec(PUT, vec![serde_json::to_string(answer)?.into()]).map(|_| ())
    }

    /// The answer that is kept. One that cannot be read is an error, never none.
    fn kept_answer(&self) -> Result<Option<KeptAnswer>> {
        let sql = self.state.storage().sql();
        sql.exec(CREATE, None)?;
        let rows: Vec<Row> = sql.exec("SELECT answer FROM answer", None)?.to_array()?;
        rows.first().map(|row| serde_json::from_str(&row.answer)).transpose().map_err(Into::into)
    }

    pub(super) fn delete_answer(&self) -> Result<()> {
        let sql = self.state.storage().sql();
        sql.exec(CREATE, None)?;
        sql.exec("DELETE FROM answer", None).map(|_| ())
    }

    /// The hash of the answer that was told of or is kept, or of none.
    pub(super) fn response_hash(&self, purchase: &Purchase) -> Result<String> {
        if let Some(hash) = purchase.response_hash() {
            return Ok(hash.to_owned());
        }
        let kept = if self.call().is_some() { self.kept_answer()? } else { None };
        let body = kept.and_then(|answer| answer.body).map(|body| STANDARD.decode(body)).transpose();
        let body = body.map_err(|error| Error::RustError(format!("a kept answer: {error}")))?;
        Ok(sha256_label(&body.unwrap_or_default()))
    }
}
