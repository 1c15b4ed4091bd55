//! A stream of events that a session pays for as it comes: what its vouchers do not cover waits for the next voucher.

use std::collections::VecDeque;

use futures_util::stream::{self, Stream};
use worker::wasm_bindgen::JsCast;
use worker::{Env, Response, Result, console_error, web_sys};

use super::body::Reader;
use super::ending::Ending;
use super::exchange::Exchange;
use super::{clock, objects, origin, session};
use crate::client::{AccountId, Kind};
use crate::config::payment::SessionConfig;
use crate::contract::{AccountCall, PaymentCall};
use crate::endpoint::EndpointName;
use crate::limit::decision::{Furthered, SaleTerms};
use crate::limit::units::Units;
use crate::limit::units::meter::Readings;
use crate::pay::amount::Amount;
use crate::pay::eip712::Hash32;
use crate::pay::mpp::Receipt;
use crate::pay::mpp::challenge::Challenge;
use crate::pay::mpp::session::channel::{ChannelFault, ChannelStanding, Charge};
use crate::pay::mpp::session::stream::{Cutter, Piece, need_voucher};

/// What a channel says, if it does what it is asked.
type Said = std::result::Result<ChannelStanding, ChannelFault>;

/// Who pays for a stream, and with what.
pub(super) struct Toll {
    env: Env,
    session: SessionConfig,
    account: AccountId,
    endpoint: EndpointName,
    challenge: Challenge,
    channel: Hash32,
}

/// What became of units that cost something.
enum Paid {
    /// They are paid for.
    Yes,
    /// They will be, by a voucher of at least that.
    Short(Amount),
    /// They cannot be.
    No,
}

impl Toll {
    /// Of a request whose session's credential came with it, and that is answered by a stream of events.
    pub(super) fn of(
        exchange: &Exchange,
        account: &AccountId,
        endpoint: &EndpointName,
        answer: &web_sys::Response,
    ) -> Option<Self> {
        let media_type = answer.headers().get("Content-Type").ok().flatten()?.to_ascii_lowercase();
        if account.kind() != Kind::Session || !answer.ok() || !media_type.starts_with("text/event-stream") {
            return None;
        }
        let (challenge, channel) = exchange.session()?;
        Some(Self {
            env: exchange.env.clone(),
            session: session::config(exchange)?.clone(),
            account: account.clone(),
            endpoint: endpoint.clone(),
            challenge,
            channel,
        })
    }

    async fn ask(&self, units: &Units) -> Result<Furthered> {
        let call = AccountCall::Further(self.endpoint.clone(), units.clone());
        objects::account(&self.env, &self.account, call).await
    }

    /// Charges to the channel what units cost.
    async fn pay(&self, terms: &SaleTerms) -> Result<Paid> {
        let Some(cost) = self.session.escrow.cost(terms) else { return Ok(Paid::No) };
        let charge = Charge { cost, endpoint: self.endpoint.clone(), grants: terms.single.clone() };
        Ok(match self.call(&PaymentCall::ChargeFurther(charge)).await? {
            Ok(_) => Paid::Yes,
            Err(ChannelFault::InsufficientBalance(required)) => Paid::Short(required),
            Err(_) => Paid::No,
        })
    }

    /// Where the channel stands, as soon as its vouchers reach that amount, or when waiting for it is over.
    async fn standing(&self, required: Amount) -> Result<Said> {
        let until = clock::now().plus(self.session.voucher_timeout);
        self.call(&PaymentCall::AwaitVoucher(required, until)).await
    }

    async fn call(&self, call: &PaymentCall) -> Result<Said> {
        objects::payment(&self.env, &self.session.escrow.name_of(&self.channel), call).await
    }

    fn receipt(&self, standing: ChannelStanding) -> String {
        let reference = self.channel.to_string();
        let receipt = Receipt {
            challenge: &self.challenge,
            reference: &reference,
            chain_id: Some(self.session.escrow.chain_id),
            channel: Some(standing),
            at: clock::now(),
        };
        receipt.event()
    }
}

/// The client's answer, of which nothing passes that is not paid for.
pub(super) fn follow(
    exchange: &Exchange,
    answer: &web_sys::Response,
    readings: &Readings,
    ending: Option<Ending>,
    toll: Toll,
) -> Result<web_sys::Response> {
    if let Some(ending) = &ending {
        ending.see_fields(exchange, &answer.headers(), readings)?;
    }
    let answer = origin::incoming(answer)?;
    let Some(body) = answer.body() else { return Ok(answer) };
    // Events of the protocol go in between.
    answer.headers().delete("Content-Length")?;
    let passing = Passing {
        reader: Some(Reader::new(&body)),
        cutter: Cutter::default(),
        events: VecDeque::new(),
        awaited: None,
        is_metered: ending.is_some(),
        ending,
        toll,
    };
    let stream = web_sys::Response::from(Response::from_stream(pass(passing))?).body();
    Ok(web_sys::Response::new_with_opt_readable_stream_and_init(stream.as_ref(), answer.unchecked_ref())?)
}

/// An event that came.
struct Came {
    piece: Piece,
    /// It may pass: its units were counted.
    is_paid: bool,
}

struct Passing {
    /// None at the end of the origin's answer.
    reader: Option<Reader>,
    cutter: Cutter,
    events: VecDeque<Came>,
    /// What the vouchers must reach before the next event passes.
    awaited: Option<Amount>,
    is_metered: bool,
    ending: Option<Ending>,
    toll: Toll,
}

/// What is done next.
enum Next {
    /// This passes, and then what follows.
    Pass(Vec<u8>),
    /// Nothing more passes.
    Stop,
}

fn pass(passing: Passing) -> impl Stream<Item = Result<Vec<u8>>> {
    stream::unfold(Some(passing), |state| async move {
        let mut passing = state?;
        match passing.next().await {
            Ok(Next::Pass(bytes)) => Some((Ok(bytes), Some(passing))),
            Ok(Next::Stop) => passing.close().await.map(|last| (Ok(last), None)),
            Err(error) => Some((Err(error), None)),
        }
    })
}

impl Passing {
    async fn next(&mut self) -> Result<Next> {
        if let Some(required) = self.awaited.take() {
            let reached = matches!(self.toll.standing(required).await?, Ok(now) if now.accepted >= required);
            if !reached {
                return Ok(Next::Stop);
            }
        }
        while self.events.is_empty() {
            if self.reader.is_none() {
                return Ok(Next::Stop);
            }
            self.read().await?;
        }
        self.admit().await
    }

    /// Takes in what came. All of it is asked about at once; if not all of it may pass, event by event.
    async fn read(&mut self) -> Result<()> {
        let Some(reader) = &self.reader else { return Ok(()) };
        let pieces = if let Some(chunk) = reader.next().await? {
            self.cutter.push(&chunk)
        } else {
            self.reader = None;
            self.cutter.rest().map(Piece::closed).into_iter().collect()
        };
        let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes.iter().copied()).collect();
        let is_paid = self.costs(&all).await?.is_none();
        self.events.extend(pieces.into_iter().map(|piece| Came { piece, is_paid }));
        Ok(())
    }

    /// What these events cost before they may pass; if it is nothing, they are counted.
    async fn costs(&mut self, events: &[u8]) -> Result<Option<SaleTerms>> {
        let Some(ending) = &self.ending else { return Ok(None) };
        let before = ending.mark();
        ending.see(events);
        let units = ending.untaken();
        if !self.is_metered || units.is_empty() {
            return Ok(None);
        }
        match self.toll.ask(&units).await? {
            Furthered::Taken => ending.take(&units),
            Furthered::NotSold => self.is_metered = false,
            Furthered::ForSale(terms) => {
                ending.back_to(before);
                return Ok(Some(terms));
            }
        }
        Ok(None)
    }

    /// Lets the next event pass once it is paid for, or asks for a voucher.
    async fn admit(&mut self) -> Result<Next> {
        let Some(came) = self.events.pop_front() else { return Ok(Next::Stop) };
        let terms = if came.is_paid { None } else { self.costs(&came.piece.bytes).await? };
        let Some(terms) = terms else { return Ok(Next::Pass(came.piece.bytes)) };
        // The rest of an event that is too large to be held follows what passed of it: the next event pays for it.
        if !came.piece.begins {
            if let Some(ending) = &self.ending {
                ending.see(&came.piece.bytes);
            }
            return Ok(Next::Pass(came.piece.bytes));
        }
        self.events.push_front(came);
        match self.toll.pay(&terms).await? {
            // It is counted by what it bought, unless another request of the session was faster.
            Paid::Yes => Box::pin(self.admit()).await,
            Paid::Short(required) => self.ask_for(required).await,
            Paid::No => Ok(Next::Stop),
        }
    }

    async fn ask_for(&mut self, required: Amount) -> Result<Next> {
        let Ok(standing) = self.toll.standing(Amount::default()).await? else { return Ok(Next::Stop) };
        self.awaited = Some(required);
        Ok(Next::Pass(need_voucher(&standing, required).into_bytes()))
    }

    /// Ends the stream with its receipt. What did not pass does not count, but for what the origin said that it used.
    async fn close(mut self) -> Option<Vec<u8>> {
        self.reader = None;
        if let (Some(ending), Some(came)) = (&self.ending, self.events.front()) {
            ending.see(&came.piece.bytes);
            ending.withhold();
        }
        self.ending = None;
        match self.toll.standing(Amount::default()).await {
            Ok(said) => said.ok().map(|standing| self.toll.receipt(standing).into_bytes()),
            Err(error) => {
                console_error!("the receipt of a stream: {error}");
                None
            }
        }
    }
}
