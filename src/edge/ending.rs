//! The end of an admitted request that holds a slot, or whose final units count: told to its account exactly once, when
//! the answer was sent, when the origin failed, or when the client went away.
//!
//! The call is made by a task that outlives the request (`wait_until`). It waits for the [`Ending`] to be dropped, which
//! happens however the answer ends; where the platform drops nothing because the client is gone, for that.

use std::cell::RefCell;
use std::rc::Rc;

use futures_channel::oneshot;
use futures_util::future::select;
use futures_util::stream::{self, Stream};
use worker::wasm_bindgen::JsCast;
use worker::{Env, Response, Result, console_error, console_warn, web_sys};

use super::body::Reader;
use super::exchange::Exchange;
use super::{departure, objects, origin, socket};
use crate::client::AccountId;
use crate::contract::{AccountCall, Done, End};
use crate::endpoint::EndpointName;
use crate::limit::decision::Admitted;
use crate::limit::units::Units;
use crate::limit::units::meter::{Meter, Readings};

/// Ends the request when it is dropped.
pub(super) struct Ending {
    used: Rc<RefCell<Used>>,
    /// Wakes the task by being dropped.
    _open: oneshot::Sender<()>,
}

/// What the request used, as far as the origin told.
#[derive(Default)]
struct Used {
    told: Units,
    meter: Option<Meter>,
    /// What the account counted already.
    taken: Units,
}

impl Used {
    /// What the field says counts before what the body says.
    fn units(&mut self) -> Units {
        let metered = self.meter.take().map(Meter::units).unwrap_or_default();
        std::mem::take(&mut self.told).or(metered).beyond(&self.taken)
    }
}

impl Ending {
    /// From now on the request's end will be told.
    pub(super) fn begin(
        exchange: &Exchange,
        account: &AccountId,
        endpoint: EndpointName,
        admitted: &Admitted,
    ) -> Self {
        let beyond = admitted.beyond;
        let used: Rc<RefCell<Used>> = Rc::default();
        let (open, ended) = oneshot::channel();
        let (env, account, request) = (exchange.env.clone(), account.clone(), exchange.request_id.clone());
        let (gone, told) = (Box::pin(departure::of(exchange)), used.clone());
        exchange.context.wait_until(async move {
            select(ended, gone).await;
            let units = told.borrow_mut().units();
            tell(&env, &account, End { request, endpoint, units, beyond }).await;
        });
        Self { used, _open: open }
    }

    /// Takes in what passes of the body.
    pub(super) fn see(&self, bytes: &[u8]) {
        if let Some(meter) = &mut self.used.borrow_mut().meter {
            meter.see(bytes);
        }
    }

    /// What passed used so far and the account did not count. Where the origin told the units in a field, all count at the end.
    pub(super) fn untaken(&self) -> Units {
        let used = self.used.borrow();
        let so_far = used.meter.as_ref().filter(|_| used.told.is_empty()).map(Meter::so_far);
        so_far.unwrap_or_default().beyond(&used.taken)
    }

    /// The account counted these units.
    pub(super) fn take(&self, units: &Units) {
        let mut used = self.used.borrow_mut();
        used.taken = std::mem::take(&mut used.taken).and(units);
    }

    /// The meter as it is, to go back to.
    pub(super) fn mark(&self) -> Option<Meter> {
        self.used.borrow().meter.clone()
    }

    /// Goes back to what the meter was.
    pub(super) fn back_to(&self, meter: Option<Meter>) {
        self.used.borrow_mut().meter = meter;
    }

    /// The last event that was seen did not pass.
    pub(super) fn withhold(&self) {
        if let Some(meter) = &mut self.used.borrow_mut().meter {
            meter.uncount_event();
        }
    }

    /// Takes in what the origin's answer tells in its fields, and how its body is to be read.
    pub(super) fn see_fields(
        &self,
        exchange: &Exchange,
        fields: &web_sys::Headers,
        readings: &Readings,
    ) -> Result<()> {
        let mut used = self.used.borrow_mut();
        if let Some(field) = fields.get("Tollgate-Units")? {
            match Units::parse_field(&field) {
                Ok(units) => used.told = units,
                Err(error) => console_warn!("{} Tollgate-Units: {error}", exchange.request_id),
            }
        }
        used.meter = Meter::new(readings, &fields.get("Content-Type")?.unwrap_or_default());
        Ok(())
    }

    /// The client's answer, with whose end the request ends.
    pub(super) fn follow(
        self,
        exchange: &Exchange,
        answer: &web_sys::Response,
        readings: &Readings,
    ) -> Result<web_sys::Response> {
        self.see_fields(exchange, &answer.headers(), readings)?;
        let answer = origin::incoming(answer)?;
        if answer.status() == 101 {
            return socket::relay(exchange, answer, self);
        }
        let Some(body) = answer.body() else { return Ok(answer) };
        let passed = pass(Reader::new(&body), self);
        let stream = web_sys::Response::from(Response::from_stream(passed)?).body();
        let init = answer.unchecked_ref();
        Ok(web_sys::Response::new_with_opt_readable_stream_and_init(stream.as_ref(), init)?)
    }
}

/// Passes a body on as it comes.
fn pass(body: Reader, ending: Ending) -> impl Stream<Item = Result<Vec<u8>>> {
    stream::unfold(Some((body, ending)), |state| async move {
        let (body, ending) = state?;
        match body.next().await {
            Ok(Some(chunk)) => {
                ending.see(&chunk);
                Some((Ok(chunk), Some((body, ending))))
            }
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
}

async fn tell(env: &Env, account: &AccountId, end: End) {
    let request = end.request.clone();
    if let Err(error) = objects::account::<Done>(env, account, AccountCall::End(end)).await {
        console_error!("{request} end: {error}");
    }
}
